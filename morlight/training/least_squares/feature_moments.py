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

from morlight.operators.bases import Basis
from morlight.operators.library import Exponents
from morlight.training.least_squares.integral_form import Windows
from morlight.training.least_squares.noise import DIFFERENCES, unbiased_monomial


class FeatureMoments:
    """M(κ) in blocks of windows, with and without the share of the noise.

    Args:
        basis: Π in double precision.
        exponents: the monomials φ_a.
        windows: in time.
        variance: σ² of the noise of each field.
        modes: which modes to keep, (*K).
        blocks: parts of each trajectory's windows that count as independent.
    """

    def __init__(
        self, basis: Basis, exponents: Sequence[Exponents], windows: Windows, *,
        variance: Sequence[float], modes: Tensor, blocks: int,
    ) -> None:  # fmt: skip
        self.basis, self.exponents, self.windows = basis, list(exponents), windows
        self.variance, self.modes, self.axes = list(variance), modes.flatten(), len(basis.points)
        self.parts = torch.arange(len(windows.left)).chunk(blocks)
        self.raw: list[Complex[Tensor, "K Z Z"]] = []
        self.noise: list[Float[Tensor, "Z Z"]] = []
        self.unresolved: Complex[Tensor, "K Z Z"] | float = 0.0

    def count(self) -> float:
        """Number of windows."""
        return float(sum(len(self.parts[i % len(self.parts)]) for i in range(len(self.raw))))

    def effective_windows(self) -> float:
        """Number of independent windows, since white noise is common to those that overlap: tr(C)²/tr(C²)."""
        covariance = self.windows.left @ self.windows.left.T
        trajectories = len(self.raw) / len(self.parts)
        return trajectories * float(covariance.trace() ** 2 / covariance.square().sum())

    def total(self) -> Complex[Tensor, "K Z Z"]:
        """M with the share of the noise, of all blocks."""
        return torch.stack(self.raw).sum(0)

    def add(self, u: Float[Tensor, "B T C *X"]) -> None:
        """Add the windows of some trajectories."""
        for trajectory in u:
            c = self._coefficients(trajectory)
            z = self._tested(c)
            self.unresolved = self.unresolved + self._unresolved(c)
            covariance = self._covariance(trajectory) if any(self.variance) else None
            for part in self.parts:
                rows = z[part]
                self.raw.append(torch.einsum("wak,wbk->kab", rows.conj(), rows))
                size = rows.shape[1]
                none = torch.zeros(size, size, dtype=torch.float64)
                self.noise.append(none if covariance is None else (self._table(part) * covariance).sum(0))

    def corrected(self) -> Complex[Tensor, "b K Z Z"]:
        """M without the share of the noise, of each block."""
        scale = self.basis.freedom / self.basis.energy * (math.prod(self.basis.length) / math.prod(self.basis.points) ** 2)
        return torch.stack(self.raw) - torch.stack(self.noise)[:, None] * scale.flatten()[self.modes, None, None]

    def _coefficients(self, u: Float[Tensor, "T C *X"]) -> Complex[Tensor, "T Z K"]:
        """φ̂_1 … φ̂_Q, û_1 … û_C at every frame."""
        features = [unbiased_monomial(e, u, self.variance, self.axes) for e in self.exponents]
        c = self.basis.forward(torch.cat([torch.stack(features, 1), u], 1))
        return c.flatten(-self.axes)[..., self.modes].to(torch.complex128)

    def _tested(self, c: Complex[Tensor, "T Z K"]) -> Complex[Tensor, "W Z K"]:
        """∫ψφ̂_a dt and −∫ψ̇û_c dt of each window."""
        flat, Q = torch.view_as_real(c), len(self.exponents)
        right = torch.tensordot(self.windows.right, flat[:, :Q], 1)
        return torch.view_as_complex(torch.cat([right, torch.tensordot(self.windows.left, flat[:, Q:], 1)], 1))

    def _unresolved(self, c: Complex[Tensor, "T Z K"]) -> Complex[Tensor, "K Z Z"]:
        """What changes from frame to frame beyond polynomials would add to the sums if it were independent.

        It holds the noise, and what lies too fast for the frames: waves that decay or turn within an interval.
        """
        order = min(DIFFERENCES, len(c) - 2)
        rest = c.diff(n=order, dim=0)
        power = torch.einsum("tak,tbk->kab", rest.conj(), rest) / (math.comb(2 * order, order) * len(rest))
        return power * self._table(torch.arange(len(self.windows.left))).sum(0)

    def _covariance(self, u: Float[Tensor, "T C *X"]) -> Float[Tensor, "T Z Z"]:
        """Unbiased estimates of the covariance of the features and fields at a point, summed over the grid."""
        C = len(self.variance)
        units = [tuple(int(c == d) for d in range(C)) for c in range(C)]
        everything = [*self.exponents, *units]
        values = [unbiased_monomial(e, u, self.variance, self.axes) for e in everything]
        grid = tuple(range(-self.axes, 0))
        total = torch.zeros(len(u), len(everything), len(everything), dtype=torch.float64)
        for a, one in enumerate(everything):
            for b, other in enumerate(everything[: a + 1]):
                both = tuple(n + m for n, m in zip(one, other, strict=True))
                product = unbiased_monomial(both, u, self.variance, self.axes)
                total[:, a, b] = total[:, b, a] = (values[a] * values[b] - product).sum(grid)
        return total

    def _table(self, part: Tensor) -> Float[Tensor, "T Z Z"]:
        """Σ_windows w_a w_b of each frame."""
        Q = len(self.exponents)
        left, right = self.windows.left[part], self.windows.right[part]
        rows = torch.stack([right] * Q + [left] * len(self.variance), -1)
        return torch.einsum("wta,wtb->tab", rows, rows)
