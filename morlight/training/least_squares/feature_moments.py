"""Second moments of ∫ψφ̂_a(u) dt and −∫ψ̇û_c dt, mode by mode: all that least squares needs, summed batch by batch.

For each mode κ and block of windows, with z = (∫ψφ̂_1 dt, …, ∫ψφ̂_Q dt, −∫ψ̇û_1 dt, …, −∫ψ̇û_C dt),

    M(κ) = Σ_windows z* zᵀ − (what the noise of the fields adds to it on average).

Symbols G_a(κ) enter afterwards: the same moments serve a free symbol at each mode and any list of derivatives.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from morlight.operators.library import Candidate, Exponents, distinct, factor, products
from morlight.training.least_squares.integral_form import Windows
from morlight.training.least_squares.noise import unbiased_monomial
from morlight.training.least_squares.signal import Signal


class FeatureMoments:
    """M(κ) in blocks of windows, with and without the share of the noise.

    Args:
        signal: grid, noise and modes.
        terms: whose features are φ_a, products of fields and of powers of γ.
        windows: in time.
        blocks: number of blocks in which the windows of all trajectories are counted apart.
        trajectories: how many there are, of which each fills at least one block while there are blocks enough.
    """

    def __init__(
        self, signal: Signal, terms: Sequence[Candidate], windows: Windows, *, blocks: int, trajectories: int
    ) -> None:
        self.basis, self.windows = signal.basis, windows
        self.exponents, self.features = distinct(terms), products(terms)
        self.place = [self.exponents.index(exponents) for exponents, _ in self.features]
        self.variance, self.modes, self.axes = signal.variance, signal.modes.flatten(), len(signal.basis.points)
        self.parts = torch.arange(len(windows.left)).chunk(math.ceil(blocks / trajectories))
        self.groups, self.seen = max(1, min(blocks, trajectories)), 0
        size, Z = int(self.modes.sum()), len(self.features) + len(self.variance)
        count = self.groups * len(self.parts)
        self.raw = torch.zeros(count, size, Z, Z, dtype=torch.complex128)
        self.noise = torch.zeros(count, Z, Z, dtype=torch.float64)

    def count(self) -> float:
        """Number of windows."""
        return float(self.seen * len(self.windows.left))

    def effective_windows(self) -> float:
        """Number of independent windows, since white noise is common to those that overlap: tr(C)²/tr(C²)."""
        covariance = self.windows.left @ self.windows.left.T
        return self.seen * float(covariance.trace() ** 2 / covariance.square().sum())

    def total(self) -> Complex[Tensor, "K Z Z"]:
        """M with the share of the noise, of all blocks."""
        return self.raw.sum(0)

    def corrected(self) -> Complex[Tensor, "b K Z Z"]:
        """M without the share of the noise, of each block."""
        length, points = math.prod(self.basis.length), math.prod(self.basis.points)
        scale = (self.basis.freedom / self.basis.energy * (length / points**2)).flatten()[self.modes]
        return self.raw - self.noise[:, None] * scale[:, None, None]

    def include(
        self, c: Complex[Tensor, "T Z K"], covariance: Float[Tensor, "T Z Z"] | None, gamma: Float[Tensor, "1 P"]
    ) -> None:
        """Add the windows of a trajectory, of which γ, `coefficients` and `covariance` are given."""
        c, covariance = self._at(c, covariance, gamma)
        flat, Q = torch.view_as_real(c), len(self.features)
        right = torch.tensordot(self.windows.right, flat[:, :Q], 1)
        z = torch.view_as_complex(torch.cat([right, torch.tensordot(self.windows.left, flat[:, Q:], 1)], 1))
        first = (self.seen % self.groups) * len(self.parts)
        for block, part in enumerate(self.parts, first):
            rows = z[part].permute(2, 0, 1)
            self.raw[block] += rows.mH @ rows
            if covariance is not None:
                self.noise[block] += (self._table(part) * covariance).sum(0)
        self.seen += 1

    def coefficients(self, u: Float[Tensor, "T C *X"]) -> Complex[Tensor, "T Z K"]:
        """φ̂_1 … φ̂_Q, û_1 … û_C at every frame."""
        features = [unbiased_monomial(e, u, self.variance, self.axes) for e in self.exponents]
        c = self.basis.forward(torch.cat([torch.stack(features, 1), u], 1))
        return c.flatten(-self.axes)[..., self.modes].to(torch.complex128)

    def covariance(self, u: Float[Tensor, "T C *X"]) -> Float[Tensor, "T Z Z"] | None:
        """Unbiased estimates of the covariance of the features and fields at a point, summed over the grid."""
        if not any(self.variance):
            return None
        C = len(self.variance)
        units = [tuple(int(c == d) for d in range(C)) for c in range(C)]
        everything = [*self.exponents, *units]
        monomials: dict[Exponents, Tensor] = {}

        def unbiased(exponents: Exponents) -> Tensor:
            if exponents not in monomials:
                monomials[exponents] = unbiased_monomial(exponents, u, self.variance, self.axes)
            return monomials[exponents]

        grid = tuple(range(-self.axes, 0))
        total = torch.zeros(len(u), len(everything), len(everything), dtype=torch.float64)
        for a, one in enumerate(everything):
            for b, other in enumerate(everything[: a + 1]):
                both = tuple(n + m for n, m in zip(one, other, strict=True))
                total[:, a, b] = total[:, b, a] = (unbiased(one) * unbiased(other) - unbiased(both)).sum(grid)
        return total

    def _at(
        self, c: Complex[Tensor, "T z K"], covariance: Float[Tensor, "T z z"] | None, gamma: Float[Tensor, "1 P"]
    ) -> tuple[Complex[Tensor, "T Z K"], Float[Tensor, "T Z Z"] | None]:
        """The monomials, each times its powers of γ, and the fields themselves."""
        if not gamma.shape[1]:
            return c, covariance
        Q, C = len(self.exponents), len(self.variance)
        place = torch.tensor([*self.place, *range(Q, Q + C)])
        factors = [factor(powers, gamma) for _, powers in self.features]
        f = torch.cat([*factors, gamma.new_ones(C)])
        if covariance is not None:
            covariance = covariance[:, place[:, None], place] * f[:, None] * f
        return c[:, place] * f[:, None], covariance

    def _table(self, part: Tensor) -> Float[Tensor, "T Z Z"]:
        """Σ_windows w_a w_b of each frame."""
        Q = len(self.features)
        left, right = self.windows.left[part], self.windows.right[part]
        rows = torch.stack([right] * Q + [left] * len(self.variance), -1)
        return torch.einsum("wta,wtb->tab", rows, rows)


def accumulate(moments: Sequence[FeatureMoments], u: Float[Tensor, "B T C *X"], gamma: Float[Tensor, "B P"]) -> None:
    """Add trajectories to moments that differ in nothing but their windows."""
    for trajectory, row in zip(u, gamma, strict=True):
        c, covariance = moments[0].coefficients(trajectory), moments[0].covariance(trajectory)
        for one in moments:
            one.include(c, covariance, row[None])
