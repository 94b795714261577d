"""Files of `fix ave/chunk` to fields, where their columns hold what a field is by definition.

A velocity there is a mean by number, and `temp` is of all directions with the flow in it: momentum of a mixture and
density_temperature follow from neither, and are read from columns that the user names.
"""

import numpy as np
from jaxtyping import Float

from morlight.data.particles import fields as definitions
from morlight.data.particles import units
from morlight.data.particles.binning import Binned
from morlight.data.particles.frames import Clock
from morlight.data.particles.lammps_average import Chunks
from morlight.data.particles.settings import DEFAULT_BINS, Deposit
from morlight.operators.description import Grid

COORDINATE = "Coord1"
SIX_DIGITS = 2e-5  # LAMMPS writes averages with %g; a product of three of them is off by a few 1e-6
SPACING = 1e-3  # of the distances between centers, which are differences of numbers of 6 digits


def profile(read: Chunks, how: Deposit) -> Binned:
    """Fields of a file of fix ave/chunk with cells along one axis.

    Raises:
        ValueError: naming the file and the column that is missing, or what the file does not state.
    """
    if len(how.axes) != 1 or how.species:
        raise ValueError(f"{read.path}: holds averages over cells along one axis, expected one axis and no species")
    read = _without_empty_first(read)
    low, length, count = _cells(read, how)
    if tuple(how.bins) not in (DEFAULT_BINS, (count,)):
        raise ValueError(f"{read.path}: has {count} cells, expected {how.bins[0]} as in bins")
    extent = _length(read, low, length, how)
    if not 0 < extent < np.inf:
        raise ValueError(f"{read.path}: the cells fill the length {extent:g}, expected a positive one")
    grid = Grid((count,), (extent,), (_boundary(read, how),))
    values = np.stack([_field(read, name, how) for name in how.fields], 1)
    odd = np.argwhere(~np.isfinite(values))
    if len(odd):
        sample, field, cell = odd[0]
        raise ValueError(
            f"{read.path}: {how.fields[field]} is not finite in cell {cell + 1} at step {read.steps[sample]}, expected"
            " numbers"
        )
    return Binned([Clock(step=int(step)) for step in read.steps], grid, values, how.units, None)


def _without_empty_first(read: Chunks) -> Chunks:
    """fix ave/chunk has nothing to average at its first step."""
    if "Ncount" in read.columns and len(read.values) > 1 and not read.column("Ncount")[0].any():
        return Chunks(read.path, read.columns, read.steps[1:], read.values[1:])
    return read


def _cells(read: Chunks, how: Deposit) -> tuple[float, float, int]:
    """Where the cells begin, the length they fill, and their number; the same in every sample."""
    name = how.columns.get(COORDINATE, COORDINATE)
    if name not in read.columns:
        raise ValueError(
            f"{read.path}: there is no column {name} with the centers of cells; the file has {', '.join(read.columns)};"
            f" expected --columns {COORDINATE}=COLUMN"
        )
    centers = read.column(name)
    first = centers[0]
    width = float(first[-1] - first[0]) / max(1, len(first) - 1)
    if len(first) < 2 or (np.abs(np.diff(first) - width) > SPACING * abs(width)).any():
        raise ValueError(f"{read.path}: the cells are at {first.tolist()}, expected several, equally spaced")
    moved = np.flatnonzero((np.abs(centers - first) > SPACING * abs(width)).any(1))
    if len(moved):
        raise ValueError(
            f"{read.path}: the cells of step {read.steps[moved[0]]} are at {centers[moved[0]].tolist()}, expected"
            f" {first.tolist()} as in the first sample; averages over a box that changes cannot be brought back"
        )
    return float(first[0]) - width / 2, width * len(first), len(first)


def _length(read: Chunks, low: float, length: float, how: Deposit) -> float:
    """The length that the cells fill, checked against bounds."""
    reduced = abs(low) < SPACING / len(read.values[0]) and abs(length - 1) < SPACING
    if how.bounds is not None:
        lower, upper = how.bounds[0]
        same = max(abs(lower - low), abs(upper - lower - length)) <= SPACING * length
        if not same and not reduced:
            raise ValueError(
                f"{read.path}: the cells fill {low:g} to {low + length:g}, expected the bounds {lower:g} to {upper:g}"
            )
        return upper - lower
    if reduced:
        raise ValueError(
            f"{read.path}: the cells fill 0 to 1, as they do with 'units reduced', expected --bounds with the ends of"
            " the box"
        )
    return length


def _boundary(read: Chunks, how: Deposit) -> str:
    axis = how.axes[0]
    if how.walls is None:
        raise ValueError(
            f"{read.path}: averages do not state whether axis {axis} is periodic, expected --walls {axis}, or --walls"
            " alone where it is"
        )
    if axis not in how.walls and how.bounds is None:
        raise ValueError(
            f"{read.path}: averages do not state the length of a periodic box, which the last cell may exceed,"
            " expected --bounds with its ends"
        )
    return "WALL" if axis in how.walls else "PERIODIC"


def _field(read: Chunks, name: str, how: Deposit) -> Float[np.ndarray, "samples chunks"]:
    if name in how.columns:
        return np.prod([read.column(factor) for factor in how.columns[name].split("*")], 0)
    if name == "density":
        return read.column("density/number")
    axis = definitions.direction(name, how.flow)
    if name.startswith("momentum"):
        return _momentum(read, name, f"v{axis}", how)
    raise ValueError(
        f"{read.path}: {name} is the temperature of the directions across the flow, which no column of fix ave/chunk"
        " is: temp is of all directions, with the flow in it; expected --columns"
        " density_temperature=density/number*COLUMN with a mean of m v²/(2 k_B) over these directions (compute"
        " temp/partial with bias, or a variable)"
    )


def _momentum(read: Chunks, name: str, velocity: str, how: Deposit) -> Float[np.ndarray, "samples chunks"]:
    """Σ m v / V of particles of one mass: m · number density · mean velocity."""
    mass = how.mass_of.get("all")
    if mass is None:
        raise ValueError(
            f"{read.path}: {velocity} of fix ave/chunk is a mean by number, but {name} needs a mean by mass; expected"
            f" --mass all=MASS where all particles are alike, or --columns {name}=density/number*COLUMN with a column"
            f" of mass times velocity (variable p atom mass*{velocity})"
        )
    density = read.column("density/number")
    if "density/mass" in read.columns:
        if how.units is None:
            raise ValueError(f"{read.path}: the file does not state its units, expected --units lj, real, metal, …")
        stated, due = read.column("density/mass"), mass * density * units.style(how.units).mv2d
        odd = np.argwhere(np.abs(stated - due) > SIX_DIGITS * np.abs(due))
        if len(odd):
            sample, cell = odd[0]
            raise ValueError(
                f"{read.path}: density/mass is {stated[sample, cell]:g} in cell {cell + 1} at step"
                f" {read.steps[sample]}, but the mass {mass:g} of all particles makes it {due[sample, cell]:g};"
                " expected another mass or units, or for a mixture --columns"
            )
    return mass * density * read.column(velocity)
