"""Terms −θ (−Δ)^(α/2) u with α estimated: a scan of α, then Newton steps on α by a term of its slope.

With θ' the coefficient of ∂G/∂α = −|κ|^α ln|κ| beside that of G = −|κ|^α, a step is α ← α + θ'/θ; where θ' has
become zero, its standard error over θ is that of α. Moments do not depend on α, so that each α of the scan costs one
selection of terms.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.operators.library import Candidate, Fractional
from morlight.training.least_squares.feature_moments import FeatureMoments
from morlight.training.least_squares.selection import Selection, estimated, is_slope, select

SCAN = (0.5, 1.0, 1.5, 2.5, 3.0, 3.5)  # α to start from
LARGEST = 6.0  # α
APART = 0.03  # of α from 0, 2, 4 and 6, where it is a term without fractions
ROUNDS, STEPS = 2, 12
CONVERGED = 0.02  # standard errors of α


def select_fractional(
    moments: Sequence[FeatureMoments], candidates: Sequence[Candidate], field: int, plain: Selection
) -> Selection:
    """Terms of one field with one fractional power of −Δ among them, if that lowers the criterion.

    Args:
        moments: of all features and fields.
        candidates: the other terms to choose from.
        field: whose rate is explained.
        plain: the terms that are chosen without a fractional power.
    """
    best, limit = plain, plain.criterion - math.log(max(2, plain.clusters))  # α is one more number to estimate
    for start in SCAN:
        found = _from(start, moments, candidates, field)
        if found is not None and found.criterion < limit:
            best, limit = found, found.criterion
    return best


def _from(
    alpha: float, moments: Sequence[FeatureMoments], candidates: Sequence[Candidate], field: int
) -> Selection | None:
    """Terms and α in turns, from one α; None where no fractional power stays."""
    own = tuple(int(c == field) for c in range(len(candidates[0].exponents)))
    for _ in range(ROUNDS):
        term = Candidate(Fractional(alpha), own, (0,) * len(candidates[0].powers))
        found = select(moments, [*candidates, term], field)
        if term not in found.terms:
            return None
        settled, criterion = found, found.criterion
        for _ in range(STEPS):
            settled, shift = absorbed(estimated(moments, with_slopes(settled).terms, field))
            alpha = next(t.derivative.alpha for t in settled.terms if isinstance(t.derivative, Fractional))
            if not APART < alpha < LARGEST or abs(alpha - 2 * round(alpha / 2)) < APART:
                return None
            if shift < CONVERGED:
                break
    return replace(settled, criterion=criterion)


def with_slopes(selection: Selection) -> Selection:
    """The terms, and the slope over α of each fractional one."""
    slopes = [
        replace(term, derivative=Fractional(term.derivative.alpha, slope=True))
        for term in selection.terms if isinstance(term.derivative, Fractional)
    ]  # fmt: skip
    zeros = torch.zeros(len(slopes), dtype=torch.float64)
    known = [
        value * term.derivative.standard_error
        for value, term in zip(selection.theta.tolist(), selection.terms, strict=True)
        if isinstance(term.derivative, Fractional)
    ]
    return replace(
        selection,
        terms=[*selection.terms, *slopes],
        theta=torch.cat([selection.theta, zeros]),
        covariance=torch.block_diag(selection.covariance, torch.diag(zeros.new_tensor(known).square())),
    )


def absorbed(selection: Selection) -> tuple[Selection, float]:
    """The terms with α changed by their slopes, and the largest change in standard errors."""
    kept = [a for a, term in enumerate(selection.terms) if not is_slope(term)]
    terms, largest = [], 0.0
    for a in kept:
        term = selection.terms[a]
        if isinstance(term.derivative, Fractional):
            step, error = _step(selection, a)
            alpha = max(term.derivative.alpha + step, 0.0)
            largest = max(largest, abs(alpha - term.derivative.alpha) / max(error, 1e-12))
            term = replace(term, derivative=Fractional(alpha, standard_error=error))
        terms.append(term)
    covariance = selection.covariance[kept][:, kept]
    return replace(selection, terms=terms, theta=selection.theta[kept], covariance=covariance), largest


def _step(selection: Selection, a: int) -> tuple[float, float]:
    """Change of α of a term, at most one half, and the standard error of α."""
    term = selection.terms[a]
    assert isinstance(term.derivative, Fractional)
    place = selection.terms.index(replace(term, derivative=Fractional(term.derivative.alpha, slope=True)))
    theta: Float[Tensor, " k"] = selection.theta
    ratio = float(theta[place] / theta[a])
    error = float(selection.covariance[place, place].clamp_min(0).sqrt() / theta[a].abs())
    return min(max(ratio, -0.5), 0.5), error
