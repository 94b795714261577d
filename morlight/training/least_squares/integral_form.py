"""∂ₜu = Σ_a G_a(∇) φ_a(u) tested with functions of time, so that no field is differentiated.

With ψ(t) that vanishes at both ends of a window, or with the window itself, every mode κ of the fields obeys

    −∫ ψ̇ û dt = Σ_a G_a(κ) ∫ ψ φ̂_a(u) dt,      û(t_{j+m}) − û(t_j) = Σ_a G_a(κ) ∫ φ̂_a(u) dt,

which is linear in G. The integrals are sums over the frames with weights that are exact for polynomials below some
degree through neighboring frames, which need not be equidistant: the second form has an error of O(Δt^order), the
first, with smooth ψ and equal Δt, falls faster than any power. In space the test functions are those of the basis Π.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

DEGREE = 6  # of the polynomials for which both sides of a window agree, plus one


@dataclass(frozen=True)
class Windows:
    """Weights of the frames in both sides of the equation, one row a window.

    Attributes:
        left: of û in −∫ ψ̇ û dt.
        right: of φ̂ in ∫ ψ φ̂ dt.
        span: frames of the longest window.
    """

    left: Float64[Tensor, "W T"]
    right: Float64[Tensor, "W T"]
    span: int

    def rows(self, first: int, last: int) -> "Windows":
        """Some of the windows."""
        return Windows(self.left[first:last], self.right[first:last], self.span)


def interval_weights(times: Float[Tensor, " T"], order: int = 6) -> Float64[Tensor, "t T"]:
    """Weights W with ∫ f dt over interval j = Σ_i W_ji f(t_i), of polynomials through the `order` nearest frames.

    Raises:
        ValueError: for times that do not increase, or fewer than two of them.
    """
    times = times.double()
    T = len(times)
    if T < 2 or not bool((times.diff() > 0).all()):
        raise ValueError(f"times of {T} frames: at least two are expected, each later than the one before")
    order = min(order, T)
    first = (torch.arange(T - 1) - (order - 2) // 2).clamp(0, T - order)
    stencil = first[:, None] + torch.arange(order)
    left, right = times[:-1, None], times[1:, None]
    x = (times[stencil] - left) / (right - left)
    powers = torch.arange(order, dtype=torch.float64)
    vandermonde = x[:, None, :] ** powers[:, None]  # Σ_i w_i x_i^p = 1/(p + 1)
    w = torch.linalg.solve(vandermonde, (1 / (powers + 1)).expand(T - 1, order))
    return torch.zeros(T - 1, T, dtype=torch.float64).scatter(1, stencil, w * (right - left))


def increments(times: Float[Tensor, " T"], span: int, *, order: int = 6, stride: int = 1) -> Windows:
    """Windows of `span` intervals with ψ = 1: û(t_{j+m}) − û(t_j)."""
    intervals = interval_weights(times, order)
    starts = torch.arange(0, len(times) - span, stride)
    integral = torch.nn.functional.pad(intervals.cumsum(0), (0, 0, 1, 0))
    left = torch.zeros(len(starts), len(times), dtype=torch.float64)
    rows = torch.arange(len(starts))
    left[rows, starts + span], left[rows, starts] = 1.0, -1.0
    return Windows(left, integral[starts + span] - integral[starts], span)


def bumps(times: Float[Tensor, " T"], span: int, *, power: int = 6, stride: int = 1, order: int = 6) -> Windows:
    """Windows of `span` intervals with ψ = (1 − s²)^p, s from −1 to 1 over the window."""
    times = times.double()
    quadrature = interval_weights(times, order).sum(0)
    if float(times.diff().max() / times.diff().min()) < 1 + 1e-6:  # the trapezoid rule, exact beyond all orders here
        quadrature = torch.full_like(times, float(times[-1] - times[0]) / (len(times) - 1))
    starts = torch.arange(0, len(times) - span, stride)
    begin, end = times[starts, None], times[starts + span, None]
    s = ((2 * times - begin - end) / (end - begin)).clamp(-1, 1)
    bump = (1 - s**2) ** power
    slope = -2 * power * s * (1 - s**2) ** (power - 1) * 2 / (end - begin)
    scale = quadrature / (end - begin)
    return Windows(_consistent(-slope * scale, bump * scale, s, 2 / (end - begin)), bump * scale, span)


def _consistent(
    left: Float[Tensor, "W T"], right: Float[Tensor, "W T"], s: Float[Tensor, "W T"], rate: Float[Tensor, "W 1"]
) -> Float[Tensor, "W T"]:
    """The nearest weights with Σ_i left_i p(t_i) = Σ_i right_i p′(t_i) for polynomials p below `DEGREE`.

    Among them constants: without them the mean of a field leaks into its rate of change.
    """
    inside = (s.abs() < 1).double()
    powers = torch.arange(DEGREE, dtype=torch.float64).view(-1, 1, 1)
    values = s**powers * inside
    slopes = powers * torch.where(powers > 0, s ** (powers - 1).clamp_min(0), 0) * inside * rate
    miss = ((right * slopes).sum(2) - (left * values).sum(2)).T
    design = values.permute(1, 0, 2)
    return left + (design.mT @ torch.linalg.solve(design @ design.mT, miss[..., None]))[..., 0]


def spans(frames: int, shortest: int = 8, longest: int | None = None) -> list[int]:
    """Window lengths to choose from, each about 1.5 times the one before, up to a third of the frames."""
    longest = max(shortest, frames // 3) if longest is None else longest
    count = max(1, 1 + math.floor(math.log(longest / shortest, 1.5)))
    return [round(shortest * 1.5**i) for i in range(count) if shortest * 1.5**i < frames]
