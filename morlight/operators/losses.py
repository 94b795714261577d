"""Losses over windows (u_j, …, u_{j+m}), and relative errors."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from morlight.operators.bases import Basis

BLOCK = 2**19  # values of windows that are transformed at once, 4 MB in double precision


def mean_square(prediction: Float[Tensor, "R B C *X"], target: Float[Tensor, "r B C *X"]) -> Float[Tensor, " R"]:
    """Mean over batch and points of |(I + L)^m u_j − u_{j+m}|² for each realization (Eq. 21)."""
    value: Tensor = MeanSquare.apply((prediction - target).flatten(1))
    return value


class MeanSquare(torch.autograd.Function):
    """Mean over P of v², v (R, P), and its gradient 2v/P: one pass over the numbers each."""

    @staticmethod
    def forward(ctx: Any, v: Float[Tensor, "R P"]) -> Float[Tensor, " R"]:
        ctx.save_for_backward(v)
        return torch.linalg.vecdot(v, v) / v.shape[1]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Float[Tensor, "R P"]:
        (v,) = ctx.saved_tensors
        return v * (2 / v.shape[1] * grads[0])[:, None]


class NoiseWeighted:
    """Mean square over modes, each in units of its own noise; 1 is the value of the linear model of each mode.

    A field of finitely many particles fluctuates; within m steps, the fluctuation of the mode κ is the fraction 1 −
    |λ|^2m of its variance, where λ = 1 + g. The mean square over points (Eq. 21) is dominated by short waves, for which
    this fraction is almost one, so that long waves are not learned. Here, each mode is divided by the variance of
    û_{j+m} − λ^m û_j, with λ from a least-squares fit over one step. This needs no model of the noise.

    Args:
        basis: Π.
        variance: V(κ) of each field and mode (C, *K), from `residual_variance`.
    """

    # Modes that hardly change (the mass) have hardly any noise; below this fraction of the largest variance they
    # would outweigh everything else by their rounding errors.
    FLOOR = 1e-4

    def __init__(self, basis: Basis, variance: Float[Tensor, "C *K"]) -> None:
        self.basis = basis
        largest = variance.flatten(1).amax(1).view(-1, *[1] * (variance.ndim - 1))
        self.weight = 1 / variance.clamp_min(self.FLOOR * largest)

    def __call__(self, prediction: Float[Tensor, "R B C *X"], target: Float[Tensor, "r B C *X"]) -> Float[Tensor, " R"]:
        """Mean over batch and modes of |Π((I + L)^m u_j − u_{j+m})|² / V for each realization."""
        c = self.basis.forward(prediction - target)
        return (c.abs().square() * self.weight).flatten(1).mean(1)


def linear_fit(basis: Basis, first: Float[Tensor, "n C *X"], second: Float[Tensor, "n C *X"]) -> Tensor:
    """λ(κ) = 1 + g(κ) of the linear model û_{j+1} = λ û_j, by least squares for each mode (C, *K)."""
    product: Tensor | float = 0.0
    energy: Tensor | float = 0.0
    for c, d in _modes(basis, first, second):
        product, energy = product + (d * c.conj()).sum(0), energy + c.abs().square().sum(0)
    assert isinstance(energy, Tensor)
    return product / energy.clamp_min(torch.finfo(energy.dtype).tiny)


def residual_variance(
    basis: Basis,
    factor: Inexact[Tensor, "C *K"],
    first: Float[Tensor, "n C *X"],
    last: Float[Tensor, "n C *X"],
    horizon: int,
) -> Float[Tensor, "C *K"]:
    """V(κ), mean of |û_{j+m} − λ^m û_j|² over windows with horizon m."""
    power = factor**horizon
    total = sum((d - power * c).abs().square().sum(0) for c, d in _modes(basis, first, last))
    assert isinstance(total, Tensor)
    return total / len(first)


def energy(basis: Basis, fields: Float[Tensor, "n C *X"]) -> Float[Tensor, "C *K"]:
    """Mean of |û|² of each mode."""
    total = sum(c.abs().square().sum(0) for (c,) in _modes(basis, fields))
    assert isinstance(total, Tensor)
    return total / len(fields)


def _modes(basis: Basis, *fields: Float[Tensor, "n C *X"]) -> Iterator[tuple[Tensor, ...]]:
    """Coefficients of some windows at a time, in double precision: those of all of them may not fit the memory."""
    size = max(1, BLOCK // fields[0][0].numel())
    for parts in zip(*(u.split(size) for u in fields), strict=True):
        yield tuple(basis.forward(u.double()) for u in parts)


def bending(values: Float[Tensor, "R P"]) -> Float[Tensor, " R"]:
    """Mean of (W h″)² over mean of h′² for values of h at equal distances over a range of width W.

    0 for a straight line, and the same in every gauge (h → c h).
    """
    steps = values.diff(dim=1)
    return (steps.diff(dim=1) * (values.shape[1] - 1)).square().mean(1) / steps.square().mean(1)


def relative_error(
    prediction: Float[Tensor, "*lead points"], truth: Float[Tensor, "*leading points"]
) -> Float[Tensor, "*lead"]:
    """‖a − b‖₂ / ‖b‖₂ over the last axis."""
    return (prediction - truth).norm(dim=-1) / truth.norm(dim=-1)
