"""Networks and tables at many points in one pass, on the CPU: what `fused.cpp` does, seen from torch.

The plain forms stand in `networks.py` and `tabulation.py` and give the same to rounding. They serve wherever this
does not: on GPUs, without a C++ compiler, under torch.compile, torch.func and export, for other activations than elu.

The source is compiled at its first use, in two seconds, for the processor at hand, and kept in the user's cache: in a
folder that nobody else can enter, under a name with the hash of its content. A file that was changed or cut short is
not loaded but made anew.

`MORLIGHT_FUSED=0` in the environment goes without it.
"""

import ctypes
import functools
import hashlib
import logging
import math
import os
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from morlight.operators.kernels import recorded

SOURCE = Path(__file__).with_name("fused.cpp")
COMPILERS = ("c++", "g++", "clang++")
FLAGS = ["-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-fPIC", "-shared"]
SERIAL = 2048  # points of all networks together up to which one thread does all
CHUNK = 512  # points of one task, at least
NAMES = {torch.float64: "double", torch.float32: "float"}

Plain = Callable[[Tensor, Sequence[Tensor]], Tensor]


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled source, None where it cannot be had."""
    given = os.environ.get("CXX") or next(filter(None, map(shutil.which, COMPILERS)), None)
    if given is None or os.environ.get("MORLIGHT_FUSED") == "0":
        return None
    try:
        return _typed(ctypes.CDLL(str(_compiled(shlex.split(given)))))
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:  # RuntimeError: a user without a home
        logging.getLogger(__name__).warning("%s is not compiled (%s): fits take longer", SOURCE.name, error)
        return None


def _compiled(compiler: Sequence[str]) -> Path:
    """The library in the user's cache, made if it is not there unchanged, whole or not at all."""
    # the OpenMP that torch has loaded: two of them would keep each other's threads from the processors
    openmp = sorted(str(path) for path in Path(torch.__file__).with_name("lib").glob("libgomp*"))
    words = [*FLAGS, str(SOURCE), *openmp]
    version = subprocess.run([*compiler, "--version"], capture_output=True, check=True).stdout
    known = [SOURCE.read_bytes(), version, " ".join(words).encode(), _processor()]
    name = f"fused-{_digest(b'|'.join(known))}"
    folder = _private_folder()
    for path in sorted(folder.glob(f"{name}-*.so")):
        if path.name == f"{name}-{_digest(path.read_bytes())}.so":
            return path
        path.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = Path(scratch, "fused.so")
        subprocess.run([*compiler, *words, "-o", str(made)], capture_output=True, check=True)
        return made.replace(folder / f"{name}-{_digest(made.read_bytes())}.so")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _private_folder() -> Path:
    """The folder of compiled kernels in the user's cache.

    Raises:
        OSError: if it is another user's, a link, or others can enter it: a library from there could do anything.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "morlight" / "kernels"
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & 0o077:
        raise OSError(f"{folder}: expected a folder of your own that nobody else can enter; remove it, or chmod 700")
    return folder


def _processor() -> bytes:
    """What -march=native depends on: homes are shared by machines of several kinds."""
    try:
        lines = Path("/proc/cpuinfo").read_bytes().splitlines()
    except OSError:
        return b""
    return b"".join(sorted({line for line in lines if line.startswith((b"flags", b"model name", b"Features"))}))


def _typed(found: ctypes.CDLL) -> ctypes.CDLL:
    pointer = ctypes.c_void_p
    for name, number in (("double", ctypes.c_double), ("float", ctypes.c_float)):
        for function, arguments in (
            ("forward", [pointer] * 5),
            ("backward", [pointer] * 8),
            ("interpolate", [pointer] * 3 + [number] * 2 + [pointer]),
            ("interpolate_back", [pointer] * 3 + [number] * 2 + [pointer] * 3),
        ):
            bound = getattr(found, f"{function}_{name}")
            bound.argtypes, bound.restype = arguments, None
    return found


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
