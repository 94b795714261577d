"""The amplitude a(u) of the noise, from residuals whose modes are brought to one size.

Whitened residuals q = Π⁻¹ s⁻¹ Π r have E q² = a²(u) at each point. Their mean in narrow bins of u is fitted by a
function that is linear between knots and not negative, with weights 1/a⁴ as for normal residuals. Its mean over the
data is 1.
"""

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import nnls
from torch import Tensor

from morlight.operators.amplitudes import Amplitude
from morlight.operators.flux import Flux
from morlight.training.fluctuations.residuals import Moments, Residuals

BINS = 64
KNOTS = 9
PASSES = 5  # of the weights
FLAT = 0.02  # deviation of a² from 1 that counts as none
SURE = 5.0  # standard deviations
HALF = 0.5  # of a point: less is rounding


@dataclass
class Bins:
    """Sums over points with values of u in narrow bins, for each block of data, γ and field.

    Attributes:
        edges: of the bins; the outer ones hold everything beyond them as well.
        count: points.
        u: Σ u.
        squares: Σ q².
    """

    edges: Float[Tensor, "G c e"]
    count: Float[Tensor, "J G c b"]
    u: Float[Tensor, "J G c b"]
    squares: Float[Tensor, "R J G c b"]

    @classmethod
    def between(cls, low: Float[Tensor, "G c"], high: Float[Tensor, "G c"], realizations: int, blocks: int) -> "Bins":
        """Empty bins of one width."""
        share = torch.linspace(0, 1, BINS + 1, dtype=torch.float64)[1:-1]
        width = torch.where(high > low, high - low, 1.0)  # of a field that is constant at some γ
        edges = low[..., None] + width[..., None] * share
        empty = torch.zeros(blocks, *low.shape, BINS, dtype=torch.float64)
        return cls(edges, empty.clone(), empty.clone(), empty.expand(realizations, *empty.shape).clone())

    def add(self, some: Residuals, u: Float[Tensor, "B c X"], squares: Float[Tensor, "R B c X"]) -> None:
        """Add the points of some windows."""
        G, c = self.edges.shape[:2]
        place = torch.searchsorted(self.edges[some.gamma], u.contiguous())
        where = some.block * G + some.gamma
        line = (where[:, None, None] * c + torch.arange(c)[:, None]) * BINS + place
        flat = line.flatten()
        self.count.view(-1).index_add_(0, flat, torch.ones_like(flat, dtype=torch.float64))
        self.u.view(-1).index_add_(0, flat, u.flatten())
        for sums, values in zip(self.squares, squares, strict=True):
            sums.view(-1).index_add_(0, flat, values.flatten())


def whitened_squares(
    moments: Moments, inverse: Tensor, flux: Flux | None, conserved: Tensor, some: Residuals
) -> Float[Tensor, "R B c X"]:
    """q² at each point, of conserved fields Σ_d q_d² of the flux."""
    c = moments.coefficients(some.r[0])  # (R, B, c, K)
    white = torch.einsum("rbkij,rbjk->rbik", inverse[:, some.gamma], c)
    axes = len(moments.space.points)
    from_white = (white * white_scale(moments)).unflatten(-1, moments.space.energy.shape)
    squares = moments.space.inverse(from_white).square().flatten(-axes)
    if flux is None:
        return squares
    through = flux.adjoint(from_white).square().sum(-1 - axes).flatten(-axes)
    return torch.where(conserved.view(-1, 1), through, squares)


def white_scale(moments: Moments) -> Float[Tensor, " K"]:
    """√E|c|² of white noise of variance 1 in each cell."""
    space = moments.space
    cell = float(np.prod(space.length) / np.prod(space.points))
    return (space.freedom / space.energy * cell).sqrt().flatten()


class _Means(NamedTuple):
    """Numbers of points in the bins that have any, and the means of u and q² there."""

    points: Float[np.ndarray, " b"]
    u: Float[np.ndarray, " b"]
    squares: Float[np.ndarray, " b"]

    @classmethod
    def of(cls, bins: Bins, place: tuple[int, int, int], without: int | None = None) -> "_Means":
        """Of a realization, γ and field, from all data or without a block; q² in units of its mean."""
        r, g, c = place
        each = [sums.numpy() for sums in (bins.count[:, g, c], bins.u[:, g, c], bins.squares[r, :, g, c])]
        points, u, squares = (one.sum(0) if without is None else one.sum(0) - one[without] for one in each)
        used = points > HALF
        points, u, squares = points[used], u[used], squares[used]
        return cls(points, u / points, squares / points * (points.sum() / squares.sum()))


def fitted(bins: Bins, process_share: Float[Tensor, "R G c"]) -> tuple[Amplitude, Float[Tensor, "R G J c n"]]:
    """a² of each realization, γ and field, exactly 1 where the data show no other; and a² without each block.

    Args:
        bins: sums over the data.
        process_share: share of the noise of the steps in q²; the rest, of the measurement, does not depend on u.
    """
    R, G, c = process_share.shape
    knots, squares = (torch.ones(R, G, c, KNOTS, dtype=torch.float64) for _ in range(2))
    without = torch.ones(R, G, len(bins.count), c, KNOTS, dtype=torch.float64)
    for place in itertools.product(range(R), range(G), range(c)):
        r, g, field = place
        edges, share = bins.edges[g, field], float(process_share[place])
        line = torch.linspace(float(edges[0]), float(edges[-1]), KNOTS, dtype=torch.float64)
        knots[place] = line
        means = _Means.of(bins, place)
        if _flat(means, share):
            continue
        squares[place] = _curve(means, line.numpy(), share)
        if (squares[place] == 1).all():
            continue
        counts = bins.count[:, g, field]
        without[r, g, :, field] = squares[place]
        for block in range(len(counts)):
            if bool((counts.sum(0) - counts[block] > HALF).any()):  # not all data of this γ
                without[r, g, block, field] = _curve(_Means.of(bins, place, block), line.numpy(), share)
    return Amplitude(knots, squares), without


def _hats(u: Float[np.ndarray, " b"], knots: Float[np.ndarray, " n"]) -> Float[np.ndarray, "b n"]:
    """Functions that are 1 at one knot and 0 at the others, linear between them and beyond."""
    place = np.clip(np.searchsorted(knots, u) - 1, 0, len(knots) - 2)
    share = (u - knots[place]) / (knots[place + 1] - knots[place])
    unit = np.eye(len(knots))
    return (1 - share)[:, None] * unit[place] + share[:, None] * unit[place + 1]


def _flat(means: _Means, share: float) -> bool:
    """Whether the noise of the steps is too small, or the data show no dependence on u."""
    chi = ((means.squares - 1) ** 2 * means.points / 2).sum()
    bins = len(means.u)
    return share < FLAT or bool(chi < bins + SURE * math.sqrt(2 * bins))


def _curve(means: _Means, knots: Float[np.ndarray, " n"], share: float) -> Float[Tensor, " n"]:
    """a² at the knots, of mean 1 over the data; exactly 1 where it hardly differs."""
    error, hats = np.sqrt(2 / means.points), _hats(means.u, knots)
    fit = np.ones(len(means.u))
    for _ in range(PASSES):
        weight = 1 / (error * np.maximum(fit, 1e-3))
        values, _ = nnls(share * hats * weight[:, None], (means.squares - (1 - share)) * weight)
        fit = share * hats @ values + 1 - share
    values = values / ((means.points * (hats @ values)).sum() / means.points.sum())
    return torch.from_numpy(np.ones(len(knots)) if np.abs(hats @ values - 1).max() < FLAT else values)
