"""The amplitude a(u) of the noise, from residuals whose modes are brought to one size.

Whitened residuals q = Π⁻¹ s⁻¹ Π r have E q² = a²(u) at each point. Their mean in narrow bins of u is fitted by a
function that is linear between knots and not negative, with weights 1/a⁴ as for normal residuals. Its mean over the
data is 1.
"""

from dataclasses import dataclass

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


@dataclass
class Bins:
    """Sums over points with values of u in narrow bins, for each γ and field.

    Attributes:
        edges: of the bins; the outer ones hold everything beyond them as well.
        count: points.
        u: Σ u.
        squares: Σ q².
    """

    edges: Float[Tensor, "G c e"]
    count: Float[Tensor, "G c b"]
    u: Float[Tensor, "G c b"]
    squares: Float[Tensor, "R G c b"]

    @classmethod
    def between(cls, low: Float[Tensor, "G c"], high: Float[Tensor, "G c"], realizations: int) -> "Bins":
        """Empty bins of one width."""
        share = torch.linspace(0, 1, BINS + 1, dtype=torch.float64)[1:-1]
        width = torch.where(high > low, high - low, 1.0)  # of a field that is constant at some γ
        edges = low[..., None] + width[..., None] * share
        empty = torch.zeros(*low.shape, BINS, dtype=torch.float64)
        return cls(edges, empty.clone(), empty.clone(), empty.expand(realizations, *empty.shape).clone())

    def add(self, u: Float[Tensor, "B c X"], squares: Float[Tensor, "R B c X"], gamma: Tensor) -> None:
        """Add the points of some windows."""
        c = u.shape[1]
        edges = self.edges[gamma]
        place = torch.searchsorted(edges, u.contiguous())
        line = (gamma[:, None, None] * c + torch.arange(c)[:, None]) * BINS + place
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


def fitted(bins: Bins, process_share: Float[Tensor, "R G c"]) -> Amplitude:
    """a² of each realization, γ and field; exactly 1 where the data show no other.

    Args:
        bins: sums over the data.
        process_share: share of the noise of the steps in q²; the rest, of the measurement, does not depend on u.
    """
    R, G, c = process_share.shape
    knots, squares = (torch.ones(R, G, c, KNOTS, dtype=torch.float64) for _ in range(2))
    for g in range(G):
        for place in range(c):
            used = bins.count[g, place] > 0
            count, total = bins.count[g, place][used].numpy(), bins.u[g, place][used].numpy()
            edges = bins.edges[g, place]
            line = torch.linspace(float(edges[0]), float(edges[-1]), KNOTS, dtype=torch.float64)
            knots[:, g, place] = line
            for r in range(R):
                mean = bins.squares[r, g, place][used].numpy() / count
                share = float(process_share[r, g, place])
                squares[r, g, place] = torch.from_numpy(_fit(total / count, mean, count, line.numpy(), share))
    return Amplitude(knots, squares)


def _hats(u: Float[np.ndarray, " b"], knots: Float[np.ndarray, " n"]) -> Float[np.ndarray, "b n"]:
    """Functions that are 1 at one knot and 0 at the others, linear between them and beyond."""
    place = np.clip(np.searchsorted(knots, u) - 1, 0, len(knots) - 2)
    share = (u - knots[place]) / (knots[place + 1] - knots[place])
    unit = np.eye(len(knots))
    return (1 - share)[:, None] * unit[place] + share[:, None] * unit[place + 1]


def _fit(
    u: Float[np.ndarray, " b"],
    mean: Float[np.ndarray, " b"],
    count: Float[np.ndarray, " b"],
    knots: Float[np.ndarray, " n"],
    share: float,
) -> Float[np.ndarray, " n"]:
    flat = np.ones(len(knots))
    average = (count * mean).sum() / count.sum()
    mean = mean / average  # modes that are left out have taken their share of q²
    error = np.sqrt(2 / count)
    if share < FLAT or ((mean - 1) ** 2 / error**2).sum() < len(u) + SURE * np.sqrt(2 * len(u)):
        return flat
    hats = _hats(u, knots)
    fit = np.ones(len(u))
    for _ in range(PASSES):
        weight = 1 / (error * np.maximum(fit, 1e-3))
        values, _ = nnls(share * hats * weight[:, None], (mean - (1 - share)) * weight)
        fit = share * hats @ values + 1 - share
    values = values / ((count * (hats @ values)).sum() / count.sum())
    return flat if np.abs(hats @ values - 1).max() < FLAT else values
