"""Frames of particles to fields on cells, each frame by its own box."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float

from morlight.data.particles import fields as definitions
from morlight.data.particles import kernels, units
from morlight.data.particles.frames import AXES, TYPE_COLUMNS, Clock, Frame
from morlight.data.particles.settings import Deposit
from morlight.operators.description import Grid

SAME_LENGTH = 1e-6  # relative to the length of the box; some writers give it with 6 digits, XTC in single precision


@dataclass(frozen=True)
class Side:
    """Cells along one axis in one frame.

    Attributes:
        low: where they begin.
        length: that they fill.
        boundary: PERIODIC or WALL.
        period: of the box, where particles are brought back into it; None where it is not periodic.
    """

    low: float
    length: float
    boundary: str
    period: float | None


@dataclass
class Census:
    """Species and types found in all files together; checked at the end, since one file may lack a species."""

    species: set[str] = field(default_factory=set)
    masses: set[str] = field(default_factory=set)
    alone: set[str] = field(default_factory=set)  # types whose mass was taken as the unit of mass

    def check(self, how: Deposit) -> None:
        """Refuse species and types that no file contains.

        Raises:
            ValueError: naming a species or a type that no file has.
        """
        if missing := [name for name in how.species if name not in self.species]:
            raise ValueError(
                f"species: '{missing[0]}' is type {', '.join(how.kinds[missing[0]])}, expected a type that is in the"
                " files; no particle has it"
            )
        if missing := [kind for kind in how.mass_of if kind != "all" and kind not in self.masses]:
            raise ValueError(f"masses: no particle is of type {missing[0]}, expected a type that is in the files")
        if len(self.alone) > 1:
            raise ValueError(
                f"masses: the particles are of types {', '.join(sorted(self.alone))} in different frames, expected"
                " --mass TYPE=MASS for each"
            )


@dataclass(frozen=True, eq=False)
class Binned:
    """Fields of one trajectory before they get times: (T, F, *X), with the grid and the unit style."""

    clocks: list[Clock]
    grid: Grid
    values: Float[np.ndarray, "T F *X"]
    units: str | None
    mass_unit: str | None  # where the mass of a particle is the unit


def wanted_columns(how: Deposit) -> list[str]:
    """Columns to read where the file has them; which of them must be there is decided where they are used."""
    needs_mass = definitions.needs_mass(how.fields)
    types = TYPE_COLUMNS if how.species or needs_mass else ()
    return [
        *how.axes,
        *definitions.velocities(how.fields, how.flow),
        *types,
        *(["mass"] if needs_mass else []),
    ]


def binned(name: str, frames: Iterable[Frame], how: Deposit, census: Census) -> Binned:
    """Fields of the frames of one trajectory.

    Raises:
        ValueError: naming the frame and what was expected there.
    """
    clocks, values = [], []
    grid: Grid | None = None
    first: list[Side] = []
    count, unit_style, mass_unit = 0, how.units, None
    for frame in frames:
        sides = [side(frame, place, how) for place in range(len(how.axes))]
        if grid is None:
            first, count = sides, len(frame)
            boundaries = tuple(one.boundary for one in sides)
            grid = Grid(tuple(how.bins), tuple(one.length for one in sides), boundaries)
            unit_style = units.agreed(frame.where, frame.units, how.units)
        _check_like_first(frame, sides, first, how)
        if len(frame) != count and not how.changing:
            raise ValueError(f"{frame.where}: {len(frame)} particles, expected {count} as in the first frame")
        weights, unit = _weights(frame, how, unit_style, census)
        mass_unit = unit or mass_unit
        values.append(_field(frame, sides, grid, weights, how))
        clocks.append(frame.clock)
    if grid is None:
        raise ValueError(f"{name}: there are no frames in it")
    return Binned(clocks, grid, np.stack(values), unit_style, mass_unit)


def side(frame: Frame, place: int, how: Deposit) -> Side:
    """Cells of one frame along one of the axes, from its box and the settings.

    Raises:
        ValueError: where the file leaves the boundary or the origin open and no setting has it, or where they differ.
    """
    axis = how.axes[place]
    index = AXES.index(axis)
    length, periodic = float(frame.box.sides[index]), frame.box.periodic[index]
    if how.walls is None and periodic is None:
        raise ValueError(
            f"{frame.where}: the file does not state whether axis {axis} is periodic, expected --walls with the axes"
            " between walls (--walls alone: none, all are periodic)"
        )
    wall = axis in how.walls if how.walls is not None else not periodic
    period = length if periodic or not wall else None
    low = _origin(frame, place, how)
    if how.bounds is not None:
        lower, upper = how.bounds[place]
    elif low is not None:
        lower, upper = low, low + length
    else:
        raise ValueError(
            f"{frame.where}: the file does not state where its box begins on axis {axis}, expected --box-origin (a"
            " number, or center) or --bounds"
        )
    odd = upper - lower - length
    if not wall and abs(odd) > SAME_LENGTH * length:
        raise ValueError(
            f"{frame.where}: axis {axis} is periodic with the length {length:g} but its bounds are {lower:g} to"
            f" {upper:g}, expected the same length, or --walls {axis} for a part of it"
        )
    if wall and period is not None and odd > SAME_LENGTH * length:
        raise ValueError(
            f"{frame.where}: the bounds {lower:g} to {upper:g} of axis {axis} are longer than the periodic box,"
            f" {length:g}, expected bounds inside every box"
        )
    return Side(lower, upper - lower, "WALL" if wall else "PERIODIC", period)


def _origin(frame: Frame, place: int, how: Deposit) -> float | None:
    """Lower end of the box on an axis."""
    index = AXES.index(how.axes[place])
    if frame.box.low is not None:
        if how.box_origin is not None:
            raise ValueError(f"{frame.where}: the file states where its box begins, expected no box_origin")
        return float(frame.box.low[index])
    if how.box_origin is None:
        return None
    if how.box_origin == "center":
        return -float(frame.box.sides[index]) / 2
    return float(how.box_origin[place])


def _check_like_first(frame: Frame, sides: list[Side], first: list[Side], how: Deposit) -> None:
    """Cells of every frame must be those of the first, unless they scale with the box."""
    for axis, now, then in zip(how.axes, sides, first, strict=True):
        if now.boundary != then.boundary:
            raise ValueError(f"{frame.where}: axis {axis} is {now.boundary}, expected {then.boundary} as in frame 0")
        moved = max(abs(now.low - then.low), abs(now.length - then.length)) > SAME_LENGTH * then.length
        if moved and not how.scale_cells:
            raise ValueError(
                f"{frame.where}: another box than in the first frame, {now.low:g} to {now.low + now.length:g} on axis"
                f" {axis}, expected {then.low:g} to {then.low + then.length:g}; --scale-cells scales the cells with the"
                f" box, --bounds with --walls {axis} and --drop-outside takes a part that is inside every box"
            )


def _weights(
    frame: Frame, how: Deposit, unit_style: str | None, census: Census
) -> tuple[Float[np.ndarray, "F P"], str | None]:
    """What each particle adds to each field, and the type whose mass is the unit of mass."""
    if frame.units is not None and unit_style != frame.units:
        units.agreed(frame.where, frame.units, unit_style)
    mass, unit = None, None
    if definitions.needs_mass(how.fields):
        mass, alone = definitions.masses(frame, how.mass_of, unit_style)
        if alone and "density_temperature" in how.fields:
            raise ValueError(
                f"{frame.where}: the file has no column mass, which a temperature needs, expected --mass all=MASS"
            )
        if alone:
            unit = definitions.types(frame)[0]
            census.alone.add(unit)
        census.masses |= {kind for kind in how.mass_of if kind != "all" and definitions.matches(frame, [kind]).any()}
    if "density_temperature" in how.fields and unit_style is None:
        raise ValueError(
            f"{frame.where}: the file does not state its units, which a temperature needs, expected --units lj, real,"
            " metal, …"
        )
    rows = definitions.contributions(frame, how.fields, how.flow, mass, units.style(unit_style))
    if not how.species:
        return rows, unit
    parts = []
    for name, kinds in how.kinds.items():
        mine = definitions.matches(frame, kinds)
        if mine.any():
            census.species.add(name)
        parts.append(rows * mine)
    return np.concatenate(parts), unit


def _field(
    frame: Frame, sides: list[Side], grid: Grid, weights: Float[np.ndarray, "F P"], how: Deposit
) -> Float[np.ndarray, "F *X"]:
    """Fields of one frame."""
    across = [place for place, axis in enumerate(AXES) if axis not in how.axes]
    area = float(np.prod(frame.box.sides[across]))
    x = np.empty((len(sides), len(frame)))
    for row, (axis, one, length) in enumerate(zip(how.axes, sides, grid.length, strict=True)):
        x[row] = frame.column(axis) - one.low
        if one.period is not None and one.boundary == "WALL":
            np.mod(x[row], one.period, out=x[row])
        if one.length != length:  # cells that scale with the box
            x[row] *= length / one.length
            area *= one.length / length
    if how.drop_outside:
        inside = np.ones(len(frame), bool)
        for row, one in enumerate(sides):
            if one.boundary == "WALL":
                inside &= (x[row] >= 0) & (x[row] <= grid.length[row])
        x, weights = x[:, inside], weights[:, inside]
    tensors = torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(np.ascontiguousarray(weights))
    try:
        return (
            kernels.sums(
                *tensors, points=grid.points, length=grid.length, boundaries=grid.boundaries, kernel=how.kernel
            ).numpy()
            / area
        )
    except ValueError as error:
        raise ValueError(f"{frame.where}: {error}") from error
