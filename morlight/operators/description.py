"""What an operator needs to know of its data: the grid, the time step, and the sizes of the fields and of γ.

A checkpoint stores the plain form (`to_plain`); all other code works with these types.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

Boundary = Literal["PERIODIC", "WALL"]
BOUNDARIES: tuple[Boundary, ...] = ("PERIODIC", "WALL")


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
    def dimensions(self) -> int:
        """D, the number of axes."""
        return len(self.points)

    @property
    def coordinates(self) -> tuple[Float[np.ndarray, " N"], ...]:
        """Centers of the cells, xⱼ = (j + 1/2) h."""
        return tuple((np.arange(N) + 0.5) * length / N for N, length in zip(self.points, self.length, strict=True))

    def with_points(self, points: Sequence[int]) -> "Grid":
        """Another number of cells on the same domain."""
        return dataclasses.replace(self, points=tuple(points))


@dataclass(frozen=True)
class Conditions:
    """Units and conditions of the runs, as far as a trajectory file states them.

    Attributes:
        scales: numbers that are 1 in the file, such as the width of a channel (unit_length).
        units: words for the units of length and time, and of fields by their names.
        runs: what is the same in all runs, such as a force or a temperature, and could be a parameter γ in others.
        particles: number in a run, on which the noise depends; None where it is not stated.
    """

    scales: Mapping[str, float] = dataclasses.field(default_factory=dict)
    units: Mapping[str, str] = dataclasses.field(default_factory=dict)
    runs: Mapping[str, float | str] = dataclasses.field(default_factory=dict)
    particles: float | None = None

    def __bool__(self) -> bool:
        return self != Conditions()


@dataclass(frozen=True)
class FieldStatistics:
    """Sizes of one field over the training data, in its unit.

    Attributes:
        name: of the field.
        low: smallest value.
        high: largest value.
        scale: root mean square; at a typical γ where the size follows γ.
        spread: root mean square deviation from the mean of each trajectory.
        reach: largest absolute value, in units of `scale` at the γ of its trajectory; None in old checkpoints.
        quantiles: of the values, in the middles of equal shares: the gauge of h is fixed where the data are.
        target: root mean square of the target of this field, for an operator without time (Eq. 7).
        powers: a of the size s(γ) = scale ∏_p (γ_p/γ̄_p)^a_p; empty where the size does not follow γ.
    """

    name: str
    low: float
    high: float
    scale: float
    spread: float = 1.0
    reach: float | None = None
    quantiles: tuple[float, ...] = ()
    target: float | None = None
    powers: tuple[float, ...] = ()

    @property
    def median(self) -> float:
        """The middle quantile."""
        return self.quantiles[len(self.quantiles) // 2]

    @property
    def largest(self) -> float:
        """Largest absolute value."""
        return max(abs(self.low), abs(self.high))


@dataclass(frozen=True)
class ParameterStatistics:
    """Values of one parameter γ over the training data.

    Attributes:
        name: of the parameter.
        scale: γ̄, a typical value.
        spread: standard deviation of ln γ where γ enters by its logarithm, else 0.
        low: smallest value; None in old checkpoints.
        high: largest value; None in old checkpoints.
    """

    name: str
    scale: float
    spread: float = 0.0
    low: float | None = None
    high: float | None = None

    @property
    def middle(self) -> float:
        """Middle of the range, or a typical value where the range is not known."""
        return self.scale if self.low is None or self.high is None else (self.low + self.high) / 2


@dataclass(frozen=True)
class DataDescription:
    """The training data as an operator needs to know them.

    Attributes:
        name: of the data set.
        digest: of the file.
        grid: of the fields.
        dt: Δt between frames; 1 where the operator has no time.
        fields: in the order of the channels C.
        parameters: γ, in the order of their columns P.
        targets: names of f in L u = f, for an operator without time (Eq. 7); empty otherwise.
        band: smallest and largest |κ| > 0 at which targets have energy; None where all modes count.
        coarsen: cells of the file that were averaged to one of the grid along each axis.
        parities: 1 or −1 of each field that was averaged with its mirror image x → L − x; empty where none was.
        signal: along each axis, the largest |κ| that carries a signal; None where no operator asked for it.
        conditions: units and conditions of the runs, where the file states them.
    """

    name: str
    digest: str
    grid: Grid
    dt: float
    fields: tuple[FieldStatistics, ...]
    parameters: tuple[ParameterStatistics, ...] = ()
    targets: tuple[str, ...] = ()
    band: tuple[float, float] | None = None
    coarsen: int = 1
    parities: tuple[int, ...] = ()
    signal: tuple[float, ...] | None = None
    conditions: Conditions = Conditions()

    @property
    def field_names(self) -> list[str]:
        """Names of the fields."""
        return [field.name for field in self.fields]

    @property
    def parameter_names(self) -> list[str]:
        """Names of the parameters γ."""
        return [parameter.name for parameter in self.parameters]

    @property
    def steady(self) -> bool:
        """Whether L u = f is learned without time."""
        return bool(self.targets)

    def place(self, field: str) -> int:
        """Place of a field among the channels."""
        return self.field_names.index(field)

    def to_plain(self) -> dict[str, Any]:
        """Numbers, strings, lists and dictionaries of them, as a checkpoint stores them."""
        plain: dict[str, Any] = _lists(dataclasses.asdict(self))
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "DataDescription":
        """The description that `to_plain` gave."""
        grid = {key: tuple(value) for key, value in plain["grid"].items()}
        fields = tuple(FieldStatistics(**_tuples(field)) for field in plain["fields"])
        parameters = tuple(ParameterStatistics(**parameter) for parameter in plain["parameters"])
        conditions = Conditions(**plain.get("conditions", {}))
        typed = ("grid", "fields", "parameters", "conditions")
        rest = _tuples({key: value for key, value in plain.items() if key not in typed})
        return cls(grid=Grid(**grid), fields=fields, parameters=parameters, conditions=conditions, **rest)


def _lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, tuple | list) else value


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
