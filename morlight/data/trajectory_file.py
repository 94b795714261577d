"""Trajectory files: fields on a uniform grid, in the HDF5 layout of The Well (PolymathicAI, data_format.md).

    t0_fields/NAME          (trajectory, time, x[, y])      scalars
    t1_fields/NAME          (trajectory, time, x[, y], D)   vectors, read by component: NAME_x, NAME_y
    dimensions/time, x, …   uniform; written at the centres of the cells, xⱼ = (j + 1/2) h, h = length / points
    boundary_conditions/*   PERIODIC or WALL on each axis
    scalars/NAME            (trajectory,)                   parameters γ that differ between trajectories

A field of counts is stored as integers with the attribute `scale_factor`, what one of them stands for (the convention
of CF): a density of mean 1 is their product.

What holds for the whole file (provenance, constants) stands in the attributes of the root.
"""

import dataclasses
import hashlib
import itertools
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from jaxtyping import Bool, Float, Num

from morlight.data import shipped as sets

BOUNDARIES = ("PERIODIC", "WALL")
SCALE = "scale_factor"  # attribute of a field stored as integers: what one of them stands for
COMPRESSED: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
CHUNK = 2**18  # bytes; a window of a few frames inflates little, a whole file is still read in long strides


@dataclass(frozen=True)
class Grid:
    """Cells of equal size along each axis: their number, the length they fill, and what bounds them."""

    points: tuple[int, ...]
    length: tuple[float, ...]
    boundaries: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.points) == len(self.length) == len(self.boundaries):
            raise ValueError(f"{self}: expected one length and one boundary for each axis of points")
        if min(self.points) < 2 or not all(0 < length < math.inf for length in self.length):
            raise ValueError(f"{self}: expected at least 2 points and a positive length on every axis")
        if not set(self.boundaries) <= set(BOUNDARIES):
            raise ValueError(f"{self}: expected the boundaries {' or '.join(BOUNDARIES)}")

    @property
    def coordinates(self) -> tuple[Float[np.ndarray, " N"], ...]:
        """Centres of the cells, xⱼ = (j + 1/2) h."""
        return tuple((np.arange(N) + 0.5) * length / N for N, length in zip(self.points, self.length, strict=True))


@dataclass(frozen=True, eq=False)
class Trajectories:
    """What a trajectory file holds, all but the values of its fields."""

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
        """Spacing Δt of the frames; nan where there is only one."""
        return float(self.times[-1] - self.times[0]) / (len(self.times) - 1) if len(self.times) > 1 else math.nan

    def read(self, *fields: str) -> Float[np.ndarray, "trajectory time C *X"]:
        """Values of the fields named, or of all."""
        return read(self.path, fields or None)


def describe(path: str | Path) -> Trajectories:
    """Check a trajectory file, or a set by its name, and say what it holds.

    Raises:
        ValueError: one sentence with the file, the key at fault and what was expected there.
    """
    with _opened(sets.located(path)) as file:
        return _described(file)


def read(
    path: str | Path,
    fields: Sequence[str] | None = None,
    trajectories: slice = slice(None),
    times: slice = slice(None),
) -> Float[np.ndarray, "trajectory time C *X"]:
    """Fields of a trajectory file, stacked in the order asked for (default: all), in the precision of the file.

    A name `a+b` is the sum of the fields a and b.

    Raises:
        ValueError: where `describe` would, where a field is missing, and where a value is not finite.
    """
    with _opened(sets.located(path)) as file:
        held = _described(file)
        components = _components(file)
        wanted = held.fields if fields is None else tuple(fields)
        summands = [name.split("+") for name in wanted]
        for name in itertools.chain(*summands):
            if name not in components:
                raise ValueError(f"{path}: there is no field '{name}'; the file has {', '.join(held.fields)}")
        rows, frames = range(held.trajectories)[trajectories], range(len(held.times))[times]
        if not (wanted and rows and frames):
            raise ValueError(f"{path}: nothing selected of {held.trajectories} trajectories, {len(held.times)} frames")
        dtype = np.result_type(np.float32, *(_stored(components[name][0]) for name in itertools.chain(*summands)))
        u = np.empty((len(rows), len(frames), len(wanted), *held.grid.points), dtype)
        for c, name in ((c, name) for c, names in enumerate(summands) for name in names):
            dataset, component = components[name]
            first = name == summands[c][0]
            # h5py takes eighty times as long to fill places with gaps between them as to fill one block
            alone = len(wanted) == 1 and len(summands[0]) == 1
            block = None if alone else np.empty((1, len(frames), *held.grid.points), dtype)
            for i, row in enumerate(rows):
                selection = (slice(row, row + 1), times, *(slice(None),) * len(held.grid.points), *component)
                try:
                    dataset.read_direct(u[i : i + 1, :, 0] if block is None else block, selection)
                except OSError as error:
                    raise ValueError(f"{path}: {dataset.name} is damaged and cannot be read ({error})") from error
                part = u[i, :, c] if block is None else block[0]
                if SCALE in dataset.attrs:
                    part *= dataset.attrs[SCALE]
                if block is not None:
                    u[i, :, c] = part if first else u[i, :, c] + part
                finite = np.isfinite(u[i, :, c]).reshape(len(frames), -1).all(1)
                if not finite.all():
                    frame = frames[int(np.argmin(finite))]
                    raise ValueError(f"{path}: field '{name}' is not finite at trajectory {row}, frame {frame}")
    return u


