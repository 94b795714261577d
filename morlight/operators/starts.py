"""Changes of random weights that let a fit start well."""

from collections.abc import Sequence

import torch

from morlight.operators.gauge import slopes
from morlight.operators.networks import Perceptrons
from morlight.operators.spectral import Operator, SpectralOperator


def upward(operator: SpectralOperator, values: Sequence[float]) -> None:
    """Turn h over, in place, in the realizations in which it slopes downward over some values of u.

    A random h slopes either way; with a symbol that only damps, one that starts downward has to pass through h = 0,
    where the operator vanishes and may stay. For one field.
    """
    slope = slopes(operator, torch.tensor(values, dtype=operator.scale.dtype)).view(-1, 1, 1)
    network = next(module for module in operator.h.modules() if isinstance(module, Perceptrons))
    with torch.no_grad():
        for parameter in (network.weights[-1], network.offsets[-1]):
            parameter *= torch.where(slope < 0, -1.0, 1.0)


def near_identity(operator: Operator, share: float = 0.1) -> None:
    """Shrink h, in place: an implicit step of a small L has a solution, one of a random L often has none."""
    networks = [
        m for summand in operator.summands() for m in summand.operator.h.modules() if isinstance(m, Perceptrons)
    ]
    with torch.no_grad():
        for network in networks:
            network.weights[-1] *= share
            network.offsets[-1] *= share
