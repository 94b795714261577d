"""The certificate of stability that a checkpoint carries."""

import copy
from typing import Literal

from morlight.analysis.checkpoint import Certificate
from morlight.data.sample import TrainingSample
from morlight.operators.description import DataDescription
from morlight.operators.exponential_scheme import Exponential
from morlight.operators.growth import radius, symbol_growth
from morlight.operators.spectral import Operator, SpectralOperator

STATES = 8  # training states at which a system is linearized


def certificate(
    operator: Operator,
    data: DataDescription,
    sample: TrainingSample,
    *,
    scalar: bool,
    scheme: str | Exponential = "explicit",
) -> Certificate:
    """Largest growth of a small disturbance in one explicit or exponential step.

    For one field and one term that of all modes over the range of the training data, |1 + g h′| of explicit steps, else
    the spectral radius of the linearized step at some training states.

    Args:
        operator: R operators.
        data: the training data.
        sample: some of them.
        scalar: whether it is one field with one term and without γ.
        scheme: explicit, or how exponential steps are made.
    """
    exact = copy.deepcopy(operator).double()
    if scalar and isinstance(exact, SpectralOperator):
        low, high = data.fields[0].low, data.fields[0].high
        method: Literal["symbol", "steps"] = "steps" if isinstance(scheme, Exponential) else "symbol"
        return Certificate(method, tuple(symbol_growth(exact, low, high, scheme).tolist()), low=low, high=high)
    u, gamma = sample.states(STATES)
    device = next(iter(exact.state_dict().values())).device  # components of a user's may have no parameters
    growth = radius(exact, u.double().to(device), gamma.double().to(device), scheme)
    return Certificate("radius", tuple(growth.tolist()), states=len(u))
