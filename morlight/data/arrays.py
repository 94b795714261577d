"""Anybody's arrays to trajectory files: NumPy and xarray.

What an array cannot say (the time step, the length, what bounds an axis) is asked for, never guessed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Num

from morlight.data import labelled
from morlight.data.trajectory_writer import write as write_file
from morlight.operators.description import BOUNDARIES, Grid

SPACE = ("x", "y", "z")
LEAD = ("trajectory", "time")
UNIFORM = 1e-3  # relative deviation of spacings that printed coordinates have
SEAM = 1e-6  # of the range of a field: a last point that repeats the first


@dataclass(frozen=True)
class Description:
    """What is to be known of some arrays beside their values.

    Attributes:
        dims: names of their axes, of trajectory, time, x, y, z; (trajectory, time, x, …) by default.
        dt: time between two frames; from `times` otherwise.
        times: of the frames.
        length: of each axis, or one for all; from `coordinates` otherwise.
        coordinates: of the points, by axis.
        boundaries: periodic or wall for each axis, or one for all.
        parameters: γ by name, one value for each trajectory.
        every: keep every so many frames.
        drop_last: leave out the last point of periodic axes, which repeats the first.
    """

    dims: Sequence[str] | None = None
    dt: float | None = None
    times: Sequence[float] | np.ndarray | None = None
    length: float | Sequence[float] | None = None
    coordinates: Mapping[str, np.ndarray] = field(default_factory=dict)
    boundaries: str | Sequence[str] | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    every: int = 1
    drop_last: bool = False


def write(  # noqa: PLR0913 - what an array cannot say by itself, each by its name
    path: str | Path,
    fields: Any,
    *,
    dt: float | None = None,
    length: float | Sequence[float] | None = None,
    boundaries: str | Sequence[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    times: Sequence[float] | np.ndarray | None = None,
    dims: Sequence[str] | None = None,
    coordinates: Mapping[str, np.ndarray] | None = None,
    every: int = 1,
    drop_last: bool = False,
    name: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write fields as a trajectory file, whole or not at all.

    Args:
        path: file to write.
        fields: arrays (trajectory, time, x[, y[, z]]) by the names of the fields; or an xarray Dataset or DataArray,
            whose dimensions and coordinates are named.
        dt: time between two frames.
        length: of each axis, or one for all.
        boundaries: periodic or wall for each axis, or one for all.
        parameters: γ by name, one value for each trajectory.
        times: of the frames, in place of dt.
        dims: names of the axes of the arrays where they are in another order, or where there is one trajectory:
            ("time", "x").
        coordinates: of the points, by axis, in place of the length.
        every: keep every so many frames.
        drop_last: leave out the last point of periodic axes, which repeats the first.
        name: of the data set; that of the file by default.
        overwrite: whether an existing file is replaced.

    Returns:
        the path.

    Raises:
        ValueError: one sentence with the file, the field or option, what came and what was expected.
    """
    path = Path(path)
    described = Description(
        dims, dt, times, length, dict(coordinates or {}), boundaries, dict(parameters or {}), every, drop_last
    )
    if labelled.is_labelled(fields):
        fields, described = _from_xarray(path, fields, described)
    if not isinstance(fields, Mapping) or not fields:
        raise ValueError(f"{path}: fields are {type(fields).__name__}, expected arrays by the names of the fields")
    ordered = {str(key): _ordered(path, str(key), np.asarray(u), described) for key, u in fields.items()}
    shapes = {u.shape for u in ordered.values()}
    if len(shapes) > 1:
        listed = ", ".join(f"{key} {u.shape}" for key, u in ordered.items())
        raise ValueError(f"{path}: the fields have the shapes {listed}, expected the same for all")
    (shape,) = shapes
    boundary = _boundaries(path, described, len(shape) - 2)
    if described.drop_last:
        cut = tuple(slice(None, -1) if side == "PERIODIC" else slice(None) for side in boundary)
        ordered = {key: u[(slice(None), slice(None), *cut)] for key, u in ordered.items()}
    for key, u in ordered.items():
        _check_values(path, key, u, boundary)
    moments = _times(path, described, shape[1])
    points = next(iter(ordered.values())).shape[2:]
    grid = Grid(points, _length(path, described, points, boundary), boundary)
    gamma = {key: _per_trajectory(path, key, values, shape[0]) for key, values in described.parameters.items()}
    write_file(
        path,
        name=name or path.stem,
        fields={key: np.ascontiguousarray(u[:, :: described.every]) for key, u in ordered.items()},
        grid=grid,
        times=moments[:: described.every],
        parameters=gamma,
        provenance={"generator": "morlight.write", "every": described.every},
        overwrite=overwrite,
    )
    return path


