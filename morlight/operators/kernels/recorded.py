"""Functions recorded once and replayed in fixed memory, for roll-outs of small fields.

At a few hundred points, a step of some thirty operations spends most of its time between them: on the layers of Python
that call them and on memory for their results. A recording keeps the operations with the addresses of what they read
and write, as CUDA graphs do on other devices. What does not depend on the state is not computed again, views cost
nothing, elementwise operations that follow each other are one call (`elementwise`), and the numbers are those of the
step itself, bit for bit.
"""

import functools
import itertools
from collections.abc import Callable, Hashable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes, _get_current_dispatch_mode
from torch.utils._pytree import tree_leaves

from morlight.operators.kernels import elementwise
from morlight.operators.kernels.elementwise import Instruction, together

Function = Callable[[Tensor], Tensor]
Call = Callable[[], Any]

SMALL = 1024  # numbers of a constant that is compared by its values
BRANCHING = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape, torch.Tag.nondeterministic_seeded)


class NotRecordable(Exception):
    """What the function does depends on the values of its argument."""


class SharedResult(NotRecordable):
    """A result that stands for several is changed in place."""


class OtherShapes(NotRecordable):
    """A part that `as_one` does has results of other shapes than in the recording.

    Attributes:
        shapes: of its results.
    """

    def __init__(self, shapes: tuple[torch.Size, ...]) -> None:
        super().__init__(f"results have the shapes {[tuple(shape) for shape in shapes]}, which are not those recorded")
        self.shapes = shapes


@dataclass(frozen=True)
class Operation:
    """One operation, with the tensors that it reads and writes.

    Attributes:
        call: does it again, into the same memory; None if instructions do.
        reads: its inputs.
        writes: its results.
        fresh: whether nothing of the results was there before.
        instructions: do it again, in one call with those of other operations.
    """

    call: Call | None
    reads: Sequence[Tensor]
    writes: Sequence[Tensor]
    fresh: bool = True
    instructions: Sequence[Instruction] = ()


