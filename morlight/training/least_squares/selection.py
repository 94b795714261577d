"""Which candidate terms an equation has: best subsets by beam search, their number by an information criterion.

The likeliest subsets of each size are kept, `BEAM` of them, and extended by one term. Among the best of each size the one
with the least extended Bayesian information criterion (Chen and Chen 2008, γ = 1) is chosen,

    EBIC = −2 ln L + k ln n + 2 ln C(P, k),

with k of P candidates and n effective observations. A term then stays only if it differs from zero at a stated size, and
if its share of the rate is larger than what quadrature may owe.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from morlight.operators.library import Candidate
from morlight.training.least_squares.feature_moments import FeatureMoments
from morlight.training.least_squares.normal_equations import (
    Estimates,
    NormalEquations,
    coefficient_covariance,
    normal_equations,
)

BEAM = 24
EXHAUSTIVE = 20_000  # subsets of one size up to which all are tried
CHUNK = 2_000
ROUNDS = 4  # of weights
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
    """

    terms: list[Candidate]
    theta: Float[Tensor, " k"]
    covariance: Float[Tensor, "k k"]
    criterion: list[float]


def select(
    moments: FeatureMoments, candidates: Sequence[Candidate], field: int, *, largest: int = 8
) -> Selection:
    """Terms of one field with coefficients and standard errors.

    Args:
        moments: of all features and fields.
        candidates: terms to choose from.
        field: whose rate is explained.
        largest: number of terms to stop at.
    """
    equations = normal_equations(moments, candidates, field)
    path = best_subsets(equations, min(largest, len(candidates)))
    n, P = float(equations.freedom.sum()), len(candidates)
    criterion = [
        float(found.value[0]) + k * math.log(n) + 2 * math.log(math.comb(P, k)) for k, (_, found) in enumerate(path)
    ]
    chosen = path[min(range(len(path)), key=criterion.__getitem__)][0][0].tolist()
    return _tested(moments, candidates, field, (chosen, equations, criterion))


def best_subsets(equations: NormalEquations, largest: int) -> list[tuple[Int[Tensor, "S k"], Estimates]]:
    """The likeliest subsets of each size 0, 1, …, best first."""
    P = equations.b.shape[1]
    start = equations.first_weights()
    path = [_likeliest(equations, torch.zeros(1, 0, dtype=torch.long), start)]
    for k in range(1, largest + 1):
        if math.comb(P, k) <= EXHAUSTIVE:
            longer = list(itertools.combinations(range(P), k))
        else:
            longer = sorted({tuple(sorted((*s, a))) for s in path[-1][0].tolist() for a in range(P) if a not in s})
        found = _likeliest(equations, torch.tensor(longer), start)
        if not len(found[0]):
            break
        path.append(found)
    return path


def _likeliest(
    equations: NormalEquations, subsets: Int[Tensor, "S k"], weights: Float[Tensor, "1 K"]
) -> tuple[Int[Tensor, "s k"], Estimates]:
    """The best `BEAM` of some subsets, each with its own weights, best first."""
    value = torch.cat([equations.estimates(part, weights, 0).value for part in subsets.split(CHUNK)])
    subsets = subsets[value.argsort()[: 8 * BEAM]]
    found = equations.estimates(subsets, weights, ROUNDS)
    order = found.value.argsort()[:BEAM]
    order = order[found.value[order].isfinite()]
    return subsets[order], Estimates(found.theta[order], found.value[order], found.weights[order])


def _tested(
    moments: FeatureMoments, candidates: Sequence[Candidate], field: int,
    found: tuple[list[int], NormalEquations, list[float]],
) -> Selection:  # fmt: skip
    """Drop the least significant term until each differs from zero."""
    chosen, equations, criterion = found
    rate = equations.s.sum().clamp_min(0).sqrt()
    size = equations.A.diagonal(dim1=1, dim2=2).sum(0).clamp_min(0).sqrt()
    while True:
        subset = torch.tensor([chosen], dtype=torch.long).reshape(1, -1)
        best = equations.estimates(subset, equations.first_weights(), ROUNDS + 2)
        terms, theta, weights = [candidates[i] for i in chosen], best.theta[0], best.weights[0]
        covariance = coefficient_covariance(moments, terms, field, theta=theta, weights=weights)
        t = theta.abs() / covariance.diagonal().clamp_min(1e-300).sqrt()
        p = torch.erfc(t / math.sqrt(2))
        p = torch.where(theta.abs() * size[chosen] < SHARE * rate, 1.0, p)
        if not chosen or float(p.max()) < SIZE / len(candidates):
            return Selection(terms, theta, covariance, criterion)
        chosen = [i for place, i in enumerate(chosen) if place != int(p.argmax())]
