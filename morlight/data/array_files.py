"""Files of arrays (.npy, .npz, .nc, .mat), to trajectory files. Nothing in them is executed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from morlight.data import labelled
from morlight.data.arrays import SPACE, write
from morlight.data.whole_file import check_output

NUMPY, MATLAB = (".npy", ".npz"), ".mat"
HDF5_MATLAB = b"MATLAB 7.3"


def convert(  # noqa: PLR0913 - the names of arrays, each by its own
    files: Sequence[str | Path],
    path: str | Path,
    *,
    fields: Mapping[str, str] | None = None,
    times: str | None = None,
    coordinates: Mapping[str, str] | None = None,
    dims: Sequence[str] | None = None,
    real_part: bool = False,
    overwrite: bool = False,
    **described: Any,
) -> Path:
    """Write the arrays of some files as one trajectory file, the trajectories of one file after those of another.

    A file without an axis of trajectories holds one.

    Args:
        files: .npy, .npz, .nc or .mat.
        path: file to write.
        fields: name of the array of each field; by default every array that is not one of the times or coordinates,
            where all of them have the same shape.
        times: name of the array with the times of the frames.
        coordinates: name of the array with the coordinates of the points of each axis.
        dims: names of the axes of the arrays (see `morlight.write`).
        real_part: take the real part of complex arrays.
        overwrite: whether an existing file is replaced; a file that is read never is.
        described: what else the arrays do not say (see `morlight.write`).

    Returns:
        the path.

    Raises:
        ValueError: one sentence with the file, the array and what was expected.
    """
    check_output(path, overwrite, files)
    opened = [_Arrays(Path(file)) for file in files]
    first = opened[0]
    axes = {axis: first.take(name) for axis, name in (coordinates or {}).items()}
    unknown = sorted(set(axes) - set(SPACE))
    if unknown:
        raise ValueError(f"{first.path}: coordinates are of axis '{unknown[0]}', expected x, y or z")
    moments = first.take(times) if times else None
    apart = {*([times] if times else []), *(coordinates or {}).values()}
    names = dict(fields or {}) or {name: name for name in first.arrays if name not in apart}
    if not fields and len({first.arrays[name].shape for name in names}) > 1:
        raise ValueError(
            f"{first.path}: holds {first.listed}, expected fields (--fields) to name those that are fields"
        )
    dims = dims or first.dims
    for other in opened[1:]:
        _same(first, other, {"times": times, **dict(coordinates or {})}, dims)
    arrays = {field: _joined(opened, name, dims) for field, name in names.items()}
    if len(opened) > 1 and dims and "trajectory" not in dims:
        dims = ["trajectory", *dims]
    if real_part:
        arrays = {field: u.real for field, u in arrays.items()}
    if first.labels and dims:
        axes = {**{axis: first.labels[axis] for axis in SPACE if axis in first.labels and axis in dims}, **axes}
        if moments is None and described.get("dt") is None:
            moments = first.labels.get("time")
    try:
        return write(path, arrays, dims=dims, times=moments, coordinates=axes, overwrite=overwrite, **described)
    except ValueError as error:  # of the arrays, which are those of the files
        raise ValueError(f"{', '.join(map(str, files))}: {str(error).removeprefix(f'{path}: ')}") from error


class _Arrays:
    """The arrays of one file by their names, and for NetCDF the names of their axes and their coordinates."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.labels: dict[str, np.ndarray] = {}
        self.dims: list[str] | None = None
        if path.suffix.lower() in labelled.NETCDF:
            self.arrays = self._netcdf()
        else:
            self.arrays = read_arrays(path)
        if not self.arrays:
            raise ValueError(f"{path}: holds no array of numbers, expected the fields")

    def take(self, name: str) -> np.ndarray:
        """An array that must be there."""
        found = self.arrays.get(name, self.labels.get(name))
        if found is None:
            raise ValueError(f"{self.path}: there is no array '{name}', expected one of {self.listed}")
        return found

    @property
    def listed(self) -> str:
        """The arrays with their shapes."""
        return ", ".join(f"{key} {value.shape}" for key, value in self.arrays.items())

    def _netcdf(self) -> dict[str, np.ndarray]:
        found = labelled.opened(self.path)
        self.labels = {str(key): np.asarray(value.values) for key, value in found.coords.items()}
        kinds = {tuple(str(dim) for dim in variable.dims) for variable in found.data_vars.values()}
        if len(kinds) == 1:
            self.dims = list(kinds.pop())
        return {str(key): np.asarray(variable.values) for key, variable in found.data_vars.items()}


