"""The certificate of stability that a checkpoint carries."""

import copy

from morlight.analysis.checkpoint import Certificate
from morlight.data.sample import TrainingSample
from morlight.operators.description import DataDescription
from morlight.operators.growth import radius, symbol_growth
from morlight.operators.spectral import Operator, SpectralOperator

STATES = 8  # training states at which a system is linearized


def certificate(operator: Operator, data: DataDescription, sample: TrainingSample, *, scalar: bool) -> Certificate:
    """Largest growth of a small disturbance in one explicit step.

    For one field and one term |1 + g h′| over all modes and the range of the training data, else the spectral radius
    of the linearized step at some training states.

    Args:
        operator: R operators.
        data: the training data.
        sample: some of them.
        scalar: whether it is one field with one term and without γ.
    """
    exact = copy.deepcopy(operator).double()
    if scalar and isinstance(exact, SpectralOperator):
        low, high = data.fields[0].low, data.fields[0].high
        return Certificate("symbol", tuple(symbol_growth(exact, low, high).tolist()), low=low, high=high)
    u, gamma = sample.states(STATES)
    device = next(iter(exact.state_dict().values())).device  # components of a user's may have no parameters
    growth = radius(exact, u.double().to(device), gamma.double().to(device))
    return Certificate("radius", tuple(growth.tolist()), states=len(u))
