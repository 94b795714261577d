"""Fields with names on their axes (xarray), to arrays (B, C, *X) and back."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from morlight.data.hdf5 import check_members

if TYPE_CHECKING:
    import xarray

AXES = ("x", "y", "z")
DIMENSION = "This is a netCDF dimension but not a netCDF variable"  # without coordinates
NETCDF = (".nc", ".nc3", ".nc4", ".netcdf", ".cdf")


def is_labelled(value: Any) -> bool:
    """Whether it is one of xarray's, without importing xarray where nobody did."""
    return type(value).__module__.partition(".")[0] == "xarray"


@dataclass(frozen=True)
class Labelled:
    """Initial states with the names that they came with.

    Attributes:
        states: fields (B, C, *X).
        gamma: parameters γ that the labels tell, each (B,).
        axes: dimensions along which the grid lies.
        batch: sizes of the other dimensions.
        coordinates: of all dimensions, where there are any.
        single: whether it was one array and not a set of them.
        length: of the domain, told by the coordinates; None where an axis has none.
    """

    states: np.ndarray
    gamma: Mapping[str, np.ndarray]
    axes: tuple[str, ...]
    batch: Mapping[Hashable, int]
    coordinates: Mapping[Hashable, Any]
    single: bool
    length: tuple[float, ...] | None


def parameter_labels(fields: Sequence[str], parameters: Sequence[str]) -> list[str]:
    """Names under which parameters γ stand beside fields: gamma_NAME where a field has the name too."""
    return [f"gamma_{name}" if name in fields else name for name in parameters]


def read(path: str | Path, frame: int = 0) -> "xarray.Dataset":
    """The variables of a NetCDF file, at one frame where they have a dimension `time`.

    Raises:
        ValueError: naming the file and what is wrong with it.
    """
    path = Path(path)
    found = opened(path)
    if "time" in found.dims:
        if not 0 <= frame < found.sizes["time"]:
            raise ValueError(f"{path}: frame {frame} is not there, expected 0 to {found.sizes['time'] - 1}")
        found = found.isel(time=frame)
    elif frame:
        raise ValueError(f"{path}: frame {frame} is not there, the file has no dimension 'time'")
    return found


def opened(path: Path) -> "xarray.Dataset":
    """All variables of a NetCDF file, in memory.

    Raises:
        ValueError: naming the file and what is wrong with it.
    """
    import xarray

    if not path.is_file():
        raise ValueError(f"{path}: no such file, expected a NetCDF file")
    engine = _engine(path)
    if engine == "h5netcdf":
        check_members(path, DIMENSION)
    try:
        with xarray.open_dataset(path, engine=engine) as dataset:
            return dataset.load()
    except Exception as error:  # each engine has errors of its own
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{path}: cannot be read, expected a NetCDF file ({reason})") from error


def _engine(path: Path) -> Any:
    """NetCDF 4 is HDF5, all before it is not."""
    with path.open("rb") as file:
        return "h5netcdf" if file.read(8) == b"\x89HDF\r\n\x1a\n" else "scipy"


