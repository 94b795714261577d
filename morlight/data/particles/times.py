"""Times of frames: from what the file states, a time or a time step, and from what the user states.

Times and time steps are different things: a time step needs the time of one step, a time needs nothing, and a file
with neither needs the time between its frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from morlight.data.particles.frames import Clock
from morlight.data.particles.settings import Deposit

SPACING = 1e-6  # relative; LAMMPS writes times with at least 6 digits
ROUNDINGS = 4  # a difference of two times is off by up to two roundings of each


@dataclass(frozen=True, eq=False)
class Times:
    """Times of the frames of a trajectory.

    Attributes:
        values: in the unit of time, or in time steps.
        rounding: relative precision in which they were stored.
        steps: whether they are numbers of time steps.
    """

    values: Float[np.ndarray, " T"]
    rounding: float
    steps: bool

    @property
    def tolerance(self) -> float:
        """Largest rounding error of a time."""
        return ROUNDINGS * self.rounding * float(np.abs(self.values).max(initial=0))

    @property
    def spacing(self) -> float:
        """Time between the first two frames; 0 for a single one."""
        return float(self.values[1] - self.values[0]) if len(self.values) > 1 else 0.0

    def select(self, places: Int[np.ndarray, " K"]) -> "Times":
        """Some of the frames."""
        return Times(self.values[places], self.rounding, self.steps)


def times(where: str, clocks: Sequence[Clock], how: Deposit) -> Times:
    """Times of the frames of one trajectory.

    Raises:
        ValueError: if neither the file nor the options state a time, or both do.
    """
    if clocks and all(clock.time is not None for clock in clocks) and not how.replace_times:
        return _stated(where, clocks, how)
    if any(clock.time is not None for clock in clocks) and not how.replace_times:
        raise ValueError(f"{where}: some frames state a time and some do not, expected one or the other")
    steps = [clock.step for clock in clocks if clock.step is not None]
    if how.frame_spacing is not None:
        if len(steps) == len(clocks) and not how.replace_times:
            raise ValueError(
                f"{where}: the file counts steps and frame_spacing is given, expected the time of a step, --timestep,"
                " or --replace-times with it"
            )
        return Times(np.arange(len(clocks)) * how.frame_spacing, 2.0**-52, False)
    if len(steps) < len(clocks):
        raise ValueError(f"{where}: the file states no times, expected the time between frames, --frame-spacing")
    return Times(np.array(steps) * (how.timestep or 1.0), 2.0**-52, how.timestep is None)


def _stated(where: str, clocks: Sequence[Clock], how: Deposit) -> Times:
    name = "timestep" if how.timestep is not None else "frame_spacing" if how.frame_spacing is not None else None
    if name:
        raise ValueError(
            f"{where}: the file states its times, from {clocks[0].time:g} on, and {name} is given, expected none;"
            " --replace-times takes it instead of the file's times"
        )
    values = [clock.time for clock in clocks if clock.time is not None]
    return Times(np.array(values), max(clock.rounding for clock in clocks), False)


def kept(found: Times, repeated: str) -> Int[np.ndarray, " K"]:
    """Frames to keep of those of a restarted run, whose times begin anew: the first or the last of each time."""
    places: list[int] = []
    for place, time in enumerate(found.values):
        if repeated == "last":
            while places and found.values[places[-1]] >= time - found.tolerance:
                places.pop()
        elif repeated == "first" and places and time <= found.values[places[-1]] + found.tolerance:
            continue
        places.append(place)
    return np.array(places, int)


def check_spacing(where: str, found: Times) -> None:
    """Refuse frames that are not equally spaced.

    Raises:
        ValueError: naming the first two frames that are not.
    """
    steps = np.diff(found.values)
    if not len(steps):
        return
    allowed = SPACING * abs(found.spacing) + found.tolerance
    odd = np.flatnonzero((steps <= 0) | (np.abs(steps - found.spacing) > allowed))
    if len(odd):
        before, after = found.values[odd[0]], found.values[odd[0] + 1]
        advice = "; --repeated first or last keeps one of the frames of a restarted run" if after <= before else ""
        raise ValueError(
            f"{where}: frames {odd[0]} and {odd[0] + 1} are at {before:g} and {after:g}, expected frames as far"
            f" apart as the first two, {found.spacing:g}{advice}"
        )


def same(one: Times, other: Times) -> bool:
    """Whether two trajectories have their frames at the same times."""
    if len(one.values) != len(other.values) or one.steps != other.steps:
        return False
    allowed = SPACING * max(abs(one.spacing), abs(other.spacing)) + max(one.tolerance, other.tolerance)
    return bool((np.abs(one.values - other.values) <= allowed).all())
