"""Gradient flows, ∂ₜu = −M δF/δu with M ≥ 0 in Π, whose energy F never rises.

With F[u] = ∫ f(u) + ½ u A u and symbols M(κ), A(κ), the generator is Eq. 27 with two terms that share M,

    L u = −Π⁻¹ M A Π u − Π⁻¹ M Π f′(u),    dF/dt = −⟨δF/δu, M δF/δu⟩ ≤ 0.

M = 1 and A = ε|κ|² are Allen–Cahn, M = |κ|² Cahn–Hilliard. Here, u is in units of its root mean square.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from morlight.operators.symbols import FASTEST, Symbol
from morlight.operators.units import NO_GAMMA

START = -2.0  # ln M before training: a tenth of a step


class Descent(nn.Module):
    """Symbols (−M A, −M).

    Args:
        mobility: ln M, real.
        stiffness: A, real.
        conserved: whether M = |κ/κ₀|² m with the network for ln m, so that the mean of u is constant.
        scale: κ₀.
    """

    def __init__(self, mobility: Symbol, stiffness: Symbol, *, conserved: bool, scale: float) -> None:
        super().__init__()
        self.mobility, self.stiffness = mobility, stiffness
        self.conserved, self.scale = conserved, scale

    def forward(
        self, kappa: Float[Tensor, "D *K"], gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Float[Tensor, "R b 2 *K"]:
        """g at the wavenumbers."""
        M = torch.exp((self.mobility(kappa, gamma) + START).clamp_max(FASTEST))
        if self.conserved:
            M = M * (kappa / self.scale).square().sum(0)
        return torch.cat([-M * self.stiffness(kappa, gamma), -M], 2)


class WithState(nn.Module):
    """(u, f′(u)) of a network for f′.

    Args:
        nonlinearity: f′.
    """

    def __init__(self, nonlinearity: nn.Module) -> None:
        super().__init__()
        self.nonlinearity = nonlinearity

    def forward(
        self, u: Float[Tensor, "r B 1 *X"], gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Float[Tensor, "R B 2 *X"]:
        """The state u and f′(u)."""
        slope = self.nonlinearity(u, gamma)
        return torch.cat([u.expand(len(slope), *u.shape[1:]), slope], 2)