def _same(first: _Arrays, other: _Arrays, names: Mapping[str, str | None], dims: Sequence[str] | None) -> None:
    """Refuse files with other axes, or on other times or points, than those of the first."""
    if other.dims != first.dims:
        raise ValueError(f"{other.path}: its dimensions are {other.dims}, expected {first.dims} as in {first.path}")
    for name in filter(None, names.values()):
        if not np.array_equal(first.take(name), other.take(name)):
            raise ValueError(
                f"{other.path}: '{name}' differs from that of {first.path}, expected the same in all files"
            )
    for name in set(dims or ()) & set(first.labels):
        if name != "trajectory" and not np.array_equal(first.labels[name], other.labels.get(name, np.empty(0))):
            raise ValueError(
                f"{other.path}: '{name}' differs from that of {first.path}, expected the same in all files"
            )


def _joined(files: Sequence[_Arrays], name: str, dims: Sequence[str] | None) -> np.ndarray:
    """The trajectories of one field of all files."""
    arrays = [file.take(name) for file in files]
    if len(files) == 1:
        return arrays[0]
    if dims and "trajectory" not in dims:  # then each file is one
        arrays, dims = [u[None] for u in arrays], ["trajectory", *dims]
    axis = list(dims).index("trajectory") if dims else 0
    for file, u in zip(files, arrays, strict=True):
        if u.ndim != arrays[0].ndim or np.delete(u.shape, axis).tolist() != np.delete(arrays[0].shape, axis).tolist():
            raise ValueError(
                f"{file.path}: '{name}' has the shape {u.shape}, that of {files[0].path} {arrays[0].shape}"
            )
    return np.concatenate(arrays, axis)


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a .npy, .npz or .mat file by their names.

    Raises:
        ValueError: naming the file and what is wrong with it.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in (*NUMPY, MATLAB):
        raise ValueError(f"{path}: ends in '{ending}', expected .npy, .npz, .mat or .nc")
    if not path.is_file():
        raise ValueError(f"{path}: no such file, expected .npy, .npz, .mat or .nc")
    try:
        return _matlab(path) if ending == MATLAB else _numpy(path)
    except Exception as error:  # each of these formats has errors of its own
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: cannot be read as {ending} ({reason})") from error


def _numpy(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an archive, or the one array of a file under the name of the file."""
    opened = np.load(path, allow_pickle=False)
    if isinstance(opened, np.ndarray):
        return {path.stem: opened}
    with opened:
        arrays = {name: opened[name] for name in opened}
    if strange := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
        raise ValueError(f"'{strange[0]}' is no array")
    return arrays


def _matlab(path: Path) -> dict[str, np.ndarray]:
    """Numbers of a MATLAB file, up to version 7; 7.3 is HDF5 with the axes reversed."""
    from scipy.io import loadmat

    with path.open("rb") as file:
        if HDF5_MATLAB in file.read(128):
            raise ValueError("MATLAB 7.3 files are HDF5 of another layout; save with -v7")
    from scipy.io.matlab import MatReadError

    try:
        held = loadmat(str(path))
    except MatReadError as error:
        raise ValueError(str(error)) from error
    return {key: value for key, value in held.items() if not key.startswith("__") and value.dtype.kind in "biufc"}
