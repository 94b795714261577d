"""Sums over pairs of fields, from which their moments follow, accumulated batch by batch (see `moments`)."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.operators.bases import Basis
from morlight.operators.lstsq import lstsq
from morlight.training.least_squares.moments import Moments
from morlight.training.least_squares.pair_moments import PairMoments

VALUES = 512  # values of u at which h is evaluated
RARE = 1e-6  # share added to all values of u together: it fixes the splines where no data are, at negligible weight


def splines(u: Float[Tensor, "B *X"], low: float, high: float, count: int) -> Float[Tensor, "B count *X"]:
    """Cubic B-splines on equal intervals between low and high, at each u."""
    intervals = count - 3
    position = (u - low) * (intervals / (high - low))
    first = position.floor().clamp(0, intervals - 1)
    w = position - first
    pieces = torch.stack([(1 - w) ** 3, 3 * w**3 - 6 * w**2 + 4, -3 * w**3 + 3 * w**2 + 3 * w + 1, w**3], 1) / 6
    place = first.long()[:, None] + torch.arange(4, device=u.device).view(-1, *[1] * (u.ndim - 1))
    values = u.new_zeros(len(u), count, *u.shape[1:])
    return values.scatter_(1, place, pieces)


class Shape(NamedTuple):
    """Values of u at which h is evaluated, and linear and quadratic forms of h at these values.

    Attributes:
        values: the values of u.
        projection: maps h to its spline coefficients.
        rest: quadratic form that gives the variance of h minus its splines.
        slope: maps h to the slope of the straight line fitted to it.
        slope_of_noise: maps h to its mean slope weighted by u, because the variance of counts is proportional to the
            density.
    """

    values: Float[Tensor, " P"]
    projection: Float[Tensor, "n P"]
    rest: Float[Tensor, "P P"]
    slope: Float[Tensor, " P"]
    slope_of_noise: Float[Tensor, " P"]


class Gatherer:
    """Sums over pairs, accumulated batch by batch.

    Args:
        basis: Π in double precision.
        low: smallest value of u.
        high: largest value of u.
        count: n, number of splines.
        targets: number of targets f for each u.
    """

    def __init__(self, basis: Basis, low: float, high: float, count: int, targets: int = 1) -> None:
        self.basis = basis
        self.low, self.high, self.count = low, high, count
        modes = basis.energy.numel()
        zeros = basis.energy.new_zeros
        self.quadratic = zeros(modes, count, count)
        linear = zeros(targets, modes, count)
        self.linear = linear if basis.real else linear.to(torch.complex128)
        self.energy = zeros(targets, modes)
        self.histogram = zeros(VALUES)
        self.pairs = zeros(())

    def add(self, u: Float[Tensor, "B *X"], targets: Float[Tensor, "H B *X"]) -> None:
        """Add some pairs to the sums."""
        u = u.double()
        phi = self.basis.forward(splines(u, self.low, self.high, self.count)).flatten(2).movedim(2, 0)
        f = self.basis.forward(targets.double()).flatten(2).movedim(2, 1)
        parts = phi if self.basis.real else torch.cat([phi.real, phi.imag], 1)
        self.quadratic.baddbmm_(parts.mT, parts)
        self.linear += (phi.conj().mT @ f[..., None])[..., 0]
        self.energy += f.abs().square().sum(2)
        self.histogram += torch.histc(u, VALUES, self.low, self.high)
        self.pairs += len(u)

    def sums(self) -> list[Tensor]:
        """All sums, to be added over processes in place."""
        return [self.quadratic, self.linear, self.energy, self.histogram, self.pairs]

    @property
    def spectrum(self) -> Float[Tensor, " K"]:
        """Energy of u in each mode; splines represent u exactly."""
        edges = (self.high - self.low) / (self.count - 3)
        a = self.low + edges * (torch.arange(self.count).to(self.quadratic) - 1)  # Σ_a a φ_a(u) = u (Marsden)
        return torch.einsum("kab,a,b->k", self.quadratic, a, a)

    def shape(self) -> Shape:
        """The shape for the values of u that were added."""
        spacing = (self.high - self.low) / VALUES
        values = self.low + spacing * (torch.arange(VALUES).to(self.histogram) + 0.5)
        share = self.histogram / self.histogram.sum() + RARE / VALUES
        phi = splines(values, self.low, self.high, self.count)
        projection = torch.linalg.solve((phi.mT * share) @ phi, phi.mT * share)
        rest = torch.eye(VALUES).to(values) - phi @ projection
        centered = share * (values - (share * values).sum() / share.sum())
        by_density, half = share * values / (share * values).sum(), spacing / 2
        around = [splines(values + step, self.low, self.high, self.count) for step in (-half, half)]
        of_noise = by_density @ ((around[1] - around[0]) / spacing) @ projection
        return Shape(values, projection, (rest.mT * share) @ rest, centered / (centered * values).sum(), of_noise)

    def total(self, weights: Float[Tensor, "H *K"] | None = None) -> Float[Tensor, ""]:
        """Weighted energy of all targets."""
        return (self._weights(weights) * self.energy).sum()

    def _weights(self, weights: Float[Tensor, "H *K"] | None) -> Float[Tensor, "H K"]:
        own = torch.ones_like(self.energy) if weights is None else weights.to(self.energy).flatten(1)
        return self.basis.energy.flatten() * own

    def pair_moments(self, target: int, horizon: int) -> PairMoments:
        """Moments of u and of the later frame whose increment is a target; splines represent u exactly."""
        values = torch.linspace(self.low, self.high, 4 * self.count, dtype=self.energy.dtype, device=self.energy.device)
        phi = splines(values, self.low, self.high, self.count)
        line = lstsq(phi, values[:, None])[:, 0]
        first = (self.quadratic @ line) @ line
        mixed = self.linear[target] @ line.to(self.linear.dtype)
        last = first + 2 * mixed.real + self.energy[target]
        before, product, after = ((x / self.pairs).numpy(force=True) for x in (first, first + mixed, last))
        return PairMoments(before, product, after, float(self.pairs), horizon)

    def moments(
        self,
        weights: Float[Tensor, "H *K"] | None = None,
        aliases: Sequence[tuple[Tensor, Tensor]] | None = None,
        shape: Shape | None = None,
    ) -> list[Moments]:
        """Moments for each target, relative to the energy of all targets.

        Args:
            weights: weight of each mode, such as the inverse variance of its noise; 1 by default.
            aliases: A and C of each target, in units of |û|² (see `shot_noise`); none by default.
            shape: values of u and projections for h; by default those of the pairs that were added.
        """
        basis, own = self.basis, self.shape()
        # the noise of counts in these pairs follows their own density
        shape = own if shape is None else shape._replace(slope_of_noise=own.slope_of_noise)
        w, total = self._weights(weights), self.total(weights)
        # white noise of variance 1 has the same energy in each degree of freedom
        size = math.prod(basis.length) / math.prod(basis.points)
        white = basis.freedom.flatten() * size * self.pairs / total
        counted: list[Tensor | None] = [None] * len(w)
        remembered = list(counted)
        if aliases is not None:
            counted, remembered = (
                [x.to(w.device) * (self.pairs / total) * each for x, each in zip(part, w, strict=True)]
                for part in zip(*aliases, strict=True)
            )
        return [
            Moments(
                basis.wavenumbers.flatten(1),
                *shape,
                (each * self.energy[h]).sum() / total,
                self.quadratic * (each / total)[:, None, None],
                self.linear[h] * (each / total)[:, None],
                white * each / basis.energy.flatten(),
                counted[h],
                remembered[h],
                float(total),
            )
            for h, each in enumerate(w)
        ]