SEED = "seed"  # the scalar that tells runs of the same γ apart


def ensembles(held: Trajectories, rows: Iterable[int]) -> dict[tuple[float, ...], list[int]]:
    """Trajectories by their γ, all scalars but the seed, in the order of the file; each by itself without a seed."""
    names = [name for name in held.parameters if name != SEED]
    found: dict[tuple[float, ...], list[int]] = {}
    for row in rows:
        alone = () if SEED in held.parameters else (float(row),)
        found.setdefault((*(float(held.parameters[name][row]) for name in names), *alone), []).append(row)
    return found


def where(held: Trajectories, wanted: Mapping[str, float], key: str) -> Bool[np.ndarray, " trajectory"]:
    """Which trajectories have these scalars.

    Raises:
        ValueError: naming the key, the scalar and the values there are, where there is none.
    """
    found = np.ones(held.trajectories, bool)
    for name, value in wanted.items():
        if name not in held.parameters:
            known = ", ".join(held.parameters) or "none"
            raise ValueError(f"{held.path}: {key} has {name!r}, the file has the scalars: {known}")
        found &= np.isclose(held.parameters[name], value, rtol=1e-6, atol=0)
    if not found.any():
        told = ", ".join(f"{name}: {sorted({float(v) for v in held.parameters[name]})}" for name in wanted)
        raise ValueError(f"{held.path}: {key} {dict(wanted)} is no trajectory's, the file has {told}")
    return found


def missing(held: Trajectories, fields: Sequence[str]) -> list[str]:
    """Which of some fields, or of the summands of `a+b`, a file does not have."""
    return sorted({part for name in fields for part in name.split("+")} - set(held.fields))


def coarse(u: Float[np.ndarray, "*axes"], factor: int, dimensions: int) -> Float[np.ndarray, "*coarse"]:
    """Means over blocks of cells, a flat kernel of this width along each of the last axes (Sec. 6.3.1)."""
    for axis in range(u.ndim - dimensions, u.ndim) if factor > 1 else ():
        u = u.reshape(*u.shape[:axis], -1, factor, *u.shape[axis + 1 :]).mean(axis + 1)
    return u


