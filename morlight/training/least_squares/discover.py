"""From fields to their equation: noise, band, moments, selection and coefficients in one call."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.analysis.equations.sum_of_terms import Equation, Term
from morlight.operators.bases import Basis
from morlight.operators.library import Candidate, distinct, library
from morlight.training.least_squares.band import resampled, share_of_band, signal_band
from morlight.training.least_squares.feature_moments import FeatureMoments, accumulate
from morlight.training.least_squares.integral_form import bumps
from morlight.training.least_squares.noise import noise_variance
from morlight.training.least_squares.refinement import Refined, pieces, refine, steps_needed
from morlight.training.least_squares.selection import Selection, relative_error, select

SPANS = (8, 12, 20, 32)  # intervals of a window
NOISY_STEPS, CLEAN_STEPS = 1e-4, 1e-7  # errors of the sub-steps of a refinement
CLUSTERS = 1000  # modes times blocks that the covariance of the moment conditions rests on


@dataclass(frozen=True)
class Prepared:
    """Fields on the grid that their waves need, with the size of their noise there.

    Attributes:
        basis: of the grid.
        u: fields (B, T, C, *X).
        variance: σ² of each field on this grid.
        noise: σ of each field in the data.
        modes: those that carry signal.
    """

    basis: Basis
    u: Float[Tensor, "B T C *X"]
    variance: list[float]
    noise: list[float]
    modes: Tensor


def discover(
    u: Float[Tensor, "B T C *X"], times: Float[Tensor, " T"], basis: Basis, *,
    fields: Sequence[str] = (), candidates: Sequence[Candidate] | None = None, largest: int = 8, refined: bool = True,
) -> Equation:  # fmt: skip
    """The equation ∂ₜu_c = Σ_a θ_a G_a(∇) φ_a(u) that fields obey.

    Args:
        u: fields of B trajectories at T frames.
        times: of the frames, which need not be equidistant.
        basis: Π of the fields.
        fields: their names; u, v, w, … by default.
        candidates: terms to choose from; all of degree 3 and order 4 by default.
        largest: number of terms of a field to stop at.
        refined: whether the coefficients are refined through the flow of the equation.

    Raises:
        ValueError: for too few frames, or fields that are not finite or do not change.
    """
    _check(u, times, basis)
    prepared = prepare(u.double(), basis.double())
    terms = list(candidates) if candidates is not None else library(prepared.basis, u.shape[2])
    moments = windowed_moments(prepared, times.double(), terms)
    selections = [select(moments, terms, field, largest=largest) for field in range(u.shape[2])]
    if refined:
        selections = refined_through_flow(prepared, times.double(), selections)
    names = list(fields) or [*"uvw", *(f"u{c}" for c in range(3, u.shape[2]))][: u.shape[2]]
    return Equation(tuple(names), tuple(tuple(_terms(own)) for own in selections), tuple(prepared.noise))


def prepare(u: Float[Tensor, "B T C *X"], basis: Basis) -> Prepared:
    """Estimate the noise, find the waves that carry signal, and thin the grid to them."""
    variance = noise_variance(basis, u)
    share = signal_band(basis, u, variance)
    coarse, v = resampled(basis, u, share)
    ratio = math.prod(coarse.points) / math.prod(basis.points)
    lowest = min(n / N for n, N in zip(coarse.points, basis.points, strict=True))
    modes = share_of_band(coarse) <= min(1.0, share / lowest)
    noise = [math.sqrt(s2) for s2 in variance]
    return Prepared(coarse, v, [ratio * s2 for s2 in variance], noise, modes)


def windowed_moments(
    prepared: Prepared, times: Float[Tensor, " T"], terms: Sequence[Candidate]
) -> list[FeatureMoments]:
    """Moments of the features of some terms with windows of several spans."""
    B, T = prepared.u.shape[:2]
    spans = [span for span in SPANS if span <= max(SPANS[0], (T - 1) // 4)]
    blocks = max(4, math.ceil(CLUSTERS / int(prepared.modes.sum())))
    exponents = distinct(terms)
    moments = []
    for span in spans:
        independent = max(1, round((T - 1) / (2 * span))) * B
        windows = bumps(times, span, stride=max(1, span // 8))
        moments.append(
            FeatureMoments(
                prepared.basis, exponents, windows, variance=prepared.variance, modes=prepared.modes,
                blocks=min(blocks, independent), trajectories=B,
            )
        )  # fmt: skip
    accumulate(moments, prepared.u)
    return moments


def refined_through_flow(
    prepared: Prepared, times: Float[Tensor, " T"], selections: Sequence[Selection]
) -> list[Selection]:
    """The same terms with coefficients of smaller standard errors, where refinement yields them."""
    terms = [own.terms for own in selections]
    theta = torch.cat([own.theta for own in selections])
    if not len(theta):
        return list(selections)
    noisy = any(prepared.variance)
    try:
        interval, u = float(times.diff().max()), prepared.u
        substeps = steps_needed(terms, theta, prepared.basis, u[:1, 0], interval, NOISY_STEPS if noisy else CLEAN_STEPS)
        parts = pieces(
            prepared.basis, prepared.modes, u, times,
            variance=prepared.variance, copies=len(theta) + 1, substeps=substeps,
        )  # fmt: skip
        if not parts:
            return list(selections)
        found = refine(terms, theta, parts, substeps)
    except ValueError:  # the equation cannot be integrated from these frames, noise in a field that grows for one
        return list(selections)
    return _smaller(selections, found)


def _smaller(selections: Sequence[Selection], found: Refined) -> list[Selection]:
    """Of each field the coefficients with the smaller errors."""
    kept, first = [], 0
    for own in selections:
        last = first + len(own.terms)
        new = replace(own, theta=found.theta[first:last], covariance=found.covariance[first:last, first:last])
        kept.append(min(own, new, key=relative_error))
        first = last
    return kept


def _terms(selection: Selection) -> list[Term]:
    errors = selection.covariance.diagonal().sqrt()
    return [
        Term(candidate.derivative, candidate.exponents, float(value), float(error))
        for candidate, value, error in zip(selection.terms, selection.theta, errors, strict=True)
    ]


def _check(u: Tensor, times: Tensor, basis: Basis) -> None:
    shape = tuple(u.shape)
    if u.ndim != 3 + len(basis.points) or shape[3:] != basis.points or shape[1] != len(times):
        raise ValueError(
            f"fields of shape {shape} with {len(times)} times on a grid of {basis.points}: "
            f"(trajectory, time, field, *grid) is expected"
        )
    if shape[1] <= SPANS[0]:
        raise ValueError(f"{shape[1]} frames: at least {SPANS[0] + 1} are needed to find an equation")
    if not bool(u.isfinite().all()):
        raise ValueError("the fields hold values that are not finite; remove those frames first")
    for field in range(shape[2]):
        if not bool((u[:, 1:, field] != u[:, :-1, field]).any()):
            raise ValueError(f"field {field} does not change in time, so that it has no equation to find")
