"""Anybody's arrays to trajectory files: NumPy and xarray.

What an array cannot say (the time step, the length, what bounds an axis) is asked for, never guessed.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Num

from morlight.data import labelled
from morlight.data.trajectory_file import FROM_ARRAYS
from morlight.data.trajectory_writer import write as write_file
from morlight.operators.description import BOUNDARIES, Grid

SPACE = ("x", "y", "z")
JUMP, POINTS = 4.0, 12  # at a seam, over the largest step elsewhere; least points of an axis on which it is looked for
NAME = re.compile(r"[^\W\d]\w*")  # what every other part can take
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
        drop_last: whether the last point of periodic axes repeats the first and is left out; asked for where it may.
    """

    dims: Sequence[str] | None = None
    dt: float | None = None
    times: Sequence[float] | np.ndarray | None = None
    length: float | Sequence[float] | None = None
    coordinates: Mapping[str, np.ndarray] = field(default_factory=dict)
    boundaries: str | Sequence[str] | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    every: int = 1
    drop_last: bool | None = None


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
    drop_last: bool | None = None,
    name: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write fields as a trajectory file, completely or not at all.

    Points are centers of cells: N points with the spacing h cover a length of N h, and walls lie h/2 beyond the first
    and the last point.

    Args:
        path: file to write.
        fields: arrays (trajectory, time, x[, y[, z]]) by the names of the fields; or an xarray Dataset or DataArray,
            whose dimensions and coordinates are named.
        dt: time between two frames.
        length: length of the domain along each axis, or one length for all axes.
        boundaries: periodic or wall for each axis, or one of them for all axes.
        parameters: parameters γ by name, one value for each trajectory.
        times: times of the frames, instead of dt.
        dims: names of the axes of the arrays, if they have another order or if there is one trajectory: ("time", "x").
        coordinates: coordinates of the points by axis, instead of the length.
        every: keep only every n-th frame.
        drop_last: whether the last point of periodic axes repeats the first and is dropped. If this is unclear, an
            error asks for it.
        name: name of the data set; by default that of the file.
        overwrite: replace an existing file.

    Returns:
        The path of the file.

    Raises:
        ValueError: one sentence with the file, the field or option, what came and what was expected.
    """
    path = Path(path)
    described = Description(
        dims, dt, times, length, dict(coordinates or {}), boundaries, dict(parameters or {}), every, drop_last
    )
    if labelled.is_labelled(fields):
        fields, described = _from_xarray(path, fields, described)
    ordered = _named(path, fields, described)
    shapes = {u.shape for u in ordered.values()}
    if len(shapes) > 1:
        listed = ", ".join(f"{key} {u.shape}" for key, u in ordered.items())
        raise ValueError(f"{path}: the fields have the shapes {listed}, expected the same for all")
    (shape,) = shapes
    if unknown := sorted(set(described.coordinates) - set(SPACE[: len(shape) - 2])):
        raise ValueError(f"{path}: there are coordinates of '{unknown[0]}', expected any of {SPACE[: len(shape) - 2]}")
    boundary = _boundaries(path, described, len(shape) - 2)
    if described.drop_last:
        for key, u in ordered.items():
            _check_repeated(path, key, u, boundary)
        cut = tuple(slice(None, -1) if side == "PERIODIC" else slice(None) for side in boundary)
        ordered = {key: u[(slice(None), slice(None), *cut)] for key, u in ordered.items()}
    for key, u in ordered.items():
        _check_values(path, key, u)
        _ask_whether_swapped(path, key, u, boundary)
        if described.drop_last is None:
            _ask_whether_repeated(path, key, u, boundary)
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
        provenance={"generator": FROM_ARRAYS, "every": described.every},
        overwrite=overwrite,
    )
    return path


def _from_xarray(path: Path, value: Any, described: Description) -> tuple[dict[str, np.ndarray], Description]:
    """Arrays of a Dataset or DataArray, with what its dimensions and coordinates say."""
    import dataclasses

    import xarray

    if isinstance(value, xarray.Dataset) and not value.data_vars:
        raise ValueError(f"{path}: the Dataset is empty, expected a variable for each field")
    whole = value.to_dataset(name=str(value.name or "u")) if isinstance(value, xarray.DataArray) else value
    dims = [str(dim) for dim in next(iter(whole.data_vars.values())).dims]
    for key, variable in whole.data_vars.items():
        if [str(dim) for dim in variable.dims] != dims:
            raise ValueError(f"{path}: variable '{key}' has the dimensions {variable.dims}, expected {tuple(dims)}")
    coordinates = {axis: np.asarray(whole[axis].values) for axis in SPACE if axis in whole.coords and axis in dims}
    times = described.times
    numbered = "time" in whole.coords and whole["time"].dtype.kind in "fiu" and whole["time"].size > 1
    if times is None and described.dt is None and "time" in whole.coords:
        times = np.asarray(whole["time"].values)
        if times.dtype.kind not in "fiu":
            raise ValueError(f"{path}: the coordinate 'time' is {times.dtype}, expected numbers, or dt")
    elif described.dt is not None and numbered:
        spacing = float(np.diff(whole["time"].values).mean())
        if abs(spacing - described.dt) > UNIFORM * abs(spacing):
            raise ValueError(f"{path}: dt is {described.dt:g}, expected {spacing:g} as the coordinate 'time' says")
    arrays = {str(key): np.asarray(variable.values) for key, variable in whole.data_vars.items()}
    return arrays, dataclasses.replace(
        described, dims=described.dims or dims, times=times, coordinates={**coordinates, **described.coordinates}
    )


def _named(path: Path, fields: Any, described: Description) -> dict[str, np.ndarray]:
    """Arrays (trajectory, time, *X) by the names of the fields, all of which other parts can take."""
    if not isinstance(fields, Mapping) or not fields:
        raise ValueError(f"{path}: fields are {type(fields).__name__}, expected arrays by the names of the fields")
    for key in [*fields, *described.parameters]:
        if not NAME.fullmatch(str(key)):
            raise ValueError(
                f"{path}: '{key}' is the name of a field or parameter, expected letters, digits and _, a letter first"
            )
    return {str(key): _ordered(path, str(key), np.asanyarray(u), described) for key, u in fields.items()}


def _checked_numbers(path: Path, name: str, u: np.ndarray) -> np.ndarray:
    """A field of real numbers that HDF5 and the readers know."""
    if u.dtype.kind == "c":
        if np.any(u.imag):
            raise ValueError(
                f"{path}: field '{name}' is complex, expected real numbers: its parts as two fields, or the real part"
                " alone (--real-part)"
            )
        u = u.real
    if isinstance(u, np.ma.MaskedArray) and np.ma.is_masked(u):
        raise ValueError(f"{path}: field '{name}' has masked values, expected numbers everywhere")
    if u.dtype.kind not in "fiu":
        raise ValueError(f"{path}: field '{name}' holds {u.dtype}, expected numbers")
    if u.dtype.kind == "f" and u.dtype.itemsize not in (4, 8):
        u = u.astype(np.float32 if u.dtype.itemsize < 4 else np.float64)
    return u


def _ordered(path: Path, name: str, u: np.ndarray, described: Description) -> Num[np.ndarray, "trajectory time *X"]:
    """An array with its axes in the order trajectory, time, x, y, z."""
    u = _checked_numbers(path, name, u)
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
    u = np.asarray(u.transpose([dims.index(dim) for dim in (*LEAD, *axes)]))
    if min(u.shape) < 1 or min(u.shape[2:]) < 2:
        raise ValueError(f"{path}: field '{name}' has the shape {u.shape}, expected at least 2 points along each axis")
    return u


def _boundaries(path: Path, described: Description, dimensions: int) -> tuple[str, ...]:
    given = described.boundaries
    if given is None:
        raise ValueError(f"{path}: boundaries are missing, expected periodic or wall for each axis")
    words = [given] * dimensions if not isinstance(given, Sequence) or isinstance(given, str) else list(given)
    sides = tuple(str(word).upper() for word in words)
    if len(sides) != dimensions or not set(sides) <= set(BOUNDARIES):
        raise ValueError(f"{path}: boundaries are {given!r}, expected periodic or wall for each of {dimensions} axes")
    return sides


def _check_values(path: Path, name: str, u: np.ndarray) -> None:
    """Refuse what is not finite."""
    finite = np.isfinite(u)
    if not finite.all():
        place = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(f"{path}: field '{name}' is not finite at trajectory {place[0]}, frame {place[1]}")


def _seam(u: np.ndarray, axis: int) -> tuple[bool, bool]:
    """Whether the last point of an axis is as the first, and whether the field is constant there."""
    spread = float(u.max()) - float(u.min())
    first, last, inner = (np.take(u, place, axis) for place in (0, -1, 1))
    return bool(np.abs(first - last).max() <= SEAM * spread), bool(np.abs(first - inner).max() <= SEAM * spread)


def _check_repeated(path: Path, name: str, u: np.ndarray, boundaries: Sequence[str]) -> None:
    """Refuse to leave out points that do not repeat the first."""
    for axis, boundary in enumerate(boundaries, 2):
        if boundary == "PERIODIC" and not _seam(u, axis)[0]:
            raise ValueError(
                f"{path}: field '{name}' differs between both ends of the periodic axis {SPACE[axis - 2]}, expected the"
                " last point to repeat the first with drop_last (--drop-last)"
            )


def _ask_whether_repeated(path: Path, name: str, u: np.ndarray, boundaries: Sequence[str]) -> None:
    """Refuse periodic axes whose last point may repeat the first, where nobody said whether it does."""
    for axis, boundary in enumerate(boundaries, 2):
        if boundary == "PERIODIC" and _seam(u, axis) == (True, False):
            raise ValueError(
                f"{path}: field '{name}' has the same values at both ends of the periodic axis {SPACE[axis - 2]},"
                " expected each point of a period once: leave out a last point that repeats the first by drop_last"
                " (--drop-last), or say that it is a point of its own by drop_last=False (--keep-last)"
            )


def _ask_whether_swapped(path: Path, name: str, u: np.ndarray, boundaries: Sequence[str]) -> None:
    """Refuse fields whose frames are a period and whose periodic axis is none, as after two names changed places."""
    time = _seam_step(u[0], 0)
    for axis, boundary in enumerate(boundaries, 1):
        jump = _seam_step(u[0], axis)
        if boundary == "PERIODIC" and jump is not None and jump > JUMP and time is not None and time <= 1:
            raise ValueError(
                f"{path}: field '{name}' jumps between both ends of the periodic axis {SPACE[axis - 1]}, by {jump:.2g}"
                " times its largest step elsewhere, and its frames are a period; expected time and"
                f" {SPACE[axis - 1]} in the other order in dims (--dims), or boundaries wall"
            )


def _seam_step(u: np.ndarray, axis: int) -> float | None:
    """Root mean square of the step from the last point of an axis to the first, over the largest one elsewhere.

    None of an axis with few points, or along which nothing changes.
    """
    if u.shape[axis] < POINTS:
        return None
    others = tuple(each for each in range(u.ndim) if each != axis)
    size = float(np.abs(u).max()) or 1.0  # squares of the largest numbers overflow
    v = np.asarray(u, np.float64) / size
    steps = np.sqrt((np.diff(v, axis=axis, append=np.take(v, [0], axis)) ** 2).mean(others))
    largest = float(steps[:-1].max())
    return float(steps[-1]) / largest if largest else None


def _times(path: Path, described: Description, frames: int) -> np.ndarray:
    if not isinstance(described.every, int) or described.every < 1 or -(-frames // described.every) < 2:
        raise ValueError(
            f"{path}: every is {described.every!r} of {frames} frames, expected a whole number that leaves two or more"
        )
    if (described.dt is None) == (described.times is None):
        raise ValueError(f"{path}: expected dt, the time between two frames, or times of the frames, and not both")
    if described.dt is not None:
        dt = _above_zero(described.dt)
        if dt is None or not math.isfinite(dt * frames):
            raise ValueError(f"{path}: dt is {described.dt!r}, expected a time above 0")
        return np.arange(frames) * dt
    times = _real_numbers(path, "times", described.times)
    if len(times) != frames or not np.isfinite(times).all() or not (np.diff(times) > 0).all():
        raise ValueError(f"{path}: {len(times)} times for {frames} frames, expected one for each, increasing")
    return times


def _length(path: Path, described: Description, points: Sequence[int], boundaries: Sequence[str]) -> tuple[float, ...]:
    """L of each axis: as given, or from the coordinates of its points."""
    given = described.length
    if given is not None:
        listed = list(np.atleast_1d(np.asarray(given, object)))
        lengths = [_above_zero(L) for L in (listed * len(points) if len(listed) == 1 else listed)]
        if len(lengths) != len(points) or None in lengths:
            raise ValueError(f"{path}: length is {given!r}, expected a number above 0 for each of {len(points)} axes")
        for axis, N, L, side in zip(SPACE, points, lengths, boundaries, strict=False):
            if axis in described.coordinates:
                other = _extent(path, axis, N, described, side)
                if L is not None and abs(L - other) > UNIFORM * other:
                    raise ValueError(f"{path}: length of {axis} is {L:g}, expected {other:g} as its coordinates say")
        return tuple(L for L in lengths if L is not None)
    return tuple(
        _extent(path, axis, N, described, side) for axis, N, side in zip(SPACE, points, boundaries, strict=False)
    )


def _extent(path: Path, axis: str, N: int, described: Description, boundary: str) -> float:
    """N h of equally spaced points."""
    if axis not in described.coordinates:
        raise ValueError(f"{path}: the length of axis {axis} is missing, expected length, or coordinates of its points")
    x = _real_numbers(path, f"coordinate {axis}", described.coordinates[axis])
    x = x[:-1] if described.drop_last and boundary == "PERIODIC" else x
    steps = np.diff(x)
    if len(x) != N or not (steps > 0).all() or np.abs(steps - steps.mean()).max() > UNIFORM * steps.mean():
        raise ValueError(f"{path}: coordinate {axis} has {len(x)} points, expected {N}, equally spaced and increasing")
    return float(steps.mean()) * N


def _above_zero(value: Any) -> float | None:
    """A finite number above 0; None for anything else."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        return None
    return float(value) if 0 < value < math.inf else None


def _real_numbers(path: Path, what: str, values: Any) -> np.ndarray:
    """Numbers in double precision; dates, words and complex numbers are refused."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{path}: {what} holds {array.dtype}, expected real numbers")
    return array.astype(np.float64).reshape(-1)


def _per_trajectory(path: Path, name: str, values: Any, trajectories: int) -> np.ndarray:
    gamma = _real_numbers(path, f"parameter '{name}'", values)
    if len(gamma) == 1:
        gamma = np.repeat(gamma, trajectories)
    if len(gamma) != trajectories or not np.isfinite(gamma).all():
        raise ValueError(
            f"{path}: parameter '{name}' has {len(gamma)} values, expected a finite one for each of {trajectories}"
            " trajectories"
        )
    return gamma
