"""Gaussian noise in fields, v = u + ε with white ε of variance σ²: its size, and what products owe to it.

The Hermite polynomial He_n(v; σ) = Σ_k (−1)^k n!/(k! (n−2k)! 2^k) σ^{2k} v^{n−2k} has the mean uⁿ, and so products of
them over the fields have that of the monomial. Two monomials at one point then have the covariance
E[He_a(v) He_b(v) − He_{a+b}(v)], which white noise adds to sums of squares at every mode alike (Fuller 1987).
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.operators.bases import Basis
from morlight.operators.grids import share_of_band
from morlight.operators.library import Exponents

SHELLS = 64
SAMPLES = 300  # numbers that the mean of a shell needs
WHITE = 0.5  # ratio of the powers of two shells down to which they count as equal
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
    """σ² of each field: the power of its highest waves, or what differences in time leave of it.

    White noise has one power at all waves. Where any shell of waves has less of it than the highest ones, these hold
    signal, and the noise is no more than in that shell.
    """
    axes, order = len(basis.points), min(DIFFERENCES, u.shape[1] - 1)
    c = basis.forward(u).flatten(-axes)
    scale = basis.energy / basis.freedom * (math.prod(basis.points) / math.prod(basis.length))
    modulus = basis.wavenumbers.square().sum(0).sqrt().flatten()
    inner = share_of_band(basis).flatten() < 1  # without the Nyquist mode
    freedom = basis.freedom.flatten()[inner]
    still = c.abs().square().mean((0, 1))
    rest = c.diff(n=order, dim=1)
    changing = rest.abs().square().mean((0, 1)) / math.comb(2 * order, order)
    shell = (modulus[inner] / modulus[inner].max() * SHELLS).long().clamp_max(SHELLS - 1)
    samples = SAMPLES / (rest.shape[0] * rest.shape[1])
    powers = [_shell_means((p * scale.flatten())[:, inner], shell, freedom, samples) for p in (still, changing)]
    top = torch.minimum(*(_top_mean(p) for p in powers))
    least = powers[1].amin(1)
    return torch.where(least < WHITE * top, least, top).tolist()


def _top_mean(power: Float[Tensor, "C s"]) -> Float[Tensor, " C"]:
    last = power[:, SHELLS * 3 // 4 :]
    return torch.where(last.isfinite(), last, 0).sum(1) / last.isfinite().sum(1).clamp_min(1)


def _shell_means(
    power: Float[Tensor, "C K"], shell: Tensor, freedom: Float[Tensor, " K"], least: float
) -> Float[Tensor, "C s"]:
    """Mean over the modes of each shell; infinite where they are too few."""
    total = torch.zeros(len(power), SHELLS, dtype=power.dtype).index_add(1, shell, power * freedom)
    count = torch.zeros(SHELLS, dtype=power.dtype).index_add(0, shell, freedom)
    enough = count >= min(least, float(count.max()))
    return torch.where(enough, total / count.clamp_min(1), torch.inf)
