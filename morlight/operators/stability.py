"""Stability of coupled fields: a linear part that decays, and everything else bounded.

    L u_i = Π⁻¹ g₀ Π u_i + Σ_k Π⁻¹ g_k Π h_k(σ(u); γ),    1 + g₀(κ; γ) = exp(−ρ(κ; γ)),  ρ ≥ ρ₀ > 0,

is Eq. 27 with one more term, h₀ = u_i. σ leaves values as they come in the data alone and is bounded beyond them, so
that |Π h_k| ≤ F for some F, and by induction every mode stays below |û(0)| + Σ|g_k| F / (1 − e^(−ρ₀)), however many
steps are made and whatever was learned. A conserved mode, κ = 0, stays as it is. Where L/Δt is the generator, g₀ = −ρ
and the bound is |û(0)| + Σ|g_k| F / ρ₀.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Inexact
from torch import Tensor, nn

from morlight.operators.devices import some_fields
from morlight.operators.symbols import FASTEST, Symbol
from morlight.operators.units import NO_GAMMA

SLOWEST = 1e-4  # ρ₀: nothing takes longer than ten thousand steps
START = -2.0  # ln ρ before training: a tenth of a step's decay


class Anchored(nn.Module):
    """Symbols (g₀, g₁, …, g_K) of each field from those of K terms and a network for ln ρ.

    Args:
        decay: ln ρ, one channel a field.
        symbol: g of the K terms of each field.
        generator: whether L/Δt is the generator; g₀ is then −ρ.
    """

    def __init__(self, decay: Symbol, symbol: nn.Module, generator: bool = False) -> None:
        super().__init__()
        self.generator = generator
        self.decay, self.symbol = decay, symbol

    def forward(
        self, kappa: Float[Tensor, "D *K"], gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Inexact[Tensor, "R b H *K"]:
        """g at the wavenumbers, the decaying term of each field before its others."""
        first, g = decaying(self.decay(kappa, gamma), self.generator), self.symbol(kappa, gamma)
        return torch.cat([first.unsqueeze(3).to(g.dtype), g.unflatten(2, (first.shape[2], -1))], 3).flatten(2, 3)


def decaying(log_rate: Float[Tensor, "*g"], generator: bool = False) -> Float[Tensor, "*g"]:
    """g₀ = exp(−ρ) − 1 of the network's ln ρ, up to what it starts from; −ρ of a generator."""
    if generator:
        return -SLOWEST - torch.exp((log_rate + START).clamp_max(FASTEST))
    return torch.expm1(-SLOWEST - torch.exp((log_rate + START).clamp_max(4.0)))


class Bounded(nn.Module):
    """h of a bounded state, h(σ(u)), with u itself for the decaying terms.

    Args:
        nonlinearity: h of the K terms of each field that changes.
        reach: of each of the C fields in the data, in the unit of what enters; σ is the identity up to there and stays
            below twice that.
        kept: places of the fields whose u is handed on as h₀; none by default.
    """

    reach: Float[Tensor, " C"]

    def __init__(self, nonlinearity: nn.Module, reach: Sequence[float], kept: Sequence[int] = ()) -> None:
        super().__init__()
        self.nonlinearity = nonlinearity
        self.kept = list(kept)
        self.register_buffer("reach", torch.tensor(list(reach)), persistent=False)

    def forward(
        self, u: Float[Tensor, "r B C *X"], gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Float[Tensor, "R B H *X"]:
        """(u_i, h₁, …, h_K) of each field."""
        r = self.reach.view(-1, *[1] * (u.ndim - 3))
        beyond = (u.abs() - r).clamp_min(0)
        h = self.nonlinearity(torch.where(beyond > 0, u.sign() * r * (1 + torch.tanh(beyond / r)), u), gamma)
        if not self.kept:
            return h
        own = some_fields(u, self.kept).unsqueeze(3).expand(len(h), -1, -1, -1, *u.shape[3:])
        return torch.cat([own, h.unflatten(2, (len(self.kept), -1))], 3).flatten(2, 3)
