"""What the size of the fluctuations of independent particles says of the decay of their waves.

P particles whose steps are independent leave û_{j+m} − λ û_j the variance σ²W²(1 − |λ|²) in each mode, whatever their
density (`shot_noise`). To the likelihood of n pairs, |û_{j+m} − λ û_j|²/V alone adds what the decay of the mean density
and of the fluctuations says; the rest, n ln V, adds near its minimum

    n/2 δ²,    δ(λ) = [E |û_{j+m} − λ û_j|² − σ²W²(1 − |λ|²)] / V,

with moments free of aliases and V the variance with aliases. For slow waves it is most of what the data say of λ.
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
    """Values in the type of a symbol: a real one has nothing to do with imaginary parts."""
    return values.to(like.dtype) if like.is_complex() or not values.is_complex() else values.real


@dataclass(frozen=True)
class Fluctuations:
    """Σ W δ²/2 over the modes, with W δ = a − 2 Re λ* b + |λ|² c.

    Attributes:
        constant: a of each mode.
        product: b.
        square: c.
        weight: W, the share of the error that belongs to n pairs; zero for modes that are left out.
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
        """From moments that are free of aliases.

        Args:
            pairs: without aliases.
            variance: σ²W².
            residual: V; infinite for modes that are left out.
            basis: Π in double precision.
            size: that an error of 1 stands for, if modes are measured in units of V.
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
        """Every part changed alike, such as added up over modes of the same |κ|."""
        parts = {each.name: change(getattr(self, each.name)) for each in dataclasses.fields(self)}
        return Fluctuations(**parts)

    def error(self, factor: Inexact[Tensor, "R K"]) -> Float[Tensor, " R"]:
        """Σ W δ²/2 for λ of each mode."""
        return self._excess(factor).square() @ self.weight / 2

    def add_normal_equations(
        self,
        factor: Inexact[Tensor, "R K"],
        change: Inexact[Tensor, "R Q K"],
        matrix: Float[Tensor, "R Q Q"],
        gradient: Float[Tensor, "R Q"],
    ) -> None:
        """Add JᵀJ and Jᵀr of the residuals to those of others, for λ and its derivatives."""
        toward = factor * self.square - of_type(self.product, factor)
        slopes = 2 * (change * (toward / self._unit).conj()[:, None]).real
        weighted = slopes * (self.weight / 2)
        gradient += (weighted @ self._excess(factor)[..., None])[..., 0]
        matrix += weighted @ slopes.mT

    @property
    def _unit(self) -> Float[Tensor, " K"]:
        return torch.where(self.weight > 0, self.weight, 1.0)

    def _excess(self, factor: Inexact[Tensor, "R K"]) -> Float[Tensor, "R K"]:
        """δ of each mode."""
        mixed = (factor.conj() * of_type(self.product, factor)).real
        return (self.constant - 2 * mixed + factor.abs().square() * self.square) / self._unit
