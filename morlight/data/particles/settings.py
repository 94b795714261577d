"""How particles become fields: the options of `morlight deposit` and of `data.deposit`."""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from morlight.data.particles import fields as definitions
from morlight.data.particles import units as unit_styles
from morlight.data.particles.frames import AXES
from morlight.data.particles.kernels import KERNELS

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
DEFAULT_BINS = (64,)


@dataclass(frozen=True)
class Deposit:
    """Settings of a deposit. What a file states itself needs no setting, and contradicting it is refused.

    Attributes:
        fields: any of density, momentum (along the flow), momentum_x, _y, _z, and density_temperature.
        bins: cells along each axis.
        axes: along which there are cells, one or two of x, y, z; the fields are means over the others.
        bounds: lower and upper end of each axis; by default the box.
        walls: axes between walls; by default those that the file states to be not periodic.
        species: types (numbers, labels or elements) by name, each with fields of its own; by default all together.
        masses: mass of each type, or of all particles under the key `all`; not with files that state masses.
        units: unit style of LAMMPS, where the file does not state it.
        kernel: histogram, linear or spectral (`morlight.data.particles.kernels.sums`).
        flow: direction of the flow.
        average: frames averaged into one, with the standard error of their mean beside it.
        timestep: time of one step, for files that count steps.
        frame_spacing: time between frames, for files that state neither times nor steps.
        replace_times: whether `timestep` or `frame_spacing` replace the times that a file states.
        repeated: what to do with frames of a restarted run that are there twice: refuse, keep the first or the last.
        box_origin: lower end of the box on each axis, or `center` for a box centered at 0, where the file has none.
        scale_cells: whether cells scale with a box that changes; positions are then those in the first box.
        group: group of particles of an H5MD file with several.
        whole_frames: whether a file that is cut short is read up to its last whole frame, instead of refused.
        drop_outside: leave out particles outside the bounds, such as those of a wall, instead of refusing them.
        changing: accept that the number of particles changes.
        columns: fields of fix ave/chunk by the column, or the product of columns a*b, that holds them; also Coord1.
        normalize: whether length and total time are scaled to 1, with their values among the attributes.
    """

    fields: Sequence[str] = ("density",)
    bins: Sequence[int] = DEFAULT_BINS
    axes: Sequence[str] = ("x",)
    bounds: Sequence[Sequence[float]] | None = None
    walls: Sequence[str] | None = None
    species: Mapping[str, Sequence[int | str]] = field(default_factory=dict)
    masses: Mapping[int | str, float] = field(default_factory=dict)
    units: str | None = None
    kernel: str = "histogram"
    flow: str = "y"
    average: int = 1
    timestep: float | None = None
    frame_spacing: float | None = None
    replace_times: bool = False
    repeated: Literal["refuse", "first", "last"] = "refuse"
    box_origin: Sequence[float] | Literal["center"] | None = None
    scale_cells: bool = False
    group: str | None = None
    whole_frames: bool = False
    drop_outside: bool = False
    changing: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    normalize: bool = False

    def __post_init__(self) -> None:
        _check_words(self)
        _check_particles(self)
        _check_axes(self)
        _check_times(self)
        if min(self.bins) < 2 or self.average < 1:
            raise ValueError(f"bins {list(self.bins)}, average {self.average}: expected at least 2 and 1")
        unit_styles.style(self.units)

    @property
    def names(self) -> list[str]:
        """Fields of the trajectory file, each species with its own."""
        return [f"{name}_{species}" if species else name for species in self.species or [""] for name in self.fields]

    @property
    def kinds(self) -> dict[str, tuple[str, ...]]:
        """Types of each species, as words."""
        return {name: tuple(str(kind) for kind in kinds) for name, kinds in self.species.items()}

    @property
    def mass_of(self) -> dict[str, float]:
        """Mass of each type, as a word."""
        return {str(kind): float(mass) for kind, mass in self.masses.items()}

    def plain(self) -> dict[str, Any]:
        """Lists, numbers and words: what stands in the file as provenance."""
        return {key: _plain(value) for key, value in dataclasses.asdict(self).items()}


def check_name(key: str, name: str) -> None:
    """A name of a field, a species or a scalar that every other part can take.

    Raises:
        ValueError: where it has other characters than letters, digits and _.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"{key}: '{name}', expected a name of letters, digits and _, beginning with a letter")


def _check_words(how: Deposit) -> None:
    for name, words, known in (
        ("fields", how.fields, (*definitions.FIELDS, *how.columns)),
        ("axes", how.axes, tuple(AXES)),
        ("walls", how.walls or (), tuple(how.axes)),
        ("flow", [how.flow], tuple(AXES)),
        ("kernel", [how.kernel], tuple(KERNELS)),
        ("repeated", [how.repeated], ("refuse", "first", "last")),
    ):
        if unknown := [word for word in words if word not in known]:
            raise ValueError(f"{name}: {', '.join(unknown)}, expected any of {', '.join(known)}")
        if len(set(words)) < len(words):
            raise ValueError(f"{name}: {', '.join(words)}, expected each once")
    if not how.fields:
        raise ValueError("fields: none, expected at least one")
    for name in how.fields:
        check_name("fields", name)


def _check_particles(how: Deposit) -> None:
    for name, kinds in how.species.items():
        check_name("species", name)
        if not kinds or isinstance(kinds, str):
            raise ValueError(f"species: '{name}' has the types {kinds!r}, expected a list of at least one")
    for kind, mass in how.masses.items():
        if not 0 < mass < math.inf:
            raise ValueError(f"masses: {kind} has the mass {mass}, expected more than 0")
    if "all" in how.masses and len(how.masses) > 1:
        raise ValueError("masses: both 'all' and single types, expected one of them")
    doubled = [name for name in how.names if how.names.count(name) > 1]
    if doubled:
        raise ValueError(f"species: two of them give the field {doubled[0]}, expected other names")


def _check_axes(how: Deposit) -> None:
    count = len(how.axes)
    if not 0 < count == len(how.bins) <= 2:
        raise ValueError(f"axes are {', '.join(how.axes)} with bins {list(how.bins)}, expected one or two of each")
    if how.bounds is not None and (len(how.bounds) != count or {len(pair) for pair in how.bounds} != {2}):
        raise ValueError(
            f"bounds are {how.bounds}, expected a lower and an upper end for each of {', '.join(how.axes)}"
        )
    for low, high in how.bounds or ():
        if not -math.inf < low < high < math.inf:
            raise ValueError(f"bounds: {low:g} to {high:g}, expected the lower end before the upper one")
    if how.bounds is not None and how.scale_cells:
        raise ValueError("scale_cells: given with bounds, expected one of them: cells that scale fill the box")
    if how.box_origin is None or how.box_origin == "center":
        return
    if isinstance(how.box_origin, str) or len(how.box_origin) != count:
        raise ValueError(f"box_origin: {how.box_origin}, expected 'center' or one number for each axis")


def _check_times(how: Deposit) -> None:
    for name, value in (("timestep", how.timestep), ("frame_spacing", how.frame_spacing)):
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"{name} is {value}, expected more than 0")
    if how.timestep is not None and how.frame_spacing is not None:
        raise ValueError("timestep and frame_spacing are both given, expected one of them")
    if how.replace_times and how.timestep is None and how.frame_spacing is None:
        raise ValueError("replace_times: there is nothing to replace them by, expected a timestep or a frame_spacing")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
