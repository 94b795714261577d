"""Results of an evaluation as types, with the layout of `morlight evaluate --json`."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

NEGLIGIBLE = 0.02  # share of an error that makes no difference
UNKNOWN = 0.1  # share of an error that may be noise where its standard error is not known


@dataclass(frozen=True)
class ErrorSummary:
    """An error of every realization; one that is not finite counts as infinite.

    Attributes:
        per_realization: values.
        median: over the realizations.
        min: smallest.
    """

    per_realization: tuple[float, ...]
    median: float
    min: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "ErrorSummary":
        """The summary of some values."""
        known = np.where(np.isfinite(values), values, np.inf)
        return cls(tuple(known.tolist()), float(np.median(known)), float(known.min()))

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return dataclasses.asdict(self) | {"per_realization": list(self.per_realization)}


@dataclass(frozen=True)
class OverLinear:
    """Mean square error over windows, in units of that of the linear model of each mode.

    Attributes:
        horizon: m.
        ratio: of every realization; below 1, the networks are more accurate than the linear model.
        standard_error: of the ratio, from the scatter between trajectories.
    """

    horizon: int
    ratio: ErrorSummary
    standard_error: float

    @property
    def worse(self) -> bool:
        """Whether the linear model is better than the median realization, by more than noise and two percent.

        The noise is not known of a single trajectory, which has no standard error; a tenth is allowed for then.
        """
        return self.ratio.median - 1 > max(2 * self.standard_error or UNKNOWN, NEGLIGIBLE)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"horizon": self.horizon, **self.ratio.to_json(), "standard_error": self.standard_error}


@dataclass(frozen=True)
class Bounded:
    """Which realizations stay near the training data in a long roll-out.

    Attributes:
        steps: length of the roll-out.
        per_realization: whether each stays.
    """

    steps: int
    per_realization: tuple[bool, ...]

    @property
    def count(self) -> int:
        """How many stay."""
        return sum(self.per_realization)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"steps": self.steps, "count": self.count, "per_realization": list(self.per_realization)}


@dataclass(frozen=True)
class AtParameters:
    """Errors at one γ.

    Attributes:
        parameters: γ by name.
        errors: of every realization, by name.
        noise_ceiling: by name; None if there is only one run.
        baselines: errors of models without networks, by model and name.
    """

    parameters: Mapping[str, float]
    errors: Mapping[str, tuple[float, ...]]
    noise_ceiling: Mapping[str, float] | None
    baselines: Mapping[str, Mapping[str, float]]

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return dataclasses.asdict(self) | {"errors": {name: list(values) for name, values in self.errors.items()}}


@dataclass(frozen=True)
class Evaluation:
    """Errors of a model on a trajectory file.

    Attributes:
        checkpoint: path of the model.
        data: path of the trajectory file.
        realizations: R.
        dt: Δt; None without time.
        errors: by name.
        mass_drift: change of the total of each field, of every realization.
        noise_ceiling: error that the exact equation would have, by name; None where it is not known.
        baselines: errors of models without networks, by model and name.
        by_parameters: errors at each γ, for channels.
        bounded: long roll-outs, for channels.
        on_training_data: whether the data are those that the model was trained on, or have them among them.
    """

    checkpoint: str
    data: str
    realizations: int
    dt: float | None
    errors: Mapping[str, ErrorSummary]
    mass_drift: Mapping[str, tuple[float, ...]]
    noise_ceiling: Mapping[str, float] | None = None
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    by_parameters: tuple[AtParameters, ...] = ()
    bounded: Bounded | None = None
    on_training_data: bool = False

    def metrics(self) -> dict[str, float]:
        """Numbers for tracking: NAME/median, NAME/min, NAME/RR, and noise_ceiling/NAME and linear/NAME beside them."""
        numbers: dict[str, float] = {}
        for name, error in self.errors.items():
            numbers |= {f"{name}/median": error.median, f"{name}/min": error.min}
            numbers |= {f"{name}/{r:02d}": value for r, value in enumerate(error.per_realization)}
        numbers |= {f"noise_ceiling/{name}": value for name, value in (self.noise_ceiling or {}).items()}
        return numbers | {f"linear/{name}": value for name, value in self.baselines.get("linear", {}).items()}

    def to_json(self) -> dict[str, Any]:
        """The layout of `morlight evaluate --json`."""
        plain: dict[str, Any] = {
            "checkpoint": self.checkpoint,
            "data": self.data,
            "on_training_data": self.on_training_data,
            "realizations": self.realizations,
            "dt": self.dt,
            "errors": {name: error.to_json() for name, error in self.errors.items()},
            "mass_drift": {name: list(values) for name, values in self.mass_drift.items()},
            "noise_ceiling": None if self.noise_ceiling is None else dict(self.noise_ceiling),
            "baselines": {model: dict(errors) for model, errors in self.baselines.items()},
        }
        if self.bounded is not None:
            plain["by_parameters"] = [each.to_json() for each in self.by_parameters]
            plain["bounded"] = self.bounded.to_json()
        return plain
