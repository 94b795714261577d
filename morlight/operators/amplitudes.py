"""Squared amplitudes a²(u; γ) of multiplicative noise: piecewise linear in u, and never negative."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Amplitude:
    """a²(u) of each field, linear between knots and beyond the outer ones, and 0 where that line is negative.

    Attributes:
        knots: values of u in ascending order.
        squares: a² at the knots.
    """

    knots: Float[Tensor, "R b c n"]
    squares: Float[Tensor, "R b c n"]

    @property
    def constant(self) -> bool:
        """Whether a is 1 everywhere."""
        return bool((self.squares == 1).all())

    def __call__(self, u: Float[Tensor, "R B c *X"]) -> Float[Tensor, "R B c *X"]:
        """a²(u) at every point."""
        inner = [1] * (u.ndim - 3)
        slopes = self.squares.diff(dim=-1) / self.knots.diff(dim=-1)
        first, square = (each[..., 0].view(*each.shape[:3], *inner) for each in (self.knots, self.squares))
        bends = torch.cat([slopes[..., :1], slopes.diff(dim=-1)], -1)
        value = square + bends[..., 0].view(*bends.shape[:3], *inner) * (u - first)
        for knot, bend in zip(self.knots[..., 1:-1].unbind(-1), bends[..., 1:].unbind(-1), strict=True):
            value = value + bend.view(*bend.shape, *inner) * (u - knot.view(*knot.shape, *inner)).clamp_min(0)
        return value.clamp_min(0)

    def mixed(self, weights: Float[Tensor, "b G"]) -> "Amplitude":
        """Means over the values of γ, with weights for each field of a batch."""
        return Amplitude(*(torch.einsum("bg,rgcn->rbcn", weights, each) for each in (self.knots, self.squares)))
