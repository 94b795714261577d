"""Gaussian noise in fields, v = u + ε with white ε of variance σ²: its size, and what products owe to it.

The Hermite polynomial He_n(v; σ) = Σ_k (−1)^k n!/(k! (n−2k)! 2^k) σ^{2k} v^{n−2k} has the mean uⁿ, and so products of them
over the fields have that of the monomial. Two monomials at one point then have the covariance
E[He_a(v) He_b(v) − He_{a+b}(v)], which white noise adds to sums of squares at every mode alike (Fuller 1987).
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.operators.bases import Basis
from morlight.operators.library import Exponents
from morlight.training.least_squares.band import share_of_band

DIFFERENCES = 6  # order of the differences in time that leave the noise


def unbiased_power(v: Float[Tensor, "*u"], n: int, variance: float) -> Float[Tensor, "*u"]:
    """He_n(v; σ), whose mean over the noise is uⁿ."""
    before, value = torch.zeros_like(v), torch.ones_like(v)
    for degree in range(n):
        before, value = value, v * value - degree * variance * before
    return value


def unbiased_monomial(
    exponents: Exponents, v: Float[Tensor, "*u"], variance: Sequence[float], axes: int
) -> Float[Tensor, "*v"]:
    """Π_c He_{n_c}(v_c), whose mean is the monomial of the fields without noise."""
    fields = v.unbind(-axes - 1)
    value = torch.ones_like(fields[0])
    for field, n, s2 in zip(fields, exponents, variance, strict=True):
        value = value * unbiased_power(field, n, s2) if n else value
    return value


def noise_variance(basis: Basis, u: Float[Tensor, "B T C *X"]) -> list[float]:
    """σ² of each field: the power in the highest quarter of its modes, or what differences in time leave of it."""
    axes = len(basis.points)
    c = basis.forward(u).flatten(-axes)
    share = share_of_band(basis).flatten()
    top = share >= torch.quantile(share, 0.75)
    top &= share < 1  # without the Nyquist mode
    energy = (basis.energy / math.prod(basis.length) * math.prod(basis.points)).flatten()[top]
    freedom = basis.freedom.flatten()[top].sum()
    chosen = c[..., top]

    def power(values: Tensor) -> Tensor:
        return (values.abs().square() * energy).sum(-1).mean((0, 1)) / freedom

    high = power(chosen)
    if u.shape[1] > 2 * DIFFERENCES:
        differences = chosen.diff(n=DIFFERENCES, dim=1)
        high = torch.minimum(high, power(differences) / math.comb(2 * DIFFERENCES, DIFFERENCES))
    return [float(value) for value in high]
