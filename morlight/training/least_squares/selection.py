"""Which candidate terms an equation has: best subsets by beam search, their number by an information criterion.

Subsets of each size that lower Σ_κ w Q_κ most are kept, `BEAM` of them, and extended by one term. Among the best of each
size the one with the least extended Bayesian information criterion (Chen and Chen 2008, γ = 1) is chosen,

    EBIC = −2 ln L + k ln n + 2 ln C(P, k),

with k of P candidates. Weights w = n_κ/v_κ follow from the chosen terms, and terms from the weights, until they agree.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.operators.library import Candidate
from morlight.training.least_squares.feature_moments import FeatureMoments
from morlight.training.least_squares.normal_equations import ModeEquations, coefficient_covariance, mode_equations

BEAM = 40
SINGULAR = 1e-9  # least eigenvalue of A, scaled by the noisy diagonal, of a subset that the data can tell apart
ROUNDS = 6
SHARE = 1e-3  # of the rate, below which a term cannot be told from the error of quadrature
SIZE = 0.001  # of the test of each coefficient, shared by the candidates (Bonferroni)


@dataclass(frozen=True)
class Selection:
    """Terms of one field.

    Attributes:
        terms: G(∇) φ(u).
        theta: coefficients.
        covariance: of the coefficients.
        criterion: EBIC by number of terms.
        model_error: rms of the misfit without noise over that of the rate.
    """

    terms: list[Candidate]
    theta: Float[Tensor, " k"]
    covariance: Float[Tensor, "k k"]
    criterion: list[float]
    model_error: float


def select(
    moments: FeatureMoments, candidates: Sequence[Candidate], field: int, *,
    signal: Float[Tensor, " K"], largest: int = 8,
) -> Selection:  # fmt: skip
    """Terms of one field with coefficients and standard errors.

    Args:
        moments: of all features and fields.
        candidates: terms to choose from.
        field: whose rate is explained.
        signal: ratio of the power of the field's signal to its noise at each mode.
        largest: number of terms to stop at.
    """
    equations = mode_equations(moments, candidates, field)
    weights = _first_weights(equations, signal)
    chosen: list[int] = []
    for _ in range(ROUNDS):
        path = subsets(equations, weights, min(largest, len(candidates)))
        criterion, (best, theta, v) = _least(equations, path, len(candidates))
        weights = equations.freedom / v / equations.windows
        if best == chosen:
            break
        chosen = best
    return _tested(moments, candidates, field, (chosen, weights, equations, criterion))


def subsets(equations: ModeEquations, weights: Float[Tensor, " K"], largest: int) -> list[list[tuple[int, ...]]]:
    """The best subsets of each size 0, 1, …, best first."""
    A, b, _ = equations.weighted(weights)
    d = equations.scale(weights)
    A, b = A / d[:, None] / d, b / d
    path: list[list[tuple[int, ...]]] = [[()]]
    for _ in range(largest):
        longer = sorted({tuple(sorted((*s, a))) for s in path[-1] for a in range(len(b)) if a not in s})
        index = torch.tensor(longer)
        values, vectors = torch.linalg.eigh(A[index[:, :, None], index[:, None, :]])
        along = (vectors.mT @ b[index][..., None])[..., 0]
        gain = torch.where(values[:, 0] > SINGULAR, (along.square() / values).sum(1), -torch.inf)
        order = gain.argsort(descending=True)[:BEAM]
        kept = [longer[i] for i in order.tolist() if gain[i] > -torch.inf]
        if not kept:
            break
        path.append(kept)
    return path


def coefficients(equations: ModeEquations, weights: Float[Tensor, " K"], chosen: Sequence[int]) -> Float[Tensor, " k"]:
    """θ of some terms, without the attenuation by noise."""
    A, b, _ = equations.weighted(weights)
    d = equations.scale(weights)
    own = torch.tensor(list(chosen), dtype=torch.long)
    A, b, d = A[own][:, own], b[own], d[own]
    return torch.linalg.lstsq(A / d[:, None] / d, (b / d)[:, None]).solution[:, 0] / d


def _first_weights(equations: ModeEquations, signal: Float[Tensor, " K"]) -> Float[Tensor, " K"]:
    """Relative errors alike at all modes that stand well above the noise, the others left out."""
    enough = signal > min(30.0, 0.1 * float(signal.max()))
    return torch.where(enough, equations.freedom / (equations.raw_s + 1e-8 * equations.raw_s.max()), 0)


def _least(
    equations: ModeEquations, path: list[list[tuple[int, ...]]], candidates: int
) -> tuple[list[float], tuple[list[int], Tensor, Tensor]]:
    n = float(equations.freedom.sum())
    criterion, choices = [], []
    for k, best in enumerate(path):
        tried = []
        for subset in best[:5]:
            theta, value, v = _likeliest(equations, subset)
            tried.append((value + k * math.log(n) + 2 * math.log(math.comb(candidates, k)), list(subset), theta, v))
        tried.sort(key=lambda found: found[0])
        criterion.append(tried[0][0])
        choices.append(tried[0][1:])
    return criterion, choices[min(range(len(criterion)), key=criterion.__getitem__)]


def _likeliest(equations: ModeEquations, subset: Sequence[int]) -> tuple[Tensor, float, Tensor]:
    """θ, −2 ln L and v of some terms, with the weights that belong to them."""
    weights = None
    theta = torch.zeros(len(subset), dtype=torch.float64)
    value, v = equations.likelihood(subset, theta)
    for _ in range(4):
        weights = equations.freedom / v / equations.windows
        theta = coefficients(equations, weights, subset) if subset else theta
        value, v = equations.likelihood(subset, theta)
    return theta, value, v


def _tested(
    moments: FeatureMoments, candidates: Sequence[Candidate], field: int,
    found: tuple[list[int], Tensor, ModeEquations, list[float]],
) -> Selection:  # fmt: skip
    """Drop the least significant term until each differs from zero."""
    chosen, weights, equations, criterion = found
    while True:
        terms = [candidates[i] for i in chosen]
        theta = coefficients(equations, weights, chosen) if chosen else torch.zeros(0, dtype=torch.float64)
        covariance = coefficient_covariance(moments, terms, field, theta=theta, weights=weights)
        t = theta.abs() / covariance.diagonal().clamp_min(1e-300).sqrt()
        p = torch.erfc(t / math.sqrt(2))
        share = theta.abs() * equations.scale(weights)[chosen] / (weights * equations.raw_s).sum().sqrt()
        p = torch.where(share < SHARE, 1.0, p)
        if not chosen or float(p.max()) < SIZE / len(candidates):
            break
        chosen = [i for place, i in enumerate(chosen) if place != int(p.argmax())]
    _, corrected = equations.misfits(chosen, theta)
    error = float(((weights * corrected).sum() / (weights * equations.raw_s).sum()).clamp_min(0).sqrt())
    return Selection(terms, theta, covariance, criterion, error)
