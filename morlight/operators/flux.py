"""The divergence of a random flux, of unit strength in every mode: Σ_d (iκ_d/|κ|) ξ̂_d."""

import math

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from morlight.operators.bases import Basis, Fourier, TensorProduct
from morlight.operators.build import crossed
from morlight.operators.derivative import Derivative


class Flux:
    """White noise ξ_d through the faces along each axis d, to the coefficients Σ_d (iκ_d/|κ|) ξ̂_d of its divergence.

    Between walls, the flux normal to them is a series of sines where the field is one of cosines. The Nyquist mode of
    a periodic axis is real, and so is its factor.

    Args:
        space: Π of the fields.
    """

    def __init__(self, space: Basis) -> None:
        self.space = space
        kappa = space.wavenumbers
        modulus = kappa.square().sum(0).sqrt()
        self.inverse = torch.where(modulus > 0, 1 / modulus, 0)
        self.periodic = _periodic(space)
        walls = [d for d, periodic in enumerate(self.periodic) if not periodic]
        self.across = {d: Derivative(crossed(space, d), d).double().to(kappa.device) for d in walls}
        self.phases = {d: self._phase(d) for d, periodic in enumerate(self.periodic) if periodic}

    def _phase(self, d: int) -> Inexact[Tensor, "*K"]:
        line = self.space.wavenumbers[d]
        nyquist = math.pi * self.space.points[d] / self.space.length[d]
        at_nyquist = (line.abs() / nyquist - 1).abs() < 1e-9
        return torch.where(at_nyquist, line.abs() + 0j, 1j * line) * self.inverse

    def __call__(self, flux: Float[Tensor, "R B c D *X"]) -> Inexact[Tensor, "R B c *K"]:
        total: Tensor | float = 0.0
        for d, along in enumerate(flux.unbind(-1 - len(self.periodic))):
            if self.periodic[d]:
                total = total + self.phases[d] * self.space.forward(along)
            else:
                total = total + self.inverse * self.across[d].forward(along)
        assert isinstance(total, Tensor)
        return total

    def adjoint(self, c: Inexact[Tensor, "R B c *K"]) -> Float[Tensor, "R B c D *X"]:
        """The parts of the flux along each axis that have these coefficients; the inverse in one dimension."""
        parts = []
        for d, periodic in enumerate(self.periodic):
            if periodic:
                parts.append(self.space.inverse(self.phases[d].conj() * c))
            else:
                parts.append(self._across(d, self.inverse * c))
        return torch.stack(parts, -1 - len(self.periodic))

    def _across(self, d: int, c: Inexact[Tensor, "R B c *K"]) -> Float[Tensor, "R B c *X"]:
        """Sines, whose slopes are the cosines of these coefficients: the transpose of `Derivative` in units of |κ|."""
        back = self.across[d]
        line = self.space.wavenumbers[d]
        place = -len(self.periodic) + d
        N = c.shape[place]
        shifted = torch.cat([(line * c).narrow(place, 1, N - 1), torch.zeros_like(c.narrow(place, 0, 1))], place)
        return back.source.inverse(shifted)


def _periodic(space: Basis) -> list[bool]:
    factors = list(space.factors) if isinstance(space, TensorProduct) else [space]
    return [isinstance(factor, Fourier) for factor in factors for _ in factor.points]
