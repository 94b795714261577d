"""The data module: trajectory files as batches of windows, split by trajectory."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from morlight.data import location as source
from morlight.data import trajectory_file as trajectories
from morlight.data.particles.kernels import FINER
from morlight.data.streaming import FileWindows, PoolLoader
from morlight.data.windows import WindowLoader, Windows
from morlight.operators import build

THINNED = 1_000_000  # values of each field, evenly over all trajectories, that quantiles are taken of
QUANTILES = 101  # of the values of a field: the gauge of h is fixed where the data are
SPECTRA = 200  # fields whose spectrum tells the band of wavenumbers
FAINT = 1e-8  # float32 leaves rounding of 1e-14 of the strongest mode
SAMPLED = 20_000  # windows that the noise of each mode is estimated from: 1 % of its variance
SAMPLED_VALUES = 8_000_000  # of a field that these windows have at most: 64 MB in double precision
DECADE = 10.0  # between smallest and largest γ, from which on it enters by its logarithm
VALIDATED = 2000  # windows looked at for the validation loss: its noise is then some 1e-3 of its value


class TrajectoryDataModule(lightning.LightningDataModule):
    """Windows of the trajectories in one file, ready for training, validation and test.

    Args:
        path: trajectory file, name of a set that comes with the package, or, with `deposit`, files of particles.
        fields: names of the fields to learn; all scalar fields where left out.
        batch: windows a step, all processes together.
        validation: share of the trajectories kept for validation.
        test: share of the trajectories kept for test.
        trajectories: use only so many of them, from the first on; all where left out.
        seed: of the split and of the order of the windows.
        targets: names of what an operator without time makes of each field (Eq. 7); the first frames are used.
        parameters: names of the scalars γ of the trajectories that the operator may depend on.
        particles: of which the field is a histogram with mean 1, or file where the file tells them and the deposit,
            for the noise of counting to be taken out (model.optimizer moments alone); right where waves shorter than
            the cells are gone after one step.
        cutoff: train on frames up to this time only; all where left out. Validation and test keep theirs.
        held_out: γ of trajectories that belong to the test, such as {density: 0.1}.
        left_out: γ of trajectories that are not used at all: those of the test in a search for hyper-parameters.
        ensemble: all, each trajectory by itself, or mean: those that differ in their seed alone are averaged.
        coarsen: cells of the file averaged to one of the fields, along each axis (Sec. 6.3.1).
        scaling: global, each field in one unit, or power: its unit follows a power of each γ.
        memory: GiB that the fields may take; those of larger files are read in blocks, again for every epoch.
        deposit: how files of particles or of averages (LAMMPS, H5MD, …) become fields, as for `morlight deposit`:
            fields, bins, axes, species, …; the fields are kept beside them.
    """

    def __init__(  # noqa: PLR0913 - one key of a configuration each
        self,
        path: str,
        fields: list[str] | None = None,
        batch: int = 100,
        validation: float = 0.1,
        test: float = 0.1,
        trajectories: int | None = None,
        seed: int = 0,
        targets: list[str] | None = None,
        parameters: list[str] | None = None,
        particles: int | str | None = None,
        cutoff: float | None = None,
        held_out: dict[str, float] | None = None,
        left_out: dict[str, float] | None = None,
        ensemble: str = "all",
        coarsen: int = 1,
        scaling: str = "global",
        memory: float = 4.0,
        deposit: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        self._parts: dict[str, Windows] = {}
        self._samples: dict[int, Tensor] = {}

    def prepare_data(self) -> None:
        """Make fields of particles, in one process, before any asks for them."""
        source.located(self.hparams.path, self.hparams.deposit)

    def setup(self, stage: str | None = None) -> None:
        """Read the file once, whatever the stage."""
        if self._parts:
            return
        self.file = trajectories.describe(source.located(self.hparams.path, self.hparams.deposit))
        self.targets = tuple(self.hparams.targets or ())
        self.fields = tuple(self.hparams.fields or self._known())
        self._check()
        self.grid = self._grid()
        gamma = self._parameters()
        rows = {part: torch.from_numpy(chosen) for part, chosen in self.split().items()}
        shape = (len(gamma), len(self.file.times), len(self.fields), *self.grid.points)
        lengths = {"train": self._length()}
        size = math.prod(shape) * torch.finfo(torch.get_default_dtype()).bits // 8
        self.streamed = not self.targets and size > self.hparams.memory * 2**30
        if self.streamed and self.hparams.ensemble == "mean":
            raise ValueError(
                f"{self.file.path}: data.ensemble is mean, which needs the fields in memory; see data.memory"
            )
        if self.streamed:
            self._parts = {
                part: FileWindows(self._frames, shape, chosen, gamma, lengths.get(part))
                for part, chosen in rows.items()
            }
            training = tqdm(rows["train"].tolist(), "looking through", delay=2, leave=False, unit="trajectory")
            seen: Iterable[Tensor] = (self._frames(row, 0, self._length()) for row in training)
        else:
            u = self._read()
            self._parts = {part: Windows(u, chosen, gamma, lengths.get(part)) for part, chosen in rows.items()}
            seen = (u[row, : None if self.targets else self._length()] for row in rows["train"])
        self.description = self._describe(seen, gamma[rows["train"]])

    def _known(self) -> list[str]:
        """Fields of the file that are neither targets nor the standard errors of others."""
        errors = {f"{name}_error" for name in self.file.fields}
        return [name for name in self.file.fields if name not in self.targets and name not in errors]

    def _grid(self) -> trajectories.Grid:
        """Cells of the fields, coarser than those of the file where asked for."""
        factor, held = self.hparams.coarsen, self.file.grid
        if factor < 1 or any(N % factor or N // factor < 2 for N in held.points):
            raise ValueError(
                f"{self.file.path}: data.coarsen is {factor}, expected a divisor of {', '.join(map(str, held.points))}"
                " that leaves two cells or more"
            )
        return dataclasses.replace(held, points=tuple(N // factor for N in held.points))

    def _length(self) -> int:
        """Frames of each training trajectory."""
        cutoff, times = self.hparams.cutoff, self.file.times
        if self.targets:
            return 2  # the fields and their targets
        if cutoff is None:
            return len(times)
        count = int((times <= times[0] + cutoff + 1e-6 * self.file.dt).sum())
        if count < 2:
            raise ValueError(f"{self.file.path}: data.cutoff is {cutoff}, expected {self.file.dt:g} or more, one step")
        return count

    def _frames(self, row: int, start: int, stop: int) -> Float[Tensor, "T C *X"]:
        """Some frames of a trajectory, from the file."""
        u = trajectories.read(self.file.path, self.fields, slice(row, row + 1), slice(start, stop))[0]
        u = trajectories.coarse(u, self.hparams.coarsen, len(self.grid.points))
        return torch.from_numpy(u).to(torch.get_default_dtype())

    def _read(self) -> Float[Tensor, "S T C *X"]:
        """All frames; where there are targets, two: the first of the fields and that of their targets."""
        count = self._count()
        if not self.targets:
            u = trajectories.read(self.file.path, self.fields, slice(count))
            u = trajectories.coarse(u, self.hparams.coarsen, len(self.grid.points))
            if self.hparams.ensemble == "mean":
                u = np.stack([u[members].mean(0) for members in self.members])
        else:
            both = trajectories.read(self.file.path, [*self.fields, *self.targets], slice(count), slice(1))
            u = both.reshape(len(both), 2, len(self.fields), *both.shape[3:])
        return torch.from_numpy(u).to(torch.get_default_dtype())

    def _count(self) -> int:
        """Trajectories of the file that are used."""
        return self.hparams.trajectories or self.file.trajectories

    @property
    def members(self) -> list[list[int]]:
        """Trajectories of the file behind each of ours: one, or all of the same γ where they are averaged."""
        if self.hparams.ensemble == "mean" and trajectories.SEED not in self.file.parameters:
            raise ValueError(f"{self.file.path}: data.ensemble is mean, the file has no scalar 'seed' to average over")
        if self.hparams.ensemble == "all":
            return [[row] for row in range(self._count())]
        return list(trajectories.ensembles(self.file, range(self._count())).values())

    def rows(self, part: str) -> list[int]:
        """Trajectories of the file that belong to train, validation or test."""
        return [row for own in self.windows(part).rows.tolist() for row in self.members[own]]

    def _parameters(self) -> Float[Tensor, "S P"]:
        names = self.hparams.parameters or []
        first = [members[0] for members in self.members]
        for name in names:
            if name not in self.file.parameters:
                known = ", ".join(self.file.parameters) or "none"
                raise ValueError(f"{self.file.path}: data.parameters has {name!r}, the file has the scalars: {known}")
        columns = [torch.from_numpy(np.asarray(self.file.parameters[name], np.float64)[first]) for name in names]
        gamma = torch.stack(columns, 1) if columns else torch.zeros(len(first), 0)
        return gamma.to(torch.get_default_dtype())

    def _check(self) -> None:
        wanted, there = self.hparams.trajectories, self.file.trajectories
        if wanted is not None and not 1 <= wanted <= there:
            raise ValueError(f"{self.file.path}: data.trajectories is {wanted}, expected 1 to {there}")
        self.particles = self._counted()
        for key, known in (("ensemble", ("all", "mean")), ("scaling", ("global", "power"))):
            if self.hparams[key] not in known:
                raise ValueError(f"data.{key} is {self.hparams[key]!r}, expected {' or '.join(known)}")
        if self.targets and (self.hparams.cutoff is not None or self.hparams.coarsen != 1):
            raise ValueError("data.cutoff and data.coarsen are for fields that change in time, not for data.targets")
        if not self.hparams.memory > 0:
            raise ValueError(f"data.memory is {self.hparams.memory}, expected GiB above 0")
        if self.hparams.batch < 1:
            raise ValueError(f"data.batch is {self.hparams.batch}, expected at least 1")
        if self.targets and len(self.targets) != len(self.fields):
            raise ValueError(
                f"{self.file.path}: data.targets has {len(self.targets)} names, expected one for each of the fields"
                f" {', '.join(self.fields)}"
            )
        shares = self.hparams.validation, self.hparams.test
        if min(shares) < 0 or sum(shares) >= 1:
            raise ValueError(f"data.validation and data.test are {shares}, expected shares ≥ 0 with a sum below 1")

    def _counted(self) -> int | None:
        """Number of particles in the fields; None where that is no concern."""
        particles = self.hparams.particles
        self.finer: int | None = None
        if particles == "file":
            made = self.file.attributes.get("generator_parameters", {})
            kind = made.get("deposit")
            particles = made.get("walkers") if kind in ("histogram", "fourier") else None
            if particles is None:
                raise ValueError(
                    f"{self.file.path}: data.particles is file, which holds no histogram or Fourier deposit of walkers"
                )
            self.finer = FINER[len(self.file.grid.points)] if kind == "fourier" else None
        if particles is not None and not (isinstance(particles, int) and particles > 0):
            raise ValueError(f"data.particles is {particles!r}, expected a number above 0, or file")
        return particles

    def split(self) -> dict[str, np.ndarray]:
        """Which trajectories belong to train, validation and test; disjoint, and the same for the same seed."""
        left_out = self._chosen("left_out")
        held_out = np.setdiff1d(self._chosen("held_out"), left_out)
        free = np.setdiff1d(np.arange(len(self.members)), [*held_out, *left_out])
        if not len(free):
            raise ValueError(f"{self.file.path}: data.held_out and data.left_out leave no trajectory to train on")
        order = np.random.default_rng(self.hparams.seed).permutation(len(free))
        test = round(len(free) * self.hparams.test)
        held = test + round(len(free) * self.hparams.validation)
        if held >= len(free):
            held = test = 0  # too few trajectories to hold any back
        parts = {"test": free[order[:test]], "validation": free[order[test:held]], "train": free[order[held:]]}
        parts["test"] = np.concatenate([parts["test"], held_out])
        return {name: np.sort(part) for name, part in parts.items()}

    def _chosen(self, key: str) -> np.ndarray:
        """Trajectories with the γ of held_out or left_out."""
        wanted = self.hparams[key]
        if not wanted:
            return np.arange(0)
        first = [members[0] for members in self.members]
        return trajectories.where(self.file, wanted, f"data.{key}")[first].nonzero()[0]

    def _describe(self, training: Iterable[Float[Tensor, "T C *X"]], gamma: Float[Tensor, "S P"]) -> dict[str, Any]:
        """All that an operator needs to know of its data, as plain values for the checkpoint."""
        count = len(gamma)
        squares, spreads, targets, spectra = [], [], [], []
        largest: list[Tensor] = []
        stride = filled = 0
        for place, u in enumerate(training):
            seen = u[:1] if self.targets else u  # h never sees a target
            by_field = seen.transpose(0, 1).flatten(1)
            if place == 0:
                stride = 1 + count * by_field.shape[1] // THINNED
                # all of it at once: small pieces between the large ones would keep these from being used again
                values = u.new_empty(len(by_field), count * (by_field.shape[1] // stride + 1))
                low, high = by_field.amin(1), by_field.amax(1)
            thinned = by_field[:, -place * by_field.shape[1] % stride :: stride]
            values[:, filled : filled + thinned.shape[1]] = thinned
            filled += thinned.shape[1]
            low, high = torch.minimum(low, by_field.amin(1)), torch.maximum(high, by_field.amax(1))
            squares.append(_square(seen))
            largest.append(by_field.abs().amax(1))
            spreads.append(by_field.double().var(1, correction=0))
            if self.targets:
                targets.append(_square(u[1:]))
                spectra += [u[1]] if place % (1 + count // SPECTRA) == 0 else []
        for name, lowest, highest in zip(self.fields, low.tolist(), high.tolist(), strict=True):
            if lowest == highest:
                raise ValueError(f"{self.file.path}: field '{name}' is {lowest:g} everywhere, expected one that varies")
        description = {
            "name": self.file.name,
            "fields": list(self.fields),
            "targets": list(self.targets),
            "points": list(self.grid.points),
            "length": list(self.grid.length),
            "boundaries": list(self.grid.boundaries),
            "coarsen": self.hparams.coarsen,
            "dt": self.file.dt if not self.targets else 1.0,
            **self._sizes(gamma, torch.stack(squares), torch.stack(spreads), torch.stack(largest)),
            "values": _quantiles(values[:, :filled]),
            "low": low.tolist(),
            "high": high.tolist(),
            "digest": trajectories.digest(self.file.path),
        }
        if self.targets:
            unit = torch.stack(targets).mean(0).sqrt()
            description |= {"unit": unit.tolist(), "band": self._band(torch.stack(spectra))}
        return description

    def _sizes(
        self,
        gamma: Float[Tensor, "S P"],
        squares: Float[Tensor, "S C"],
        spreads: Float[Tensor, "S C"],
        largest: Float[Tensor, "S C"],
    ) -> dict[str, Any]:
        """Sizes of the parameters and of the fields: scale, their root mean square; spread, about each one's mean.

        Where they follow powers of γ, those of a typical γ with the powers, fitted to the trajectories, beside them;
        reach is the largest value in the unit of its trajectory.
        """
        told = describe_parameters(self.hparams.parameters or [], gamma.double())
        powers, unit = gamma.new_zeros(squares.shape[1], gamma.shape[1]).double(), torch.ones_like(squares)
        if self.hparams.scaling == "power":
            if not gamma.shape[1] or gamma.min() <= 0:
                raise ValueError("data.scaling is power, which needs data.parameters with values above 0")
            powers = field_powers(gamma.double() / gamma.new_tensor(told["gamma_scale"]).double(), squares)
            unit = ((gamma.double() / gamma.new_tensor(told["gamma_scale"]).double()).log() @ powers.T).exp()
            told["powers"] = powers.tolist()
        scale = (squares / unit.square()).mean(0).sqrt()
        spread = (spreads / unit.square()).mean(0).sqrt()
        reach = (largest.double() / unit).amax(0) / scale.clamp_min(torch.finfo(torch.float64).tiny)
        return told | {"scale": scale.tolist(), "spread": spread.tolist(), "reach": reach.tolist()}

    def _band(self, u: Float[Tensor, "n C *X"]) -> list[float]:
        """Smallest and largest |κ| > 0 of the modes with more than `FAINT` of the energy of the strongest."""
        grid = self.grid
        space = build.basis(grid.points, grid.length, grid.boundaries).double()
        energy = space.forward(u.double()).abs().square().mean((0, 1)) * space.energy
        kappa = space.wavenumbers.square().sum(0).sqrt()
        told = kappa[(kappa > 0) & (energy > FAINT * energy.max())]
        return [float(told.min()), float(told.max())] if len(told) else [0.0, float(kappa.max())]

    def windows(self, part: str) -> Windows:
        """Windows of one part: train, validation or test."""
        return self._parts[part]

    def sample(self, horizon: int) -> Float[Tensor, "3 B C *X"]:
        """Frames 0, 1 and m of some training windows, always the same ones, to estimate noise from."""
        if horizon not in self._samples:
            windows = self._parts["train"]
            total = windows.count(horizon)
            if total == 0:
                raise ValueError(
                    f"{self.file.path}: {windows.length} frames are too few for model.horizons up to {horizon}"
                )
            self._samples[horizon] = windows.at(self._sampled(total), (0, 1, horizon))
        return self._samples[horizon]

    def _sampled(self, total: int) -> Tensor:
        return torch.linspace(0, total - 1, min(_fitting(self._parts["train"].shape), total)).long()

    def sample_parameters(self, horizon: int) -> Float[Tensor, "B P"]:
        """γ of the windows of a sample."""
        windows = self._parts["train"]
        return windows.parameters(self._sampled(windows.count(horizon)), horizon)

    def states(self, count: int) -> tuple[Float[Tensor, "n C *X"], Float[Tensor, "n P"]]:
        """Some training frames, evenly over trajectories and time, and their parameters."""
        windows = self._parts["train"]
        index = torch.linspace(0, windows.count(1) - 1, min(count, windows.count(1))).long()
        return windows.at(index, (0, 1))[0], windows.parameters(index, 1)

    def train_dataloader(self) -> WindowLoader | PoolLoader:
        """Every window of the present horizon once, in an order that depends on seed and epoch alone."""
        stream = np.random.SeedSequence((self.hparams.seed, self.trainer.current_epoch))
        seed = int(stream.generate_state(1)[0])
        generator = torch.Generator().manual_seed(seed)
        offsets = self._module().offsets
        windows = self._parts["train"]
        if isinstance(windows, FileWindows):
            rank, world = self.trainer.global_rank, self.trainer.world_size
            memory = int(self.hparams.memory * 2**30)
            return PoolLoader(windows, offsets, self.hparams.batch, memory, seed, rank, world)
        order = torch.randperm(self._parts["train"].count(offsets[-1]), generator=generator)
        return self._loader("train", order, offsets)

    def val_dataloader(self) -> list[WindowLoader]:
        """Windows of the longest horizon, evenly over the held-out trajectories."""
        return self._evaluated("validation")

    def test_dataloader(self) -> list[WindowLoader]:
        """The same for the trajectories that no choice has looked at."""
        return self._evaluated("test")

    def _evaluated(self, part: str) -> list[WindowLoader]:
        horizon = self._module().hparams.horizons[-1]
        total = self._parts[part].count(horizon)
        if total == 0:
            return []
        return [self._loader(part, torch.linspace(0, total - 1, min(VALIDATED, total)).long(), (0, horizon))]

    def _loader(self, part: str, order: Tensor, offsets: tuple[int, ...]) -> WindowLoader:
        rank, world = self.trainer.global_rank, self.trainer.world_size
        return WindowLoader(self._parts[part], order, offsets, self.hparams.batch, rank, world)

    def _module(self) -> Any:
        return self.trainer.lightning_module


def _fitting(shape: tuple[int, ...]) -> int:
    """Number of frames to estimate noise from: enough for 1 % of a variance, but within some memory."""
    return max(200, min(SAMPLED, SAMPLED_VALUES // math.prod(shape)))


def describe_parameters(names: Sequence[str], gamma: Float[Tensor, "S P"]) -> dict[str, Any]:
    """Names, typical values and ranges of the parameters, and the spread of the logarithm where it spans a decade."""
    if not names:
        return {"parameters": [], "gamma_scale": [], "gamma_low": [], "gamma_high": []}
    tiny = torch.finfo(torch.float32).tiny
    wide = (gamma > 0).all(0) & (gamma.amax(0) >= DECADE * gamma.amin(0).clamp_min(tiny))
    logs = gamma.clamp_min(tiny).log()
    size = torch.where(wide, logs.mean(0).exp(), gamma.square().mean(0).sqrt().clamp_min(tiny))
    spread = torch.where(wide, logs.std(0, correction=0), 0.0)
    return {
        "parameters": list(names),
        "gamma_scale": size.tolist(),
        "gamma_spread": spread.tolist(),
        "gamma_low": gamma.amin(0).tolist(),
        "gamma_high": gamma.amax(0).tolist(),
    }


def field_powers(ratio: Float[Tensor, "S P"], squares: Float[Tensor, "S C"]) -> Float[Tensor, "C P"]:
    """a of rms(u) ≈ s ∏_p (γ_p/γ̄_p)^a_p by least squares over the trajectories."""
    logs = ratio.log()
    design = torch.cat([torch.ones_like(logs[:, :1]), logs], 1)
    sizes = squares.clamp_min(torch.finfo(torch.float64).tiny).log() / 2
    return torch.linalg.lstsq(design, sizes, driver="gelsd").solution[1:].T


def _square(u: Float[Tensor, "T C *X"]) -> Float[Tensor, " C"]:
    return u.transpose(0, 1).flatten(1).double().square().mean(1)


def _quantiles(values: Float[Tensor, "C n"]) -> list[list[float]]:
    """Quantiles of each field in the middles of equal shares."""
    thinned = values.double()
    shares = (torch.arange(QUANTILES, dtype=torch.float64) + 0.5) / QUANTILES
    return torch.quantile(thinned, shares, dim=1).T.tolist()
