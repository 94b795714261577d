"""Files of particles, or of averages over cells, to a trajectory file (`morlight deposit`)."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from tqdm import tqdm

from morlight.data.particles import frames as particles
from morlight.data.particles import kernels as deposit
from morlight.data.particles import lammps_average as chunks
from morlight.data.trajectory_file import Contents
from morlight.data.trajectory_writer import Writer
from morlight.operators.description import Grid

AXES = particles.AXES
PARTICLES = ("density", "momentum", "momentum_x", "momentum_y", "momentum_z", "density_temperature")
AVERAGED = {  # what fix ave/chunk calls them; a mean over the particles of a cell is multiplied by their density
    "density": ("density/number",),
    "momentum": ("density/mass", "vy"),
    "momentum_x": ("density/mass", "vx"),
    "momentum_y": ("density/mass", "vy"),
    "momentum_z": ("density/mass", "vz"),
    "density_temperature": ("density/number", "temp"),
}


@dataclass(frozen=True)
class Deposit:
    """How particles become fields.

    Attributes:
        fields: any of density, momentum (along the flow), momentum_x, _y, _z, and density_temperature, the number
            density times the temperature of the directions across the flow.
        bins: cells along each axis.
        axes: along which there are cells, one or two of x, y, z; all is averaged over the others.
        bounds: lower and upper end of each axis; the box of the first frame where left out.
        walls: axes between walls; those that the file calls not periodic where left out.
        species: types of particles by name, each with fields of its own; all together where left out.
        masses: of each type; 1 where not given.
        kernel: histogram, linear or spectral (`morlight.data.particles.kernels.sums`).
        flow: direction of the flow.
        average: frames that make one, with the standard error of their mean beside it where there are several.
        timestep: time of one step, where the file counts steps.
        drop_outside: leave out particles outside the bounds, such as those of a wall, instead of refusing them.
        changing: accept that the number of particles changes.
        columns: names of fields and the columns of a chunk file that they are, instead of what `AVERAGED` makes.
        normalize: whether length and total time are scaled to 1, their units among the attributes.
    """

    fields: Sequence[str] = ("density",)
    bins: Sequence[int] = (64,)
    axes: Sequence[str] = ("x",)
    bounds: Sequence[tuple[float, float]] | None = None
    walls: Sequence[str] | None = None
    species: Mapping[str, Sequence[int]] = field(default_factory=dict)
    masses: Mapping[int, float] = field(default_factory=dict)
    kernel: str = "histogram"
    flow: str = "y"
    average: int = 1
    timestep: float = 1.0
    drop_outside: bool = False
    changing: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    normalize: bool = False

    def __post_init__(self) -> None:
        for name, words, known in (
            ("fields", self.fields, (*PARTICLES, *self.columns)),
            ("axes", self.axes, AXES),
            ("walls", self.walls or (), self.axes),
            ("flow", [self.flow], AXES),
            ("kernel", [self.kernel], deposit.KERNELS),
        ):
            if unknown := [word for word in words if word not in known]:
                raise ValueError(f"{name}: {', '.join(unknown)}, expected any of {', '.join(known)}")
        if not (0 < len(self.axes) == len(self.bins) <= 2 and len(set(self.axes)) == len(self.axes)):
            raise ValueError(
                f"axes are {', '.join(self.axes)} with bins {list(self.bins)}, expected one or two of each"
            )
        if self.bounds is not None and len(self.bounds) != len(self.axes):
            raise ValueError(f"bounds has {len(self.bounds)} pairs, expected one for each of {', '.join(self.axes)}")
        if min(self.bins) < 2 or self.average < 1 or not 0 < self.timestep < math.inf or not self.fields:
            raise ValueError(
                f"bins {list(self.bins)}, average {self.average}, timestep {self.timestep}, {len(self.fields)} fields:"
                " expected at least 2, 1, more than 0 and one"
            )

    @property
    def names(self) -> list[str]:
        """Fields of the file, each species with its own."""
        return [f"{name}_{species}" if species else name for species in self.species or [""] for name in self.fields]

    @property
    def wanted(self) -> list[str]:
        """Columns that the particles must have."""
        found: dict[str, None] = dict.fromkeys(self.axes)
        for name in self.fields:
            if name.startswith("momentum"):
                found[f"v{self._along(name)}"] = None
            elif name == "density_temperature":
                found |= dict.fromkeys(f"v{axis}" for axis in AXES if axis != self.flow)
        return [*found, *(["type"] if self.species or self.masses else [])]

    def _along(self, name: str) -> str:
        return name[-1] if name.startswith("momentum_") else self.flow

    def weights(self, columns: Mapping[str, np.ndarray]) -> Float[np.ndarray, "F P"]:
        """What each particle adds to each field: 1, m v, m v² / 2."""
        count = len(columns[self.axes[0]])
        mass = np.ones(count)
        for kind, value in self.masses.items():
            mass[columns["type"] == kind] = value
        rows = []
        kept: list[Sequence[int] | None] = [*self.species.values()] or [None]
        for kinds in kept:
            mine = np.ones(count) if kinds is None else np.isin(columns["type"], list(kinds)).astype(float)
            for name in self.fields:
                if name == "density":
                    rows.append(mine)
                elif name.startswith("momentum"):
                    rows.append(mine * mass * columns[f"v{self._along(name)}"])
                else:
                    squares = sum(columns[f"v{axis}"] ** 2 for axis in AXES if axis != self.flow)
                    rows.append(mine * mass * squares / 2)
        return np.stack(rows)


@dataclass(frozen=True, eq=False)
class Binned:
    """Fields of one trajectory: times, grid, values (T, F, *X) and what one more length and time stand for."""

    times: Float[np.ndarray, " T"]
    grid: Grid
    values: Float[np.ndarray, "T F *X"]


def convert(
    paths: Sequence[str | Path],
    output: str | Path,
    how: Deposit,
    *,
    series: bool = False,
    mean: bool = False,
    parameters: Mapping[str, Sequence[float]] | None = None,
) -> None:
    """Write the fields of some files as a trajectory file.

    Args:
        paths: files, each a trajectory.
        output: file to write.
        how: what to make of the particles.
        series: whether the files are one trajectory, one after the other.
        mean: whether the trajectories are averaged into one, with the standard error of the mean beside it.
        parameters: scalars γ, one value a trajectory.

    Raises:
        ValueError: naming the file, the place in it and what was expected there.
    """
    files = [Path(path) for path in paths]
    groups = [files] if series else [[path] for path in files]
    found = [_binned(group, how) for group in tqdm(groups, "depositing", delay=2, unit="trajectory")]
    first = found[0]
    for group, binned in zip(groups, found, strict=True):
        same = binned.grid == first.grid and np.allclose(binned.times, first.times, rtol=1e-9)
        if not (binned.values.shape == first.values.shape and same):
            raise ValueError(f"{group[0]}: other frames, times or box than {paths[0]}, expected the same in every file")
    values = np.stack([binned.values for binned in found])
    values, errors, times = _averaged(values, first.times, how)
    if mean:
        several = values.std(0, ddof=1) / math.sqrt(len(values)) if len(values) > 1 else None
        values, errors = values.mean(0, keepdims=True), errors if several is None else several[None]
    _write(Path(output), how, (times, first.grid), values, errors, files, dict(parameters or {}))


def _averaged(
    values: Float[np.ndarray, "S T F *X"], times: Float[np.ndarray, " T"], how: Deposit
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Means of so many frames each, at the time of the last of them, and their standard errors."""
    k = how.average
    whole = len(times) // k
    if whole == 0:
        raise ValueError(f"average is {k}, expected at most the {len(times)} frames that there are")
    if k == 1:
        return values, None, times
    blocks = values[:, : whole * k].reshape(len(values), whole, k, *values.shape[2:])
    return blocks.mean(2), blocks.std(2, ddof=1) / math.sqrt(k), times[k - 1 : whole * k : k]


