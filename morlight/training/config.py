"""The options of training, each with its default: the only definition of them."""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from morlight.operators.config import OperatorConfig


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What is minimized over windows (u_j, …, u_{j+m}).

    Args:
        loss: noise measures each mode in units of its own noise; points is the mean square error of Eq. 21.
        horizons: numbers m of steps, one for each stage. The epochs are divided evenly, and the last stage has the
            remainder; with `model.optimizer: moments`, all are used at once.
        steps: which steps up to the horizon M enter the loss: last, only m = M (Eq. 21); all, every step of one
            roll-out; or random, one step for each batch, as in Eq. 34.
        beta: exponent of the weight 1/m^beta of the m-th step (Eq. 34).
        field_weights: unit of the squared errors of each field: std, its deviation from its mean; rms, its root mean
            square; or none.
        smoothness: weight of the curvature of h and, for the dissipative symbol, of ln ρ over ln|κ|, as a fraction of
            the loss. It decreases with the learning rate; with 0, both are free.
    """

    loss: Literal["noise", "points"] = "noise"
    horizons: list[int] = field(default_factory=lambda: [1, 4, 16])
    steps: Literal["last", "all", "random"] = "last"
    beta: float = 1.0
    field_weights: Literal["none", "rms", "std"] = "rms"
    smoothness: float = 0.01

    def __post_init__(self) -> None:
        if not self.horizons or min(self.horizons) < 1:
            raise ValueError(f"model.horizons is {self.horizons}, expected at least one horizon, each at least 1 step")
        if not 0 <= self.smoothness < math.inf:
            raise ValueError(f"model.smoothness is {self.smoothness}, expected 0 or more")
        if not math.isfinite(self.beta):
            raise ValueError(f"model.beta is {self.beta}, expected a finite number")
        if self.steps != "last" and self.loss != "points":
            raise ValueError(f"model.steps is {self.steps}, which needs model.loss points")

    @property
    def longest(self) -> int:
        """The longest horizon."""
        return max(self.horizons)

    def offsets(self, horizon: int) -> tuple[int, ...]:
        """Of the frames of a window with this horizon that enter the loss, 0 first."""
        return (0, horizon) if self.steps == "last" else tuple(range(horizon + 1))


@dataclass(frozen=True, kw_only=True)
class AdamConfig:
    """Gradient descent by Adam (Tables 1 to 3).

    Args:
        lr: initial learning rate.
        decay: let the learning rate fall to 1 % along half a cosine.
        reset: reset the moments of Adam at the start of each stage.
        start: random weights, or linear: the networks are first fitted to the linear model of each mode.
    """

    lr: float = 1e-2
    decay: bool = True
    reset: bool = False
    start: Literal["random", "linear"] = "random"

    def __post_init__(self) -> None:
        if not 0 < self.lr < math.inf:
            raise ValueError(f"model.lr is {self.lr}, expected a number above 0")


@dataclass(frozen=True, kw_only=True)
class LeastSquaresConfig:
    """Least squares on the moments of the data, gathered in one pass.

    Args:
        iterations: maximum number of steps of Levenberg–Marquardt.
        tolerance: the search ends before if the error of no realization falls by this share within 50 steps. Noise is
            part of the error: the more there is of it and of data, the smaller the tolerance has to be for convergence.
    """

    iterations: int = 1000
    tolerance: float = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < 1:
            raise ValueError(f"model.tolerance is {self.tolerance}, expected at least 0 and less than 1")
        if self.iterations < 1:
            raise ValueError(f"model.iterations is {self.iterations}, expected at least 1")


@dataclass(frozen=True, kw_only=True)
class EquationConfig:
    """The sum of terms G(∇) φ(u) that the data justify, instead of networks.

    Args:
        degree: largest total power of the fields in φ.
        derivatives: largest order of G.
        parameter_degree: largest total power of the parameters that may be a factor of a term.
    """

    degree: int = 3
    derivatives: int = 4
    parameter_degree: int = 1

    def __post_init__(self) -> None:
        if self.parameter_degree < 0:
            raise ValueError(f"model.parameter_degree is {self.parameter_degree}, expected at least 0")
        if self.degree < 1 or self.derivatives < 0:
            given = f"{self.degree} and {self.derivatives}"
            raise ValueError(f"model.degree and model.derivatives are {given}, expected at least 1 and 0")


@dataclass(frozen=True, kw_only=True)
class ModelConfig(EquationConfig, LeastSquaresConfig, AdamConfig, LossConfig, OperatorConfig):
    """The group `model` of a configuration: an operator, its loss and the algorithm, in one flat list of keys.

    Args:
        optimizer: adam is gradient descent. With moments, one pass over the data accumulates the moments of the
            increments of one field, and Levenberg–Marquardt fits g and h to them (with horizons above 1, h is nearly
            linear). With equation, the sum of terms G(∇) φ(u) that the fields obey replaces the networks; its
            realizations are draws of the coefficients within their standard errors, and the first is the estimate.
        fluctuations: learn the noise of the steps from the residuals of the fitted operator, for `morlight predict
            --fluctuations`.
    """

    optimizer: Literal["adam", "moments", "equation"] = "adam"
    fluctuations: bool = False

    def __post_init__(self) -> None:
        for part in (OperatorConfig, LossConfig, AdamConfig, LeastSquaresConfig, EquationConfig):
            part.__post_init__(self)
        if self.optimizer == "moments":
            self._check_moments()
        for key, given in (("walls is given", self.walls), ("bases has robin", "robin" in self.bases.values())):
            if given and self.optimizer != "adam":
                raise ValueError(f"model.{key} with model.optimizer {self.optimizer}, expected adam")
        if self.start == "linear" and self.scheme == "exponential":
            raise ValueError("model.start is linear with model.scheme exponential, expected random")

    def _check_moments(self) -> None:
        if self.scheme != "explicit":
            raise ValueError(f"model.scheme is {self.scheme} with model.optimizer moments, expected explicit")
        if self.terms > 1:
            raise ValueError(f"model.terms is {self.terms} with model.optimizer moments, expected 1")
        if self.steps != "last":
            raise ValueError(f"model.steps is {self.steps}, which needs model.optimizer adam")

    @property
    def operator(self) -> OperatorConfig:
        """The operator alone."""
        return _part(self, OperatorConfig)

    @property
    def objective(self) -> LossConfig:
        """The loss alone."""
        return _part(self, LossConfig)

    @property
    def adam(self) -> AdamConfig:
        """Gradient descent alone."""
        return _part(self, AdamConfig)

    @property
    def least_squares(self) -> LeastSquaresConfig:
        """Least squares alone."""
        return _part(self, LeastSquaresConfig)

    @property
    def terms_of_equation(self) -> EquationConfig:
        """The library of terms alone."""
        return _part(self, EquationConfig)

    @property
    def algorithm(self) -> AdamConfig | LeastSquaresConfig | EquationConfig:
        """The one that `optimizer` names."""
        if self.optimizer == "adam":
            return self.adam
        return self.least_squares if self.optimizer == "moments" else self.terms_of_equation


Part = TypeVar("Part")


def _part(config: Any, kind: type[Part]) -> Part:
    return kind(**{each.name: getattr(config, each.name) for each in dataclasses.fields(kind)})  # type: ignore[arg-type]


RENAMED = {  # keys of version 0.1, and what stands in their place
    "model.literal": (
        "model.field_scaling, model.wavenumber_scaling and model.parameter_scaling (false), model.complex_isotropy and"
        " model.odd_jump (true), model.initial_slope (random) and model.field_weights (none)"
    ),
}
