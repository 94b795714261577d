"""Trajectory files: fields on a uniform grid, in the HDF5 layout of The Well (PolymathicAI, data_format.md).

    t0_fields/NAME          (trajectory, time, x[, y])      scalars
    t1_fields/NAME          (trajectory, time, x[, y], D)   vectors, read by component: NAME_x, NAME_y
    dimensions/time, x, …   uniform; written at the centers of the cells, xⱼ = (j + 1/2) h, h = length / points
    boundary_conditions/*   PERIODIC or WALL on each axis
    scalars/NAME            (trajectory,)                   parameters γ that differ between trajectories

A field of counts is stored as integers with the attribute `scale_factor`, what one of them stands for (the convention
of CF): a density of mean 1 is their product.

What holds for the whole file (provenance, constants) stands in the attributes of the root.
"""

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float

from morlight.data import shipped
from morlight.data.hdf5 import damage_as_sentence, member
from morlight.data.stored_field import StoredField
from morlight.operators.description import BOUNDARIES, Grid

FROM_ARRAYS = "morlight.write"  # generator of a file that was made of somebody's arrays


@dataclass(frozen=True, eq=False)
class Contents:
    """What a trajectory file holds, except for the values of its fields."""

    path: Path
    name: str
    fields: tuple[str, ...]
    grid: Grid
    times: Float[np.ndarray, " time"]
    trajectories: int
    parameters: Mapping[str, Float[np.ndarray, " trajectory"]]
    attributes: Mapping[str, Any]

    @property
    def dt(self) -> float:
        """Spacing Δt of the frames; nan where there is only one.

        Raises:
            ValueError: where they are not equally spaced.
        """
        if not self.equally_spaced:
            steps = np.diff(self.times)
            raise ValueError(
                f"{self.path}: frames are {steps.min():g} to {steps.max():g} apart, expected equally spaced ones;"
                " `morlight discover` takes frames at any times"
            )
        return float(self.times[-1] - self.times[0]) / (len(self.times) - 1) if len(self.times) > 1 else math.nan

    @property
    def equally_spaced(self) -> bool:
        """Whether the frames are, to a thousandth."""
        return _equal(np.diff(self.times))

    @property
    def of_particles(self) -> bool:
        """Whether the fields were simulated or deposited by morlight, and are not somebody's arrays."""
        return self.attributes.get("generator", FROM_ARRAYS) != FROM_ARRAYS


