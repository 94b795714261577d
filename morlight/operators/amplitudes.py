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
        slopes = self.squares.diff(dim=-1) / self.knots.diff(dim=-1)
        starts = self.squares[..., :-1] - slopes * self.knots[..., :-1]
        flat = u.flatten(3).contiguous()
        inner, slopes, starts = (
            each.expand(*flat.shape[:3], -1).contiguous() for each in (self.knots[..., 1:-1], slopes, starts)
        )
        place = torch.searchsorted(inner, flat)  # which of the lines
        value = torch.addcmul(starts.gather(3, place), slopes.gather(3, place), flat)
        return value.clamp_min_(0).view(u.shape)

    def mixed(self, weights: Float[Tensor, "b G"]) -> "Amplitude":
        """Means over the values of γ, with weights for each field of a batch."""
        return Amplitude(*(torch.einsum("bg,rgcn->rbcn", weights, each) for each in (self.knots, self.squares)))
