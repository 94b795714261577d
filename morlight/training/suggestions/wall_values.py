"""Values and slopes of fields at walls: what a basis cannot represent there, and the setting `model.walls` that can."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from morlight.analysis.doctor.boundaries import CELLS, at_wall
from morlight.data.ensembles import SEED
from morlight.data.sample import TrainingSample
from morlight.operators.config import OperatorConfig, Wall
from morlight.operators.description import DataDescription, Grid
from morlight.operators.spectral import Operator

LEAST = 0.2  # of the largest value, or of the slope of a half wave as high as the profile, that is named
SURE = 1e-3  # probability of so much by the scatter of the cells, or of the trajectories
ZERO, FITS = 0.05, 0.1  # share that is zero, and the one by which values at walls may differ from a product of γ
SLIPS = 0.3  # share of the values at walls that a slip length may leave unexplained
TRAJECTORIES, FRAMES = 32, 40  # that are looked at

Profiles = Float[np.ndarray, "S T N"]
Ends = list[int | float | str]
Parameters = Mapping[str, Float[np.ndarray, " S"]]


def unmet(operator: Operator, config: OperatorConfig, data: DataDescription, sample: TrainingSample) -> list[str]:
    """A sentence on each field whose values or slopes at the walls its basis cannot represent, and what to try.

    Args:
        operator: whose walls are known.
        config: of the operator.
        data: the training data.
        sample: of them.
    """
    if data.steady or data.grid.boundaries.count("WALL") != 1 or config.order == 2:
        return []
    axis = data.grid.boundaries.index("WALL")
    if data.grid.points[axis] < CELLS:
        return []
    u, gamma = _looked_at(sample)
    left = u if operator.walls is None else u - operator.walls.lift(gamma)[:, None]
    names = dict(zip(data.parameter_names, gamma.T.numpy(), strict=True))
    return [*_sentences(config, data, (along(u, axis), along(left, axis)), names)]


def _sentences(
    config: OperatorConfig,
    data: DataDescription,
    profiles: tuple[Float[np.ndarray, "S T C N"], Float[np.ndarray, "S T C N"]],
    gamma: Parameters,
) -> Iterator[str]:
    length = data.grid.length[data.grid.boundaries.index("WALL")]
    whole, left = profiles
    for c, name in enumerate(data.field_names):
        basis = config.wall(name)
        fixed = basis in ("cosine", "sine")
        share = worst(left[:, :, c], slope=basis == "cosine", of=whole[:, :, c]) if fixed else None
        if share is None:
            if basis == "cosine" and name not in config.walls and one_sided(whole[:, :, c], gamma):
                what = f"{name} is zero at one wall and not at the other, between which cosines have no slope"
                yield f"{what}; try {advice(name, whole[:, :, c], gamma, length, line=data.grid.dimensions == 1)}"
            continue
        given = " beside what model.walls gives" if name in config.walls else ""
        what = (
            f"{name} is {100 * share:.0f} % of its largest value at a wall{given}, where sines vanish"
            if basis == "sine"
            else f"{name} has {share:.2g} times the slope of a half wave at a wall{given}, where cosines have none"
        )
        yield f"{what}; try {advice(name, whole[:, :, c], gamma, length, line=data.grid.dimensions == 1)}"


def advice(name: str, u: Profiles, gamma: Parameters, length: float, *, line: bool) -> str:
    """Settings that suit a field at the walls; slip only on a line."""
    walls = products(u, gamma)
    slopes = None if walls else products(u, gamma, slope=True, length=length)
    if walls or slopes:
        basis, ends = ("sine", walls) if walls else ("cosine", slopes)
        given = ", ".join(map(str, ends or ()))
        return f"model.bases {{{name}: {basis}}} with model.walls {{{name}: [{given}]}}"
    other = "robin" if line and slips(u) else "legendre"
    fits = "cosine" if worst(u, slope=True) is None else "sine" if worst(u, slope=False) is None else other
    return f"model.bases {{{name}: {fits}}}"


def constant_walls(
    grid: Grid, names: Sequence[str], u: Float[Tensor, "S T C *X"], gamma: Parameters, known: Mapping[str, Wall]
) -> tuple[dict[str, Wall], dict[str, Ends]]:
    """Bases of fields with constant values, or slopes, at the walls beside those that are known, and these values.

    Args:
        grid: of the fields.
        names: of the fields.
        u: values.
        gamma: parameters of each trajectory.
        known: bases that are given.
    """
    bases, walls = dict(known), dict[str, Ends]()
    axis = grid.boundaries.index("WALL") if grid.boundaries.count("WALL") == 1 else None
    if axis is None or grid.points[axis] < CELLS:
        return bases, walls
    profiles = along(u, axis)
    for c, name in enumerate(names):
        kinds: list[Wall] = [known[name]] if name in known else ["sine", "cosine"]
        part = profiles[:, :, c]
        ends = None if name in known else one_sided(part, gamma)
        if ends is not None:
            bases[name], walls[name] = "sine", ends
            continue
        if any(kind in ("legendre", "robin") or worst(part, slope=kind == "cosine") is None for kind in kinds):
            continue
        for kind in kinds:
            ends = products(part, gamma, slope=kind == "cosine", length=grid.length[axis])
            if ends is not None:
                bases[name], walls[name] = kind, ends
                break
    return bases, walls


def along(u: Float[Tensor, "S T C *X"], axis: int) -> Float[np.ndarray, "S T C N"]:
    """Mean over the other axes of the grid."""
    others = tuple(place for place in range(3, u.ndim) if place != axis + 3)
    profiles: np.ndarray = (u.mean(others) if others else u).numpy()
    return profiles


def _looked_at(sample: TrainingSample) -> tuple[Float[Tensor, "S T C *X"], Float[Tensor, "S P"]]:
    windows = sample.windows
    rows = windows.rows[torch.linspace(0, len(windows.rows) - 1, min(TRAJECTORIES, len(windows.rows))).long()]
    first = torch.full_like(rows, windows.used.start)
    offsets = range(0, windows.length, -(-windows.length // FRAMES))
    return windows.frames.at(rows, first, offsets).transpose(0, 1).double(), windows.gamma[rows].double()


def worst(u: Profiles, *, slope: bool, of: Profiles | None = None) -> float | None:
    """Value at a wall, or slope, as a share of the largest; None where there is none beyond the scatter.

    Args:
        u: profiles across the walls.
        slope: whether slopes are meant, rather than values.
        of: profiles whose largest value counts; u by default.
    """
    profile, whole = (each[:, u.shape[1] // 2 :].mean(1) for each in (u, u if of is None else of))
    size = np.pi * np.ptp(whole, axis=-1) if slope else np.abs(whole).max(-1)
    found = [0.0]
    for side in (profile[size > 0], profile[size > 0, ::-1]):
        wall = at_wall(side)
        value, error = (wall.slope, wall.slope_error) if slope else (wall.value, wall.value_error)
        share = value / size[size > 0]
        count = len(share)
        t = np.abs(value) / np.maximum(error, 1e-300)
        sure = count > 0 and float(np.median(t)) > stats.t.isf(SURE, wall.freedom)
        if not slope and count > 3:  # layers of molecules at the walls have slopes in each trajectory
            sure |= abs(share.mean()) > stats.t.isf(SURE, count - 1) * share.std(ddof=1) / count**0.5
        found += [float(np.median(np.abs(share)))] if sure else []
    return max(found) if max(found) > LEAST else None


def slips(u: Profiles) -> bool:
    """Whether the values at each wall are the same positive multiple of the slopes there in all trajectories."""
    profile = u[:, u.shape[1] // 2 :].mean(1)
    for side in (profile, profile[:, ::-1]):
        wall = at_wall(side)
        if not wall.slope.any():
            return False
        length = float(wall.value @ wall.slope) / float(wall.slope @ wall.slope)
        if length <= 0 or np.linalg.norm(wall.value - length * wall.slope) > SLIPS * np.linalg.norm(wall.value):
            return False
    return True


def one_sided(u: Profiles, gamma: Parameters) -> Ends | None:
    """Values of a field that is zero at one wall at all times, and not at the other one; None of others.

    Layers of molecules at the walls hide the slope of such a field.
    """
    ends = products(u, gamma) if worst(u, slope=False) is not None else None
    return None if ends is None or (ends[0] == 0) == (ends[1] == 0) else ends


def products(u: Profiles, gamma: Parameters, *, slope: bool = False, length: float = 1.0) -> Ends | None:
    """What the field has at both walls, as for `model.walls`; None where no product of γ describes it.

    Args:
        u: profiles across the walls.
        gamma: parameters of each trajectory.
        slope: whether slopes are meant, rather than values.
        length: L.
    """
    quarter = max(1, u.shape[1] // 4)
    parts = u[:, -2 * quarter : -quarter].mean(1), u[:, -quarter:].mean(1)
    size = np.abs(parts[1]).max(-1) * (np.pi / length if slope else 1)
    ends: Ends = []
    for turn in (1, -1):
        walls = [at_wall(part[:, ::turn]) for part in parts]
        before, value = (turn * wall.slope / length if slope else wall.value for wall in walls)
        if (np.abs(value - before) > FITS * np.abs(value) + ZERO * size).mean() > 0.5:
            return None
        end = _product((before + value) / 2, size, {key: each for key, each in gamma.items() if key != SEED})
        if end is None:
            return None
        ends.append(end)
    return ends if any(ends) else None


def _product(
    value: Float[np.ndarray, " S"], size: Float[np.ndarray, " S"], gamma: Parameters
) -> int | float | str | None:
    """0, a number, or a number times one or two parameters: the first of them that describes the values."""
    if np.median(np.abs(value) / size) < ZERO:
        return 0
    pairs = itertools.combinations_with_replacement(gamma, 2)
    sets: list[Sequence[str]] = [(), *((name,) for name in gamma), *pairs]
    for names in sets:
        x = np.prod([gamma[name] for name in names], axis=0) * np.ones_like(value)
        factor = float(value @ x / (x @ x)) if x.any() else 0.0
        if np.linalg.norm(value - factor * x) <= FITS * np.linalg.norm(value):
            rounded = float(f"{factor:.3g}")
            numbers = [] if names and abs(factor - 1) < 0.01 else [f"{rounded:g}"]
            return "*".join([*numbers, *names]) if names else rounded
    return None