@dataclass(frozen=True, eq=False)
class TrajectoryFile(Contents):
    """A trajectory file, opened and validated once and then read."""

    _file: h5py.File = field(repr=False)
    _stored: Mapping[str, StoredField] = field(repr=False)
    _first: int = 0

    @classmethod
    def open(cls, path: str | Path) -> "TrajectoryFile":
        """Open a file, or a set that comes with the package by its name.

        Raises:
            ValueError: one sentence with the file, the key at fault and what was expected there.
        """
        file = _opened(shipped.located(path))
        try:
            with damage_as_sentence(file.filename):
                return _validated(file)
        except BaseException:
            file.close()
            raise

    def __reduce__(self) -> tuple[Any, ...]:  # an open file cannot go to another process
        return _opened_during, (self.path, self._first, self._first + len(self.times))

    def during(self, frames: range) -> "TrajectoryFile":
        """The same trajectories with some consecutive frames only."""
        if frames.step != 1 or not 0 <= frames.start < frames.stop <= len(self.times):
            raise ValueError(f"{self.path}: frames are {frames}, expected some of {len(self.times)} in a row")
        return replace(self, times=self.times[frames.start : frames.stop], _first=self._first + frames.start)

    @property
    def units(self) -> dict[str, str]:
        """Units by the name of the field or axis (time, x, …), for those whose unit the file states."""
        datasets = {name: stored.dataset for name, stored in self._stored.items()} | dict(self._file["dimensions"])
        return {name: str(_plain(each.attrs["unit"])) for name, each in datasets.items() if "unit" in each.attrs}

    def read(
        self, fields: Sequence[str] | None = None, trajectories: slice = slice(None), times: slice = slice(None)
    ) -> Float[np.ndarray, "trajectory time C *X"]:
        """Fields stacked in the order asked for (default: all), in the precision of the file.

        A name `a+b` is the sum of the fields a and b; one name may stand without a list.

        Raises:
            ValueError: where a field is missing, nothing is selected, or a value is damaged or not finite.
        """
        names = (fields,) if isinstance(fields, str) else fields
        wanted = self.fields if names is None else tuple(names)
        summands = [name.split("+") for name in wanted]
        everything = list(itertools.chain(*summands))
        for name in everything:
            if name not in self._stored:
                raise ValueError(f"{self.path}: there is no field '{name}'; the file has {', '.join(self.fields)}")
        rows, frames = range(self.trajectories)[trajectories], range(len(self.times))[times]
        if not (wanted and rows and frames):
            raise ValueError(
                f"{self.path}: nothing selected of {self.trajectories} trajectories, {len(self.times)} frames"
            )
        dtype = np.result_type(np.float32, *(self._stored[name].precision for name in everything))
        u = np.empty((len(rows), len(frames), len(wanted), *self.grid.points), dtype)
        for c, parts in enumerate(summands):
            for position, name in enumerate(parts):
                self._read_field(name, u[:, :, c], rows, times, add=position > 0)
        return u

    def _read_field(
        self, name: str, out: Float[np.ndarray, "trajectory time *X"], rows: range, times: slice, *, add: bool
    ) -> None:
        """One field of some trajectories into an array, or added to it."""
        stored, every = self._stored[name], range(self._first, self._first + len(self.times))[times]
        # HDF5 takes eighty times as long to fill places with gaps between them as to fill one block
        direct = out.flags.c_contiguous and not add
        block = np.empty(out.shape[1:], out.dtype)
        for i, row in enumerate(rows):
            part = out[i] if direct else block
            try:
                stored.read(row, every, part)
            except (OSError, RuntimeError) as error:
                name = stored.dataset.name
                raise ValueError(f"{self.path}: {name} is damaged and cannot be read ({error})") from error
            if not direct:
                out[i] = out[i] + part if add else part
            finite = np.isfinite(out[i])
            if not finite.all():
                finite = finite.reshape(out.shape[1], -1).all(1)
                frame = every[int(np.argmin(finite))]
                raise ValueError(f"{self.path}: field '{name}' is not finite at trajectory {row}, frame {frame}")


def _opened_during(path: Path, first: int, last: int) -> TrajectoryFile:
    return TrajectoryFile.open(path).during(range(first, last))


