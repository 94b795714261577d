"""Properties of a file that determine the settings of a fit: parameters, noise, waves, walls, counts, the equation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from morlight.analysis.doctor.conservation import quantum
from morlight.analysis.equations.sum_of_terms import Equation
from morlight.data.config import DataConfig
from morlight.data.ensembles import SEED
from morlight.data.location import located
from morlight.data.sample import ShotNoise
from morlight.data.split import split
from morlight.data.trajectory_file import TrajectoryFile
from morlight.operators import build
from morlight.operators.bases import Basis
from morlight.operators.config import Wall
from morlight.operators.units import NO_GAMMA
from morlight.training.least_squares.band import power
from morlight.training.least_squares.discover import Trajectories
from morlight.training.least_squares.noise import noise_variance
from morlight.training.least_squares.pair_moments import PairMoments
from morlight.training.least_squares.shot_noise import IndependentParticles
from morlight.training.suggestions.equation import sought_equation
from morlight.training.suggestions.wall_values import Ends, constant_walls
from morlight.training.suggestions.walls import wall_bases

VALUES = 2**22  # of the training data that are looked at
STRONG = 1e-3  # share of the energy from which a wave counts
GROWTH = 1.05  # of the energy of a wave over the trajectory
TURN, PHASE = 0.1, 0.3  # phase of a wave that oscillates: in each step, as a share of its decay, and in all, in radians
ABOVE_NOISE = 100.0  # times the noise, energy of a wave whose phase is known
CONSTANT = 1e-6  # change of a mean, as a share of the rms, that is rounding


@dataclass(frozen=True, eq=False)
class Traits:
    """Properties of the training data of a file.

    Attributes:
        file: opened.
        fields: to learn.
        parameters: scalars that differ between the trajectories.
        repeated: whether several trajectories differ only in their seed.
        trajectories: of the training.
        frames: of each of them.
        particles: number in one trajectory, of a density that is a histogram of independent ones.
        averaged: whether the fields are counts of particles, or averages over them with standard errors.
        bases: of each field between walls; empty without walls.
        walls: values or slopes at both walls, of the fields that have constant ones, as for `model.walls`.
        noise: standard deviation of the noise of each field, as a share of its root mean square.
        damped: whether no wave grows or oscillates.
        conserved: fields whose mean is constant to rounding.
        equation: that describes the data; None if there is none.
        no_equation: why there is none.
    """

    file: TrajectoryFile
    fields: tuple[str, ...]
    parameters: tuple[str, ...]
    repeated: bool
    trajectories: int
    frames: int
    particles: int | None
    averaged: bool
    bases: Mapping[str, Wall]
    walls: Mapping[str, Ends]
    noise: Mapping[str, float]
    damped: bool
    conserved: tuple[str, ...]
    equation: Equation | None = None
    no_equation: str = ""

    @property
    def slipping(self) -> bool:
        """Whether a field has a slip length at the walls."""
        return "robin" in self.bases.values()


def traits(config: DataConfig, bases: Mapping[str, Wall] | None = None) -> Traits:
    """Examine the training data that a configuration selects.

    Args:
        config: path, and any other known option.
        bases: of fields between walls, if they are known.

    Raises:
        ValueError: if the file cannot be fitted or does not determine the settings.
    """
    file = TrajectoryFile.open(located(config.path, config.deposit))
    if len(file.times) < 3:
        raise ValueError(
            f"{file.path}: has {len(file.times)} frame(s), expected 3 or more: settings are suggested for fields that"
            " change in time; for pairs (u, L u) name them by data.targets and take --config burgers"
        )
    file.dt  # noqa: B018 - refuses frames at any times
    errors = {f"{name}_error" for name in file.fields}
    names = config.fields or [name for name in file.fields if name not in errors]
    parts = split(file, config)
    rows, frames = parts.trajectories("train"), parts.frames("train")
    chosen, last = _chosen(file, names, rows, frames)
    times = slice(frames.start, frames.start + last)
    parts_read = [file.read(names, slice(row, row + 1), times) for row in chosen]
    u = torch.from_numpy(np.concatenate(parts_read).astype(np.float64))
    _refuse_standing(file, names, u)
    units = {name: quantum(u[:, :, c].numpy()) for c, name in enumerate(names)}
    averaged = file.of_particles or bool(errors & set(file.fields)) or any(unit is not None for unit in units.values())
    parameters = _parameters(file, config)
    values = {name: file.parameters[name][chosen].astype(np.float64) for name in parameters}
    given, walls = constant_walls(file.grid, names, u, values, bases or {})
    conserved = _conserved(names, u)  # nothing flows through the walls, and sines hold no constant
    chosen_bases = wall_bases(file, names, u, {**dict.fromkeys(conserved, "cosine"), **given}, noisy=averaged)
    basis = build.basis(file.grid, chosen_bases.get(names[0], "cosine")).double()
    variance = noise_variance(basis, u)
    known = Traits(
        file, tuple(names), parameters, _repeated(file), len(rows), len(frames),
        None if chosen_bases else _particles(basis, u, units[names[0]]), averaged, chosen_bases, walls,
        _noise(names, u, variance),
        _damped(basis, u, variance), conserved,
    )  # fmt: skip
    gamma = [torch.from_numpy(values[name]) for name in parameters]
    times_read = torch.from_numpy(file.times[: u.shape[1]])
    rows_of_gamma = torch.stack(gamma, 1) if gamma else NO_GAMMA
    return _with_equation(known, Trajectories(u, times_read, basis, tuple(names), known.parameters, rows_of_gamma))


def _chosen(file: TrajectoryFile, names: Sequence[str], rows: Sequence[int], frames: range) -> tuple[list[int], int]:
    """Trajectories, evenly over the training part, and a number of frames, with at most `VALUES` values in all."""
    frame = len(names) * int(np.prod(file.grid.points))
    last = max(min(len(frames), 3), min(len(frames), VALUES // frame))
    count = max(1, min(len(rows), VALUES // (frame * last)))
    return [rows[int(place)] for place in np.linspace(0, len(rows) - 1, count).round()], last


def _refuse_standing(file: TrajectoryFile, names: Sequence[str], u: Float[Tensor, "B T C *X"]) -> None:
    for c, name in enumerate(names):
        if not bool((u[:, 1:, c] != u[:, :-1, c]).any()):
            others = [other for other in names if other != name]
            raise ValueError(
                f"{file.path}: field '{name}' does not change in time, expected fields that do; choose them by"
                f" data.fields{', such as ' + ','.join(others) if others else ''}"
            )


def _noise(names: Sequence[str], u: Float[Tensor, "B T C *X"], variance: Sequence[float]) -> dict[str, float]:
    squares = u.square().mean((0, 1, *range(3, u.ndim))).tolist()
    return {name: (s2 / square) ** 0.5 for name, s2, square in zip(names, variance, squares, strict=True)}


def _parameters(file: TrajectoryFile, config: DataConfig) -> tuple[str, ...]:
    if config.parameters is not None:
        return tuple(config.parameters)
    return tuple(name for name, values in file.parameters.items() if name != SEED and len(set(values.tolist())) > 1)


def _repeated(file: TrajectoryFile) -> bool:
    names = [name for name in file.parameters if name != SEED]
    distinct = {tuple(float(file.parameters[name][row]) for name in names) for row in range(file.trajectories)}
    return SEED in file.parameters and len(distinct) < file.trajectories


def _particles(basis: Basis, u: Float[Tensor, "B T C *X"], unit: float | None) -> int | None:
    """Number of particles of one histogram, from the contribution of a single one, if they are independent."""
    if u.shape[2] > 1 or unit is None:
        return None
    totals = u.flatten(2).sum(2) / unit
    if float((totals - totals[0, 0]).abs().max()) > 0.5:
        return None
    noise = ShotNoise(round(float(totals[0, 0])))
    pairs = PairMoments.of(basis, u[:, :-1, 0].flatten(0, 1), u[:, 1:, 0].flatten(0, 1), 1)
    independent = IndependentParticles(basis, noise, float(u.mean()), pairs).refusal() is None
    return noise.particles if independent else None


def _damped(basis: Basis, u: Float[Tensor, "B T C *X"], variance: Sequence[float]) -> bool:
    """Whether no strong wave grows or oscillates."""
    c = basis.forward(u)
    strong = _strong(basis, u, variance)
    first, last = (power(basis, frames) for frames in (u[:, :2], u[:, -2:]))
    if bool((last[strong] > GROWTH * first[strong]).any()):
        return False
    ratio = (c[:, :-1].conj() * c[:, 1:]).sum((0, 1)) / c[:, :-1].abs().square().sum((0, 1)).clamp_min(1e-300)
    phase, decay = ratio[strong].angle().abs(), ratio[strong].abs().clamp_min(1e-300).log().abs()
    return not bool(((phase > TURN * decay) & (phase * (u.shape[1] - 1) > PHASE)).any())


def _strong(basis: Basis, u: Float[Tensor, "B T C *X"], variance: Sequence[float]) -> Bool[Tensor, "C *K"]:
    """Waves, without the mean, that contain a share of the initial energy and exceed the noise."""
    energy = power(basis, u[:, :2])
    energy = torch.where(basis.wavenumbers.square().sum(0) > 0, energy, 0.0)
    space = (-1, *[1] * len(basis.points))
    share = energy / energy.flatten(1).sum(1).clamp_min(1e-300).view(space)
    return (share > STRONG) & (energy > ABOVE_NOISE * torch.tensor(variance, dtype=torch.float64).view(space))


def _conserved(names: Sequence[str], u: Float[Tensor, "B T C *X"]) -> tuple[str, ...]:
    mean = u.flatten(3).mean(3)
    change = (mean - mean[:, :1]).abs().amax((0, 1))
    rms = u.square().mean((0, 1, *range(3, u.ndim))).sqrt()
    return tuple(name for name, off in zip(names, (change / rms).tolist(), strict=True) if off < CONSTANT)


def _with_equation(known: Traits, data: Trajectories) -> Traits:
    """The same with the equation of the fields, or why there is none."""
    if known.averaged:
        return replace(known, no_equation="an equation needs additive white noise, and that of particles is not")
    if known.walls:
        return replace(known, no_equation="an equation is not sought between walls with other values than zero")
    if known.slipping:
        return replace(known, no_equation="an equation is not sought between walls with slip")
    if len(set(known.bases.values())) > 1:
        return replace(known, no_equation="an equation needs one basis for all fields")
    found, reason = sought_equation(known.file.path, data)
    return replace(known, equation=found, no_equation=reason)
