"""A scalar nonlinearity evaluated at nodes and interpolated between them, with its exact chain rule.

For one field h maps ℝ to ℝ: 4096 evaluations of the network replace one at every point of every field of the batch.
Linear interpolation on n nodes over a range of width W is off by at most (W/n)² |h″| / 8.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from morlight.operators.kernels import fused

NODES = 4096  # (W/n)²/8 = 2e-7 for W = 5, the rounding of float32; a quarter of a batch's points or less


class Interpolate(torch.autograd.Function):
    """Piecewise linear interpolation of R tables (R, n) at points (r, P), shared (r = 1) or one row for each table.

    Points and tables are read once and little is kept: value and slope of an interval are one complex number, which
    one look-up finds and, with the two gradients of an interval, one summation collects.
    """

    @staticmethod
    def forward(ctx: Any, points: Tensor, table: Tensor, low: float, spacing: float) -> Tensor:
        intervals = torch.complex(table[:, :-1], table.diff(dim=1))
        weight = torch.add(points.new_full((), -low / spacing), points, alpha=1 / spacing)
        start = weight.floor().clamp_(0, intervals.shape[1] - 1)
        weight -= start
        node = start.long()
        found = intervals.gather(1, node.expand(len(table), -1))
        ctx.spacing, ctx.intervals = spacing, intervals.shape[1]
        ctx.save_for_backward(node, weight, found.imag if ctx.needs_input_grad[0] else None)
        return torch.addcmul(found.real, weight, found.imag)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        (grad,) = grads
        node, weight, slope = ctx.saved_tensors
        both = torch.complex(grad, grad * weight)
        sums = torch.zeros(len(grad), ctx.intervals, dtype=both.dtype, device=grad.device)
        sums.scatter_add_(1, node.expand_as(grad), both)
        of_table = nn.functional.pad(sums.real - sums.imag, (0, 1))
        of_table[:, 1:] += sums.imag
        if slope is None:
            return None, of_table, None, None
        of_points = torch.mul(grad, slope).mul_(1 / ctx.spacing)
        return of_points if len(node) == len(grad) else of_points.sum(0, keepdim=True), of_table, None, None


def tabulate(
    h: Callable[[Tensor], Tensor], low: float, high: float, *, like: Tensor, nodes: int = NODES, odd: bool = False
) -> Callable[[Float[Tensor, "r B 1 *X"]], Float[Tensor, "R B 1 *X"]]:
    """h as a table over [low, high], continued by its outermost slopes; gradients reach the network through the nodes.

    Args:
        h: pointwise, (r, B, 1, *X) ↦ (R, B, 1, *X).
        low: lower end of the range, in the unit of u.
        high: upper end.
        like: a tensor of the wanted type and device.
        nodes: number of nodes.
        odd: h(−u) = −h(u), of which half the nodes tell everything where they lie evenly around 0.
    """
    grid = torch.linspace(low, high, nodes, dtype=like.dtype, device=like.device)
    mirrored = odd and low == -high
    upper = h((grid[nodes // 2 :] if mirrored else grid).view(1, 1, 1, -1)).flatten(1)
    table = torch.cat([-upper[:, nodes % 2 :].flip(1), upper], 1) if mirrored else upper

    def interpolated(u: Tensor) -> Tensor:
        points = u.reshape(len(u), -1)
        form = fused.Interpolate if fused.serves(points, table) else Interpolate
        values: Tensor = form.apply(points, table, low, (high - low) / (nodes - 1))
        return values.view(len(table), *u.shape[1:])

    return interpolated