def _write(  # noqa: PLR0913 - the parts of a file
    output: Path,
    how: Deposit,
    where: tuple[np.ndarray, Grid],
    values: Float[np.ndarray, "S T F *X"],
    errors: Float[np.ndarray, "S T F *X"] | None,
    paths: Sequence[Path],
    parameters: dict[str, Sequence[float]],
) -> None:
    times, grid = where
    units: dict[str, float] = {}
    if how.normalize:
        units = {"unit_length": grid.length[0], "unit_time": float(times[-1] - times[0]) or 1.0}
        grid = Grid(grid.points, tuple(L / units["unit_length"] for L in grid.length), grid.boundaries)
        times = (times - times[0]) / units["unit_time"]
    names = [*how.names, *([f"{name}_error" for name in how.names] if errors is not None else [])]
    for name, given in parameters.items():
        if len(given) != len(values):
            raise ValueError(f"{name} has {len(given)} values, expected one for each of {len(values)} trajectories")
    held = Contents(
        output,
        paths[0].stem,
        tuple(names),
        grid,
        times,
        len(values),
        {name: np.asarray(given, np.float64) for name, given in parameters.items()},
        {
            "generator": "morlight deposit",
            "generator_version": version("morlight"),
            "generator_parameters": {"files": [path.name for path in paths], **_plain(how)},
            **units,
        },
    )
    both = values if errors is None else np.concatenate([values, errors], 2)
    with Writer(held, "float32") as writer:
        for row, u in enumerate(both):
            writer.put(row, {name: u[:, place] for place, name in enumerate(names)})


