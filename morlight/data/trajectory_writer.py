"""Writing trajectory files: whole or not at all, one trajectory at a time, and able to go on after an interruption."""

import dataclasses
import hashlib
import json
import math
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float, Num

from morlight.data.hdf5 import member
from morlight.data.stored_field import SCALE
from morlight.data.trajectory_file import Contents
from morlight.data.whole_file import NotWritten, check_room, whole_file
from morlight.operators.description import Grid

COMPRESSED: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
PART = "part"  # attribute of a file with one trajectory: of which file, and which one
REMOVE = "remove the folder and start again"
CHUNK = 2**18  # bytes; a window of a few frames inflates little, a whole file is still read in long strides


class Writer:
    """A trajectory file filled one trajectory at a time, which appears under its name only when complete.

    Args:
        contents: what the file will hold; `attributes` go to the root (mappings as JSON). Constants of the whole
            file are named in its attribute `simulation_parameters` and follow as attributes of their own.
        dtype: precision of the fields.
        scale: where the fields are put as integers, such as counts: what one of them stands for.
        overwrite: whether a file that is there already is replaced.

    Raises:
        ValueError: on entry where the file cannot be made or is there already, on exit where a trajectory was never
            put.
    """

    def __init__(
        self, contents: Contents, dtype: str = "float32", scale: float | None = None, *, overwrite: bool = False
    ) -> None:
        self.contents = contents
        self.dtype = dtype
        self.scale = scale
        self.overwrite = overwrite
        self.missing = set(range(contents.trajectories))

    def __enter__(self) -> "Writer":
        with ExitStack() as stack:
            self.draft = stack.enter_context(whole_file(self.contents.path, overwrite=self.overwrite))
            check_room(self.contents.path, 0)
            self.file = stack.enter_context(self._opened())
            with self._sentences():
                _lay_out(self.file, self.contents, self.dtype, self.scale)
            self.stack = stack.pop_all()
        return self

    @contextmanager
    def _opened(self) -> Iterator[h5py.File]:
        """The draft, closed at the end; what a full disk cannot take is then lost, and so is the draft."""
        path = self.contents.path
        try:
            file = h5py.File(self.draft, "x")
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            raise ValueError(f"{path}: cannot be written in the directory '{path.parent}': {why}") from error
        try:
            yield file
        finally:
            with self._sentences():
                file.close()

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        """Errors of HDF5, such as a full disk, as one sentence."""
        try:
            yield
        except (OSError, RuntimeError) as error:
            raise NotWritten(self.contents.path, error) from error

    def put(self, trajectory: int, fields: Mapping[str, Num[np.ndarray, "time *X"]]) -> None:
        """Write every field of one trajectory."""
        due = (len(self.contents.times), *self.contents.grid.points)
        for name in self.contents.fields:
            if fields[name].shape != due:
                raise ValueError(
                    f"{self.contents.path}: field '{name}' is {fields[name].shape} in trajectory {trajectory}, "
                    f"expected {due} for these times and this grid"
                )
            check_room(self.contents.path, fields[name].nbytes)
            with self._sentences():
                self.file["t0_fields"][name][trajectory] = fields[name]
        self.missing.discard(trajectory)

    def annotate(self, dataset: str, **attributes: str) -> None:
        """Set attributes of a dataset, such as its unit."""
        _set(self.file[dataset], attributes)

    def adopt(self, trajectory: int, path: Path) -> None:
        """Take every field of one trajectory from a file that holds it alone, as it is stored there.

        Raises:
            ValueError: if the file does not hold them as this one does.
        """
        check_room(self.contents.path, path.stat().st_size)
        with _source(path) as source:
            for name in self.contents.fields:
                of_part = member(path, member(path, source, "t0_fields"), name)
                of_whole = self.file[f"t0_fields/{name}"]
                if _layout(of_part) != _layout(of_whole):
                    raise ValueError(f"{path}: '{name}' is not as this command writes it; {REMOVE}")
                part, whole = of_part.id, of_whole.id
                with self._sentences():
                    for chunk in range(part.get_num_chunks()):
                        place = part.get_chunk_info(chunk).chunk_offset
                        mask, stored = part.read_direct_chunk(place)
                        whole.write_direct_chunk((trajectory, *place[1:]), stored, mask)
        self.missing.discard(trajectory)

    def abandon(self) -> None:
        """Leave no file behind."""
        self.missing.clear()
        self.draft.unlink()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.stack.__exit__(kind, error, trace)
            return
        with self.stack:
            if self.missing:
                raise ValueError(f"{self.contents.path}: trajectory {min(self.missing)} was never written")


