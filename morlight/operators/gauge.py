"""Exact algebra on a learned operator: the gauge between g and h, and the generator."""

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from morlight.operators.spectral import SpectralOperator


def slopes(operator: SpectralOperator, values: Float[Tensor, " P"]) -> Float[Tensor, " R"]:
    """Slope of the straight line through h over some values of u, by least squares, for one field.

    L is unchanged under h → h/c, g → c g; the slope is the c that makes h(u) ≈ u, so that symbols compare.
    """
    h = operator.nonlinearity(values.view(1, 1, 1, -1)).flatten(1)
    h = h - h.mean(1, keepdim=True)
    centred = values - values.mean()
    return (h * centred).sum(1) / centred.square().sum()


def generator(increment: Complex[Tensor, "R 1 1 *K"], dt: float) -> Complex[Tensor, "R 1 1 *K"]:
    """Symbol of the continuum generator, log(1 + g(κ))/Δt (Sec. 5, Fig. 6).

    NaN where 1 + g is real and ≤ 0: the state changes sign each step, which no generator of a real equation does.

    Args:
        increment: g(κ), dimensionless.
        dt: Δt, in the time unit of the data.
    """
    factor = 1 + increment
    defined = (factor.real > 0) | (factor.imag.abs() > 1e-12)
    return torch.where(defined, torch.log(factor) / dt, complex(math.nan, 0.0))
