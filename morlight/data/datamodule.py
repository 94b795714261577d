"""The data module: a trajectory file as batches of windows, split by trajectory or in time."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from morlight.data import loaders, mirror, statistics
from morlight.data.conditions import stated
from morlight.data.config import DataConfig
from morlight.data.ensembles import coarse
from morlight.data.location import located
from morlight.data.particles.kernels import FINER
from morlight.data.sample import ShotNoise, TrainingSample
from morlight.data.schedule import Schedule
from morlight.data.split import PARTS, Split, split
from morlight.data.streaming import FileFrames, PoolLoader
from morlight.data.trajectory_file import TrajectoryFile, digest
from morlight.data.windows import BatchLoader, MemoryFrames, Pairs, Windows
from morlight.operators.description import DataDescription, Grid

KERNELS_OF_WALKERS = ("histogram", "linear", "fourier")


class TrajectoryDataModule(lightning.LightningDataModule):
    """Windows of the trajectories in one file, ready for training, validation and test.

    After `setup`, `description` says what an operator needs to know of the data, and `sample` gives some windows of
    the training data. `schedule` is to be set before loaders are asked for.

    Args:
        config: which trajectories, and how they are split.
    """

    description: DataDescription
    sample: TrainingSample
    file: TrajectoryFile
    split: Split

    def __init__(self, config: DataConfig) -> None:
        super().__init__()
        self.config = config
        self.schedule: Schedule | None = None
        self._parts: dict[str, Windows | Pairs] = {}

    def prepare_data(self) -> None:
        """Make fields of particles, in one process, before any asks for them."""
        located(self.config.path, self.config.deposit)

    def setup(self, stage: str | None = None) -> None:
        """Open the file and read it once, whatever the stage."""
        if self._parts:
            return
        config = self.config
        self.file = TrajectoryFile.open(located(config.path, config.deposit))
        self.targets = tuple(config.targets or ())
        self.fields = tuple(config.fields or self._learnable())
        if self.targets and len(self.targets) != len(self.fields):
            raise ValueError(
                f"{self.file.path}: data.targets has {len(self.targets)} names, expected one for each of the fields"
                f" {', '.join(self.fields)}"
            )
        self.parities = mirror.parities(self.file, self.fields, config.mirror)
        shot_noise = self._shot_noise()
        self.split = split(self.file, config)
        grid, gamma = self._grid(), self._gamma()
        self._parts = self._paired(gamma) if self.targets else self._windowed(grid, gamma)
        self.sample = TrainingSample(self.file.path, self._parts["train"], shot_noise)
        self.description = self._described(grid, gamma[torch.from_numpy(self.split.train)])

    def state_dict(self) -> dict[str, Any]:
        """The parts that are held back, for a fit that goes on from the checkpoint."""
        return {name: self.split.identity(name) for name in PARTS if name != "train"}

    def part(self, name: str) -> Windows | Pairs:
        """Windows, or pairs without time, of train, validation or test."""
        return self._parts[name]

    def count(self, part: str, horizon: int) -> int:
        """Number of windows of train, validation or test with m = horizon; of pairs without time."""
        return loaders.count(self._parts[part], horizon)

    def _learnable(self) -> list[str]:
        """Fields of the file that are neither targets nor the standard errors of others."""
        errors = {f"{name}_error" for name in self.file.fields}
        return [name for name in self.file.fields if name not in self.targets and name not in errors]

    def _grid(self) -> Grid:
        """Cells of the fields, coarser than those of the file where asked for."""
        factor, grid = self.config.coarsen, self.file.grid
        if factor < 1 or any(N % factor or N // factor < 2 for N in grid.points):
            raise ValueError(
                f"{self.file.path}: data.coarsen is {factor}, expected a divisor of {', '.join(map(str, grid.points))}"
                " that leaves two cells or more"
            )
        return grid.with_points([N // factor for N in grid.points])

    def _gamma(self) -> Float[Tensor, "S P"]:
        """Parameters of each sample."""
        names = self.config.parameters or []
        first = [members[0] for members in self.split.members]
        for name in names:
            if name not in self.file.parameters:
                known = ", ".join(self.file.parameters) or "none"
                raise ValueError(f"{self.file.path}: data.parameters has {name!r}, the file has the scalars: {known}")
        columns = [torch.from_numpy(np.asarray(self.file.parameters[name], np.float64)[first]) for name in names]
        gamma = torch.stack(columns, 1) if columns else torch.zeros(len(first), 0)
        return gamma.to(torch.get_default_dtype())

    def _shot_noise(self) -> ShotNoise | None:
        """Of the particles that the fields are made of; None where it is not known, or not to be subtracted."""
        particles, grid = self.config.particles, self.file.grid
        if particles is None or isinstance(particles, int):
            return None if particles is None else ShotNoise(particles)
        settings = self.file.attributes.get("generator_parameters", {})
        kind, count = settings.get("deposit"), settings.get("walkers")
        changed = self.config.ensemble != "all" or (self.config.coarsen > 1 and kind != "histogram")
        if kind in KERNELS_OF_WALKERS and count is not None and not changed:
            finer = FINER[grid.dimensions] if kind == "fourier" else None
            return ShotNoise(count, kind, finer, stated=particles == "file")
        if particles == "auto":
            return None
        raise ValueError(
            f"{self.file.path}: data.particles is file, which holds no"
            f"{' unchanged' if changed else ''} deposit of walkers; expected the number of particles in each"
            " trajectory of a histogram, or null: `morlight suggest` chooses"
        )

    def _paired(self, gamma: Float[Tensor, "S P"]) -> dict[str, Windows | Pairs]:
        """The first frames of the fields and their targets."""
        both = self.file.read([*self.fields, *self.targets], slice(len(self.split.members)), slice(1))[:, 0]
        u, f = torch.from_numpy(both).to(torch.get_default_dtype()).chunk(2, 1)
        return {name: Pairs(u, f, gamma, torch.from_numpy(self.split.part(name))) for name in PARTS}

    def _windowed(self, grid: Grid, gamma: Float[Tensor, "S P"]) -> dict[str, Windows | Pairs]:
        """Windows of frames in memory, or of those in the file where they do not fit."""
        shape = (len(gamma), len(self.file.times), len(self.fields), *grid.points)
        frames: MemoryFrames | FileFrames
        if statistics.bytes_of(shape) > self.config.memory * 2**30:
            if self.config.ensemble == "mean" or self.parities:
                key = "data.mirror is set" if self.parities else "data.ensemble is mean"
                raise ValueError(f"{self.file.path}: {key}, which needs the fields in memory; see data.memory")
            frames = FileFrames(self.file, self.fields, self.config.coarsen)
        else:
            frames = MemoryFrames(self._read())
        return {
            name: Windows(frames, torch.from_numpy(self.split.part(name)), gamma, self.split.frames(name))
            for name in PARTS
        }

    def _read(self) -> Float[Tensor, "S T C *X"]:
        """All frames of all samples."""
        rows = 1 + max(row for members in self.split.members for row in members)
        u = coarse(self.file.read(self.fields, slice(rows)), self.config.coarsen, self.file.grid.dimensions)
        if self.parities:
            mirror.check(self.file, self.fields, u, self.parities)
            u = mirror.symmetric(u, self.parities)
        if self.config.ensemble == "mean":
            u = np.stack([u[members].mean(0) for members in self.split.members])
        return torch.from_numpy(u).to(torch.get_default_dtype())

    def _described(self, grid: Grid, gamma: Float[Tensor, "n P"]) -> DataDescription:
        """All that an operator needs to know of the training data."""
        config, rows = self.config, self.split.train.tolist()
        train, targets, band = self._parts["train"], None, None
        if isinstance(train, Pairs):
            seen = statistics.sizes(([train.u[row][None]] for row in rows), len(rows))
            targets = torch.stack([statistics.mean_square(train.f[row][None]) for row in rows]).mean(0).sqrt()
            band = statistics.band(train.f[rows[:: statistics.every_so_many(len(rows))]], grid)
        else:
            seen = statistics.sizes(self._training_frames(train, rows), len(rows) * train.length)
        for name, low, high in zip(self.fields, seen.low.tolist(), seen.high.tolist(), strict=True):
            if low == high:
                raise ValueError(f"{self.file.path}: field '{name}' is {low:g} everywhere, expected one that varies")
        parameters = statistics.parameter_statistics(config.parameters or [], gamma.double())
        ratio = None
        if config.scaling == "power":
            if not gamma.shape[1] or gamma.min() <= 0:
                raise ValueError("data.scaling is power, which needs data.parameters with values above 0")
            ratio = gamma.double() / gamma.new_tensor([parameter.scale for parameter in parameters]).double()
        return DataDescription(
            name=self.file.name,
            digest=digest(self.file.path),
            grid=grid,
            dt=1.0 if self.targets else self.file.dt,
            fields=statistics.field_statistics(self.fields, seen, ratio, targets),
            parameters=parameters,
            targets=self.targets,
            band=band,
            coarsen=config.coarsen,
            parities=self.parities,
            conditions=stated(self.file, self.fields, self.split.trajectories("train")),
        )

    def _training_frames(self, train: Windows, rows: list[int]) -> Iterable[Iterable[Float[Tensor, "t C *X"]]]:
        """Frames of the training trajectories, one after the other, those in a file some at a time."""
        if isinstance(train.frames, MemoryFrames):
            return ([train.frames.u[row, : train.length]] for row in rows)
        assert isinstance(train.frames, FileFrames)
        frames = train.frames
        bar = tqdm(rows, "looking through", delay=2, leave=False, unit="trajectory")
        return (frames.blocks(row, train.length) for row in bar)

    def train_dataloader(self) -> BatchLoader | PoolLoader:
        """Every window of the present horizon once, in an order that depends on seed and epoch alone."""
        config = self.config
        return loaders.training(self, self._parts["train"], self._scheduled(), config.batch, config.seed, config.memory)

    def val_dataloader(self) -> list[BatchLoader]:
        """Windows of the longest horizon, evenly over the held-out trajectories."""
        return loaders.held_back(self, self._parts["validation"], self._scheduled(), self.config.batch)

    def test_dataloader(self) -> list[BatchLoader]:
        """The same for the trajectories that no choice has looked at."""
        return loaders.held_back(self, self._parts["test"], self._scheduled(), self.config.batch)

    def _scheduled(self) -> Schedule:
        if self.schedule is None:
            raise RuntimeError("TrajectoryDataModule.schedule is not set; `morlight.fit` sets it before training")
        return self.schedule

    @property
    def path(self) -> Path:
        """Of the trajectory file."""
        return self.file.path