def digest(path: str | Path) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a file: the same data written again have the same digest."""
    with open(shipped.located(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _opened(path: Path) -> h5py.File:
    """The file, open for reading; every way in which it cannot be read is one sentence."""
    if not path.exists() and not path.suffix:
        names = ", ".join(shipped.names())
        raise ValueError(f"there is no set and no file '{path}', expected a path or one of {names}")
    if not path.exists():
        raise ValueError(f"{path}: no such file, expected a trajectory file")
    if path.is_dir():
        raise ValueError(f"{path}: is a directory, expected a trajectory file")
    if not h5py.is_hdf5(path):
        raise ValueError(
            f"{path}: not an HDF5 file, expected a trajectory file: `morlight convert` makes one of arrays,"
            " `morlight deposit` of particles"
        )
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path}: damaged or cut short, expected a whole HDF5 file ({error})") from error


def _validated(file: h5py.File) -> TrajectoryFile:
    """Everything of the file but the values of its fields, checked against each other."""
    path = file.filename
    attributes = {key: _plain(value) for key, value in file.attrs.items()}
    for key in ("dataset_name", "n_spatial_dims", "n_trajectories"):
        if key not in attributes:
            raise ValueError(f"{path}: attribute '{key}' is missing, expected the layout of The Well")
    axes = ("x", "y", "z")[: _count(path, attributes, "n_spatial_dims")]
    dimensions = _required(path, file, "dimensions")
    times = _growing(path, _required(path, dimensions, "time"))
    centers = [_uniform(path, _required(path, dimensions, axis)) for axis in axes]
    if min(len(x) for x in centers) < 2:
        raise ValueError(f"{path}: 'dimensions' has an axis of one point, expected at least 2")
    boundaries = _boundaries(path, _required(path, file, "boundary_conditions"), axes)
    lengths = tuple(float(x[-1] - x[0]) * len(x) / (len(x) - 1) for x in centers)
    grid = Grid(tuple(len(x) for x in centers), lengths, boundaries)
    count = _count(path, attributes, "n_trajectories")
    stored = _stored(file)
    if not stored:
        raise ValueError(f"{path}: 't0_fields' and 't1_fields' hold no field, expected at least one")
    expected = (count, len(times), *grid.points)
    for name, (dataset, component, *_) in stored.items():
        shape = dataset.shape[: dataset.ndim - len(component)]
        if shape != expected:
            raise ValueError(
                f"{path}: field '{name}' has the shape {shape}, dimensions and attributes ask for {expected}"
            )
    scalars = dict(_members(file, "scalars"))
    parameters = {key: np.asarray(value) for key, value in scalars.items() if value.shape == (count,)}
    for key, values in parameters.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{path}: 'scalars/{key}' is not finite, expected a number for each trajectory")
    name = str(attributes["dataset_name"])
    return TrajectoryFile(Path(path), name, tuple(stored), grid, times, count, parameters, attributes, file, stored)


def _plain(value: Any) -> Any:
    """An attribute as plain values; what was written as JSON is read as JSON."""
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str) and value.startswith("{"):
        with suppress(json.JSONDecodeError):
            return json.loads(value)
    return value.item() if isinstance(value, np.generic) else value


def _required(path: str, group: h5py.Group, key: str) -> Any:
    """A member of a group that must be there."""
    if not isinstance(group, h5py.Group):
        raise ValueError(f"{path}: '{group.name}' is a dataset, expected a group with '{key}'")
    if key not in group:
        raise ValueError(f"{path}: '{group.name.rstrip('/')}/{key}' is missing, expected the layout of The Well")
    return member(path, group, key)


def _members(file: h5py.File, group: str) -> Iterator[tuple[str, h5py.Dataset]]:
    """Datasets of a group by name; none where there is no group."""
    if group in file:
        inside = member(file.filename, file, group)
        for key in inside:
            yield key, member(file.filename, inside, key)


def _count(path: str, attributes: Mapping[str, Any], key: str) -> int:
    """A whole number from 1 on."""
    value = attributes[key]
    if not isinstance(value, int | float) or not 1 <= value < math.inf or value != int(value):
        raise ValueError(f"{path}: attribute '{key}' is {value!r}, expected a whole number from 1 on")
    return int(value)


def _growing(path: str, dataset: h5py.Dataset) -> Float[np.ndarray, " N"]:
    """Values of a dimension, the same for all trajectories, each larger than the one before."""
    values = np.asarray(dataset, dtype=np.float64)
    values = values[0] if values.ndim == 2 and (values == values[0]).all() else values
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(
            f"{path}: '{dataset.name}' has the shape {values.shape}, expected finite numbers for all trajectories"
        )
    if not (np.diff(values) > 0).all():
        raise ValueError(f"{path}: '{dataset.name}' does not grow, expected each value above the one before")
    return values


def _uniform(path: str, dataset: h5py.Dataset) -> Float[np.ndarray, " N"]:
    """The same with equal steps."""
    values = _growing(path, dataset)
    if not _equal(np.diff(values)):
        raise ValueError(f"{path}: '{dataset.name}' is not equally spaced, expected a uniform grid")
    return values


def _equal(steps: Float[np.ndarray, " n"]) -> bool:
    return not len(steps) or bool(np.allclose(steps, steps.mean(), rtol=1e-3, atol=0))


def _boundaries(path: str, group: h5py.Group, axes: Sequence[str]) -> tuple[str, ...]:
    """Type of the boundary on each axis."""
    types: dict[str, str] = {}
    for key in group:
        attributes = {name: _plain(value) for name, value in member(path, group, key).attrs.items()}
        for axis in attributes.get("associated_dims", []):
            types[axis] = str(attributes.get("bc_type")).upper()
    for axis in axes:
        if types.get(axis) not in BOUNDARIES:
            raise ValueError(
                f"{path}: 'boundary_conditions' says {types.get(axis)} for axis {axis}, "
                f"expected {' or '.join(BOUNDARIES)}"
            )
    return tuple(types[axis] for axis in axes)


def _stored(file: h5py.File) -> dict[str, StoredField]:
    """Scalar fields by name: those of t0_fields, and the components NAME_x, NAME_y, … of t1_fields."""
    _required(file.filename, file, "t0_fields")
    scalars = {key: StoredField.of(dataset) for key, dataset in _members(file, "t0_fields")}
    vectors = {
        f"{key}_{'xyz'[d]}": StoredField.of(dataset, d)
        for key, dataset in _members(file, "t1_fields")
        for d in range(min(3, dataset.shape[-1]))
    }
    return scalars | vectors
