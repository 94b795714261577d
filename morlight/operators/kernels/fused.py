"""Networks and tables at many points in one pass, on the CPU: what `fused.cpp` does, seen from torch.

The plain forms stand in `networks.py` and `tabulation.py` and give the same to rounding. They serve wherever this
does not: on GPUs, without a C++ compiler, under torch.compile, torch.func and export, for other activations than elu.
"""

import ctypes
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from morlight.operators.kernels import recorded
from morlight.operators.kernels.compiled import library

SERIAL = 2048  # points of all networks together up to which one thread does all
CHUNK = 512  # points of one task, at least
NAMES = {torch.float64: "double", torch.float32: "float"}

Plain = Callable[[Tensor, Sequence[Tensor]], Tensor]


def serves(*tensors: Tensor) -> bool:
    """Whether plain tensors of one precision on the CPU are there, and nothing that wants to see single operations."""
    return (
        all(type(one) in (Tensor, nn.Parameter) and one.device.type == "cpu" for one in tensors)
        and tensors[0].dtype in NAMES
        and len({one.dtype for one in tensors}) == 1
        and not torch.compiler.is_compiling()
        and not torch._C._get_tracing_state()
        and not torch._C._are_functorch_transforms_active()
        and torch.autograd.forward_ad._current_level < 0
        and library() is not None
    )


def _call(name: str, dtype: torch.dtype, *arguments: Any) -> Callable[[], None]:
    """The call, done once and returned, to be done again."""
    call = functools.partial(getattr(library(), f"{name}_{NAMES[dtype]}"), *arguments)
    call()
    return call


def _numbers(*values: int) -> Any:
    return (ctypes.c_int64 * len(values))(*values)


def _places(tensors: Sequence[Tensor]) -> Any:
    return (ctypes.c_void_p * len(tensors))(*[one.data_ptr() for one in tensors])


def _tasks(realizations: int, points: int, networks: int) -> tuple[int, int]:
    """Chunks of points and threads."""
    threads = torch.get_num_threads() if points * networks > SERIAL else 1
    if realizations % threads == 0:  # a share of them for each
        return 1, threads
    return max(1, min(math.ceil(4 * threads / realizations), points // CHUNK)), threads


def _added(chunks: Tensor) -> Tensor:
    """The sum over the first axis."""
    return chunks[0] if len(chunks) == 1 else chunks.sum(0)


class Layers(torch.autograd.Function):
    """x (r, inputs, P) ↦ (R, copies · outputs, P), as `Perceptrons` does with elu between its layers.

    Args:
        plain: the same from single operations, for gradients that will be differentiated again.
        copies: networks of a realization.
        x: points.
        parameters: weights (R · copies, out, in) of all layers, then offsets (R · copies, out, 1).
    """

    @staticmethod
    def forward(ctx: Any, plain: Plain, copies: int, x: Tensor, *parameters: Tensor) -> Tensor:
        x = x if x.stride(2) == 1 else x.contiguous()
        held = [one.contiguous() for one in parameters]
        ctx.plain, ctx.copies = plain, copies
        ctx.save_for_backward(x, *held)
        weights, offsets = held[: len(held) // 2], held[len(held) // 2 :]
        R = len(weights[0]) // copies
        y = x.new_empty(R, copies * weights[-1].shape[1], x.shape[2])
        shape, _ = _shape(x, copies, weights)
        call = _call("forward", x.dtype, shape, x.data_ptr(), _places(weights), _places(offsets), y.data_ptr())
        recorded.note(call, [x, *held], [y])
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, *held = ctx.saved_tensors
        of_y = grads[0].contiguous()  # with a name: its memory must outlive the call
        wanted = ctx.needs_input_grad[2:]
        if torch.is_grad_enabled():
            needed = [one for one, due in zip((x, *held), wanted, strict=True) if due]
            found = iter(torch.autograd.grad(ctx.plain(x, held), needed, grads[0], create_graph=True))
            return None, None, *(next(found) if due else None for due in wanted)
        weights, offsets = held[: len(held) // 2], held[len(held) // 2 :]
        shape, chunks = _shape(x, ctx.copies, weights)
        each = [one.new_empty(chunks, *one.shape) for one in held]
        of_x = x.new_empty(len(weights[0]) // ctx.copies, *x.shape[1:]) if wanted[0] else None
        call = _call(
            "backward",
            x.dtype,
            shape,
            x.data_ptr(),
            _places(weights),
            _places(offsets),
            of_y.data_ptr(),
            _places(each[: len(weights)]),
            _places(each[len(weights) :]),
            None if of_x is None else of_x.data_ptr(),
        )
        recorded.note(call, [x, *held, of_y], [*each, *([] if of_x is None else [of_x])])
        return None, None, None if of_x is None else of_x.sum_to_size(x.shape), *map(_added, each)


def _shape(x: Float[Tensor, "r inputs P"], copies: int, weights: Sequence[Tensor]) -> tuple[Any, int]:
    """`Shape` of the source, and the number of chunks."""
    networks, points = len(weights[0]), x.shape[2]
    chunks, threads = _tasks(networks // copies, points, networks)
    stride = x.stride(0) if len(x) > 1 else 0
    sizes = [weights[0].shape[2], *(one.shape[1] for one in weights)]
    layout = (networks // copies, copies, points, chunks, len(weights), threads, stride, x.stride(1))
    return _numbers(*layout, *sizes), chunks


class Interpolate(torch.autograd.Function):
    """Piecewise linear interpolation, as `tabulation.Interpolate` does."""

    @staticmethod
    def forward(
        ctx: Any, points: Float[Tensor, "r P"], table: Float[Tensor, "R n"], low: float, spacing: float
    ) -> Float[Tensor, "R P"]:
        points, table = points.contiguous(), table.contiguous()
        ctx.save_for_backward(points, table)
        ctx.low, ctx.spacing = low, spacing
        y = points.new_empty(len(table), points.shape[1])
        shape, _ = _table(points, table)
        call = _call("interpolate", y.dtype, shape, points.data_ptr(), table.data_ptr(), low, spacing, y.data_ptr())
        recorded.note(call, [points, table], [y])
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        points, table = ctx.saved_tensors
        of_y = grads[0].contiguous()
        shape, chunks = _table(points, table)
        of_table = table.new_empty(chunks, *table.shape)
        of_points = table.new_empty(len(table), points.shape[1]) if ctx.needs_input_grad[0] else None
        call = _call(
            "interpolate_back",
            table.dtype,
            shape,
            points.data_ptr(),
            table.data_ptr(),
            ctx.low,
            ctx.spacing,
            of_y.data_ptr(),
            of_table.data_ptr(),
            None if of_points is None else of_points.data_ptr(),
        )
        recorded.note(call, [points, table, of_y], [of_table, *([] if of_points is None else [of_points])])
        return None if of_points is None else of_points.sum_to_size(points.shape), _added(of_table), None, None


def _table(points: Float[Tensor, "r P"], table: Float[Tensor, "R n"]) -> tuple[Any, int]:
    """`Table` of the source, and the number of chunks."""
    chunks, threads = _tasks(len(table), points.shape[1], len(table))
    stride = points.shape[1] if len(points) > 1 else 0
    return _numbers(len(table), table.shape[1], points.shape[1], chunks, threads, stride), chunks
