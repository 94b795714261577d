"""A scalar nonlinearity evaluated at nodes and interpolated between them, with its exact chain rule.

For one field h maps ℝ to ℝ: 4096 evaluations of the network replace one at every point of every field of the batch.
Linear interpolation on n nodes over a range of width W is off by at most (W/n)² |h″| / 8.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

NODES = 4096  # (W/n)²/8 = 2e-7 for W = 5, the rounding of float32; a quarter of a batch's points or less


class _Interpolate(torch.autograd.Function):
    """Piecewise linear interpolation of R tables (R, n) at points (R, P); spares the graph of its ten small steps."""

    @staticmethod
    def forward(ctx: Any, points: Tensor, table: Tensor, low: float, spacing: float) -> Tensor:
        position = (points - low) / spacing
        node = position.floor().clamp_(0, table.shape[1] - 2)
        weight = position.sub_(node)
        node = node.long()
        left = table.gather(1, node)
        slope = table.gather(1, node + 1).sub_(left)
        ctx.save_for_backward(node, weight, slope)
        ctx.nodes, ctx.spacing = table.shape[1], spacing
        return torch.addcmul(left, weight, slope)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (grad,) = grads
        node, weight, slope = ctx.saved_tensors
        to_right = grad * weight
        table = grad.new_zeros(len(grad), ctx.nodes)
        table.scatter_add_(1, node, grad - to_right)
        table.scatter_add_(1, node + 1, to_right)
        return grad * slope / ctx.spacing, table, None, None


def tabulate(
    h: Callable[[Tensor], Tensor], low: float, high: float, *, like: Tensor, nodes: int = NODES
) -> Callable[[Float[Tensor, "r B 1 *X"]], Float[Tensor, "R B 1 *X"]]:
    """h as a table over [low, high], continued by its outermost slopes; gradients reach the network through the nodes.

    Args:
        h: pointwise, (r, B, 1, *X) ↦ (R, B, 1, *X).
        low: lower end of the range, in the unit of u.
        high: upper end.
        like: a tensor of the wanted type and device.
        nodes: number of nodes.
    """
    grid = torch.linspace(low, high, nodes, dtype=like.dtype, device=like.device)
    table = h(grid.view(1, 1, 1, -1)).flatten(1)

    def interpolated(u: Tensor) -> Tensor:
        points = u.expand(len(table), *u.shape[1:]).reshape(len(table), -1)
        values: Tensor = _Interpolate.apply(points, table, low, (high - low) / (nodes - 1))
        return values.view(len(table), *u.shape[1:])

    return interpolated
