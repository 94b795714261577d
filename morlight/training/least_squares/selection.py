"""Which candidate terms an equation has: best subsets, their number by an information criterion.

For the true k of P candidates the moment conditions have J = min_θ gᵀΩ⁻¹g ~ χ² with P − k degrees of freedom (Hansen
1982). Subsets of each size with the least J are kept, all being tried while they are few, and otherwise those that
extend the best ones by one term. The extended Bayesian criterion (Andrews and Lu 1999; Chen and Chen 2008 with γ = 1)

    J + k ln n + 2 ln C(P, k)

decides on k, with n independent terms in Ω. Ω and the weights belong to a model themselves, first to that without
terms, then to the one just chosen, until it stays. A term is kept at last only if it differs from zero at a stated
size, and if its share of the rate is larger than what quadrature may owe.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from morlight.operators.library import Candidate, Fractional
from morlight.training.least_squares.feature_moments import FeatureMoments
from morlight.training.least_squares.normal_equations import Conditions, NormalEquations

BEAM = 50
EXHAUSTIVE = 2_000  # subsets of one size up to which all are tried
STRONG = (1e-2, 1e-4)  # floors of the first weights
ROUNDS = 12
SHARE = 1e-3  # of the rate, below which a term cannot be told from the error of quadrature
SIZE = 0.001  # of the test of each coefficient, shared by the candidates (Bonferroni)
EVIDENCE = 6.0  # difference of the criterion from which it is strong (Kass and Raftery 1995)
SINGULAR = 1e-13  # share of a term that the others of a subset must leave


@dataclass(frozen=True)
class Selection:
    """Terms of one field.

    Attributes:
        terms: G(∇) φ(u).
        theta: coefficients.
        covariance: of the coefficients.
        criterion: where it is worst.
        misfit: J of the chosen terms.
        degrees: of freedom of J.
        clusters: number of independent terms in Ω.
    """

    terms: list[Candidate]
    theta: Float[Tensor, " k"]
    covariance: Float[Tensor, "k k"]
    criterion: float
    misfit: float
    degrees: int
    clusters: int


def select(
    moments: Sequence[FeatureMoments], candidates: Sequence[Candidate], field: int, *, largest: int = 8
) -> Selection:
    """Terms of one field with coefficients and standard errors.

    Args:
        moments: of all features and fields, with windows of one or several spans.
        candidates: terms to choose from.
        field: whose rate is explained.
        largest: number of terms to stop at.
    """
    spans = [NormalEquations(part, candidates, field) for part in moments]
    models: dict[tuple[int, ...], Float[Tensor, " P"]] = {}
    for equations in spans:
        for floor, noise_alone in itertools.product((*STRONG, None), (False, True)):
            chosen, theta = _settled(equations, largest, floor, noise_alone)
            models[tuple(chosen)] = theta
    chosen, theta, criterion = _agreed(spans, models)
    found = [_tested(equations, candidates, (chosen, theta, criterion)) for equations in spans]
    return min(found, key=relative_error)


def estimated(moments: Sequence[FeatureMoments], terms: Sequence[Candidate], field: int) -> Selection:
    """Coefficients and standard errors of given terms of one field."""
    everything, found = list(range(len(terms))), []
    for part in moments:
        equations = NormalEquations(part, terms, field)
        full, weights = torch.zeros(len(terms), dtype=torch.float64), equations.first_weights(STRONG[0])
        for _ in range(ROUNDS):
            conditions = equations.conditions(full, weights)
            full = _estimate(conditions, everything)
            weights = equations.weights(full)
        covariance = torch.linalg.pinv(conditions.matrix, rcond=1e-15, hermitian=True)
        J, n = conditions.square - float(conditions.vector @ full), conditions.clusters
        found.append(Selection(list(terms), full, covariance, math.nan, J, 0, n))
    return min(found, key=relative_error)


def relative_error(selection: Selection) -> float:
    """Largest standard error over its coefficient; infinite where fewer terms passed the test than were chosen.

    The coefficient of a slope over an exponent is zero where the exponent is right, and does not count.
    """
    errors = selection.covariance.diagonal().clamp_min(0).sqrt() / selection.theta.abs()
    return max(
        (float(e) for e, term in zip(errors, selection.terms, strict=True) if not is_slope(term)), default=math.inf
    )


def is_slope(term: Candidate) -> bool:
    """Whether a term is the slope of a fractional one over its exponent."""
    return isinstance(term.derivative, Fractional) and term.derivative.slope


def _settled(
    equations: NormalEquations, largest: int, floor: float | None, noise_alone: bool
) -> tuple[list[int], Float[Tensor, " P"]]:
    """The model that is the best one by its own Ω and weights.

    Args:
        equations: of one field.
        largest: number of terms to stop at.
        floor: of the first weights; None starts with the Ω of white noise alone.
        noise_alone: whether later weights are those of white noise alone.
    """
    theta = torch.zeros(equations.candidates, dtype=torch.float64)
    weights = equations.first_weights(floor or 0.0)
    before: list[int] = []
    for round_ in range(ROUNDS):
        first = floor is None and not round_
        conditions = equations.of_noise(theta) if first else equations.conditions(theta, weights)
        chosen = _least(conditions, best_subsets(conditions, largest))
        theta = _estimate(conditions, chosen)
        if chosen == before:
            break
        weights, before = equations.weights(theta, noise_alone=noise_alone), chosen
    return chosen, theta


def _agreed(
    spans: Sequence[NormalEquations], models: dict[tuple[int, ...], Float[Tensor, " P"]]
) -> tuple[list[int], Float[Tensor, " P"], float]:
    """The model with the least criterion by those spans, Ω and weights by which it is worst.

    Among models whose criteria differ by less than strong evidence, it is the one with the fewest terms.

    A wrong model may settle on the few waves that it fits; by the weights of the true one it fails, while the true one
    passes by the weights of both.
    """
    metrics, estimates = [], {}
    for equations in spans:
        for chosen, theta in models.items():
            full = theta
            for _ in range(3):
                conditions = equations.conditions(full, equations.weights(full))
                full = _estimate(conditions, list(chosen))
            metrics.append(conditions)
            estimates[chosen] = full
    worst = {chosen: max(_criterion(conditions, list(chosen)) for conditions in metrics) for chosen in models}
    least = min(worst.values())
    best = min((len(chosen), worst[chosen], chosen) for chosen in worst if worst[chosen] <= least + EVIDENCE)[2]
    return list(best), estimates[best], worst[best]


def _criterion(conditions: Conditions, chosen: list[int]) -> float:
    gain = float(solve(conditions, torch.tensor([chosen], dtype=torch.long).reshape(1, -1))[1][0])
    return conditions.square - gain + _penalty(len(chosen), len(conditions.vector), conditions.clusters)


def _least(conditions: Conditions, path: list[tuple[list[int], float]]) -> list[int]:
    P, n = len(conditions.vector), conditions.clusters
    criterion = [J + _penalty(k, P, n) for k, (_, J) in enumerate(path)]
    return path[min(range(len(path)), key=criterion.__getitem__)][0]


def _estimate(conditions: Conditions, chosen: list[int]) -> Float[Tensor, " P"]:
    subset = torch.tensor([chosen], dtype=torch.long).reshape(1, -1)
    return _spread(solve(conditions, subset)[0][0], chosen, len(conditions.vector))


def best_subsets(conditions: Conditions, largest: int) -> list[tuple[list[int], float]]:
    """The best subset of each size 0, 1, … with its J."""
    P = len(conditions.vector)
    kept = torch.zeros(1, 0, dtype=torch.long)
    path = [(kept[0].tolist(), conditions.square)]
    for k in range(1, min(largest, P) + 1):
        if math.comb(P, k) <= EXHAUSTIVE:
            subsets = torch.tensor(list(itertools.combinations(range(P), k)))
        else:
            longer = {tuple(sorted((*s, a))) for s in kept.tolist() for a in range(P) if a not in s}
            subsets = torch.tensor(sorted(longer))
        gain = solve(conditions, subsets)[1]
        order = gain.argsort(descending=True)[:BEAM]
        kept = subsets[order[gain[order] >= 0]]
        if not len(kept):
            break
        path.append((kept[0].tolist(), max(0.0, conditions.square - float(gain[order[0]]))))
    return path


def solve(conditions: Conditions, subsets: Int[Tensor, "S k"]) -> tuple[Float[Tensor, "S k"], Float[Tensor, " S"]]:
    """θ of each subset, and by how much it lowers J; −1 where the data cannot tell its terms apart."""
    d = conditions.matrix.diagonal().clamp_min(1e-300).sqrt()
    M, v = (conditions.matrix / d[:, None] / d), conditions.vector / d
    factor, info = torch.linalg.cholesky_ex(M[subsets[:, :, None], subsets[:, None, :]])
    along = torch.linalg.solve_triangular(factor, v[subsets][..., None], upper=False)
    theta = torch.linalg.solve_triangular(factor.mT, along, upper=True)[..., 0] / d[subsets]
    distinct = (info == 0) & (factor.diagonal(dim1=1, dim2=2).square() > SINGULAR).all(1)
    return theta, torch.where(distinct, along.square().sum((1, 2)), -1.0)


def _penalty(k: int, P: int, n: int) -> float:
    return k * math.log(n) + 2 * math.log(math.comb(P, k))


def _spread(theta: Float[Tensor, " k"], chosen: Sequence[int], P: int) -> Float[Tensor, " P"]:
    full = torch.zeros(P, dtype=torch.float64)
    full[list(chosen)] = theta
    return full


def _tested(
    equations: NormalEquations, candidates: Sequence[Candidate], found: tuple[list[int], Tensor, float]
) -> Selection:
    """Drop the least significant term until each differs from zero."""
    chosen, full, criterion = found
    P = len(candidates)
    while True:
        subset = torch.tensor([chosen], dtype=torch.long).reshape(1, -1)
        for _ in range(3):
            conditions = equations.conditions(full, equations.weights(full))
            theta, gain = solve(conditions, subset)
            full = _spread(theta[0], chosen, P)
        covariance = torch.linalg.pinv(conditions.matrix[chosen][:, chosen], rcond=1e-15, hermitian=True)
        t = theta[0].abs() / covariance.diagonal().clamp_min(1e-300).sqrt()
        p = torch.where(equations.share(full)[chosen] < SHARE, 1.0, torch.erfc(t / math.sqrt(2)))
        if not chosen or float(p.max()) < SIZE / P:
            J = conditions.square - float(gain[0])
            terms, n = [candidates[i] for i in chosen], conditions.clusters
            return Selection(terms, theta[0], covariance, criterion, J, P - len(chosen), n)
        drop = int(p.argmax())
        chosen = [i for place, i in enumerate(chosen) if place != drop]
        full = _spread(torch.cat([theta[0][:drop], theta[0][drop + 1 :]]), chosen, P)