def _from_xarray(path: Path, value: Any, described: Description) -> tuple[dict[str, np.ndarray], Description]:
    """Arrays of a Dataset or DataArray, with what its dimensions and coordinates say."""
    import dataclasses

    import xarray

    whole = value.to_dataset(name=str(value.name or "u")) if isinstance(value, xarray.DataArray) else value
    dims = [str(dim) for dim in next(iter(whole.data_vars.values())).dims]
    for key, variable in whole.data_vars.items():
        if [str(dim) for dim in variable.dims] != dims:
            raise ValueError(f"{path}: variable '{key}' has the dimensions {variable.dims}, expected {tuple(dims)}")
    coordinates = {axis: np.asarray(whole[axis].values) for axis in SPACE if axis in whole.coords and axis in dims}
    times = described.times
    if times is None and described.dt is None and "time" in whole.coords:
        times = np.asarray(whole["time"].values)
        if times.dtype.kind not in "fiu":
            raise ValueError(f"{path}: the coordinate 'time' is {times.dtype}, expected numbers, or dt")
    arrays = {str(key): np.asarray(variable.values) for key, variable in whole.data_vars.items()}
    return arrays, dataclasses.replace(
        described, dims=described.dims or dims, times=times, coordinates={**coordinates, **described.coordinates}
    )


def _ordered(path: Path, name: str, u: np.ndarray, described: Description) -> Num[np.ndarray, "trajectory time *X"]:
    """An array with its axes in the order trajectory, time, x, y, z."""
    if u.dtype.kind == "c":
        if np.any(u.imag):
            raise ValueError(
                f"{path}: field '{name}' is complex, expected real numbers: its parts as two fields, or the real part"
                " alone (--real-part)"
            )
        u = u.real
    if u.dtype.kind not in "fiub":
        raise ValueError(f"{path}: field '{name}' holds {u.dtype}, expected numbers")
    dims = list(described.dims or ())
    if not dims:
        if not 3 <= u.ndim <= 5:
            raise ValueError(
                f"{path}: field '{name}' has {u.ndim} axes, expected (trajectory, time, x[, y[, z]]), or dims that name"
                " them, such as time,x"
            )
        dims = [*LEAD, *SPACE[: u.ndim - 2]]
    axes = sorted((dim for dim in dims if dim in SPACE), key=SPACE.index)
    known = {*LEAD, *SPACE}
    if len(dims) != u.ndim or len(set(dims)) != len(dims) or not set(dims) <= known or "time" not in dims or not axes:
        raise ValueError(
            f"{path}: field '{name}' has {u.ndim} axes and dims are {', '.join(dims)}, expected one name for each axis,"
            " time and at least x among them, of trajectory, time, x, y, z"
        )
    if axes != list(SPACE[: len(axes)]):
        raise ValueError(f"{path}: dims are {', '.join(dims)}, expected x before y before z")
    if "trajectory" not in dims:
        u, dims = u[None], ["trajectory", *dims]
    return u.transpose([dims.index(dim) for dim in (*LEAD, *axes)])


def _boundaries(path: Path, described: Description, dimensions: int) -> tuple[str, ...]:
    given = described.boundaries
    if given is None:
        raise ValueError(f"{path}: boundaries are missing, expected periodic or wall for each axis")
    words = [given] * dimensions if isinstance(given, str) else list(given)
    sides = tuple(str(word).upper() for word in words)
    if len(sides) != dimensions or not set(sides) <= set(BOUNDARIES):
        raise ValueError(f"{path}: boundaries are {given!r}, expected periodic or wall for each of {dimensions} axes")
    return sides


