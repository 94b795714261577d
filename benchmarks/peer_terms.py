"""Equations of other libraries: their terms in the form of this one, their errors, and their roll-outs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from morlight.analysis.equations.library_term import Term
from morlight.analysis.equations.sum_of_terms import Equation
from morlight.operators.bases import Basis
from morlight.operators.exponential import Steps
from morlight.operators.library import Candidate, Differential, Exponents, Laplacian, Partial, monomial, symbol
from morlight.operators.sum_of_terms import ACCEPTABLE, INTERVALS, MOST, SumOfTerms

TOLERANCE = 1e-5  # of the sub-steps, relative to the change over an interval


@dataclass(frozen=True)
class Product:
    """φ(u) ∂^p u_c with a monomial φ, a term that is in general no derivative of a product."""

    factor: Exponents
    orders: tuple[int, ...]
    field: int


Terms = Mapping[Candidate, float] | Mapping[Candidate | Product, float]


@dataclass(frozen=True)
class Score:
    """Of the terms of an equation: the largest relative error of a coefficient, and how many are false or missing."""

    coefficient: float
    false: int
    missing: int

    @property
    def rank(self) -> tuple[int, float]:
        """Smaller for a better equation."""
        return self.false + self.missing, self.coefficient


def term(factor: Exponents, orders: tuple[int, ...], exponents: Exponents) -> tuple[Candidate | Product, float]:
    """φ ∂^p ψ as a term of this library where it is one, and the factor of its coefficient: u ∂ₓu = ½ ∂ₓu²."""
    if not any(orders):
        return Candidate(Partial(orders), tuple(a + b for a, b in zip(factor, exponents, strict=True))), 1.0
    if not any(factor):
        return Candidate(Partial(orders), exponents), 1.0
    if sum(orders) == 1 and len(exponents) == 1:
        return Candidate(Partial(orders), (factor[0] + 1,)), 1 / (factor[0] + 1)
    return Product(factor, orders, exponents.index(1)), 1.0


def score(found: Sequence[Terms], truth: Sequence[Terms]) -> Score:
    """Errors of the terms of all fields, with powers of Δ written out along the axes."""
    errors, false, missing = [], 0, 0
    for own, due in zip(map(_along_axes, found), map(_along_axes, truth), strict=True):
        false += len(own.keys() - due.keys())
        missing += len(due.keys() - own.keys())
        errors += [abs(own[key] / due[key] - 1) for key in own.keys() & due.keys()]
    return Score(max(errors, default=math.inf), false, missing)


def _along_axes(terms: Terms) -> dict[Candidate | Product, float]:
    written: dict[Candidate | Product, float] = {}
    for key, value in terms.items():
        if isinstance(key, Candidate) and isinstance(key.derivative, Laplacian):
            for orders, count in _laplacian(key.derivative.power).items():
                written[Candidate(Partial(orders), key.exponents)] = count * value
        else:
            written[key] = value
    return written


def _laplacian(n: int) -> dict[tuple[int, ...], int]:
    """Δⁿ in the plane."""
    return {(2 * (n - k), 2 * k): math.comb(n, k) for k in range(n + 1)}


def rollout(terms: Sequence[Terms], u: Tensor, times: Tensor, basis: Basis) -> Tensor:
    """Fields (B, T, C, *X) of an equation from u (B, C, *X); without any term they stay as they are.

    Raises:
        ValueError: if the equation grows without bound from u.
    """
    if not any(terms):
        return torch.stack([u] * len(times), 1)
    own = [[key for key in field if isinstance(key, Candidate)] for field in terms]
    products = [
        (c, key, value) for c, field in enumerate(terms) for key, value in field.items() if isinstance(key, Product)
    ]
    if not products:
        listed = [tuple(Term(k.derivative, k.exponents, terms[c][k], 0.0) for k in ks) for c, ks in enumerate(own)]
        return Equation(tuple("uvw"[: len(terms)]), tuple(listed)).predict(u, times, basis)
    system = SumOfTerms(basis, own)
    theta = torch.tensor([[terms[c][key] for c, keys in enumerate(own) for key in keys]], dtype=torch.float64)
    return _WithProducts(system, theta.reshape(1, -1), products).rollout(u, times)


class _WithProducts:
    """A right-hand side with further terms φ(u) ∂^p u_c."""

    def __init__(self, system: SumOfTerms, theta: Tensor, products: Sequence[tuple[int, Product, float]]) -> None:
        self.basis, self.products = system.basis, products
        self.others = system.nonlinear(theta)
        self.steps = Steps(system.linear(theta), self._nonlinear)
        kinds: set[Differential] = {Partial(key.orders) for _, key, _ in products}
        self.symbols = {kind: symbol(kind, system.basis) for kind in kinds}

    def _nonlinear(self, c_hat: Tensor) -> Tensor:
        total, u = self.others(c_hat), self.basis.inverse(c_hat)
        for c, key, value in self.products:
            derivative = self.basis.inverse(self.symbols[Partial(key.orders)] * c_hat[:, :, key.field])
            total[:, :, c] += value * self.basis.forward(monomial(key.factor, u, len(self.basis.points)) * derivative)
        return total

    def _flow(self, c: Tensor, intervals: list[float], substeps: int) -> Tensor:
        states = []
        for interval in intervals:
            c = self.steps.advance(c, interval, substeps)
            states.append(c)
        return torch.stack(states, 2)

    def rollout(self, u: Tensor, times: Tensor) -> Tensor:
        """Fields at the times, of which the first is that of u."""
        c, intervals = self.basis.forward(u)[None], times.diff().tolist()
        states = self.basis.inverse(self._flow(c, intervals, self._substeps(c, max(intervals)))[0])
        return torch.cat([u[:, None], states], 1)

    def _substeps(self, c: Tensor, interval: float) -> int:
        substeps, coarse = 1, self._flow(c, [interval] * INTERVALS, 1)
        error = math.inf
        while substeps <= MOST:
            fine = self._flow(c, [interval] * INTERVALS, 2 * substeps)
            error = float((fine - coarse).norm() / (fine - c[:, :, None]).norm())
            if error < TOLERANCE:
                return substeps
            substeps, coarse = 2 * substeps, fine
        if not error < ACCEPTABLE:
            raise ValueError("the equation grows without bound from these states")
        return MOST