def _plain(how: Deposit) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(how), default=list))


def _binned(paths: Sequence[Path], how: Deposit) -> Binned:
    """Fields of one trajectory, of averages or of particles."""
    if all(_averages(path) for path in paths):
        parts = [_of_chunks(chunks.read(path), how) for path in paths]
        times = np.concatenate([part.times for part in parts])
        binned = Binned(times, parts[0].grid, np.concatenate([part.values for part in parts]))
    else:
        binned = _of_particles(paths, how)
    steps = np.diff(binned.times)
    odd = np.flatnonzero((steps <= 0) | ~np.isclose(steps, steps[:1], rtol=1e-6))
    if len(odd):
        before, after = binned.times[odd[0]], binned.times[odd[0] + 1]
        raise ValueError(
            f"{paths[0]}: frames {odd[0]} and {odd[0] + 1} are at {before:g} and {after:g}, expected frames as far"
            f" apart as the first two, {steps[0]:g}"
        )
    return binned


def _averages(path: Path) -> bool:
    if not path.is_file():
        raise ValueError(f"{path}: no such file, expected a trajectory of particles or the output of fix ave/chunk")
    return not path.name.endswith((".bin", ".zst")) and chunks.knows(path)


def _of_particles(paths: Sequence[Path], how: Deposit) -> Binned:
    times, values = [], []
    grid: Grid | None = None
    count, low = 0, np.zeros(len(how.axes))
    every = _frames(paths, how.wanted)
    for frame in tqdm(every, "reading", delay=2, leave=False, unit="frame"):
        places = [AXES.index(axis) for axis in how.axes]
        if grid is None:
            grid, low = _grid(frame, how)
            count = len(frame)
        elif len(frame) != count and not how.changing:
            raise ValueError(f"{frame.where}: {len(frame)} particles, expected {count} as in the first frame")
        elif how.bounds is None and not np.allclose(_grid(frame, how)[0].length, grid.length):
            raise ValueError(f"{frame.where}: another box than in the first frame, expected bounds to be given")
        x = np.stack([frame.columns[AXES[place]] for place in places]) - low[:, None]
        across = [place for place in range(3) if place not in places]
        area = float(np.prod((frame.high - frame.low)[across]))
        weights = how.weights(frame.columns)
        if how.drop_outside:
            inside = ((x >= 0) & (x <= np.array(grid.length)[:, None])).all(0)
            x, weights = x[:, inside], weights[:, inside]
        tensors = torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(weights)
        try:
            u = deposit.sums(*tensors, grid.points, grid.length, grid.boundaries, how.kernel)
        except ValueError as error:
            raise ValueError(f"{frame.where}: {error}") from error
        values.append(u.numpy() / area)
        times.append(frame.time * how.timestep)
    if grid is None:
        raise ValueError(f"{paths[0]}: there are no frames in it")
    return Binned(np.array(times), grid, np.stack(values))