def write(  # noqa: PLR0913 - the parts of a file, each by its name
    path: str | Path,
    *,
    name: str,
    fields: Mapping[str, Float[np.ndarray, "trajectory time *X"]],
    grid: Grid,
    times: Float[np.ndarray, " time"],
    provenance: Mapping[str, Any],
    parameters: Mapping[str, Float[np.ndarray, " trajectory"]] | None = None,
    overwrite: bool = False,
) -> None:
    """Write scalar fields as a trajectory file, whole or not at all, in the precision they have.

    Args:
        provenance: attributes of the root: generator, its version, parameters, seed, …; see `Writer`.
        parameters: γ, one value a trajectory.
        overwrite: whether a file that is there already is replaced.

    Raises:
        ValueError: if the fields do not fit each other or the grid, or the file cannot be written or is there already.
    """
    trajectories = len(next(iter(fields.values())))
    for field, u in fields.items():
        if len(u) != trajectories:
            raise ValueError(
                f"{path}: field '{field}' has {len(u)} trajectories, '{next(iter(fields))}' {trajectories}"
            )
    contents = Contents(Path(path), name, tuple(fields), grid, times, trajectories, parameters or {}, provenance)
    with Writer(contents, str(np.result_type(*fields.values())), overwrite=overwrite) as writer:
        for i in range(trajectories):
            writer.put(i, {field: u[i] for field, u in fields.items()})


class Parts:
    """Writes each trajectory to a file of its own, and joins them when all are there.

    An interrupted run loses nothing: with the same `contents` later, only the others are `missing`.
    Enter to begin, leave to join. The arguments are those of `Writer`.

    Raises:
        ValueError: where the file cannot be written or is there already.
    """

    def __init__(
        self, contents: Contents, dtype: str = "float32", scale: float | None = None, *, overwrite: bool = False
    ) -> None:
        self.contents, self.dtype, self.scale, self.overwrite = contents, dtype, scale, overwrite
        identity = json.dumps(
            [
                contents.name,
                contents.trajectories,
                repr(contents.grid),
                repr(contents.times),
                dtype,
                contents.attributes,
            ]
        )
        self.mark = hashlib.sha256(identity.encode()).hexdigest()
        self.folder = contents.path.with_name(f".{contents.path.name}.{self.mark[:8]}.parts")

    def __enter__(self) -> "Parts":
        with Writer(
            self.contents, self.dtype, self.scale, overwrite=self.overwrite
        ) as writer:  # refuses early what cannot be written
            writer.abandon()
        self.folder.mkdir(mode=0o700, exist_ok=True)
        about = self.folder.lstat()
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & 0o022:
            raise ValueError(f"{self.folder}: expected a folder of your own into which nobody else can write, {REMOVE}")
        for part in self.folder.glob("*.h5"):
            self._check(part)
        return self

    @property
    def missing(self) -> list[int]:
        """Trajectories not yet put."""
        return [i for i in range(self.contents.trajectories) if not self._part(i).exists()]

    def put(self, trajectory: int, fields: Mapping[str, Num[np.ndarray, "time *X"]]) -> None:
        """Write every field of one trajectory."""
        parameters = {key: values[trajectory : trajectory + 1] for key, values in self.contents.parameters.items()}
        contents = dataclasses.replace(
            self.contents, path=self._part(trajectory), trajectories=1, parameters=parameters
        )
        with Writer(contents, self.dtype, self.scale, overwrite=True) as writer:
            writer.put(0, fields)
            writer.file.attrs[PART] = self._identity(contents.path)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            return
        with Writer(self.contents, self.dtype, self.scale, overwrite=self.overwrite) as writer:
            for i in range(self.contents.trajectories):
                writer.adopt(i, self._part(i))
        shutil.rmtree(self.folder)

    def _part(self, trajectory: int) -> Path:
        return self.folder / f"{trajectory:06d}.h5"

    def _identity(self, part: Path) -> str:
        return f"{self.mark} {part.stem}"

    def _check(self, part: Path) -> None:
        """Refuse what an earlier run of the same command has not left.

        Raises:
            ValueError: naming the file.
        """
        with _source(part) as source:
            if source.attrs.get(PART) != self._identity(part):
                raise ValueError(f"{part}: is not a part that this command wrote; {REMOVE}")


