"""The right-hand side ∂ₜu_c = Σ_a θ_a G_a(∇) φ_a(u) with numbers θ, as L û + N̂(û) for an exponential integrator.

Nonlinear diffusion is stiff. Its linear part Σ_a θ_a G_a s_a, with the middle s_a between the smallest and the largest
slope ∂φ_a/∂u_c over the range of the fields, is therefore moved from N to L, which changes nothing but the size of the
steps that are stable. The range grows with the fields: those that grow out of small ones are bounded only then.
"""

import copy
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.operators.bases import Basis
from morlight.operators.exponential import Coefficients, Nonlinear, Steps, dealiasing
from morlight.operators.library import Candidate, Exponents, factor, monomial, symbol


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
        self.factors = [torch.ones(1, dtype=torch.float64)] * len(self.flat)
        self.kept = None if dealias is None else dealiasing(basis, dealias)
        kinds = dict.fromkeys(candidate.derivative for _, candidate in self.flat)
        self.symbols = {kind: symbol(kind, basis) for kind in kinds}
        products = [(a, c, term) for a, (c, term) in enumerate(self.flat) if not _own(term, c) and any(term.exponents)]
        self.products: dict[Exponents, list[tuple[int, int, Candidate]]] = {}
        for a, c, term in products:
            self.products.setdefault(term.exponents, []).append((a, c, term))
        self.products_under_derivatives = [
            (a, c, term) for a, c, term in products if term.exponents[c] and term.derivative.order >= 2
        ]

    def at(self, gamma: Float[Tensor, "b P"]) -> "SumOfTerms":
        """The same terms at the parameters γ of each field of a batch."""
        if not gamma.shape[1]:
            return self
        there = copy.copy(self)
        there.factors = [factor(term.powers, gamma.double()) for _, term in self.flat]
        return there

    def linear(self, theta: Float[Tensor, "R P"]) -> Tensor:
        """L (R, b, C, *K), with b = 1 without parameters."""
        total = self._zeros(theta)
        for a, (c, term) in enumerate(self.flat):
            if _own(term, c):
                total[:, :, c] += self._column(theta, a) * self.symbols[term.derivative]
        return total

    def stiff(self, theta: Float[Tensor, "R P"], low: Float[Tensor, " C"], high: Float[Tensor, " C"]) -> Tensor:
        """Linear part (R, b, C, *K) of the products of fields under derivatives of second order and more."""
        total = self._zeros(theta)
        for a, c, term in self.products_under_derivatives:
            slope = middle_slope(term.exponents, c, low.tolist(), high.tolist())
            total[:, :, c] += slope * self._column(theta, a) * self.symbols[term.derivative]
        return total

    def nonlinear(self, theta: Float[Tensor, "R P"]) -> Nonlinear:
        """û ↦ N̂(û) for coefficients û (R, B, C, *K)."""
        weights = {
            exponents: [(c, self._column(theta, a) * self.symbols[term.derivative]) for a, c, term in members]
            for exponents, members in self.products.items()
        }
        constants = [
            (c, self._column(theta, a)) for a, (c, term) in enumerate(self.flat)
            if not any(term.exponents) and term.derivative.order == 0
        ]  # fmt: skip
        uniform = self.basis.forward(torch.ones(self.basis.points, dtype=torch.float64))

        def apply(c_hat: Coefficients) -> Coefficients:
            total = torch.zeros_like(c_hat)
            for c, value in constants:
                total[:, :, c] += value * uniform
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
        linear, nonlinear = self.linear(theta), self.nonlinear(theta)
        states, low, high = [], torch.tensor(math.inf), torch.tensor(-math.inf)
        steps: Steps | None = None
        for interval in intervals:
            u = self.basis.inverse(c)
            c = self.basis.forward(u)  # without the parts of c that belong to no real field: L alone lets them grow
            least, most = _range(u.detach())
            if steps is None or bool((least < low).any() or (most > high).any()):  # nan is neither
                low, high = torch.minimum(low, least), torch.maximum(high, most)
                steps = self._steps(linear, nonlinear, self.stiff(theta, low, high))
            c = steps.advance(c, interval, substeps)
            states.append(c)
        return torch.stack(states, 2)

    @staticmethod
    def _steps(linear: Tensor, nonlinear: Nonlinear, moved: Tensor) -> Steps:
        return Steps(linear + moved, lambda v: nonlinear(v) - moved * v)

    def _column(self, theta: Float[Tensor, "R P"], a: int) -> Tensor:
        return (theta[:, a, None] * self.factors[a]).unflatten(1, (-1, *[1] * self.axes))

    def _zeros(self, theta: Float[Tensor, "R P"]) -> Tensor:
        kind, b = theta.dtype if self.basis.real else torch.complex128, max((len(f) for f in self.factors), default=1)
        return torch.zeros(len(theta), b, len(self.terms), *self.basis.wavenumbers.shape[1:], dtype=kind)


def _range(u: Float[Tensor, "R B C *X"]) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
    grid = tuple(axis for axis in range(u.ndim) if axis != 2)
    return u.amin(grid), u.amax(grid)


def _own(term: Candidate, field: int) -> bool:
    return term.linear and term.exponents[field] == 1


def middle_slope(exponents: Exponents, field: int, low: Sequence[float], high: Sequence[float]) -> float:
    """Middle between smallest and largest slope of a product over one of its fields, the others at their middles."""
    n = exponents[field]
    ends = [_power(low[field], n - 1), _power(high[field], n - 1)]
    if low[field] < 0 < high[field] and n % 2 and n > 1:
        ends.append(0.0)
    others = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
    rest = math.prod(_power(value, m) for c, (value, m) in enumerate(zip(others, exponents, strict=True)) if c != field)
    return n * rest * (min(ends) + max(ends)) / 2


def _power(value: float, exponent: int) -> float:
    """A power that is infinite where it exceeds all floating-point numbers, as in states that grow without bound."""
    try:
        return value**exponent
    except OverflowError:
        return -math.inf if value < 0 and exponent % 2 else math.inf


MOST = 64  # sub-steps
INTERVALS = 3  # over which steps are compared, so that those that are not stable show
ACCEPTABLE = 1e-3


def enough_substeps(
    system: SumOfTerms, theta: Float[Tensor, "1 P"], c: Coefficients, interval: float, tolerance: float
) -> int:
    """The fewest sub-steps, a power of two, from which twice as many differ by less than the tolerance.

    The difference is relative to the change over the interval. Where 64 of them do not reach the tolerance, as in the
    rounding and aliasing of waves that turn fast, the most precise number is taken, if it is precise to 1e-3.

    Raises:
        ValueError: if it is not.
    """
    errors: dict[int, float] = {}
    substeps, coarse = 1, system.flow(theta, c, intervals=[interval] * INTERVALS, substeps=1)
    while substeps <= MOST:
        fine = system.flow(theta, c, intervals=[interval] * INTERVALS, substeps=2 * substeps)
        change = (fine - c[:, :, None]).abs().square().sum().sqrt()
        error = float((fine - coarse).abs().square().sum().sqrt() / change)
        errors[substeps] = error if math.isfinite(error) else math.inf
        if errors[substeps] < tolerance:
            return substeps
        substeps, coarse = 2 * substeps, fine
    best = min(errors, key=errors.__getitem__)
    if errors[best] > ACCEPTABLE:
        raise ValueError(
            f"{MOST} exponential sub-steps of an interval of {interval:g} leave an error of {errors[best]:.1g} of its "
            f"change; the equation grows without bound from these states, or the frames lie too far apart"
        )
    return best
