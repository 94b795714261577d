"""The waves that carry signal, and the fields on a grid no finer than those waves need."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from morlight.operators.bases import Basis
from morlight.operators.grids import finer, share_of_band
from morlight.operators.library import periodic_axes

ROUNDING = 1e-10  # power of the strongest shell below which a wave counts as absent
SHELLS = 64


def power(basis: Basis, u: Float[Tensor, "B T C *X"]) -> Float[Tensor, "C *K"]:
    """Mean square of each mode over frames, scaled so that white noise has its variance at every mode."""
    scale = basis.energy / basis.freedom * (math.prod(basis.points) / math.prod(basis.length))
    return basis.forward(u).abs().square().mean((0, 1)) * scale


def signal_band(basis: Basis, u: Float[Tensor, "B T C *X"], variance: Sequence[float]) -> float:
    """Share of the highest wavenumber up to which any field stands above its noise and above rounding."""
    spectrum, share = power(basis, u).flatten(1), share_of_band(basis).flatten()
    shell = (share * SHELLS).long().clamp_max(SHELLS - 1)
    counts = torch.zeros(SHELLS, dtype=spectrum.dtype).index_add(0, shell, basis.freedom.flatten())
    highest = 0.0
    for line, s2 in zip(spectrum, variance, strict=True):
        total = torch.zeros(SHELLS, dtype=line.dtype).index_add(0, shell, line * basis.freedom.flatten())
        mean = total / counts.clamp_min(1)
        above = (mean > 4 * s2) & (mean > ROUNDING * mean.max())
        highest = max(highest, float(above.nonzero().max() + 1) / SHELLS if bool(above.any()) else 1.0)
    return highest


def resampled(basis: Basis, u: Float[Tensor, "*u"], share: float) -> tuple[Basis, Float[Tensor, "*v"]]:
    """The fields on as few points as waves up to a share of the band need, with room for their products.

    White noise stays white, its variance falls with the number of points.
    """
    points = [min(N, _smooth(math.ceil(2 * share * N))) for N in basis.points]
    if tuple(points) == basis.points:
        return basis, u
    coarse = finer(basis, points).to(u)
    c = basis.forward(u) * (math.prod(points) / math.prod(basis.points))
    for place, N, n, periodic in zip(basis.last, basis.points, points, periodic_axes(basis), strict=True):
        c = _truncated(c, place, n, c.shape[place] == N and periodic, coarse)
    return coarse, coarse.inverse(c)


def _truncated(c: Inexact[Tensor, "*c"], place: int, n: int, signed: bool, coarse: Basis) -> Inexact[Tensor, "*k"]:
    kept = coarse.wavenumbers.shape[place]
    if not signed:  # modes in the order of |κ|
        c = c.narrow(place, 0, kept)
    else:
        c = torch.cat([c.narrow(place, 0, n // 2), c.narrow(place, c.shape[place] - n // 2, n // 2)], place)
    if kept == n and not signed:
        return c
    line = torch.ones(kept, dtype=torch.float64)
    line[n // 2] = 0.0  # the Nyquist mode
    return c * line.view(-1, *[1] * (-place - 1))


def _smooth(points: int) -> int:
    """The next even number without prime factors above 5."""
    points = max(8, points + points % 2)
    while True:
        rest = points
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return points
        points += 2
