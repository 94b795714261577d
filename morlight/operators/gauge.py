"""Exact algebra on a learned operator: the gauge between g and h, the generator, and growth."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float, Inexact
from torch import Tensor

from morlight.operators.lstsq import lstsq
from morlight.operators.spectral import SpectralOperator


class Gauged(NamedTuple):
    """g and h in a gauge in which they compare from one training to the next.

    Attributes:
        symbol: c g(κ) (R, *K).
        nonlinearity: (h(u) − h(0))/c at the values asked for (R, P).
        factor: c (R,).
        linear: b of (h(u) − h(0))/c ≈ bu + uⁿ for n > 1: no gauge, it adds b g(κ) u to the operator (R,).
        constant: c g(0) times h(0)/c: what the shift of h leaves out of L, no gauge either (R,).
    """

    symbol: Inexact[Tensor, "R *K"]
    nonlinearity: Float[Tensor, "R P"]
    factor: Float[Tensor, " R"]
    linear: Float[Tensor, " R"]
    constant: Float[Tensor, " R"]


def fix(operator: SpectralOperator, values: Float[Tensor, " P"], power: int = 1, *, literal: bool = False) -> Gauged:
    """Shift h so that h(0) = 0 and scale it so that h(u) = uⁿ, with the inverse scale on g (Sec. 4).

    L is unchanged under h → h/c, g → c g. The scale is that of least squares of c (bu + uⁿ) over the values;
    literally it is c = h⁽ⁿ⁾(0)/n!, for which one point decides.

    Args:
        operator: of one field and one term.
        values: of u, such as the quantiles of the training data, in its unit.
        power: n, 2 for ∂ₓu² and 1 for ∇²u.
        literal: the paper's scale, by the derivative at u = 0.
    """
    h = _pointwise(operator, values)
    origin = _pointwise(operator, values.new_zeros(1))
    shifted = h - origin
    columns = torch.stack([values**n for n in {1, power}], 1)
    fitted = lstsq(columns, shifted.T.to(columns.dtype))
    factor = derivative_at_zero(operator, power, values) / math.factorial(power) if literal else fitted[-1]
    linear = fitted[0] / factor if power > 1 else torch.zeros_like(factor)
    g = operator.symbol()[:, 0, 0]
    zero = (operator.basis.wavenumbers == 0).all(0)
    at_zero = g[:, zero].real.sum(1) if zero.any() else torch.zeros_like(factor)
    scaled = g * factor.view(-1, *[1] * (g.ndim - 1))
    return Gauged(scaled, shifted / factor[:, None], factor, linear, at_zero * origin[:, 0])


def nearest_power(operator: SpectralOperator, values: Float[Tensor, " P"], highest: int = 3) -> int:
    """The n for which uⁿ is nearest to h − h(0), up to a factor and over all realizations: the gauge to show h in.

    Args:
        operator: of one field and one term.
        values: of u, such as the quantiles of the training data, in its unit.
        highest: n to look at.
    """
    h = _pointwise(operator, values) - _pointwise(operator, values.new_zeros(1))
    powers = torch.stack([values**n for n in range(1, highest + 1)])
    match = (h @ powers.T).square() / powers.square().sum(1) / h.square().sum(1, keepdim=True)
    return int(match.mean(0).argmax()) + 1


def derivative_at_zero(operator: SpectralOperator, power: int, like: Tensor) -> Float[Tensor, " R"]:
    """h⁽ⁿ⁾(0) of each realization, by automatic differentiation."""
    u = torch.zeros(operator.realizations, 1, 1, 1, dtype=like.dtype, device=like.device, requires_grad=True)
    with torch.enable_grad():
        value = operator.nonlinearity(u)
        for _ in range(power):
            (value,) = torch.autograd.grad(value.sum(), u, create_graph=True)
    return value.detach().flatten()


def slopes(operator: SpectralOperator, values: Float[Tensor, " P"]) -> Float[Tensor, "R H"]:
    """Slope of the straight line through every h over some values of u, by least squares, for one field.

    L is unchanged under h → h/c, g → c g; the slope is the c that makes h(u) ≈ u, so that symbols compare.
    """
    h = operator.nonlinearity(values.view(1, 1, 1, -1))[:, 0]
    h = h - h.mean(2, keepdim=True)
    centered = values - values.mean()
    return (h * centered).sum(2) / centered.square().sum()


def generator(increment: Inexact[Tensor, "*g"], dt: float) -> Complex[Tensor, "*g"]:
    """Symbol of the continuum generator, log(1 + g(κ))/Δt (Sec. 5, Fig. 6).

    NaN where 1 + g is real and ≤ 0: the state changes sign each step, which no generator of a real equation does.

    Args:
        increment: g(κ), dimensionless.
        dt: Δt, in the time unit of the data.
    """
    factor = 1 + increment + 0j
    defined = (factor.real > 0) | (factor.imag.abs() > 1e-12)
    return torch.where(defined, torch.log(factor) / dt, complex(math.nan, 0.0))


def _pointwise(operator: SpectralOperator, values: Float[Tensor, " P"]) -> Float[Tensor, "R P"]:
    """h at some values of u, for one field."""
    return operator.nonlinearity(values.view(1, 1, 1, -1)).flatten(1)
