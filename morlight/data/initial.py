"""Initial states from files: trajectory files, NumPy's `.npy` and `.npz`, NetCDF."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from morlight.data import labelled
from morlight.data.hdf5 import damage_as_sentence
from morlight.data.trajectory_file import TrajectoryFile

NUMPY = (".npy", ".npz")


@dataclass(frozen=True)
class Wanted:
    """What an initial state has to be: fields and parameters γ by name, the domain, and the points where known."""

    fields: Sequence[str]
    parameters: Sequence[str]
    length: Sequence[float]
    boundaries: Sequence[str]
    points: Sequence[int]


class Initial(NamedTuple):
    """Initial states (B, C, *X), the parameters γ that came with them (B,), and their numbers in the file."""

    states: np.ndarray
    gamma: Mapping[str, np.ndarray]
    rows: list[int]


def is_trajectory_file(path: str | Path) -> bool:
    """Whether `read` takes the file for a trajectory file."""
    return Path(path).suffix.lower() not in (*NUMPY, *labelled.NETCDF)


def read(path: str | Path, wanted: Wanted, rows: Sequence[int] | None = (), frame: int = 0) -> Initial:
    """Initial states of a file, known by its ending: `.npy`, `.npz`, `.nc`; a trajectory file otherwise.

    Trajectory files and NetCDF with coordinates may lie on another grid of the same domain; arrays of NumPy tell no
    domain, and have the points that are wanted.

    Args:
        rows: which trajectories, or states of a batch; all where None. By default the first trajectory of a file, and
            the only state of a NumPy array, of which several may be the frames of one trajectory.
        frame: of each trajectory.

    Raises:
        ValueError: naming the file and what does not fit.
    """
    path = Path(path)
    found = _read(path, wanted, rows, frame)
    if not np.isfinite(found.states).all():
        raise ValueError(f"{path}: holds NaN or infinite values, expected finite numbers")
    largest = np.abs(found.states).max(initial=0)
    if largest > np.finfo(np.float32).max:
        raise ValueError(f"{path}: holds values up to {largest:.2g}, expected numbers of single precision")
    return found


def _read(path: Path, wanted: Wanted, rows: Sequence[int] | None, frame: int) -> Initial:
    ending = path.suffix.lower()
    if ending in NUMPY:
        if frame:
            raise ValueError(f"{path}: frame {frame} is not there, an array of NumPy holds initial states only")
        states = _numpy(path, wanted)
        if rows is not None and not rows and len(states) > 1:
            raise ValueError(
                f"{path}: holds {len(states)} states, or frames, of {tuple(wanted.points)} points, expected one, or a"
                " choice by --trajectory: a number from 0, or all"
            )
        return _chosen(path, states, {}, rows)
    if ending in labelled.NETCDF:
        with damage_as_sentence(path):
            return _netcdf(path, wanted, rows, frame)
    return _trajectories(path, wanted, rows, frame)


def _trajectories(path: Path, wanted: Wanted, rows: Sequence[int] | None, frame: int) -> Initial:
    file = TrajectoryFile.open(path)
    grid = file.grid
    for key, got, due in (
        ("domain length", list(grid.length), list(wanted.length)),
        ("boundaries", list(grid.boundaries), list(wanted.boundaries)),
    ):
        if not (
            got == due or (key == "domain length" and len(got) == len(due) and np.allclose(got, due, rtol=1e-6, atol=0))
        ):
            raise ValueError(f"{path}: {key} {got}, expected {due} as in the training data")
    missing = set(wanted.fields) - set(file.fields)
    if missing:
        raise ValueError(
            f"{path}: field {', '.join(sorted(missing))} is missing, the model needs it;"
            f" the file has {', '.join(file.fields)}"
        )
    chosen = _numbers(path, rows, file.trajectories)
    if not 0 <= frame < len(file.times):
        raise ValueError(f"{path}: frame {frame} is not there, expected 0 to {len(file.times) - 1}")
    moment = slice(frame, frame + 1)
    states = [file.read(wanted.fields, slice(row, row + 1), moment)[0, 0] for row in chosen]
    known = (name for name in wanted.parameters if name in file.parameters)
    gamma = {name: np.asarray(file.parameters[name], np.float64)[chosen] for name in known}
    return Initial(np.stack(states).astype(np.float64), gamma, chosen)


def _netcdf(path: Path, wanted: Wanted, rows: Sequence[int] | None, frame: int) -> Initial:
    whole = labelled.read(path, frame)
    try:
        found = labelled.arrays(whole, wanted.fields, wanted.parameters, len(wanted.points))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if found.length is None and list(found.states.shape[2:]) != list(wanted.points):
        raise ValueError(
            f"{path}: {list(found.states.shape[2:])} points without coordinates, expected {list(wanted.points)}, or"
            " coordinates that tell the domain"
        )
    if found.length is not None and not np.allclose(found.length, wanted.length, rtol=1e-3, atol=0):
        raise ValueError(
            f"{path}: the coordinates fill the length {list(found.length)}, expected {list(wanted.length)} as in the"
            " training data"
        )
    return _chosen(path, found.states, found.gamma, rows)


def _numpy(path: Path, wanted: Wanted) -> np.ndarray:
    """(B, C, *X) of an array of the one field or of all, or of one array a field, by its name."""
    whole = _loaded(path, wanted)
    points, D, C = tuple(wanted.points), len(wanted.points), len(wanted.fields)
    if whole.dtype.kind not in "fiub":
        raise ValueError(f"{path}: holds no numbers, expected fields as NumPy saves them")
    shape = whole.shape
    if whole.ndim == D and C == 1:
        whole = whole[None]
    if whole.ndim == D + 1:
        whole = whole[None]
    if whole.ndim != D + 2 or whole.shape[1:] != (C, *points):
        raise ValueError(
            f"{path}: array of shape {shape}, expected one state (a single frame) of {C} field(s)"
            f" ({', '.join(wanted.fields)}) on {points} points, or other points by --points"
        )
    return whole.astype(np.float64)


def _loaded(path: Path, wanted: Wanted) -> np.ndarray:
    if not path.is_file():
        raise ValueError(f"{path}: no such file, expected an array of NumPy")
    try:
        held = np.load(path, allow_pickle=False)
        if isinstance(held, np.ndarray):
            return held
        with held:
            arrays = {name: held[name] for name in held.files}
    except Exception as error:  # archives have errors of their own
        raise ValueError(f"{path}: cannot be read, expected an array of numbers as NumPy saves it") from error
    missing = [name for name in wanted.fields if name not in arrays]
    if missing:
        raise ValueError(f"{path}: array '{missing[0]}' is missing; there are: {', '.join(arrays) or 'none'}")
    shapes = {arrays[name].shape for name in wanted.fields}
    if len(shapes) > 1 or len(min(shapes)) < len(wanted.points):
        raise ValueError(f"{path}: the fields have the shapes {sorted(shapes)}, expected {tuple(wanted.points)} points")
    return np.stack([arrays[name] for name in wanted.fields], -1 - len(wanted.points))


def _chosen(path: Path, states: np.ndarray, gamma: Mapping[str, np.ndarray], rows: Sequence[int] | None) -> Initial:
    chosen = _numbers(path, rows, len(states))
    return Initial(states[chosen], {name: values[chosen] for name, values in gamma.items()}, chosen)


def _numbers(path: Path, rows: Sequence[int] | None, held: int) -> list[int]:
    for row in rows or ():
        if not 0 <= row < held:
            raise ValueError(f"{path}: trajectory {row} is not there, expected 0 to {held - 1}")
    return list(range(held)) if rows is None else list(rows) or [0]
