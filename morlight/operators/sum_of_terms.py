"""The right-hand side ∂ₜu_c = Σ_a θ_a G_a(∇) φ_a(u) with numbers θ, as L û + N̂(û) for an exponential integrator."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.operators.bases import Basis
from morlight.operators.exponential import Coefficients, Nonlinear, dealiasing, flow
from morlight.operators.library import Candidate, Exponents, monomial, symbol


class SumOfTerms:
    """Σ_a θ_a G_a(∇) φ_a(u) for every field, with the terms that are linear in their own field as the part L.

    Args:
        basis: Π in double precision, shared by the fields.
        terms: of each field its candidates; θ counts them one field after the other.
        dealias: share of the highest wavenumber that is kept in products of fields; None keeps all.
    """

    def __init__(self, basis: Basis, terms: Sequence[Sequence[Candidate]], dealias: float | None = None) -> None:
        self.basis, self.terms, self.axes = basis, [list(own) for own in terms], len(basis.points)
        self.flat = [(c, candidate) for c, own in enumerate(self.terms) for candidate in own]
        self.kept = None if dealias is None else dealiasing(basis, dealias)
        kinds = dict.fromkeys(candidate.derivative for _, candidate in self.flat)
        self.symbols = {kind: symbol(kind, basis) for kind in kinds}
        products = [(a, c, term) for a, (c, term) in enumerate(self.flat) if not _own(term, c) and any(term.exponents)]
        self.products: dict[Exponents, list[tuple[int, int, Candidate]]] = {}
        for a, c, term in products:
            self.products.setdefault(term.exponents, []).append((a, c, term))

    def linear(self, theta: Float[Tensor, "R P"]) -> Tensor:
        """L (R, 1, C, *K)."""
        kind = theta.dtype if self.basis.real else torch.complex128
        total = torch.zeros(len(theta), 1, len(self.terms), *self.basis.wavenumbers.shape[1:], dtype=kind)
        for a, (c, term) in enumerate(self.flat):
            if _own(term, c):
                total[:, 0, c] += self._column(theta, a) * self.symbols[term.derivative]
        return total

    def nonlinear(self, theta: Float[Tensor, "R P"]) -> Nonlinear:
        """û ↦ N̂(û) for coefficients û (R, B, C, *K)."""
        weights = {
            exponents: [
                (c, self._column(theta, a)[:, None] * self.symbols[term.derivative]) for a, c, term in members
            ]
            for exponents, members in self.products.items()
        }
        constants = [
            (c, theta[:, a]) for a, (c, term) in enumerate(self.flat)
            if not any(term.exponents) and term.derivative.order == 0
        ]  # fmt: skip
        uniform = self.basis.forward(torch.ones(self.basis.points, dtype=torch.float64))

        def apply(c_hat: Coefficients) -> Coefficients:
            total = torch.zeros_like(c_hat)
            for c, value in constants:
                total[:, :, c] += value.view(-1, 1, *[1] * self.axes) * uniform
            if not weights:
                return total
            u = self.basis.inverse(c_hat if self.kept is None else c_hat * self.kept)
            for exponents, members in weights.items():
                product = self.basis.forward(monomial(exponents, u, self.axes))
                for c, weight in members:
                    total[:, :, c] += weight * product
            return total if self.kept is None else total * self.kept

        return apply

    def flow(
        self, theta: Float[Tensor, "R P"], c: Coefficients, *, intervals: Sequence[float], substeps: int
    ) -> Tensor:
        """Coefficients (R, B, T, C, *K) at the end of each interval by ETDRK4, from c (R, B, C, *K)."""
        states = flow(self.linear(theta), self.nonlinear(theta), c, intervals=intervals, substeps=substeps)
        return torch.stack(states, 2)

    def _column(self, theta: Float[Tensor, "R P"], a: int) -> Tensor:
        return theta[:, a].view(-1, *[1] * self.axes)


def _own(term: Candidate, field: int) -> bool:
    return term.linear and term.exponents[field] == 1


def enough_substeps(
    system: SumOfTerms, theta: Float[Tensor, "1 P"], c: Coefficients, interval: float, tolerance: float
) -> int:
    """The smallest power of two of sub-steps with which an interval differs by less than the tolerance from twice as many.

    The difference is relative to the change over the interval.

    Raises:
        ValueError: if 256 sub-steps are not enough.
    """
    substeps, coarse = 1, system.flow(theta, c, intervals=[interval], substeps=1)
    while substeps <= 256:
        fine = system.flow(theta, c, intervals=[interval], substeps=2 * substeps)
        error = float((fine - coarse).abs().square().sum().sqrt() / (fine[:, :, 0] - c).abs().square().sum().sqrt())
        if error < tolerance and math.isfinite(error):
            return substeps
        substeps, coarse = 2 * substeps, fine
    raise ValueError(
        f"an interval of {interval:g} needs more than 256 exponential sub-steps for {tolerance:g}; "
        f"the equation grows without bound from these states, or the frames lie too far apart"
    )
