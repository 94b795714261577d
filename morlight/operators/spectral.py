"""The update operator u(t+Δt) = (I + L) u(t) with L = Π⁻¹ g(κ) Π h(u) (Eq. 11, 12)."""

from collections.abc import Callable

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from morlight.operators.bases import Basis
from morlight.operators.tabulation import tabulate

Increment = Callable[[Tensor], Tensor]


class SpectralOperator(nn.Module):
    """L = Π⁻¹ g Π h, the increment of the fields over one step Δt.

    L carries Δt (Eq. 4): the symbol of the continuum generator is log(1 + g)/Δt. Reads as the sentence
    `SpectralOperator(basis, Conservative(Isotropic(g)), Odd(h))`.

    Args:
        basis: Π, its inverse, and the wavenumbers κ.
        g: symbol, κ (D, *K) ↦ g (R, 1, 1, *K).
        h: nonlinearity, u (R, B, C, *X) ↦ h(u) of the same shape.
        scale: size of u in the data; h sees u/scale, and L u comes out in the units of the data.
    """

    scale: Float[Tensor, " C"]

    def __init__(self, basis: Basis, g: nn.Module, h: nn.Module, scale: tuple[float, ...] = (1.0,)) -> None:
        super().__init__()
        self.basis = basis
        self.g = g
        self.h = h
        self.register_buffer("scale", torch.tensor(scale))

    def symbol(self) -> Complex[Tensor, "R 1 1 *K"]:
        """g at the wavenumbers of the basis."""
        return self.g(self.basis.wavenumbers)

    def nonlinearity(self, u: Float[Tensor, "r B C *X"]) -> Float[Tensor, "R B C *X"]:
        """h(u) in the units of u."""
        scale = self.scale.view(-1, *[1] * (u.ndim - 3))
        return self.h(u / scale) * scale

    def forward(self, u: Float[Tensor, "r B C *X"]) -> Float[Tensor, "R B C *X"]:
        """The increment L u."""
        return self.prepared()(u)

    def prepared(self, bounds: tuple[float, float] | None = None) -> Increment:
        """u ↦ L u with the symbol evaluated once, for use over many steps.

        Args:
            bounds: smallest and largest value of the field, for one field: h is then evaluated at nodes between
                them only and interpolated, which costs far less than the network at every point.
        """
        symbol = self.symbol()
        h = self.nonlinearity if bounds is None else tabulate(self.nonlinearity, *bounds, like=self.scale)

        def increment(u: Tensor) -> Tensor:
            return self.basis.inverse(symbol * self.basis.forward(h(u)))

        return increment
