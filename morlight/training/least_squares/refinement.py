"""Coefficients refined by Gauss–Newton through the equation's own flow: multiple shooting over segments of frames.

Every segment starts from a state of its own and is integrated by ETDRK4 with sub-steps over its frames. Minimized is

    Σ_segments Σ_frames |û(t_i; θ, û₀) − v̂(t_i)|²/σ²,

over θ, and with noise in the data over the initial states û₀ as well, which are eliminated segment by segment (a Schur
complement): with white Gaussian noise that is maximum likelihood. Sensitivities are those of perturbed copies.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.operators.bases import Basis
from morlight.operators.grids import share_of_band
from morlight.operators.sum_of_terms import SumOfTerms
from morlight.training.least_squares.signal import Signal

ITERATIONS = 10
CONVERGED = 0.02  # standard errors of the last step
HALVINGS = 5
PERTURBATION = 1e-6  # of finite differences
RIDGE = 1e-9  # for numbers that stand for nothing, such as the imaginary part of a mean
UNKNOWNS = 400  # numbers of an initial state up to which it is estimated
EVALUATIONS, CLEAN_EVALUATIONS = 3e8, 4e7  # points at which the right-hand side may be evaluated in one iteration
NOISY, CLEAN = 40, 4  # frames of a segment
WIDER = 1.4  # band of the initial states over that of the signal
NOISE = 1e-4  # of the rms of a field, below which its noise is left in the initial states


@dataclass(frozen=True)
class Segments:
    """Pieces of trajectories of one set of intervals, in the modes that carry signal.

    Attributes:
        basis: Π.
        modes: which are compared, (*K).
        initial: coefficients at the first frames (S, C, *K).
        following: at the frames after them (S, m, C, *K).
        intervals: between the frames.
        sigma: σ of each field.
        gamma: parameters of each piece (S, P).
        shooting: whether the initial states are estimated.
    """

    basis: Basis
    modes: Tensor
    initial: Tensor
    following: Tensor
    intervals: list[float]
    sigma: Float[Tensor, " C"]
    gamma: Float[Tensor, "S P"]
    shooting: bool

    @cached_property
    def data(self) -> Float[Tensor, "S m D"]:
        """The following frames as real numbers of unit noise."""
        return _numbers(self, self.following)


@dataclass(frozen=True)
class Refined:
    """θ of all fields, its covariance, and the mean square of what is left in units of the noise."""

    theta: Float[Tensor, " P"]
    covariance: Float[Tensor, "P P"]
    residual: float


def is_noisy(signal: Signal, u: Float[Tensor, "B T C *X"]) -> bool:
    """Whether the noise is so large that initial states have to be estimated."""
    sigma = torch.tensor(signal.variance, dtype=torch.float64).sqrt()
    return bool((sigma > NOISE * _rms(u)).any())


def pieces(
    signal: Signal, u: Float[Tensor, "B T C *X"], times: Float[Tensor, " T"], gamma: Float[Tensor, "B P"], *,
    copies: int, substeps: int,
) -> list[Segments]:  # fmt: skip
    """Segments for a refinement, as many as its cost allows; none where initial states are too large to estimate."""
    basis, modes, rms = signal.basis, signal.modes, _rms(u)
    shooting = is_noisy(signal, u)
    sigma = torch.tensor(signal.variance, dtype=torch.float64).sqrt().maximum(1e-9 * rms) if shooting else rms
    if shooting:  # the first waves below the noise still have a share in products of fields
        share = share_of_band(basis)
        modes = share <= min(0.99, WIDER * float(share[modes].max()))
    unknowns = u.shape[2] * int(modes.sum()) * (1 if basis.real else 2)
    if shooting and unknowns > UNKNOWNS:
        return []
    length = min(NOISY if shooting else CLEAN, u.shape[1] - 1)
    cost = (copies + shooting * unknowns) * length * substeps * 4 * u.shape[2] * math.prod(basis.points)
    places = [(b, j) for b in range(len(u)) for j in range(0, u.shape[1] - length, length)]
    places = places[:: max(1, math.ceil(len(places) * cost / (EVALUATIONS if shooting else CLEAN_EVALUATIONS)))]
    c = basis.forward(u)
    equal = float(times.diff().max() / times.diff().min()) < 1 + 1e-6
    groups = [places] if equal else [[p for p in places if p[1] == j] for j in sorted({j for _, j in places})]
    found = []
    for group in groups:
        initial = torch.stack([c[b, j] for b, j in group])
        if shooting:  # waves that are not estimated hold more noise than signal
            initial = initial * modes
        following = torch.stack([c[b, j + 1 : j + 1 + length] for b, j in group])
        start = group[0][1]
        intervals = times[start : start + length + 1].diff().tolist()
        rows = gamma[[b for b, _ in group]]
        found.append(Segments(basis, modes, initial, following, intervals, sigma, rows, shooting))
    return found


def refine(system: SumOfTerms, theta: Float[Tensor, " P"], parts: Sequence[Segments], substeps: int) -> Refined:
    """θ of given terms, from a start that is near.

    Args:
        system: the terms.
        theta: to start from, one field after the other.
        parts: of `pieces`.
        substeps: in each interval.
    """
    shifts = [torch.zeros(len(part.data), part.data.shape[2], dtype=torch.float64) for part in parts]
    before = math.inf
    for _ in range(ITERATIONS):
        normal = [_eliminated(system, theta, x, part, substeps) for x, part in zip(shifts, parts, strict=True)]
        step = torch.linalg.solve(sum(n.matrix for n in normal), sum(n.vector for n in normal))
        covariance = torch.linalg.inv(sum(n.matrix for n in normal))
        current = sum(n.square for n in normal)
        degrees = max(1, sum(n.degrees for n in normal) - len(theta))
        moves = [n.back(step) for n in normal]
        for halving in range(HALVINGS):
            size = 0.5**halving
            tried = [x + size * move for x, move in zip(shifts, moves, strict=True)]
            square = sum(
                _square(system, theta + size * step, x, part, substeps) for x, part in zip(tried, parts, strict=True)
            )
            if math.isfinite(square) and square < current:
                theta, shifts = theta + size * step, tried
                break
        else:
            break
        errors = (covariance.diagonal() * square / degrees).sqrt()
        if float((step.abs() / errors).max()) < CONVERGED or square > before * (1 - 1e-9):
            break
        before = square
    normal = [_eliminated(system, theta, x, part, substeps) for x, part in zip(shifts, parts, strict=True)]
    return _result(theta, normal, parts[0].shooting)


@dataclass(frozen=True)
class _Normal:
    """Normal equations of θ with the initial states eliminated, and what gives these back."""

    matrix: Float[Tensor, "P P"]
    vector: Float[Tensor, " P"]
    square: float
    degrees: int
    shift: Float[Tensor, "S D"]
    response: Float[Tensor, "S D P"]

    def back(self, step: Float[Tensor, " P"]) -> Float[Tensor, "S D"]:
        """Change of the initial states that belongs to a step of θ."""
        return self.shift - self.response @ step


def _eliminated(
    system: SumOfTerms, theta: Float[Tensor, " P"], x: Float[Tensor, "S D"], part: Segments, substeps: int
) -> _Normal:
    S, D = x.shape
    base = _residual(system, theta[None], x[None], part, substeps)[0]
    delta = PERTURBATION * theta.abs().clamp_min(1e-3 * float(theta.abs().max()))
    perturbed = _residual(system, theta + torch.diag(delta), x[None], part, substeps)
    J = ((perturbed - base) / delta.view(-1, 1, 1)).permute(1, 2, 0)
    r = -base
    shift, response = torch.zeros(S, D, dtype=torch.float64), torch.zeros(S, D, len(theta), dtype=torch.float64)
    unknowns = 0
    if part.shooting:
        directions = PERTURBATION * torch.eye(D, dtype=torch.float64)[:, None]
        rows = [_residual(system, theta[None], x + d, part, substeps) for d in directions.split(64)]
        J0 = ((torch.cat(rows) - base) / PERTURBATION).permute(1, 2, 0)
        inner = J0.mT @ J0 + RIDGE * torch.eye(D, dtype=torch.float64)
        shift = torch.linalg.solve(inner, J0.mT @ r[..., None])[..., 0]
        response = torch.linalg.solve(inner, J0.mT @ J)
        r, J, unknowns = r - (J0 @ shift[..., None])[..., 0], J - J0 @ response, D
    vector = (J * r[..., None]).sum((0, 1))
    matrix = torch.einsum("sdp,sdq->pq", J, J)
    degrees = base.shape[1] * S - unknowns * S
    return _Normal(matrix, vector, float(base.square().sum()), degrees, shift, response)


def _result(theta: Float[Tensor, " P"], normal: Sequence[_Normal], shooting: bool) -> Refined:
    matrix = sum((n.matrix for n in normal), torch.zeros(1, dtype=torch.float64))
    degrees = max(1, sum(n.degrees for n in normal) - len(theta))
    mean = sum(n.square for n in normal) / degrees
    inverse = torch.linalg.inv(matrix)
    if shooting:
        return Refined(theta, inverse * mean, mean)
    # Without noise what is left may repeat in every frame, so that its number of frames does not make it smaller.
    return Refined(theta, inverse * mean * degrees, mean)


def _square(
    system: SumOfTerms, theta: Float[Tensor, " P"], x: Float[Tensor, "S D"], part: Segments, substeps: int
) -> float:
    return float(_residual(system, theta[None], x[None], part, substeps).square().sum())


def _residual(
    system: SumOfTerms, theta: Float[Tensor, "r P"], x: Float[Tensor, "R S D"], part: Segments, substeps: int
) -> Float[Tensor, "c S n"]:
    """Misfit of all frames, that of the first one being the shift x of the initial state."""
    c = part.initial + _coefficients(part, x)
    c = c.expand(max(len(c), len(theta)), *c.shape[1:])
    with torch.no_grad():
        states = system.at(part.gamma).flow(theta, c, intervals=part.intervals, substeps=substeps)
    rest = (_numbers(part, states) - part.data).flatten(2)
    return torch.cat([x.expand(len(rest), *x.shape[1:]), rest], 2) if part.shooting else rest


def _scale(part: Segments) -> Float[Tensor, " k"]:
    basis = part.basis
    noise = basis.energy / basis.freedom * (math.prod(basis.points) / math.prod(basis.length))
    return (noise * basis.freedom).sqrt().flatten()[part.modes.flatten()]


def _numbers(part: Segments, c: Tensor) -> Float[Tensor, "*n D"]:
    """Real numbers of coefficients (…, C, *K), scaled so that the noise has unit variance in each of them."""
    flat = c.flatten(-len(part.basis.points))[..., part.modes.flatten()] * _scale(part) / part.sigma[:, None]
    return flat.flatten(-2) if part.basis.real else torch.view_as_real(flat).flatten(-3)


def _coefficients(part: Segments, x: Float[Tensor, "R S D"]) -> Tensor:
    """The inverse of `_numbers`, zero in all other modes."""
    C, modes = len(part.sigma), part.modes.flatten()
    flat = (
        x.unflatten(2, (C, -1)) if part.basis.real else torch.view_as_complex(x.unflatten(2, (C, -1, 2)).contiguous())
    )
    full = torch.zeros(*flat.shape[:-1], len(modes), dtype=flat.dtype)
    full[..., modes] = flat / _scale(part) * part.sigma[:, None]
    return full.unflatten(-1, part.basis.wavenumbers.shape[1:])


def _rms(u: Float[Tensor, "B T C *X"]) -> Float[Tensor, " C"]:
    return u.square().mean([axis for axis in range(u.ndim) if axis != 2]).sqrt()
