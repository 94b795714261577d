"""Small networks, R of them side by side: the only file that treats realizations.

The weights of a layer of all R networks are one tensor (R, out, in), and the points of the field lie along the last
axis, so that all realizations are evaluated by one batched matrix product, y_r = W_r x_r + b_r. The networks of several
fields and terms (Eq. 27) are part of the same product: (R · copies, out, in).
"""

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from morlight.operators.kernels import fused
from morlight.operators.units import NO_GAMMA


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
    """A copy of a module of R realizations with some of them only: every parameter has them along its first axis."""
    found = copy.deepcopy(module)
    for parameter in found.parameters():
        each = parameter.data.unflatten(0, (realizations, -1))
        parameter.data = each[list(chosen)].flatten(0, 1)
    return found


class Perceptrons(nn.Module):
    """R fully connected networks with `depth` linear layers and `width` units in each hidden layer.

    The weights of realization r are drawn with its own seed (Glorot uniform, zero offsets), so that R networks side by
    side are initialized like R single ones.

    Args:
        inputs: number of inputs of each network.
        outputs: number of outputs of each network.
        width: number of units in each hidden layer.
        depth: number of linear layers.
        activation: activation function, a key of `ACTIVATIONS`.
        seeds: one seed for each realization.
        copies: number of networks with the same input in each realization, each with its own weights.
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
        """Number R of realizations."""
        return self.weights[0].shape[0] // self.copies

    @property
    def outputs(self) -> int:
        """Number of outputs of each network."""
        return self.weights[-1].shape[1]

    def forward(self, x: Float[Tensor, "r inputs points"]) -> Float[Tensor, "R outputs points"]:
        """Networks at points shared by all realizations (r = 1) or given for each (r = R); copies follow each other."""
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
    """Pointwise h(u(x); γ) without explicit dependence on x (Eq. 12, 27), from C fields to a channel for each copy."""

    def __init__(self, network: Perceptrons) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, u: Float[Tensor, "r B C *X"], gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Float[Tensor, "R B H *X"]:
        """h(u; γ), realization by realization, γ one for all fields of the batch (b = 1) or one for each."""
        points = u.transpose(1, 2).flatten(2)
        if gamma.shape[1]:
            each = gamma.T.reshape(1, -1, gamma.shape[0], 1).expand(len(u), -1, u.shape[1], u[0, 0, 0].numel())
            points = torch.cat([points, each.flatten(2)], 1)
        values = self.network(points)
        return values.unflatten(2, (u.shape[1], *u.shape[3:])).transpose(1, 2)
