"""The derivative from one basis to another."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from morlight.operators.bases import Basis, Cosine, Fourier, Sine, TensorProduct


class Derivative(Basis):
    """∂ₓ from one basis to another: the coefficients of ∂ₓu in its own basis, for fields u in the source basis.

    A sine series has a cosine series as its derivative, and the other way round,

        ∂ₓ Σ s_k sin(κ_k x) = Σ κ_k s_k cos(κ_k x),    ∂ₓ Σ c_k cos(κ_k x) = Σ −κ_k c_k sin(κ_k x),

    which no symbol of Eq. 27 can represent, since Π is the same on both sides there. In an operator,
    Π⁻¹ g ∂ₓ Π' h is the divergence of a flux h; for cosine fields, the flux through the walls is zero.

    Args:
        source: basis of u.
        axis: direction of the derivative.

    Raises:
        ValueError: if the source does not consist of sines, cosines or exponentials along this axis.
    """

    def __init__(self, source: Basis, axis: int = 0) -> None:
        factors = [type(factor)(N, L) for factor, N, L in _single(source)]  # type: ignore[arg-type, call-arg]
        kind = type(factors[axis])
        if kind not in (Fourier, Cosine, Sine):
            raise ValueError(
                f"∂ₓ along axis {axis} has no basis to go to from {kind.__name__}, expected Sine or Cosine"
            )
        other = {Sine: Cosine, Cosine: Sine}.get(kind, kind)
        factors[axis] = other(source.points[axis], source.length[axis])
        target = factors[0] if len(factors) == 1 else TensorProduct(*factors)
        super().__init__(target.axes)
        self.source, self.target, self.axis, self.kind, self.real = source, target, axis, kind, target.real

    def forward(self, u: Float[Tensor, "*u"]) -> Inexact[Tensor, "*c"]:
        c, kappa = self.source.forward(u), self.wavenumbers[self.axis]
        if self.kind is Fourier:
            return 1j * kappa * c
        place = self.last[self.axis]
        N, zero = c.shape[place], torch.zeros_like(c.narrow(place, 0, 1))
        if self.kind is Sine:
            return kappa * torch.cat([zero, c.narrow(place, 0, N - 1)], place)
        return -kappa * torch.cat([c.narrow(place, 1, N - 1), zero], place)

    def inverse(self, c: Inexact[Tensor, "*c"]) -> Float[Tensor, "*u"]:
        return self.target.inverse(c)


def _single(basis: Basis) -> Iterator[tuple[Basis, int, float]]:
    """Of each axis the factor that it is transformed by, N and L."""
    factors = basis.factors if isinstance(basis, TensorProduct) else [basis]
    for factor in factors:
        for N, L in zip(factor.points, factor.length, strict=True):
            yield factor, N, L
