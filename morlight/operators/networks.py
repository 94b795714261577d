"""Small networks, R of them side by side: the only file that treats realisations.

Every layer holds the weights of all R networks as one tensor (R, out, in) and the points of the field lie along
the last axis, so that one batched matrix product serves all realisations: y_r = W_r x_r + b_r. The same product
serves the networks of several fields and terms (Eq. 27): (R · copies, out, in).
"""

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from jaxtyping import Float, Inexact
from torch import Tensor, nn
from torch.nn import functional

from morlight.operators import fused


def elu(x: Tensor) -> Tensor:
    """In place: its slope follows from its value, without another exponential."""
    return functional.elu(x, inplace=True)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "elu": elu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "softplus": functional.softplus,
    "tanh": torch.tanh,
}


Kind = TypeVar("Kind", bound=nn.Module)


def selected(module: Kind, realizations: int, chosen: Sequence[int]) -> Kind:
    """A copy of a module of R realisations with some of them only: every parameter has them along its first axis."""
    found = copy.deepcopy(module)
    for parameter in found.parameters():
        each = parameter.data.unflatten(0, (realizations, -1))
        parameter.data = each[list(chosen)].flatten(0, 1)
    return found


class Perceptrons(nn.Module):
    """R fully connected networks with `depth` linear layers, the hidden ones `width` wide.

    The weights of realisation r are drawn from a stream of its own, seeded with seed + r (Glorot uniform, offsets
    zero), so that R networks side by side start as R single ones.

    Args:
        inputs: of each network.
        outputs: of each network.
        width: of the hidden layers.
        depth: number of linear layers.
        activation: between them, a key of `ACTIVATIONS`.
        seeds: one for each realisation.
        copies: networks of the same input in each realisation, each with weights of its own.
    """

    def __init__(  # noqa: PLR0913 - a network has these sizes
        self,
        inputs: int,
        outputs: int,
        *,
        width: int = 4,
        depth: int = 4,
        activation: str = "elu",
        seeds: tuple[int, ...] = (0,),
        copies: int = 1,
    ) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.copies = copies
        sizes = [inputs, *[width] * (depth - 1), outputs]
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.weights, self.offsets = nn.ParameterList(), nn.ParameterList()
        for fan_in, fan_out in itertools.pairwise(sizes):
            bound = math.sqrt(6 / (fan_in + fan_out))
            drawn = [torch.rand(copies, fan_out, fan_in, generator=g, dtype=torch.float64) for g in generators]
            self.weights.append(torch.cat(drawn).mul(2 * bound).sub(bound).to(torch.get_default_dtype()))
            self.offsets.append(torch.zeros(len(seeds) * copies, fan_out, 1))

    @property
    def realizations(self) -> int:
        """R, the number of networks side by side."""
        return self.weights[0].shape[0] // self.copies

    @property
    def outputs(self) -> int:
        """Number of outputs of each network."""
        return self.weights[-1].shape[1]

    def forward(self, x: Float[Tensor, "r inputs points"]) -> Float[Tensor, "R outputs points"]:
        """Networks at points shared by all realisations (r = 1) or given for each (r = R); copies follow each other."""
        parameters = [*self.weights, *self.offsets]
        if self.activation is elu and fused.serves(x, *parameters):
            return fused.Layers.apply(self.plain, self.copies, x, *parameters)
        return self.plain(x, parameters)

    def plain(
        self, x: Float[Tensor, "r inputs points"], parameters: Sequence[Tensor]
    ) -> Float[Tensor, "R outputs points"]:
        """The same layer by layer, with given weights and offsets."""
        R, points = self.realizations, x.shape[-1]
        weights, offsets = parameters[: len(self.weights)], parameters[len(self.weights) :]
        x = x.expand(R, -1, -1)
        for layer, (weight, offset) in enumerate(zip(weights, offsets, strict=True)):
            if layer == 0:  # copies share their input: one product for all
                weight, offset = weight.view(R, -1, weight.shape[-1]), offset.view(R, -1, 1)
            x = torch.baddbmm(offset, weight, x)
            if layer + 1 < len(weights):
                x = self.activation(x)
            if layer == 0:
                x = x.view(R * self.copies, -1, points)
        return x.view(R, -1, points)


class Nonlinearity(nn.Module):
    """Pointwise h(u(x); γ) without explicit dependence on x (Eq. 12, 27): C fields in, one channel a copy out."""

    def __init__(self, network: Perceptrons) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, u: Float[Tensor, "r B C *X"], gamma: Float[Tensor, "b P"] | None = None
    ) -> Float[Tensor, "R B H *X"]:
        """h(u; γ), realisation by realisation, γ one for all fields of the batch (b = 1) or one for each."""
        points = u.transpose(1, 2).flatten(2)
        if gamma is not None:
            each = gamma.T.reshape(1, -1, gamma.shape[0], 1).expand(len(u), -1, u.shape[1], u[0, 0, 0].numel())
            points = torch.cat([points, each.flatten(2)], 1)
        values = self.network(points)
        return values.unflatten(2, (u.shape[1], *u.shape[3:])).transpose(1, 2)


