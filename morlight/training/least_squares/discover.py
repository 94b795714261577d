"""From fields to their equation: noise, band, moments, selection and coefficients in one call."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.analysis.equations.library_term import Term
from morlight.analysis.equations.sum_of_terms import Equation
from morlight.operators.bases import Basis
from morlight.operators.library import Candidate, Fractional, library
from morlight.operators.sum_of_terms import SumOfTerms, enough_substeps
from morlight.operators.units import NO_GAMMA
from morlight.training.least_squares.feature_moments import FeatureMoments, accumulate
from morlight.training.least_squares.fractional import absorbed, select_fractional, with_slopes
from morlight.training.least_squares.integral_form import bumps
from morlight.training.least_squares.refinement import Refined, is_noisy, pieces, refine
from morlight.training.least_squares.selection import Selection, relative_error, select
from morlight.training.least_squares.signal import Signal, prepare

SPANS = (8, 12, 20, 32)  # intervals of a window
NOISY_STEPS, CLEAN_STEPS = 3e-4, 1e-7  # errors of the sub-steps of a refinement
SURE = 2.6  # standard errors that a refined term must be from zero: a probability of 1 %
EXPONENT_STEPS, SETTLED = 8, 0.05  # of fractional exponents, and standard errors of the last one
UNEXPLAINED = 1.5  # mean square of what a refinement may leave, in units of the noise
CLUSTERS = 1000  # modes times blocks that the covariance of the moment conditions rests on


@dataclass(frozen=True)
class Trajectories:
    """Fields of which an equation is sought.

    Attributes:
        u: fields (B, T, C, *X) of B trajectories at T frames.
        times: of the frames, which need not be equidistant.
        basis: Π of the fields.
        fields: their names; u, v, w, … by default.
        parameters: names of γ.
        gamma: γ of each trajectory, (B, P); one row without values by default.
    """

    u: Float[Tensor, "B T C *X"]
    times: Float[Tensor, " t"]
    basis: Basis
    fields: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    gamma: Float[Tensor, "b P"] = NO_GAMMA

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the fields."""
        count = self.u.shape[2]
        return self.fields or (*"uvw", *(f"u{c}" for c in range(3, count)))[:count]

    def double(self) -> "Trajectories":
        """The same in double precision, with a row of γ for each trajectory."""
        gamma = self.gamma.double().expand(len(self.u), -1)
        return replace(self, u=self.u.double(), times=self.times.double(), basis=self.basis.double(), gamma=gamma)

    def extremes(self) -> list[int]:
        """Two trajectories, and those of the least and the largest parameters."""
        ends = torch.cat([self.gamma.argmin(0), self.gamma.argmax(0)]).tolist()
        return sorted({*range(min(2, len(self.u))), *ends})


def discover(
    data: Trajectories, candidates: Sequence[Sequence[Candidate]] | None = None, *,
    fractional: bool = False, refined: bool = True,
) -> Equation:  # fmt: skip
    """The equation ∂ₜu_c = Σ_a θ_a G_a(∇) φ_a(u; γ) that fields obey.

    Args:
        data: fields and parameters.
        candidates: terms to choose from, of each field; all of degree 3 and order 4 by default.
        fractional: whether a fractional power of −Δ may act on each field, with its exponent estimated.
        refined: whether the coefficients are refined through the flow of the equation.

    Raises:
        ValueError: for too few frames, or fields that are not finite or do not change.
    """
    _check(data.u, data.times, data.basis)
    data = data.double()
    signal, v, noise = prepare(data.u, data.basis)
    data = replace(data, u=v, basis=signal.basis)
    terms = candidates or [library(signal.basis, v.shape[2], parameters=len(data.parameters))] * v.shape[2]
    moments = windowed_moments(signal, data, list(itertools.chain(*terms)))
    selections = [select(moments, list(own), field) for field, own in enumerate(terms)]
    if fractional:
        found = zip(selections, terms, strict=True)
        selections = [select_fractional(moments, list(own), c, plain) for c, (plain, own) in enumerate(found)]
    if refined:
        selections = refined_through_flow(signal, data, selections)
        while any(doubtful := [_doubtful(own) for own in selections]):
            kept = [_without(own, terms) for own, terms in zip(selections, doubtful, strict=True)]
            selections = refined_through_flow(signal, data, kept)
    covariance = torch.block_diag(*[own.covariance for own in selections])
    equations = tuple(tuple(_terms(own)) for own in selections)
    return Equation(data.names, equations, noise, parameters=data.parameters, covariance=covariance)