class Recorder(TorchDispatchMode):
    """Notes all operations of torch on tensors, and those of `fused.cpp`, while it is entered.

    Args:
        starts: tensors whose values change from replay to replay.
        share: whether an operation that is done twice with the same arguments is noted once.
    """

    def __init__(self, *starts: Tensor, share: bool = True) -> None:
        super().__init__()
        self.share, self.shared = share, set[int]()  # memory of results that stand for several
        self.operations: list[Operation] = []
        self.starts, self.moving = starts, {*map(_memory, starts)}
        self.known: dict[Hashable, Tensor] = {}  # results by operation and arguments, as long as these do not change

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to skip it takes its import, seconds

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The result of the operation, which is noted."""
        kwargs = kwargs or {}
        reads = [] if _of_shape(func) else _tensors((args, kwargs))
        if any(tag in func.tags for tag in BRANCHING) and self._moves(reads) and not _by_numbers(func, args):
            raise NotRecordable(str(func))
        key = self._identity((func, args, kwargs)) if self.share and self._moves(reads) else None
        if key in self.known:  # the fields of a system begin with the same scaled state
            self.shared.add(_memory(self.known[key]))
            return self.known[key].detach()
        result = func(*args, **kwargs)
        writes = _tensors(result)
        if func._schema.is_mutable:
            if self.shared.intersection(map(_memory, writes)):
                raise SharedResult(str(func))
            self.add(Operation(functools.partial(func, *args, **kwargs), reads, writes, fresh=False))
            self.known.clear()
        elif not {*map(_memory, writes)} <= {*map(_memory, reads)}:  # others are views of what is there
            moves = self._moves(reads)
            made, held = elementwise.instructions(func, args, kwargs, result) if moves else ([], [])
            call = None if made else (_into if moves else _copied)(func, args, kwargs, result)
            self.add(Operation(call, [*reads, *held], writes, instructions=made))
            if key is not None and isinstance(result, Tensor):
                self.known[key] = result
        return result

    def add(self, operation: Operation) -> None:
        """Note one operation."""
        self.operations.append(operation)
        if self._moves(operation.reads):
            self.moving.update(map(_memory, operation.writes))

    def _moves(self, tensors: Sequence[Tensor]) -> bool:
        return bool(self.moving.intersection(map(_memory, tensors)))

    def _identity(self, value: Any) -> Hashable:
        """Equal for arguments that are the same: constants by their values, other tensors by their places in memory."""
        if isinstance(value, Tensor):
            layout = value.dtype, tuple(value.shape)
            if not self._moves([value]) and value.numel() <= SMALL:
                return *layout, value.resolve_conj().resolve_neg().numpy(force=True).tobytes()
            return *layout, _memory(value), value.stride(), value.storage_offset(), value.is_conj(), value.is_neg()
        if isinstance(value, list | tuple):
            return tuple(map(self._identity, value))
        if isinstance(value, dict):
            return tuple((key, self._identity(each)) for key, each in sorted(value.items()))
        return type(value), repr(value)

    def repeated(self) -> list[Operation]:
        """Operations whose results depend on the starts, and those that set up memory which others change in place."""
        changed = {
            place
            for operation in self.operations
            if not operation.fresh and self._moves(operation.reads)
            for place in map(_memory, operation.writes)
        }
        return [
            operation
            for operation in self.operations
            if self._moves(operation.reads) or changed.intersection(map(_memory, operation.writes))
        ]


def record(function: Callable[[], Any], *starts: Tensor) -> tuple[list[Operation], Any]:
    """The operations of a function that depend on the starts, and its result.

    Raises:
        NotRecordable: if what it does depends on the values of the starts.
    """
    try:
        with (recorder := Recorder(*starts)):
            result = function()
    except SharedResult:
        with (recorder := Recorder(*starts, share=False)):
            result = function()
    return recorder.repeated(), result


def calls(operations: Sequence[Operation]) -> list[Call]:
    """What does them again, in as few calls as possible."""
    found: list[Call] = []
    for many, row in itertools.groupby(operations, lambda operation: bool(operation.instructions)):
        if many:
            found.append(together(itertools.chain.from_iterable(operation.instructions for operation in row)))
        else:
            found += [operation.call for operation in row if operation.call is not None]
    return found


def note(call: Call, reads: Sequence[Tensor], writes: Sequence[Tensor]) -> None:
    """Add an operation that torch does not see to the recording under way, if there is one."""
    mode = _get_current_dispatch_mode()
    if isinstance(mode, Recorder):
        mode.add(Operation(call, reads, writes))


def as_one(function: Callable[[Tensor], tuple[Tensor, ...]], x: Tensor) -> tuple[Tensor, ...]:
    """The results of a function whose operations depend on the values of x, recorded as one operation.

    Raises:
        OtherShapes: by the replay, if the results have other shapes than when they were recorded.
    """
    host = _host_parts.get()
    if host is not None:
        return host.results(function, x)
    if not isinstance(_get_current_dispatch_mode(), Recorder):
        return function(x)
    with _disable_current_modes():
        results = function(x)

    note(functools.partial(_again, function, x, results), [x], results)
    return results


def _again(function: Callable[[Tensor], tuple[Tensor, ...]], x: Tensor, results: tuple[Tensor, ...]) -> None:
    values = function(x)
    if any(value.shape != result.shape for value, result in zip(values, results, strict=True)):
        raise OtherShapes(tuple(value.shape for value in values))
    for result, value in zip(results, values, strict=True):
        result.copy_(value)


class HostParts:
    """What `as_one` does while it is entered: it is done once, and again before each launch of a CUDA graph.

    Args:
        inputs: of the graph, on which alone these parts may depend.
    """

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        self.inputs = {*map(_memory, inputs)}
        self.parts: list[tuple[Callable[[Tensor], tuple[Tensor, ...]], Tensor, tuple[Tensor, ...]]] = []
        self.place = 0

    def __enter__(self) -> None:
        self.place = 0
        self.token = _host_parts.set(self)

    def __exit__(self, *error: object) -> None:
        _host_parts.reset(self.token)

    def results(self, function: Callable[[Tensor], tuple[Tensor, ...]], x: Tensor) -> tuple[Tensor, ...]:
        """Of the next part, in memory that stays.

        Raises:
            NotRecordable: if it depends on more than the inputs.
        """
        if _memory(x) not in self.inputs:
            raise NotRecordable("values that are computed on the way decide what is done")
        if self.place == len(self.parts):
            self.parts.append((function, x, function(x)))
        self.place += 1
        return self.parts[self.place - 1][2]

    def again(self) -> None:
        """Do all parts at the present inputs.

        Raises:
            OtherShapes: if a result has another shape.
        """
        for part in self.parts:
            _again(*part)


_host_parts: ContextVar[HostParts | None] = ContextVar("host parts", default=None)


class Recording:
    """A function of one tensor whose operations are done again in the same memory.

    Args:
        input: where the function reads its argument; write the next one here.
        output: its result.
        operations: what leads from one to the other.
    """

    def __init__(self, input: Tensor, output: Tensor, operations: Sequence[Operation]) -> None:
        self.input, self.output = input, output
        self.operations = operations  # which hold the memory that their calls address
        self.calls = calls(operations)

    def __call__(self, u: Tensor) -> Tensor:
        """The function at u, in memory that the next call overwrites."""
        self.input.copy_(u)
        for call in self.calls:
            call()
        return self.output

    def iterate(self, u: Tensor, times: int) -> Tensor:
        """The function applied so many times to its own result, in memory that the next call overwrites."""
        calls: list[Call] = [*self.calls, functools.partial(self.input.copy_, self.output)]
        self.input.copy_(u)
        for _ in range(times):
            for call in calls:
                call()
        return self.input


def recorded(function: Function, u: Tensor) -> Recording | None:
    """A recording of a function at u; None where it does not do the same at every argument.

    Args:
        function: a composition of torch's operations; no gradients are kept.
        u: an argument of the shape and type of all that follow.
    """
    start = u.clone(memory_format=torch.contiguous_format)
    try:
        with torch.no_grad():
            operations, output = record(lambda: function(start), start)
    except NotRecordable:
        return None
    recording = Recording(start, output, operations)
    other = u + output if u.shape == output.shape else 2 * u
    expected = function(other)
    if not torch.equal(recording(other).nan_to_num(), expected.nan_to_num()):
        return None
    start.copy_(u)
    return recording


def _into(func: Any, args: Any, kwargs: Any, result: Any) -> Call:
    """The operation into the memory of its result, by the fastest call that torch has for it."""
    if isinstance(result, Tensor):
        packet = func._overloadpacket
        forms = [(getattr(torch, packet.__name__, None), "out")]
        forms += [(getattr(packet, each), "out") for each in packet.overloads() if "out" in each]
        if "grad_input" in packet.overloads():
            forms.append((packet.grad_input, "grad_input"))
        for form, place in forms:
            if form is not None and _serves(form, args, kwargs, place, result):
                return functools.partial(form, *args, **kwargs, **{place: result})
    return _copied(func, args, kwargs, result)


def _copied(func: Any, args: Any, kwargs: Any, result: Any) -> Call:
    """The operation, and its result copied."""

    def copied() -> None:
        for target, value in zip(_tensors(result), _tensors(func(*args, **kwargs)), strict=True):
            target.copy_(value)

    return copied


def _serves(form: Any, args: Any, kwargs: Any, place: str, result: Tensor) -> bool:
    """Whether a function takes these arguments and a place for its result, and gives the same."""
    trial = torch.empty_like(result)
    address = trial.data_ptr()
    try:
        form(*args, **kwargs, **{place: trial})
    except (TypeError, RuntimeError, ValueError):
        return False
    return trial.data_ptr() == address and trial.shape == result.shape and torch.equal(trial, result)


def _by_numbers(func: Any, args: Any) -> bool:
    """Whether elements are taken by their numbers, and not by a mask that selects more or fewer of them."""
    return func is torch.ops.aten.index.Tensor and not any(
        places.dtype in (torch.bool, torch.uint8) for places in _tensors(args[1])
    )


def _of_shape(func: Any) -> bool:
    """Whether the result is new memory, for which the tensor given is but a model."""
    name = func._overloadpacket.__name__
    return name.startswith("new_") or name.endswith("_like")


def _tensors(values: Any) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
