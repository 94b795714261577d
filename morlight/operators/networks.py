"""Small networks, R of them side by side: the only file that treats realisations.

Every layer holds the weights of all R networks as one tensor (R, out, in) and the points of the field lie along
the last axis, so that one batched matrix product serves all realisations: y_r = W_r x_r + b_r.
"""

import itertools
import math
from collections.abc import Callable

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.nn import functional

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "elu": functional.elu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "softplus": functional.softplus,
    "tanh": torch.tanh,
}


class Perceptrons(nn.Module):
    """R fully connected networks with `depth` linear layers, the hidden ones `width` wide.

    The weights of realisation r are drawn from a stream of its own, seeded with seed + r (Glorot uniform, offsets
    zero), so that R networks side by side start as R single ones.
    """

    def __init__(self, inputs: int, outputs: int, *, width: int = 4, depth: int = 4, activation: str = "elu",
                 seeds: tuple[int, ...] = (0,)) -> None:  # fmt: skip
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        sizes = [inputs, *[width] * (depth - 1), outputs]
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.weights, self.offsets = nn.ParameterList(), nn.ParameterList()
        for fan_in, fan_out in itertools.pairwise(sizes):
            bound = math.sqrt(6 / (fan_in + fan_out))
            drawn = [torch.rand(fan_out, fan_in, generator=g, dtype=torch.float64) for g in generators]
            self.weights.append(torch.stack(drawn).mul(2 * bound).sub(bound).to(torch.get_default_dtype()))
            self.offsets.append(torch.zeros(len(seeds), fan_out, 1))

    @property
    def realizations(self) -> int:
        """R, the number of networks side by side."""
        return self.weights[0].shape[0]

    @property
    def outputs(self) -> int:
        """Number of outputs of each network."""
        return self.weights[-1].shape[1]

    def forward(self, x: Float[Tensor, "r inputs points"]) -> Float[Tensor, "R outputs points"]:
        """Networks at points shared by all realisations (r = 1) or given for each (r = R)."""
        x = x.expand(self.realizations, -1, -1)
        for layer, (weight, offset) in enumerate(zip(self.weights, self.offsets, strict=True)):
            x = torch.baddbmm(offset, weight, x)
            if layer + 1 < len(self.weights):
                x = self.activation(x)
        return x


class Nonlinearity(nn.Module):
    """Pointwise h(u(x)) without explicit dependence on x (Eq. 12), C fields in and C out."""

    def __init__(self, network: Perceptrons) -> None:
        super().__init__()
        self.network = network

    def forward(self, u: Float[Tensor, "r B C *X"]) -> Float[Tensor, "R B C *X"]:
        """h(u), realisation by realisation."""
        points = u.transpose(1, 2).flatten(2)
        values = self.network(points)
        return values.unflatten(2, (u.shape[1], *u.shape[3:])).transpose(1, 2)


class Symbol(nn.Module):
    """Plain symbol g(κ): a network from the D components of κ to Re g and Im g (Eq. 11).

    Args:
        network: D inputs, two outputs.
        scale: unit of κ before it enters the network, in 1/length; 1 is the paper's.
    """

    def __init__(self, network: Perceptrons, scale: float = 1.0) -> None:
        super().__init__()
        self.network = network
        self.scale = scale

    def forward(self, kappa: Float[Tensor, "D *K"]) -> Complex[Tensor, "R 1 1 *K"]:
        """g at the wavenumbers κ, ready to multiply coefficients (R, B, C, *K)."""
        parts = self.network(kappa.flatten(1)[None] / self.scale)
        g = torch.complex(parts[:, 0].contiguous(), parts[:, 1].contiguous())
        return g.unflatten(1, (1, 1, *kappa.shape[1:]))


class DissipativeSymbol(nn.Module):
    """Symbol of an exact decay over one step, g(κ) = exp(−ρ(κ) + iθ(κ)) − 1, so that |1 + g| ≤ 1.

    ρ(κ) = exp(a ln(|κ|/κ₀) + b + n₁) and θ(κ) = n₂·κ/κ₀, with networks n of ln|κ| (and of the products of the
    components of κ/|κ|, which keep g(−κ) = g(κ)*). Every power law, ρ = D Δt |κ|^α, is a member with n₁ constant,
    drift with velocity V one with n₂ = −V κ₀ Δt; g(0) = 0.

    Args:
        network: 1 + D(D+1)/2 inputs (1 for D = 1), 1 + D outputs.
        scale: κ₀, the wavenumber in 1/length at which ρ = 1 before training.
        decades: ln(κ_max/κ₀), unit of ln|κ| before it enters the network.
    """

    def __init__(self, network: Perceptrons, scale: float, decades: float) -> None:
        super().__init__()
        self.network = network
        self.scale = scale
        self.decades = decades
        count = network.realizations
        self.exponent = nn.Parameter(torch.ones(count, 1))
        self.log_rate = nn.Parameter(torch.zeros(count, 1))

    @staticmethod
    def inputs(dimensions: int) -> int:
        """Number of inputs that the network needs in D dimensions."""
        return 1 if dimensions == 1 else 1 + dimensions * (dimensions + 1) // 2

    def correction(self, kappa: Float[Tensor, "D K"]) -> Float[Tensor, "R outputs K"]:
        """Networks n₁ and n₂ at wavenumbers that are not zero, small at the start: the power law leads."""
        modulus = kappa.square().sum(0).sqrt()
        features = [torch.log(modulus / self.scale) / self.decades]
        if len(kappa) > 1:
            pairs = torch.combinations(torch.arange(len(kappa), device=kappa.device), with_replacement=True)
            features += [kappa[a] * kappa[b] / modulus.square() for a, b in pairs.tolist()]
        return 0.1 * self.network(torch.stack(features)[None])

    def bending(self, points: int = 65) -> Float[Tensor, " R"]:
        """Mean square of d² ln ρ / d(ln κ)² along the axes, 0 for a power law."""
        reach = self.decades
        log = torch.linspace(-reach, reach, points, dtype=self.exponent.dtype, device=self.exponent.device)
        axes = torch.eye(self.network.outputs - 1, dtype=log.dtype, device=log.device)
        kappa = (self.scale * torch.exp(log) * axes[..., None]).flatten(1)
        n = self.correction(kappa)[:, 0].unflatten(1, (len(axes), points))
        return (n.diff(n=2) * ((points - 1) / (2 * reach)) ** 2).square().flatten(1).mean(1)

    def forward(self, kappa: Float[Tensor, "D *K"]) -> Complex[Tensor, "R 1 1 *K"]:
        """g at the wavenumbers κ, ready to multiply coefficients (R, B, C, *K)."""
        k = kappa.flatten(1)
        modulus = k.square().sum(0).sqrt()
        moving = modulus > 0
        safe = torch.where(moving, k, self.scale)
        n = self.correction(safe)
        log = torch.log(safe.square().sum(0).sqrt() / self.scale)
        # exp(−e⁴) is 0 to float32's rounding; without the bound e^∞ · e^(−∞) makes the gradient NaN
        decay = torch.exp(-torch.exp((self.exponent * log + self.log_rate + n[:, 0]).clamp_max(4.0)))
        theta = (n[:, 1:] * (k / self.scale)).sum(1)
        g = torch.complex(decay * torch.cos(theta) - 1, decay * torch.sin(theta))
        return torch.where(moving, g, 0).unflatten(1, (1, 1, *kappa.shape[1:]))