def _check_values(path: Path, name: str, u: np.ndarray, boundaries: Sequence[str]) -> None:
    """Refuse what is not finite, and periodic axes whose last point repeats the first."""
    finite = np.isfinite(u)
    if not finite.all():
        place = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(f"{path}: field '{name}' is not finite at trajectory {place[0]}, frame {place[1]}")
    spread = float(u.max()) - float(u.min())
    for axis, boundary in enumerate(boundaries, 2):
        first, last, inner = (np.take(u, place, axis) for place in (0, -1, 1))
        repeats = np.abs(first - last).max() <= SEAM * spread
        if boundary == "PERIODIC" and spread > 0 and repeats and np.abs(first - inner).max() > SEAM * spread:
            raise ValueError(
                f"{path}: field '{name}' has the same values at both ends of the periodic axis {SPACE[axis - 2]};"
                " a period has each point once: leave the last one out by drop_last (--drop-last)"
            )


def _times(path: Path, described: Description, frames: int) -> np.ndarray:
    if described.every < 1:
        raise ValueError(f"{path}: every is {described.every}, expected a whole number of frames from 1")
    if (described.dt is None) == (described.times is None):
        raise ValueError(f"{path}: expected dt, the time between two frames, or times of the frames, and not both")
    if described.dt is not None:
        if not 0 < described.dt < math.inf:
            raise ValueError(f"{path}: dt is {described.dt}, expected a time above 0")
        return np.arange(frames) * float(described.dt)
    times = np.asarray(described.times, np.float64).reshape(-1)
    if len(times) != frames or not np.isfinite(times).all() or not (np.diff(times) > 0).all():
        raise ValueError(f"{path}: {len(times)} times for {frames} frames, expected one for each, growing")
    steps = np.diff(times)
    if len(steps) and np.abs(steps - steps.mean()).max() > UNIFORM * steps.mean():
        raise ValueError(f"{path}: times are {steps.min():g} to {steps.max():g} apart, expected equally spaced frames")
    return times


def _length(path: Path, described: Description, points: Sequence[int], boundaries: Sequence[str]) -> tuple[float, ...]:
    """L of each axis: as given, or from the coordinates of its points."""
    given = described.length
    if given is not None:
        lengths = [given] * len(points) if isinstance(given, int | float) else list(given)
        if len(lengths) != len(points) or not all(0 < L < math.inf for L in lengths):
            raise ValueError(f"{path}: length is {given!r}, expected a number above 0 for each of {len(points)} axes")
        return tuple(float(L) for L in lengths)
    return tuple(
        _extent(path, axis, N, described, side) for axis, N, side in zip(SPACE, points, boundaries, strict=False)
    )


def _extent(path: Path, axis: str, N: int, described: Description, boundary: str) -> float:
    """N h of equally spaced points."""
    if axis not in described.coordinates:
        raise ValueError(f"{path}: the length of axis {axis} is missing, expected length, or coordinates of its points")
    x = np.asarray(described.coordinates[axis], np.float64).reshape(-1)
    x = x[:-1] if described.drop_last and boundary == "PERIODIC" else x
    steps = np.diff(x)
    if len(x) != N or not (steps > 0).all() or np.abs(steps - steps.mean()).max() > UNIFORM * steps.mean():
        raise ValueError(f"{path}: coordinate {axis} has {len(x)} points, expected {N}, equally spaced and growing")
    return float(steps.mean()) * N


def _per_trajectory(path: Path, name: str, values: Any, trajectories: int) -> np.ndarray:
    gamma = np.asarray(values, np.float64).reshape(-1)
    if len(gamma) == 1:
        gamma = np.repeat(gamma, trajectories)
    if len(gamma) != trajectories or not np.isfinite(gamma).all():
        raise ValueError(
            f"{path}: parameter '{name}' has {len(gamma)} values, expected a finite one for each of {trajectories}"
            " trajectories"
        )
    return gamma
