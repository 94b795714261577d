"""Symbols g(κ; γ) of operators: a plain network, and the exact decay over one step (Eq. 11, 27)."""

import itertools
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float, Inexact
from torch import Tensor, nn

from morlight.operators.networks import Perceptrons
from morlight.operators.units import NO_GAMMA

FASTEST = 20.0  # ln ρ of a generator: float32 squares e²⁰ without overflow


class SymbolByParts(nn.Module, ABC):
    """A symbol that is written as its real and its imaginary part."""

    @abstractmethod
    def parts(
        self, kappa: Float[Tensor, "D K"], gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> tuple[Float[Tensor, "R H b K"], Float[Tensor, "R H b K"] | None]:
        """Re g and Im g, None where it is real."""

    def forward(
        self, kappa: Float[Tensor, "D *K"], gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Inexact[Tensor, "R b H *K"]:
        """g at the wavenumbers κ, ready to multiply coefficients (R, B, H, *K)."""
        real, imaginary = self.parts(kappa.flatten(1), gamma)
        g = real if imaginary is None else torch.complex(real, imaginary)
        return g.transpose(1, 2).unflatten(3, kappa.shape[1:])


class Symbol(SymbolByParts):
    """Plain symbol g(κ; γ): a network from the D components of κ to Re g and Im g, or to g alone (Eq. 11, 27).

    Args:
        network: D inputs and one for each parameter γ; two outputs, or one for a real symbol.
        scale: unit of κ before it enters the network, in 1/length; 1 is the paper's.
        unit: unit of g.
    """

    def __init__(self, network: Perceptrons, scale: float = 1.0, unit: float = 1.0) -> None:
        super().__init__()
        self.network = network
        self.scale = scale
        self.unit = unit

    def parts(
        self, kappa: Float[Tensor, "D K"], gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> tuple[Float[Tensor, "R H b K"], Float[Tensor, "R H b K"] | None]:
        """Re g and Im g, None where it is real."""
        parts = _everywhere(self.network, kappa / self.scale, gamma)
        parts = parts.unflatten(1, (-1, self.network.outputs)) * self.unit
        return parts[:, :, 0], parts[:, :, 1] if self.network.outputs == 2 else None


def _everywhere(
    network: Perceptrons, features: Float[Tensor, "F K"], gamma: Float[Tensor, "b P"]
) -> Float[Tensor, "R O b K"]:
    """Outputs of a network for all pairs of features of κ and parameters γ."""
    if gamma.shape[1] == 0:
        return network(features[None]).unsqueeze(2)
    b, K = gamma.shape[0], features.shape[1]  # len() would fix the batch of an exported program
    pairs = torch.cat([features[:, None].expand(-1, b, K), gamma.T[:, :, None].expand(-1, b, K)]).flatten(1)
    return network(pairs[None]).unflatten(2, (b, K))


class DissipativeSymbol(SymbolByParts):
    """Symbol of an exact decay over one step, g(κ) = exp(−ρ(κ) + iθ(κ)) − 1, so that |1 + g| ≤ 1.

    ρ(κ) = exp(a ln(|κ|/κ₀) + b + n₁) and θ(κ) = n₂·κ/κ₀, with networks n of ln|κ| (and of the products of the
    components of κ/|κ|, which keep g(−κ) = g(κ)*) and γ. Every power law, ρ = D Δt |κ|^α, is a member with n₁
    constant, drift with velocity V one with n₂ = −V κ₀ Δt; g(0) = 0. Of an
    operator whose L/Δt is the generator, g(κ) = −ρ(κ) + iθ(κ), so that Re g ≤ 0.

    Args:
        network: 1 + D(D+1)/2 inputs (1 for D = 1) and one for each γ, 1 + D outputs; a real symbol has no θ and
            one output.
        scale: κ₀, the wavenumber in 1/length at which ρ = 1 before training.
        decades: ln(κ_max/κ₀), unit of ln|κ| before it enters the network.
        generator: whether L/Δt is the generator.
    """

    def __init__(self, network: Perceptrons, scale: float, decades: float, generator: bool = False) -> None:
        super().__init__()
        self.network = network
        self.scale = scale
        self.decades = decades
        self.generator = generator
        count = network.realizations * network.copies
        self.exponent = nn.Parameter(torch.ones(count, 1))
        self.log_rate = nn.Parameter(torch.zeros(count, 1))

    @staticmethod
    def inputs(dimensions: int) -> int:
        """Number of inputs that the network needs in D dimensions, γ not counted."""
        return 1 if dimensions == 1 else 1 + dimensions * (dimensions + 1) // 2

    def correction(
        self, kappa: Float[Tensor, "D K"], gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Float[Tensor, "R H outputs b K"]:
        """Networks n₁ and n₂ at wavenumbers that are not zero, small at the start: the power law leads."""
        modulus = kappa.square().sum(0).sqrt()
        features = [torch.log(modulus / self.scale) / self.decades]
        if len(kappa) > 1:
            pairs = itertools.combinations_with_replacement(kappa, 2)
            features += [a * b / modulus.square() for a, b in pairs]
        n = _everywhere(self.network, torch.stack(features), gamma)
        return 0.1 * n.unflatten(1, (-1, self.network.outputs))

    def bending(self, dimensions: int = 1, points: int = 65) -> Float[Tensor, " R"]:
        """Mean square of d² ln ρ / d(ln κ)² along the axes, 0 for a power law; for symbols without γ."""
        reach = self.decades
        log = torch.linspace(-reach, reach, points, dtype=self.exponent.dtype, device=self.exponent.device)
        axes = torch.eye(dimensions, dtype=log.dtype, device=log.device)
        kappa = (self.scale * torch.exp(log) * axes[..., None]).flatten(1)
        n = self.correction(kappa)[:, :, 0].flatten(1).unflatten(1, (-1, points))
        return (n.diff(n=2) * ((points - 1) / (2 * reach)) ** 2).square().flatten(1).mean(1)

    def parts(
        self, kappa: Float[Tensor, "D K"], gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> tuple[Float[Tensor, "R H b K"], Float[Tensor, "R H b K"] | None]:
        """Re g and Im g, None where it is real."""
        modulus = kappa.square().sum(0).sqrt()
        moving = modulus > 0
        safe = torch.where(moving, kappa, self.scale)
        n = self.correction(safe, gamma)
        log = torch.log(safe.square().sum(0).sqrt() / self.scale)
        a, b = (parameter.view(*n.shape[:2], 1, 1) for parameter in (self.exponent, self.log_rate))
        log_rate = a * log + b + n[:, :, 0]
        if self.network.outputs == 1:
            return torch.where(moving, self._step(log_rate), 0), None
        theta = (n[:, :, 1:] * (kappa / self.scale)[:, None]).sum(2)
        if self.generator:
            real, imaginary = self._step(log_rate), theta
        else:
            decay = _decay(log_rate)
            real, imaginary = decay * torch.cos(theta) - 1, decay * torch.sin(theta)
        return torch.where(moving, real, 0), torch.where(moving, imaginary, 0)

    def _step(self, log_rate: Float[Tensor, "*g"]) -> Float[Tensor, "*g"]:
        """g of a rate alone."""
        return -torch.exp(log_rate.clamp_max(FASTEST)) if self.generator else _decay(log_rate) - 1


def _decay(log_rate: Float[Tensor, "*g"]) -> Float[Tensor, "*g"]:
    """e^(−ρ); exp(−e⁴) is 0 to float32's rounding, and without the bound e^∞ · e^(−∞) makes the gradient NaN."""
    return torch.exp(-torch.exp(log_rate.clamp_max(4.0)))
