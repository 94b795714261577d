"""Recorded elementwise operations on small tensors, many in one call: what `elementwise.cpp` does, seen from torch.

Sums, products, comparisons, choices and copies of float32 and float64, with the results of torch bit for bit, which is
checked as each is recorded. Other operations, and those on large tensors, for which torch uses threads, are torch's.
"""

import ctypes
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from morlight.operators.kernels.compiled import library

LARGEST = 2**15  # numbers of a result, up to which torch uses one thread
AXES = 6
OPERATIONS = (
    "copy", "neg", "abs", "sign", "add", "sub", "mul", "div", "clamp_min", "clamp_max", "gt", "ge", "lt", "le", "where"
)  # fmt: skip
ALIASES = {"clone": "copy", "sgn": "sign"}
ARGUMENTS = {"copy": 1, "neg": 1, "abs": 1, "sign": 1, "where": 3}  # two of all others
MASKS = ("gt", "ge", "lt", "le")
TYPES = (torch.float32, torch.float64)

Step = tuple[str, Tensor, tuple[Any, ...]]  # operation, result, arguments


class _Operand(ctypes.Structure):
    _fields_ = (("place", ctypes.c_void_p), ("strides", ctypes.c_int64 * AXES))


class Instruction(ctypes.Structure):
    """One operation, as `elementwise.cpp` reads it."""

    _fields_ = (
        ("operation", ctypes.c_int64),
        ("bytes", ctypes.c_int64),
        ("sizes", ctypes.c_int64 * AXES),
        ("operands", _Operand * 4),
    )


def instructions(func: Any, args: Sequence[Any], kwargs: Any, result: Any) -> tuple[list[Instruction], list[Tensor]]:
    """Instructions that repeat an operation of torch, and the tensors that they read; both empty if torch has to do it.

    Args:
        func: operation, such as aten.mul.Tensor.
        args: its arguments.
        kwargs: those with names.
        result: what it has computed, whose memory is written to.
    """
    if not isinstance(result, Tensor) or result.device.type != "cpu" or result.dtype not in (*TYPES, torch.bool):
        return [], []
    if result.numel() > LARGEST or library() is None:
        return [], []
    made, held = [], []
    for name, out, operands in _steps(func, args, kwargs, result):
        if not out.numel():
            continue
        types = [one.dtype for one in operands if isinstance(one, Tensor) and one.dtype in TYPES]
        dtype = types[0] if types else out.dtype
        if dtype not in TYPES or not all(isinstance(one, Tensor | int | float) for one in operands):
            return [], []
        tensors = [one if isinstance(one, Tensor) else torch.tensor(one, dtype=dtype, device="cpu") for one in operands]
        if (instruction := _instruction(name, out, tensors)) is None:
            return [], []
        made.append(instruction)
        held += tensors
    return (made, held) if made and _repeats(made, result) else ([], [])


def together(made: Iterable[Instruction]) -> Callable[[], Any]:
    """One call for some instructions, one after the other."""
    row = [*made]
    block = (Instruction * len(row))(*row)
    found = library()
    assert found is not None
    return functools.partial(found.execute, ctypes.byref(block), len(row))


def _steps(func: Any, args: Sequence[Any], kwargs: Any, result: Tensor) -> list[Step]:
    name = func._overloadpacket.__name__
    if kwargs.get("alpha", 1) != 1 or not {*kwargs} <= {"alpha", "memory_format"}:
        return []
    if name == "rsub":
        return [("sub", result, (args[1], args[0]))] if len(args) == 2 else []  # without alpha
    if name in ("stack", "cat"):
        if len({one.dim() for one in args[0]}) > 1:
            return []  # cat takes empty lines among others
        axis = args[1] if len(args) > 1 else 0
        pieces = result.unbind(axis) if name == "stack" else result.split([one.shape[axis] for one in args[0]], axis)
        return [("copy", piece, (one,)) for piece, one in zip(pieces, args[0], strict=True)]
    if name == "select_backward":
        gradient, _, axis, index = args
        return [("copy", result, (0.0,)), ("copy", result.select(axis, index), (gradient,))]
    if name in ("clamp_min", "clamp_max") and not isinstance(args[1], int | float):
        return []  # a bound may be NaN
    name = ALIASES.get(name, name)
    return [(name, result, tuple(args))] if name in OPERATIONS else []


def _instruction(name: str, out: Tensor, operands: Sequence[Tensor]) -> Instruction | None:
    """None where the arguments are others than `elementwise.cpp` takes."""
    *first, number = (one.dtype for one in operands)
    types = [torch.bool if name == "where" else number, *[number] * (len(operands) - 1)]
    if (
        len(operands) != ARGUMENTS.get(name, 2)
        or number not in TYPES
        or [*first, number] != types
        or out.dtype != (torch.bool if name in MASKS else number)
        or any(one.is_neg() for one in operands)
    ):
        return None
    seen = [out, *(one.expand(out.shape) for one in operands)]
    axes = _axes(out.shape, [[one.element_size() * stride for stride in one.stride()] for one in seen])
    if len(axes) > AXES:
        return None
    axes = [(1, [0] * len(seen))] * (AXES - len(axes)) + axes
    made = Instruction(OPERATIONS.index(name), number.itemsize)
    for axis, (size, strides) in enumerate(axes):
        made.sizes[axis] = size
        for place, stride in enumerate(strides):
            made.operands[place].strides[axis] = stride
    for place in range(4):  # those that it lacks are read and not used
        made.operands[place].place = seen[min(place, len(operands))].data_ptr()
    return made


def _axes(shape: Sequence[int], strides: Sequence[Sequence[int]]) -> list[tuple[int, list[int]]]:
    """Sizes, and the strides of all operands, of as few axes as possible; the result lies densely along the last."""
    each = [(size, list(of_all)) for size, of_all in zip(shape, zip(*strides, strict=True), strict=True) if size > 1]
    found: list[tuple[int, list[int]]] = []
    for size, of_all in sorted(each, key=lambda axis: -axis[1][0]):
        if found and found[-1][1] == [size * stride for stride in of_all]:
            found[-1] = (found[-1][0] * size, of_all)
        else:
            found.append((size, of_all))
    return found


def _repeats(made: Sequence[Instruction], result: Tensor) -> bool:
    """Whether the instructions reproduce the result bit for bit."""
    due = result.clone()
    result.zero_()
    together(made)()
    same = torch.equal(_bits(result), _bits(due))
    if not same:
        result.copy_(due)
    return same


def _bits(values: Tensor) -> Tensor:
    values = values.nan_to_num() if values.is_floating_point() else values
    return values.view({1: torch.uint8, 4: torch.int32, 8: torch.int64}[values.element_size()])