@contextmanager
def _source(path: Path) -> Iterator[h5py.File]:
    """A file with a part of another, which is neither a link nor damaged.

    Raises:
        ValueError: naming the file.
    """
    if path.is_symlink():
        raise ValueError(f"{path}: is a link, expected a part that this command wrote; {REMOVE}")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError) as error:
        if isinstance(error, NotWritten):
            raise
        raise ValueError(f"{path}: is damaged, expected a part that this command wrote; {REMOVE}") from error


def _layout(dataset: h5py.Dataset) -> tuple[Any, ...]:
    """All that the chunks of two datasets must have in common to be exchanged."""
    return dataset.shape[1:], dataset.dtype, dataset.chunks, dataset.compression, dataset.shuffle


def _lay_out(file: h5py.File, contents: Contents, dtype: str, scale: float | None) -> None:
    """Everything but the values of the fields."""
    axes = ("x", "y", "z")[: len(contents.grid.points)]
    _set(file, {"simulation_parameters": [], **contents.attributes}, dataset_name=contents.name, grid_type="cartesian")
    _set(file, {}, n_spatial_dims=len(axes), n_trajectories=contents.trajectories)
    dimensions = file.create_group("dimensions")
    _set(dimensions, {}, spatial_dims=list(axes))
    for key, values in zip(("time", *axes), (contents.times, *contents.grid.coordinates), strict=True):
        _set(dimensions.create_dataset(key, data=values), {}, sample_varying=False, time_varying=False)
    for axis, boundary, N in zip(axes, contents.grid.boundaries, contents.grid.points, strict=True):
        side = file.create_group(f"boundary_conditions/{axis}_{boundary.lower()}")
        _set(side, {}, associated_dims=[axis], associated_fields=[], bc_type=boundary)
        _set(side, {}, sample_varying=False, time_varying=False)
        side.create_dataset("mask", data=np.isin(np.arange(N), (0, N - 1)))
    scalars = file.create_group("scalars")
    _set(scalars, {}, field_names=list(contents.parameters))
    for key, values in contents.parameters.items():
        if np.shape(values) != (contents.trajectories,):
            raise ValueError(
                f"{contents.path}: parameter '{key}' has the shape {np.shape(values)}, "
                f"{contents.trajectories} trajectories ask for ({contents.trajectories},)"
            )
        _set(scalars.create_dataset(key, data=values), {}, sample_varying=True, time_varying=False)
    for order, names in enumerate((contents.fields, (), ())):
        group = file.create_group(f"t{order}_fields")
        _set(group, {}, field_names=list(names))
        for key in names:
            shape = (contents.trajectories, len(contents.times), *contents.grid.points)
            block = max(1, CHUNK // (np.dtype(dtype).itemsize * math.prod(contents.grid.points)))
            chunks = (1, min(block, len(contents.times)), *contents.grid.points)
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
