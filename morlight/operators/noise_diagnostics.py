"""What the training data show of the noise: its balance with the damping, and a² from parts of the data.

A mean step takes the variance V(û_{j+1}) − V(Ŝ(u_j)) from a mode, where V is the variance over the training data, and
the noise restores it. Since V(û_{j+1}) = V(Ŝ(u_j)) + Σ + 2 Re cov(Ŝ, r̂), the ratio

    Σ / (V(û_{j+1}) − V(Ŝ(u_j)))

is 1 if the residuals are not correlated with the mean steps, whether the data are at equilibrium or not. At
equilibrium, V(û) is the spectrum S(κ) of the data, and the ratio is Σ/(S (1 − |G|²)) with V(Ŝ(u)) = |G|² S (fluctuation
and dissipation). Roll-outs then have the spectrum of the data times the ratio. For long waves, it is the viscosity or
diffusivity that belongs to the noise, over that of the mean operator.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

KEPT = 0.5  # share of its variance that a slow wave keeps in a step


def jackknife_error(left_out: Float[Tensor, "J *v"]) -> Float[Tensor, "*v"]:
    """Standard errors of values, from those without each block of data."""
    J = len(left_out)
    return ((J - 1) / J * (left_out - left_out.mean(0)).square().sum(0)).sqrt()


@dataclass(frozen=True)
class NoiseDiagnostics:
    """What the training data show of the noise of the fields in one basis; J blocks of data are left out in turn.

    Attributes:
        dissipated: variance that the mean step takes from each mode, as a spectral density like Σ.
        balance: Σ and the dissipated variance, both relative to the variance of the mode, in the sum over the waves
            that keep half of their variance in a step; from all data, then without each block. 0 without such waves.
        squares: a² at the knots, without each block.
    """

    dissipated: Float[Tensor, "R G K c"]
    balance: Float[Tensor, "R G sets c 2"]
    squares: Float[Tensor, "R G J c n"]

    def map(self, change: Callable[[Tensor], Tensor]) -> "NoiseDiagnostics":
        """The same change of every tensor."""
        return NoiseDiagnostics(**{name: change(value) for name, value in self.to_plain().items()})

    def to_plain(self) -> dict[str, Tensor]:
        """Values that a checkpoint stores."""
        return {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}

    @classmethod
    def from_plain(
        cls, plain: Mapping[str, Any], lead: tuple[int, int], sizes: tuple[int, int, int]
    ) -> "NoiseDiagnostics":
        """Those that a checkpoint stores.

        Args:
            plain: tensors by name.
            lead: numbers of realizations and of γ.
            sizes: numbers of modes, of fields, and of knots.

        Raises:
            ValueError: if they are not those of this noise, or not finite.
        """
        K, c, n = sizes
        names = [each.name for each in dataclasses.fields(cls)]
        if not all(isinstance(plain[name], Tensor) for name in names):
            raise TypeError("fluctuations.diagnostics hold no tensors")
        blocks = plain["squares"].shape[2] if plain["squares"].ndim > 2 else 0
        expected = {"dissipated": (K, c), "balance": (blocks + 1, c, 2), "squares": (blocks, c, n)}
        for name, inner in expected.items():
            value = plain[name]
            if tuple(value.shape) != (*lead, *inner):
                raise ValueError(
                    f"fluctuations.diagnostics.{name} has the shape {tuple(value.shape)}, which fits no noise"
                )
            if not torch.isfinite(value).all():
                raise ValueError(f"fluctuations.diagnostics.{name} is not finite")
        return cls(**{name: plain[name].double() for name in names})