def arrays(value: Any, fields: Sequence[str], parameters: Sequence[str], dimensions: int) -> Labelled:
    """An array or a set of them as (B, C, *X).

    Args:
        value: DataArray of the one field, or Dataset with a variable for each; dimensions x, y, z, or as many as the
            grid has, are the grid, all others are batches.
        fields: names, in the order of C.
        parameters: γ, taken from coordinates and variables of these names (see `parameter_labels`).
        dimensions: of the grid.

    Raises:
        ValueError: naming the variable or dimension at fault.
    """
    import xarray

    single = isinstance(value, xarray.DataArray)
    if single and len(fields) > 1:
        raise ValueError(f"a DataArray is given, expected a Dataset with the variables {', '.join(fields)}")
    whole = value.to_dataset(name=fields[0]) if single else value
    for name in fields:
        if name not in whole:
            held = ", ".join(str(key) for key in whole.data_vars) or "none"
            raise ValueError(f"variable '{name}' is missing, expected {', '.join(fields)}; there are: {held}")
    first = whole[fields[0]]
    axes = _axes(first.dims, dimensions)
    if "time" in first.dims and first.sizes["time"] > 1:
        raise ValueError("the initial state has a dimension 'time', expected one moment, as .isel(time=0) gives")
    batch = {dim: first.sizes[dim] for dim in first.dims if dim not in axes and dim != "time"}
    ordered = []
    for name in fields:
        one = whole[name].squeeze("time") if "time" in whole[name].dims else whole[name]
        if set(one.dims) != {*batch, *axes}:
            raise ValueError(f"variable '{name}' has the dimensions {one.dims}, expected {(*batch, *axes)}")
        ordered.append(np.asarray(one.transpose(*batch, *axes).values, np.float64))
    states = np.stack(ordered, len(batch)).reshape(-1, len(fields), *(first.sizes[axis] for axis in axes))
    coordinates = {dim: whole.coords[dim].values for dim in (*batch, *axes) if dim in whole.coords}
    gamma = {}
    for name, label in zip(parameters, parameter_labels(fields, parameters), strict=True):
        if label in whole.variables:
            spread = whole[label].broadcast_like(first.isel(dict.fromkeys(axes, 0), drop=True))
            spread = spread.squeeze("time") if "time" in spread.dims else spread
            gamma[name] = np.asarray(spread.transpose(*batch).values, np.float64).reshape(-1)
    return Labelled(states, gamma, axes, batch, coordinates, single, _length(whole, axes))


def _axes(dims: Sequence[Hashable], dimensions: int) -> tuple[str, ...]:
    wanted = AXES[:dimensions]
    if set(wanted) <= set(dims):
        return wanted
    left = [str(dim) for dim in dims if dim != "time"]
    if len(left) == dimensions:
        return tuple(left)
    raise ValueError(f"the dimensions are {tuple(dims)}, expected {', '.join(wanted)} among them, the grid")


def _length(whole: Any, axes: Sequence[str]) -> tuple[float, ...] | None:
    """L of each axis, N times the spacing of its points."""
    found = []
    for axis in axes:
        if axis not in whole.coords:
            return None
        x = np.asarray(whole.coords[axis].values, np.float64)
        steps = np.diff(x)
        if not (len(steps) and steps[0] > 0 and np.allclose(steps, steps.mean(), rtol=1e-3, atol=0)):
            raise ValueError(f"coordinate '{axis}' is not equally spaced and growing, expected a uniform grid")
        found.append(float(steps.mean()) * len(x))
    return tuple(found)


def dataset(
    fields: Mapping[str, np.ndarray],
    times: np.ndarray,
    given: Labelled,
    *,
    lead: Mapping[str, Sequence[int]],
    grid: Sequence[np.ndarray],
    attributes: Mapping[str, Any],
) -> Any:
    """Roll-outs with names on their axes.

    Args:
        fields: each (…, B, T, *X).
        times: T.
        given: the initial states.
        lead: names of the axes before B, and the numbers along them.
        grid: coordinates of the points, for axes that came with none.
        attributes: of the whole.

    Returns:
        a DataArray where one came in and one goes out, else a Dataset.
    """
    import xarray

    dims = [*lead, *given.batch, "time", *given.axes]
    coordinates: dict[Hashable, Any] = dict(zip(given.axes, grid, strict=True)) | {"time": times}
    coordinates |= {name: np.asarray(numbers) for name, numbers in lead.items()}
    coordinates |= dict(given.coordinates)
    found = {}
    for name, u in fields.items():
        shape = (*u.shape[: len(lead)], *given.batch.values(), *u.shape[len(lead) + 1 :])
        assert math.prod(shape) == u.size
        found[name] = (dims, u.reshape(shape))
    whole = xarray.Dataset(found, coordinates, dict(attributes))
    if not (given.single and len(fields) == 1):
        return whole
    (name,) = fields
    return whole[name].assign_attrs(attributes)
