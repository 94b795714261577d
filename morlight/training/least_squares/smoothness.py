"""A preference for straight h and for power laws, which decides where the data do not.

Residuals are second differences: of h over u, and for dissipative symbols of ln ρ over ln|κ|, 1 + g = exp(−ρ + iθ),
along each axis. Their mean squares are that of W h″ over the range W of the data, in units of the slope of h, and that
of d² ln ρ/d(ln κ)².
"""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

POINTS = 65
GONE = 1e-6  # |1 + g| below which a mode is gone after one step, and ρ is rounding


@runtime_checkable
class Fit(Protocol):
    """What is to be known of a fit (see `regression.LeastSquares`)."""

    start: Float[Tensor, "R P"]
    u: Float[Tensor, "1 V"]
    kappa: Float[Tensor, "D K"]

    def values(
        self, theta: Float[Tensor, "R P"], u: Float[Tensor, "1 V"], kappa: Float[Tensor, "D K"]
    ) -> tuple[Float[Tensor, "R V"], Inexact[Tensor, "R K"]]:
        """h and g."""

    def derivatives(
        self, theta: Float[Tensor, "R P"], u: Float[Tensor, "1 V"], kappa: Float[Tensor, "D K"]
    ) -> tuple[Float[Tensor, "R H V"], Inexact[Tensor, "R G K"]]:
        """Of both, with respect to their parameters."""


class Smoothness:
    """Residuals of h and g of a fit, and their derivatives.

    Args:
        squares: the fit.
        weight: of the sum of squares in its error.
        dissipative: whether ln ρ exists.
    """

    def __init__(self, squares: Fit, weight: float, *, dissipative: bool) -> None:
        self.squares, self.weight, self.dissipative = squares, weight, dissipative
        low, high = squares.u.min(), squares.u.max()
        self.u = torch.linspace(0, 1, POINTS, dtype=low.dtype, device=low.device)[None] * (high - low) + low
        modulus = squares.kappa.square().sum(0).sqrt()
        ends = torch.log(modulus[modulus > 0].min()), torch.log(modulus.max())
        log = torch.linspace(0, 1, POINTS, dtype=low.dtype, device=low.device) * (ends[1] - ends[0]) + ends[0]
        self.spacing = log[1] - log[0]
        axes = torch.eye(len(squares.kappa), dtype=low.dtype, device=low.device)
        self.kappa = (torch.exp(log) * axes[..., None]).flatten(1)
        steps = squares.values(squares.start, self.u, self.kappa)[0].diff(dim=1)
        self.slope = steps.square().mean(1, keepdim=True).sqrt() * (POINTS - 1)

    def error(self, theta: Float[Tensor, "R P"]) -> Float[Tensor, " R"]:
        """Weighted sum of squares."""
        h, g = self.squares.values(theta, self.u, self.kappa)
        total = self._second(h / self.slope, 1 / (POINTS - 1)).square().sum(1)
        if self.dissipative:
            total = total + (self._second(torch.log(self._rate(g)), self.spacing) * self._there(g)).square().sum(1)
        return self.weight * total

    def normal(self, theta: Float[Tensor, "R P"]) -> tuple[Float[Tensor, "R P P"], Float[Tensor, "R P"]]:
        """JᵀJ and Jᵀr, weighted."""
        h, g = self.squares.values(theta, self.u, self.kappa)
        dh, dg = self.squares.derivatives(theta, self.u, self.kappa)
        J = self._second(dh / self.slope[:, None], 1 / (POINTS - 1))
        r = self._second(h / self.slope, 1 / (POINTS - 1))
        matrix = torch.zeros(*theta.shape, theta.shape[1], dtype=theta.dtype, device=theta.device)
        gradient, H = torch.zeros_like(theta), dh.shape[1]
        matrix[:, :H, :H], gradient[:, :H] = J @ J.mT, (J @ r[..., None])[..., 0]
        if self.dissipative:
            there, rate = self._there(g), self._rate(g)
            factor = torch.where((1 + g).abs() > GONE, 1 + g, 1)  # no division by zero in what is left out
            J = self._second(-(dg / factor[:, None]).real / rate[:, None], self.spacing) * there[:, None]
            r = self._second(torch.log(rate), self.spacing) * there
            matrix[:, H:, H:], gradient[:, H:] = J @ J.mT, (J @ r[..., None])[..., 0]
        return self.weight * matrix, self.weight * gradient

    @staticmethod
    def _rate(g: Tensor) -> Tensor:
        """ρ."""
        return -torch.log((1 + g).abs().clamp(GONE, 1 - 1e-15))

    @staticmethod
    def _there(g: Tensor) -> Tensor:
        """Where no point of a difference is gone."""
        present = ((1 + g).abs() > GONE).unflatten(1, (-1, POINTS))
        return (present[..., 2:] & present[..., 1:-1] & present[..., :-2]).flatten(1)

    @staticmethod
    def _second(values: Tensor, spacing: Tensor | float) -> Tensor:
        """Second derivative along the last axis, axis by axis, such that the sum of squares is a mean."""
        lines = values.unflatten(-1, (-1, POINTS)).diff(n=2, dim=-1) / spacing**2
        return (lines / (POINTS - 2) ** 0.5).flatten(-2)