def digest(path: str | Path) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a file: the same data written again have the same digest."""
    with open(sets.located(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


class Writer:
    """A trajectory file filled one trajectory at a time, which appears under its name only when complete.

    Args:
        held: what the file will hold; `attributes` go to the root (mappings as JSON). Constants of the whole
            file are named in its attribute `simulation_parameters` and follow as attributes of their own.
        dtype: precision of the fields.
        scale: where the fields are put as integers, such as counts: what one of them stands for.

    Raises:
        ValueError: on entry where the file cannot be made, on exit where a trajectory was never put.
    """

    def __init__(self, held: Trajectories, dtype: str = "float32", scale: float | None = None) -> None:
        self.held = held
        self.dtype = dtype
        self.scale = scale
        self.abandoned = False
        self.missing = set(range(held.trajectories))
        self.temporary = held.path.with_name(f".{held.path.name}.{secrets.token_hex(4)}.tmp")

    def __enter__(self) -> "Writer":
        path = self.held.path
        if path.is_dir():
            raise ValueError(f"{path}: is a directory, expected the name of a file to write")
        try:
            self.file = h5py.File(self.temporary, "x")
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            raise ValueError(f"{path}: cannot be written in the directory '{path.parent}': {why}") from error
        try:
            _lay_out(self.file, self.held, self.dtype, self.scale)
        except BaseException:
            self._discard()
            raise
        return self

    def put(self, trajectory: int, fields: Mapping[str, Num[np.ndarray, "time *X"]]) -> None:
        """Write every field of one trajectory."""
        due = (len(self.held.times), *self.held.grid.points)
        for name in self.held.fields:
            if fields[name].shape != due:
                raise ValueError(
                    f"{self.held.path}: field '{name}' has the shape {fields[name].shape} in trajectory {trajectory}, "
                    f"times and grid ask for {due}"
                )
            try:
                self.file["t0_fields"][name][trajectory] = fields[name]
            except (OSError, RuntimeError) as error:
                raise ValueError(f"{self.held.path}: cannot be written, is the disk full? ({error})") from error
        self.missing.discard(trajectory)

    def annotate(self, dataset: str, **attributes: str) -> None:
        """Set attributes of a dataset, such as its unit."""
        _set(self.file[dataset], attributes)

    def adopt(self, trajectory: int, path: Path) -> None:
        """Take every field of one trajectory from a file that holds it alone, as it is stored there."""
        with h5py.File(path, "r") as source:
            for name in self.held.fields:
                part, whole = source["t0_fields"][name].id, self.file["t0_fields"][name].id
                try:
                    for chunk in range(part.get_num_chunks()):
                        place = part.get_chunk_info(chunk).chunk_offset
                        mask, stored = part.read_direct_chunk(place)
                        whole.write_direct_chunk((trajectory, *place[1:]), stored, mask)
                except (OSError, RuntimeError) as error:
                    raise ValueError(f"{self.held.path}: cannot be written, is the disk full? ({error})") from error
        self.missing.discard(trajectory)

    def abandon(self) -> None:
        """Leave no file behind."""
        self.missing.clear()
        self.abandoned = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                if self.abandoned:
                    return
                if self.missing:
                    raise ValueError(f"{self.held.path}: trajectory {min(self.missing)} was never written")
                self.file.close()
                with open(self.temporary, "rb+") as file:
                    os.fsync(file.fileno())
                os.replace(self.temporary, self.held.path)
        finally:
            self._discard()

    def _discard(self) -> None:
        try:
            self.file.close()
        finally:
            self.temporary.unlink(missing_ok=True)


def write(  # noqa: PLR0913 - the parts of a file, each by its name
    path: str | Path,
    *,
    name: str,
    fields: Mapping[str, Float[np.ndarray, "trajectory time *X"]],
    grid: Grid,
    times: Float[np.ndarray, " time"],
    provenance: Mapping[str, Any],
    parameters: Mapping[str, Float[np.ndarray, " trajectory"]] | None = None,
) -> None:
    """Write scalar fields as a trajectory file, whole or not at all, in the precision they have.

    Args:
        provenance: attributes of the root: generator, its version, parameters, seed, …; see `Writer`.
        parameters: γ, one value a trajectory.
    """
    trajectories = len(next(iter(fields.values())))
    for field, u in fields.items():
        if len(u) != trajectories:
            raise ValueError(
                f"{path}: field '{field}' has {len(u)} trajectories, '{next(iter(fields))}' {trajectories}"
            )
    held = Trajectories(Path(path), name, tuple(fields), grid, times, trajectories, parameters or {}, provenance)
    with Writer(held, str(np.result_type(*fields.values()))) as writer:
        for i in range(trajectories):
            writer.put(i, {field: u[i] for field, u in fields.items()})


class Parts:
    """A trajectory file to be, each trajectory in a file of its own until all are there, and then joined.

    What was put survives an interruption: with the same `held` later, only the others are `missing`. Enter to begin,
    leave to join.

    Args:
        held, dtype, scale: as for `Writer`.

    Raises:
        ValueError: where the file cannot be written.
    """

    def __init__(self, held: Trajectories, dtype: str = "float32", scale: float | None = None) -> None:
        self.held, self.dtype, self.scale = held, dtype, scale
        said = json.dumps([held.name, held.trajectories, repr(held.grid), repr(held.times), dtype, held.attributes])
        mark = hashlib.sha256(said.encode()).hexdigest()[:8]
        self.folder = held.path.with_name(f".{held.path.name}.{mark}.parts")

    def __enter__(self) -> "Parts":
        with Writer(self.held, self.dtype, self.scale) as writer:  # refuses early what cannot be written
            writer.abandon()
        self.folder.mkdir(exist_ok=True)
        for draft in self.folder.glob(".*.tmp"):
            draft.unlink()
        return self

    @property
    def missing(self) -> list[int]:
        """Trajectories not yet put."""
        return [i for i in range(self.held.trajectories) if not self._part(i).exists()]

    def put(self, trajectory: int, fields: Mapping[str, Num[np.ndarray, "time *X"]]) -> None:
        """Write every field of one trajectory."""
        parameters = {key: values[trajectory : trajectory + 1] for key, values in self.held.parameters.items()}
        held = dataclasses.replace(self.held, path=self._part(trajectory), trajectories=1, parameters=parameters)
        with Writer(held, self.dtype, self.scale) as writer:
            writer.put(0, fields)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            return
        with Writer(self.held, self.dtype, self.scale) as writer:
            for i in range(self.held.trajectories):
                writer.adopt(i, self._part(i))
        shutil.rmtree(self.folder)

    def _part(self, trajectory: int) -> Path:
        return self.folder / f"{trajectory:06d}.h5"


def _lay_out(file: h5py.File, held: Trajectories, dtype: str, scale: float | None) -> None:
    """Everything but the values of the fields."""
    axes = ("x", "y", "z")[: len(held.grid.points)]
    _set(file, {"simulation_parameters": [], **held.attributes}, dataset_name=held.name, grid_type="cartesian")
    _set(file, {}, n_spatial_dims=len(axes), n_trajectories=held.trajectories)
    dimensions = file.create_group("dimensions")
    _set(dimensions, {}, spatial_dims=list(axes))
    for key, values in zip(("time", *axes), (held.times, *held.grid.coordinates), strict=True):
        _set(dimensions.create_dataset(key, data=values), {}, sample_varying=False, time_varying=False)
    for axis, boundary, N in zip(axes, held.grid.boundaries, held.grid.points, strict=True):
        side = file.create_group(f"boundary_conditions/{axis}_{boundary.lower()}")
        _set(side, {}, associated_dims=[axis], associated_fields=[], bc_type=boundary)
        _set(side, {}, sample_varying=False, time_varying=False)
        side.create_dataset("mask", data=np.isin(np.arange(N), (0, N - 1)))
    scalars = file.create_group("scalars")
    _set(scalars, {}, field_names=list(held.parameters))
    for key, values in held.parameters.items():
        if np.shape(values) != (held.trajectories,):
            raise ValueError(
                f"{held.path}: parameter '{key}' has the shape {np.shape(values)}, "
                f"{held.trajectories} trajectories ask for ({held.trajectories},)"
            )
        _set(scalars.create_dataset(key, data=values), {}, sample_varying=True, time_varying=False)
    for order, names in enumerate((held.fields, (), ())):
        group = file.create_group(f"t{order}_fields")
        _set(group, {}, field_names=list(names))
        for key in names:
            shape = (held.trajectories, len(held.times), *held.grid.points)
            block = max(1, CHUNK // (np.dtype(dtype).itemsize * math.prod(held.grid.points)))
            chunks = (1, min(block, len(held.times)), *held.grid.points)
            dataset = group.create_dataset(key, shape, dtype, chunks=chunks, **COMPRESSED if scale else {})
            _set(dataset, {}, sample_varying=True, time_varying=True, dim_varying=[True] * len(axes))
            _set(dataset, {SCALE: scale} if scale else {})


def _set(node: h5py.Group | h5py.Dataset, attributes: Mapping[str, Any], **more: Any) -> None:
    """Attributes of a node; mappings as JSON, lists of words as arrays of strings."""
    for key, value in {**attributes, **more}.items():
        if isinstance(value, Mapping):
            node.attrs[key] = json.dumps(value)
        elif isinstance(value, list):
            words = h5py.string_dtype() if all(isinstance(item, str) for item in value) else None
            node.attrs[key] = np.array(value, dtype=words) if value else np.empty(0, "S1")
        else:
            node.attrs[key] = value


def _get(node: h5py.Group | h5py.Dataset) -> dict[str, Any]:
    """Attributes of a node as plain values; what was written as JSON is read as JSON."""
    return {key: _plain(value) for key, value in node.attrs.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str) and value.startswith("{"):
        with suppress(json.JSONDecodeError):
            return json.loads(value)
    return value.item() if isinstance(value, np.generic) else value


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """The file, open for reading; every way in which it cannot be read is one sentence."""
    if not path.exists():
        raise ValueError(f"{path}: no such file, expected a trajectory file")
    if path.is_dir():
        raise ValueError(f"{path}: is a directory, expected a trajectory file")
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path}: not an HDF5 file, expected a trajectory file")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path}: damaged or cut short, expected a whole HDF5 file ({error})") from error
    with file:
        yield file


def _need(path: str, group: h5py.Group, key: str) -> Any:
    """A member of a group that must be there."""
    if key not in group:
        raise ValueError(f"{path}: '{group.name.rstrip('/')}/{key}' is missing, expected the layout of The Well")
    return group[key]


def _described(file: h5py.File) -> Trajectories:
    """Everything of the file but the values of its fields, checked against each other."""
    path = file.filename
    attributes = _get(file)
    for key in ("dataset_name", "n_spatial_dims", "n_trajectories"):
        if key not in attributes:
            raise ValueError(f"{path}: attribute '{key}' is missing, expected the layout of The Well")
    axes = ("x", "y", "z")[: int(attributes["n_spatial_dims"])]
    dimensions = _need(path, file, "dimensions")
    times = _uniform(path, _need(path, dimensions, "time"))
    centres = [_uniform(path, _need(path, dimensions, axis)) for axis in axes]
    if min(len(x) for x in centres) < 2:
        raise ValueError(f"{path}: 'dimensions' has an axis of one point, expected at least 2")
    boundaries = _boundaries(path, _need(path, file, "boundary_conditions"), axes)
    lengths = tuple(float(x[-1] - x[0]) * len(x) / (len(x) - 1) for x in centres)
    grid = Grid(tuple(len(x) for x in centres), lengths, boundaries)
    count = int(attributes["n_trajectories"])
    components = _components(file)
    if not components:
        raise ValueError(f"{path}: 't0_fields' and 't1_fields' hold no field, expected at least one")
    due = (count, len(times), *grid.points)
    for name, (dataset, component) in components.items():
        got = dataset.shape[: dataset.ndim - len(component)]
        if got != due:
            raise ValueError(f"{path}: field '{name}' has the shape {got}, dimensions and attributes ask for {due}")
    scalars = file.get("scalars", {})
    parameters = {key: np.asarray(value) for key, value in scalars.items() if value.shape == (count,)}
    name = str(attributes["dataset_name"])
    return Trajectories(Path(path), name, tuple(components), grid, times, count, parameters, attributes)


def _uniform(path: str, dataset: h5py.Dataset) -> Float[np.ndarray, " N"]:
    """Values of a dimension, the same for all trajectories, equally spaced and growing."""
    values = np.asarray(dataset, dtype=np.float64)
    values = values[0] if values.ndim == 2 and (values == values[0]).all() else values
    if values.ndim != 1 or not len(values):
        raise ValueError(
            f"{path}: '{dataset.name}' has the shape {values.shape}, expected one axis for all trajectories"
        )
    steps = np.diff(values)
    if len(steps) and not (steps[0] > 0 and np.allclose(steps, steps.mean(), rtol=1e-3, atol=0)):
        raise ValueError(f"{path}: '{dataset.name}' is not equally spaced, expected a uniform grid")
    return values


def _boundaries(path: str, group: h5py.Group, axes: Sequence[str]) -> tuple[str, ...]:
    """Type of the boundary on each axis."""
    found: dict[str, Any] = {}
    for key in group:
        attributes = _get(group[key])
        for axis in attributes.get("associated_dims", []):
            found[axis] = str(attributes.get("bc_type")).upper()
    for axis in axes:
        if found.get(axis) not in BOUNDARIES:
            raise ValueError(
                f"{path}: 'boundary_conditions' says {found.get(axis)} for axis {axis}, "
                f"expected {' or '.join(BOUNDARIES)}"
            )
    return tuple(found[axis] for axis in axes)


def _stored(dataset: h5py.Dataset) -> np.dtype[Any]:
    """Precision in which a field is read; counts with a scale in single precision."""
    return np.dtype(np.float32) if SCALE in dataset.attrs else dataset.dtype


def _components(file: h5py.File) -> dict[str, tuple[h5py.Dataset, tuple[int, ...]]]:
    """Scalar fields by name: those of t0_fields, and the components NAME_x, NAME_y, … of t1_fields."""
    scalars: dict[str, tuple[h5py.Dataset, tuple[int, ...]]] = {
        key: (dataset, ()) for key, dataset in _need(file.filename, file, "t0_fields").items()
    }
    vectors = {
        f"{key}_{'xyz'[d]}": (dataset, (d,))
        for key, dataset in file.get("t1_fields", {}).items()
        for d in range(dataset.shape[-1])
    }
    return scalars | vectors