def _frames(paths: Sequence[Path], wanted: Sequence[str]) -> Iterator[particles.Frame]:
    for path in paths:
        yield from particles.frames(path, wanted)


def _grid(frame: particles.Frame, how: Deposit) -> tuple[Grid, Float[np.ndarray, " D"]]:
    """Cells between the bounds, and where they begin."""
    places = [AXES.index(axis) for axis in how.axes]
    box = [(float(frame.low[place]), float(frame.high[place])) for place in places]
    bounds = list(how.bounds) if how.bounds is not None else box
    walls = how.walls if how.walls is not None else [a for a, p in zip(AXES, frame.periodic, strict=True) if not p]
    boundaries = tuple("WALL" if axis in walls else "PERIODIC" for axis in how.axes)
    for axis, given, side, boundary in zip(how.axes, bounds, box, boundaries, strict=True):
        if boundary == "PERIODIC" and not how.drop_outside and not np.allclose(given, side):
            raise ValueError(
                f"{frame.where}: axis {axis} is periodic from {side[0]:g} to {side[1]:g} but its bounds are"
                f" {given[0]:g} to {given[1]:g}, expected the same, or walls there"
            )
    length = tuple(high - low for low, high in bounds)
    return Grid(tuple(how.bins), length, boundaries), np.array([low for low, _ in bounds])


def _of_chunks(read: chunks.Chunks, how: Deposit) -> Binned:
    """Fields of a file of fix ave/chunk with cells along one axis."""
    values, steps = read.values, read.steps
    counted = read.columns.index("Ncount") if "Ncount" in read.columns else None
    if counted is not None and len(values) > 1 and not values[0, :, counted].any():
        values, steps = values[1:], steps[1:]  # fix ave/chunk has nothing to average at its first step
    read = chunks.Chunks(read.path, read.columns, steps, values)
    if len(how.axes) != 1 or how.species:
        raise ValueError(f"{read.path}: holds averages over cells along one axis, expected one axis and no species")
    centres = read.column("Coord1")[0]
    h = float(centres[-1] - centres[0]) / max(1, len(centres) - 1)
    if len(centres) < 2 or not np.allclose(np.diff(centres), h, rtol=1e-3):
        raise ValueError(f"{read.path}: the cells are at {centres.tolist()}, expected several, equally spaced")
    if how.bins != (64,) and tuple(how.bins) != (len(centres),):
        raise ValueError(f"{read.path}: has {len(centres)} cells, expected {how.bins[0]} as in bins")
    boundary = "WALL" if how.walls is None or how.axes[0] in how.walls else "PERIODIC"
    fields = []
    for name in how.fields:
        factors = (how.columns[name],) if name in how.columns else AVERAGED[name]
        if name == "momentum" and name not in how.columns:
            factors = AVERAGED[f"momentum_{how.flow}"]
        fields.append(np.prod([read.column(factor) for factor in factors], 0))
    grid = Grid((len(centres),), (h * len(centres),), (boundary,))
    return Binned(read.steps * how.timestep, grid, np.stack(fields, 1))


def cached(paths: Sequence[Path], how: Deposit) -> Path:
    """Trajectory file of a trajectory of particles, made beside it where it is not there or older."""
    said = json.dumps([_plain(how), [str(path.resolve()) for path in paths]], sort_keys=True)
    target = paths[0].with_name(f".{paths[0].name}.{hashlib.sha256(said.encode()).hexdigest()[:8]}.h5")
    newest = max(path.stat().st_mtime for path in paths)
    if not target.exists() or target.stat().st_mtime < newest:
        convert(paths, target, how)
    return target
