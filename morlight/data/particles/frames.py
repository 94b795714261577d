"""What every reader of particle files yields: one frame, with what the file itself states and None for the rest.

A box has an origin and is periodic or not along each axis; a frame has a time step, a time, or neither. Many formats
leave some of these open. A reader never fills them in: `morlight.data.particles.binning` asks for them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

AXES = "xyz"
POSITION_FORMS = ("", "u", "s", "su")  # x wrapped, xu unwrapped, xs and xsu in units of the box (LAMMPS)
TYPE_COLUMNS = ("type", "element", "typelabel")

Columns = Mapping[str, Shaped[np.ndarray, " P"]]


class CutShort(ValueError):
    """The file ends within a frame; the frames before it are whole."""


@dataclass(frozen=True, eq=False)
class Box:
    """A right-angled box.

    Attributes:
        sides: length along x, y and z.
        low: lower corner; None where the format does not define it.
        periodic: along each axis; None where the format does not define it.
    """

    sides: Float[np.ndarray, "3"]
    low: Float[np.ndarray, "3"] | None
    periodic: tuple[bool | None, bool | None, bool | None]


@dataclass(frozen=True)
class Clock:
    """Time of a frame: its time step if the file counts steps, its time if the file states it.

    `rounding` is the relative precision in which the format stores times.
    """

    step: int | None = None
    time: float | None = None
    rounding: float = 2.0**-52


@dataclass(frozen=True, eq=False)
class Frame:
    """Particles at one moment.

    Attributes:
        where: file and line, byte or number of the frame, for error messages.
        clock: time step and time.
        box: as the frame itself states it.
        columns: x, vx, type, mass, …, those that were asked for and are in the file.
        names: all columns of the file.
        units: unit style of LAMMPS, where the file states it.
    """

    where: str
    clock: Clock
    box: Box
    columns: Columns
    names: Sequence[str]
    units: str | None = None

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def column(self, name: str) -> Shaped[np.ndarray, " P"]:
        """One column of finite numbers.

        Raises:
            ValueError: where it is missing, listing the columns of the file, or has a number that is not finite.
        """
        if name not in self.columns:
            raise ValueError(f"{self.where}: there is no column {name}; the file has {', '.join(self.names)}")
        values = self.columns[name]
        bad = np.flatnonzero(~np.isfinite(values)) if values.dtype.kind == "f" else np.empty(0, int)
        if len(bad):
            raise ValueError(f"{self.where}: column {name} of particle {bad[0] + 1} of the frame is not finite")
        return values


def position_columns(wanted: Sequence[str]) -> list[str]:
    """The wanted columns, and all columns from which a wanted position can be computed."""
    return [f"{name}{form}" for name in wanted for form in (POSITION_FORMS if name in AXES else ("",))]


def with_positions(columns: Columns, box: Box, wanted: Sequence[str]) -> dict[str, Shaped[np.ndarray, " P"]]:
    """Columns with x, y, z computed from xu, or from xs or xsu and the box of this frame."""
    complete = dict(columns)
    for index, axis in enumerate(AXES):
        if axis not in wanted or axis in complete:
            continue
        if f"{axis}u" in complete:
            complete[axis] = complete[f"{axis}u"]
        elif box.low is not None:
            scaled = next((complete[f"{axis}{form}"] for form in ("s", "su") if f"{axis}{form}" in complete), None)
            if scaled is not None:
                complete[axis] = box.low[index] + scaled * box.sides[index]
    return {name: complete[name] for name in wanted if name in complete}


def right_angled(where: str, low: Sequence[float] | None, sides: Sequence[float], tilt: Sequence[float]) -> Box:
    """A box whose periodicity is filled in by the caller; a triclinic box with zero tilt is right-angled.

    Raises:
        ValueError: where the box is tilted or has no volume.
    """
    if any(tilt):
        raise ValueError(f"{where}: the box is tilted, expected one with right angles")
    lengths = np.asarray(sides, np.float64)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise ValueError(f"{where}: the box has the sides {lengths.tolist()}, expected a volume")
    return Box(lengths, None if low is None else np.asarray(low, np.float64), (None, None, None))
