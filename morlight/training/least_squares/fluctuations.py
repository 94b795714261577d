"""Information on the decay of waves that the size of the fluctuations of independent particles contains.

If the steps of P particles are independent, û_{j+m} − λ û_j has the variance σ²W²(1 − |λ|²) in each mode, whatever the
density (`shot_noise`). In −ln of the likelihood of n pairs, the term |û_{j+m} − λ û_j|²/V with a fixed V contains the
information from the decay of the mean density and of the fluctuations. That V depends on λ adds, near the minimum,

    n/2 δ²,    δ(λ) = [E |û_{j+m} − λ û_j|² − σ²W²(1 − |λ|²)] / V,

where the moments are free of aliases, and V is the variance with aliases. For slow waves, this term contains most of
the information on λ.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from morlight.operators.bases import Basis
from morlight.training.least_squares.pair_moments import PairMoments


def of_type(values: Inexact[Tensor, "*v"], like: Inexact[Tensor, "*g"]) -> Inexact[Tensor, "*v"]:
    """Values in the type of a symbol; for a real symbol, the imaginary parts are dropped."""
    return values.to(like.dtype) if like.is_complex() or not values.is_complex() else values.real


@dataclass(frozen=True)
class Fluctuations:
    """Σ W δ²/2 over the modes, with W δ = a − 2 Re λ* b + |λ|² c.

    Attributes:
        constant: a of each mode.
        product: b of each mode.
        square: c of each mode.
        weight: W of each mode, the weight of its n pairs relative to the total error; zero for modes that are left out.
    """

    constant: Float[Tensor, " K"]
    product: Inexact[Tensor, " K"]
    square: Float[Tensor, " K"]
    weight: Float[Tensor, " K"]

    @classmethod
    def of(
        cls,
        pairs: PairMoments,
        variance: Float[np.ndarray, " K"],
        residual: Float[np.ndarray, " K"],
        basis: Basis,
        size: float,
    ) -> "Fluctuations":
        """The sum for moments that are free of aliases.

        Args:
            pairs: moments without aliases.
            variance: σ²W² of each mode.
            residual: V of each mode; infinite for modes that are left out.
            basis: Π in double precision.
            size: error that counts as 1, with modes in units of V.
        """
        weight = basis.energy.flatten().numpy(force=True) * pairs.pairs / size * np.isfinite(residual)
        scaled = weight / residual
        parts = (
            scaled * (pairs.last - variance),
            scaled * pairs.product,
            scaled * (pairs.first + variance),
            weight,
        )
        return cls(*(torch.from_numpy(np.ascontiguousarray(part)).to(basis.energy.device) for part in parts))

    def map(self, change: Callable[[Tensor], Tensor]) -> "Fluctuations":
        """The same change of every part, such as a sum over modes of the same |κ|."""
        parts = {each.name: change(getattr(self, each.name)) for each in dataclasses.fields(self)}
        return Fluctuations(**parts)

    def error(self, factor: Inexact[Tensor, "R K"]) -> Float[Tensor, " R"]:
        """Σ W δ²/2 for the λ of each mode."""
        return self._excess(factor).square() @ self.weight / 2

    def add_normal_equations(
        self,
        factor: Inexact[Tensor, "R K"],
        change: Inexact[Tensor, "R Q K"],
        matrix: Float[Tensor, "R Q Q"],
        gradient: Float[Tensor, "R Q"],
    ) -> None:
        """Add JᵀJ and Jᵀr of these residuals to a matrix and a gradient, given λ and its derivatives."""
        toward = factor * self.square - of_type(self.product, factor)
        slopes = 2 * (change * (toward / self._unit).conj()[:, None]).real
        weighted = slopes * (self.weight / 2)
        gradient += (weighted @ self._excess(factor)[..., None])[..., 0]
        matrix += weighted @ slopes.mT

    @property
    def _unit(self) -> Float[Tensor, " K"]:
        return torch.where(self.weight > 0, self.weight, 1.0)

    def _excess(self, factor: Inexact[Tensor, "R K"]) -> Float[Tensor, "R K"]:
        """Relative excess δ of the fluctuations in each mode."""
        mixed = (factor.conj() * of_type(self.product, factor)).real
        return (self.constant - 2 * mixed + factor.abs().square() * self.square) / self._unit