def _doubtful(selection: Selection) -> list[int]:
    """Terms that refinement, which measures them better than the moments that chose them, finds to be zero."""
    errors = selection.covariance.diagonal().clamp_min(0).sqrt()
    return [a for a, (value, sd) in enumerate(zip(selection.theta, errors, strict=True)) if abs(value) < SURE * sd]


def _without(selection: Selection, dropped: Sequence[int]) -> Selection:
    kept = [a for a in range(len(selection.terms)) if a not in dropped]
    terms = [selection.terms[a] for a in kept]
    return replace(selection, terms=terms, theta=selection.theta[kept], covariance=selection.covariance[kept][:, kept])


def windowed_moments(signal: Signal, data: Trajectories, terms: Sequence[Candidate]) -> list[FeatureMoments]:
    """Moments of the features of some terms with windows of several spans."""
    B, T = data.u.shape[:2]
    spans = [span for span in SPANS if span <= max(SPANS[0], (T - 1) // 4)]
    blocks = max(4, math.ceil(CLUSTERS / int(signal.modes.sum())))
    moments = []
    for span in spans:
        independent = max(1, round((T - 1) / (2 * span))) * B
        windows = bumps(data.times, span, stride=max(1, span // 8))
        count = min(blocks, independent)
        moments.append(FeatureMoments(signal, terms, windows, blocks=count, trajectories=B))
    accumulate(moments, data.u, data.gamma)
    return moments


def refined_through_flow(signal: Signal, data: Trajectories, selections: Sequence[Selection]) -> list[Selection]:
    """The same terms with coefficients and fractional exponents of smaller standard errors."""
    if not any(isinstance(term.derivative, Fractional) for own in selections for term in own.terms):
        return _through_flow(signal, data, selections)
    for _ in range(EXPONENT_STEPS):
        found = _through_flow(signal, data, [with_slopes(own) for own in selections])
        selections, shifts = zip(*(absorbed(own) for own in found), strict=True)
        if max(shifts) < SETTLED:
            break
    return list(selections)


def _through_flow(signal: Signal, data: Trajectories, selections: Sequence[Selection]) -> list[Selection]:
    """The same terms with coefficients of smaller standard errors, where refinement yields them."""
    u, times = data.u, data.times
    terms = [own.terms for own in selections]
    theta = torch.cat([own.theta for own in selections])
    if not len(theta):
        return list(selections)
    system = SumOfTerms(signal.basis, terms)
    try:
        interval, frames = float(times.diff().max()), torch.linspace(0, u.shape[1] - 1, 4).long()
        rows = data.extremes()
        c = signal.basis.forward(u[rows][:, frames].flatten(0, 1))[None]
        there = system.at(data.gamma[rows].repeat_interleave(len(frames), 0))
        tolerance = NOISY_STEPS if is_noisy(signal, u) else CLEAN_STEPS
        with torch.no_grad():
            substeps = enough_substeps(there, theta[None], c, interval, tolerance)
        parts = pieces(signal, u, times, data.gamma, copies=len(theta) + 1, substeps=substeps)
        if not parts:
            return list(selections)
        found = refine(system, theta, parts, substeps)
    except ValueError:  # the equation cannot be integrated from these frames, noise in a field that grows for one
        return list(selections)
    noisy = parts[0].shooting
    precise = bool((found.covariance.diagonal() > 0).all()) and math.isfinite(found.residual)
    if not precise or (noisy and found.residual > UNEXPLAINED):
        return list(selections)
    return _replaced(selections, found, always=noisy)


def _replaced(selections: Sequence[Selection], found: Refined, *, always: bool) -> list[Selection]:
    """Of each field the refined coefficients, or those with the smaller errors."""
    kept, first = [], 0
    for own in selections:
        last = first + len(own.terms)
        new = replace(own, theta=found.theta[first:last], covariance=found.covariance[first:last, first:last])
        kept.append(new if always else min(own, new, key=relative_error))
        first = last
    return kept


def _terms(selection: Selection) -> list[Term]:
    errors = selection.covariance.diagonal().sqrt()
    return [
        Term(candidate.derivative, candidate.exponents, float(value), float(error), candidate.powers)
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