class Symbol(nn.Module):
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

    def forward(
        self, kappa: Float[Tensor, "D *K"], gamma: Float[Tensor, "b P"] | None = None
    ) -> Inexact[Tensor, "R b H *K"]:
        """g at the wavenumbers κ, ready to multiply coefficients (R, B, H, *K)."""
        return _together(self.parts(kappa.flatten(1), gamma), kappa.shape[1:])

    def parts(
        self, kappa: Float[Tensor, "D K"], gamma: Float[Tensor, "b P"] | None = None
    ) -> tuple[Float[Tensor, "R H b K"], Float[Tensor, "R H b K"] | None]:
        """Re g and Im g, None where it is real."""
        parts = _everywhere(self.network, kappa / self.scale, gamma)
        parts = parts.unflatten(1, (-1, self.network.outputs)) * self.unit
        return parts[:, :, 0], parts[:, :, 1] if self.network.outputs == 2 else None


def _together(parts: tuple[Tensor, Tensor | None], shape: torch.Size) -> Inexact[Tensor, "R b H *K"]:
    real, imaginary = parts
    g = real if imaginary is None else torch.complex(real, imaginary)
    return g.transpose(1, 2).unflatten(3, shape)


def _everywhere(
    network: Perceptrons, features: Float[Tensor, "F K"], gamma: Float[Tensor, "b P"] | None
) -> Float[Tensor, "R O b K"]:
    """Outputs of a network for all pairs of features of κ and parameters γ."""
    if gamma is None:
        return network(features[None]).unsqueeze(2)
    b, K = gamma.shape[0], features.shape[1]  # len() would fix the batch of an exported program
    pairs = torch.cat([features[:, None].expand(-1, b, K), gamma.T[:, :, None].expand(-1, b, K)]).flatten(1)
    return network(pairs[None]).unflatten(2, (b, K))


class DissipativeSymbol(nn.Module):
    """Symbol of an exact decay over one step, g(κ) = exp(−ρ(κ) + iθ(κ)) − 1, so that |1 + g| ≤ 1.

    ρ(κ) = exp(a ln(|κ|/κ₀) + b + n₁) and θ(κ) = n₂·κ/κ₀, with networks n of ln|κ| (and of the products of the
    components of κ/|κ|, which keep g(−κ) = g(κ)*) and γ. Every power law, ρ = D Δt |κ|^α, is a member with n₁
    constant, drift with velocity V one with n₂ = −V κ₀ Δt; g(0) = 0.

    Args:
        network: 1 + D(D+1)/2 inputs (1 for D = 1) and one for each γ, 1 + D outputs; a real symbol has no θ and
            one output.
        scale: κ₀, the wavenumber in 1/length at which ρ = 1 before training.
        decades: ln(κ_max/κ₀), unit of ln|κ| before it enters the network.
    """

    def __init__(self, network: Perceptrons, scale: float, decades: float) -> None:
        super().__init__()
        self.network = network
        self.scale = scale
        self.decades = decades
        count = network.realizations * network.copies
        self.exponent = nn.Parameter(torch.ones(count, 1))
        self.log_rate = nn.Parameter(torch.zeros(count, 1))

    @staticmethod
    def inputs(dimensions: int) -> int:
        """Number of inputs that the network needs in D dimensions, γ not counted."""
        return 1 if dimensions == 1 else 1 + dimensions * (dimensions + 1) // 2

    def correction(
        self, kappa: Float[Tensor, "D K"], gamma: Float[Tensor, "b P"] | None = None
    ) -> Float[Tensor, "R H outputs b K"]:
        """Networks n₁ and n₂ at wavenumbers that are not zero, small at the start: the power law leads."""
        modulus = kappa.square().sum(0).sqrt()
        features = [torch.log(modulus / self.scale) / self.decades]
        if len(kappa) > 1:
            pairs = torch.combinations(torch.arange(len(kappa), device=kappa.device), with_replacement=True)
            features += [kappa[a] * kappa[b] / modulus.square() for a, b in pairs.tolist()]
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

    def forward(
        self, kappa: Float[Tensor, "D *K"], gamma: Float[Tensor, "b P"] | None = None
    ) -> Inexact[Tensor, "R b H *K"]:
        """g at the wavenumbers κ, ready to multiply coefficients (R, B, H, *K)."""
        return _together(self.parts(kappa.flatten(1), gamma), kappa.shape[1:])

    def parts(
        self, kappa: Float[Tensor, "D K"], gamma: Float[Tensor, "b P"] | None = None
    ) -> tuple[Float[Tensor, "R H b K"], Float[Tensor, "R H b K"] | None]:
        """Re g and Im g, None where it is real."""
        modulus = kappa.square().sum(0).sqrt()
        moving = modulus > 0
        safe = torch.where(moving, kappa, self.scale)
        n = self.correction(safe, gamma)
        log = torch.log(safe.square().sum(0).sqrt() / self.scale)
        a, b = (parameter.view(*n.shape[:2], 1, 1) for parameter in (self.exponent, self.log_rate))
        # exp(−e⁴) is 0 to float32's rounding; without the bound e^∞ · e^(−∞) makes the gradient NaN
        decay = torch.exp(-torch.exp((a * log + b + n[:, :, 0]).clamp_max(4.0)))
        if self.network.outputs == 1:
            return torch.where(moving, decay - 1, 0), None
        theta = (n[:, :, 1:] * (kappa / self.scale)[:, None]).sum(2)
        real, imaginary = decay * torch.cos(theta) - 1, decay * torch.sin(theta)
        return torch.where(moving, real, 0), torch.where(moving, imaginary, 0)
