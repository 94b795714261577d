"""Variance that the mean step takes from each mode, and the balance of the noise with it (see `noise_diagnostics`).

The variance is E |r̂|² + 2 Re cov(Ŝ, r̂). The mean of Ŝ is that over the other blocks of data: noise moves the later
states, and with their own mean the covariance would be too small.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Inexact, Int
from torch import Tensor

from morlight.operators.bases import Basis
from morlight.operators.noise_diagnostics import KEPT

ABSENT = 1e-6  # of the largest variance: rounding


@dataclass
class MeanSteps:
    """Sums over windows of the mean steps Ŝ(u_j) and the residuals r̂, in each block and at each γ.

    Attributes:
        steps: Σ Ŝ.
        residuals: Σ r̂.
        products: Σ Re Ŝ r̂*.
        squares: Σ |Ŝ|² over all blocks.
    """

    steps: Inexact[Tensor, "R J G K c"]
    residuals: Inexact[Tensor, "R J G K c"]
    products: Float[Tensor, "R J G K c"]
    squares: Float[Tensor, "R G K c"]

    @classmethod
    def empty(cls, like: Inexact[Tensor, "R J G K c"]) -> "MeanSteps":
        """No windows yet; coefficients have the type of `like`."""
        real = torch.zeros(like.shape, dtype=torch.float64)
        return cls(torch.zeros_like(like), torch.zeros_like(like), real, real.sum(1))

    def add(
        self, steps: Inexact[Tensor, "R B K c"], residuals: Inexact[Tensor, "R B K c"], block: Int[Tensor, " B"],
        gamma: Int[Tensor, " B"],
    ) -> None:  # fmt: skip
        """Add windows of some blocks and γ."""
        where = block * self.squares.shape[1] + gamma
        products = (steps * residuals.conj()).real
        for sums, values in ((self.steps, steps), (self.residuals, residuals), (self.products, products)):
            sums.flatten(1, 2).index_add_(1, where, values)
        self.squares.index_add_(1, gamma, steps.abs().square())

    def covariance(self, count: Float[Tensor, "J G"]) -> Float[Tensor, "R G K c"]:
        """Re cov(Ŝ, r̂) of each mode; blocks without windows count nothing."""
        n = count[:, :, None, None]
        mean = (self.steps.sum(1, keepdim=True) - self.steps) / (n.sum(0) - n).clamp_min(1)
        return (self.products - (mean * self.residuals.conj()).real).sum(1) / n.sum(0).clamp_min(1)

    def without(self, block: int) -> "MeanSteps":
        """The sums over the other blocks; the squares remain those of all."""
        others = [place for place in range(self.steps.shape[1]) if place != block]
        return MeanSteps(self.steps[:, others], self.residuals[:, others], self.products[:, others], self.squares)

    def variance(self, count: Float[Tensor, "J G"]) -> Float[Tensor, "R G K c"]:
        """Variance of Ŝ over all windows."""
        n = count.sum(0).clamp_min(1)[:, None, None]
        return self.squares / n - (self.steps.sum(1) / n).abs().square()


@dataclass(frozen=True)
class SlowWaves:
    """Waves that keep half of their variance in a step.

    Attributes:
        weights: degrees of freedom over the variance of the mode, so that variances are relative; 0 for other waves.
    """

    weights: Float[Tensor, "R G K c"]

    @classmethod
    def among(
        cls, variance: Float[Tensor, "G K c"], kept: Float[Tensor, "R G K c"], space: Basis, used: Bool[Tensor, "K c"]
    ) -> "SlowWaves":
        """Those of modes with some variance, and what of it the mean step keeps, among the modes that are used."""
        present = variance > ABSENT * variance.amax(1, keepdim=True)
        wave = (space.wavenumbers != 0).any(0).flatten()[:, None]
        slow = present & used & wave & (kept > KEPT * variance)
        return cls(torch.where(slow, space.freedom.flatten()[:, None] / variance, 0.0))

    def balance(
        self, noise: Float[Tensor, "R G K c"], dissipated: Float[Tensor, "R G K c"]
    ) -> Float[Tensor, "R G c 2"]:
        """Relative noise and relative dissipation in the sum over them."""
        return torch.stack([(each * self.weights).sum(2) for each in (noise, dissipated)], -1)
