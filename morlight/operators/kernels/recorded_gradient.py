"""Objectives with their gradients, recorded once and replayed: training steps of small fields.

A step on a line of 256 points, forward and backward, has some 180 operations, including views; each takes 2 µs in
addition to its call. In a replay, views and whatever depends on no parameter cost nothing, elementwise operations that
follow each other are one call, and the others write to memory that is already allocated (see `recorded`). Value and
gradients equal those of the objective bit for bit.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from morlight.operators.kernels.graphed import GraphedGradient
from morlight.operators.kernels.recorded import NotRecordable, OtherShapes, calls, record

# ↦ the total, which is differentiated, and the values that it is computed from
Objective = Callable[..., tuple[Float[Tensor, ""], Float[Tensor, " R"]]]

LARGEST = 2**17  # values of all realizations, up to which operations are short compared with their calls
PLAIN = 20  # plain steps of a kind before one is recorded: recording takes about as long as these
KINDS = 32  # most recent kinds of steps that are remembered
MEMORY = 2**28  # bytes of all recordings


class RecordedGradient:
    """An objective and its gradients with respect to some parameters, as operations in fixed memory.

    Args:
        objective: a composition of torch's operations on the inputs and the parameters.
        inputs: tensors with the shapes and types of all later inputs.
        parameters: the parameters of the objective; their memory must not move.

    Raises:
        NotRecordable: if operations depend on the values of the inputs.
    """

    def __init__(self, objective: Objective, inputs: Sequence[Tensor], parameters: Sequence[nn.Parameter]) -> None:
        self.inputs = [one.clone(memory_format=torch.contiguous_format) for one in inputs]

        def differentiated() -> tuple[Tensor, Tensor, Sequence[Tensor]]:
            total, values = objective(*self.inputs)
            return total, values, torch.autograd.grad(total, parameters)

        # kept because they own the memory that their calls address
        self.operations, (total, values, gradients) = record(differentiated, *self.inputs, *parameters)
        self.total, self.values = total.detach(), values.detach()
        self.gradients = [gradient.detach() for gradient in gradients]
        self.calls = calls(self.operations)
        memory = {one.untyped_storage().data_ptr(): one for step in self.operations for one in step.writes}
        self.bytes = sum(one.untyped_storage().nbytes() for one in memory.values())
        self.checked, self.turn = False, 0

    def replay(self, inputs: Sequence[Tensor]) -> None:
        """Compute the total, the values and the gradients for new inputs, in the same memory.

        Raises:
            OtherShapes: if an operation has results of another shape for these inputs.
        """
        self.turn += 1
        with torch.no_grad():
            for place, one in zip(self.inputs, inputs, strict=True):
                place.copy_(one)
            for call in self.calls:
                call()

    def equals(self, total: Tensor, gradients: Sequence[Tensor]) -> bool:
        """Whether the last replay gave these numbers bit for bit."""
        pairs = zip([self.total, *self.gradients], [total, *gradients], strict=True)
        return all(torch.equal(ours.nan_to_num(), theirs.nan_to_num()) for ours, theirs in pairs)


class _Replayed(torch.autograd.Function):
    """Total, values and gradients of the last replay; the next replay overwrites the gradients."""

    @staticmethod
    def forward(ctx: Any, recording: RecordedGradient | GraphedGradient, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        ctx.recording, ctx.turn = recording, recording.turn
        total, values = recording.total.clone(), recording.values.clone()
        ctx.mark_non_differentiable(values)
        return total, values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        assert ctx.turn == ctx.recording.turn, "a later step has overwritten the gradients of this one"
        return None, *torch._foreach_mul(ctx.recording.gradients, grads[0])


class Replays:
    """An objective for many steps of few kinds, which are replayed for small fields or on a GPU, and plain otherwise.

    The first replay of each recording is compared with the objective itself; if they differ, this kind is not replayed.

    Args:
        objective: (kind, *inputs) ↦ the total, which is differentiated once and before the next call, and the values
            that it is computed from; it does the same operations for all inputs of one kind and shape.
        module: the module whose parameters and buffers the objective depends on.
        realizations: number R, each of which is applied to all states of the first input.
    """

    def __init__(self, objective: Objective, module: nn.Module, realizations: int) -> None:
        self.objective, self.module, self.realizations = objective, module, realizations
        self.look()
        self._kinds: dict[Hashable, int | RecordedGradient | GraphedGradient | None] = {}

    def __call__(self, kind: Hashable, *inputs: Tensor) -> tuple[Float[Tensor, ""], Float[Tensor, " R"]]:
        """Total and values for some inputs.

        Args:
            kind: determines, together with the shapes of the inputs, which operations are done.
            inputs: tensors; the first one contains states along its first axis.
        """
        if self._possible(inputs):
            recording = self._recording(kind, inputs)
            if recording is not None:
                total, values = _Replayed.apply(recording, *self.parameters)
                return total, values
        return self.objective(kind, *inputs)

    def look(self) -> None:
        """Find out which parameters and buffers there are: call it where some may have come or gone."""
        self.parameters, self.buffers = [*self.module.parameters()], [*self.module.buffers()]

    def _possible(self, inputs: Sequence[Tensor]) -> bool:
        """Whether such a step can be replayed: plain operations with gradients, for small states or on a GPU."""
        (device, *more) = {one.device.type for one in [*self.parameters, inputs[0]]}
        small = self.realizations * inputs[0][0].numel() <= LARGEST
        return (
            not more
            and (device == "cuda" or (device == "cpu" and small))
            and torch.is_grad_enabled()
            and all(one.requires_grad and not one._backward_hooks for one in self.parameters)
            and not torch.is_autocast_enabled(device)
            and not torch.compiler.is_compiling()
        )

    def _recorded(self, objective: Objective, inputs: Sequence[Tensor]) -> RecordedGradient | GraphedGradient:
        if inputs[0].device.type == "cpu":
            return RecordedGradient(objective, inputs, self.parameters)
        graphs = [form.graph for form in self._kinds.values() if isinstance(form, GraphedGradient)]
        return GraphedGradient(objective, inputs, self.parameters, graphs[0].pool() if graphs else None)

    def _recording(self, kind: Hashable, inputs: Sequence[Tensor]) -> RecordedGradient | GraphedGradient | None:
        """The recording of such a step, replayed for these inputs; None if the step is to be computed plainly.

        The number of distinct γ in a batch decides the shapes of some operations: there is a recording for each.
        """
        places = tuple(one.data_ptr() for one in self.parameters)
        constants = tuple((one.data_ptr(), one._version) for one in self.buffers)
        key: Hashable = (kind, places, constants, *((one.shape, one.dtype) for one in inputs))
        while True:
            try:
                return self._replayed(key, kind, inputs)
            except OtherShapes as other:
                key = (key, other.shapes)

    def _replayed(
        self, key: Hashable, kind: Hashable, inputs: Sequence[Tensor]
    ) -> RecordedGradient | GraphedGradient | None:
        """The recording under a key, replayed; recorded after some steps.

        Raises:
            OtherShapes: if it is one of other shapes than those of these inputs.
        """
        known = self._kinds.pop(key, 0)  # and moved to the end, as the most recent kind
        self._kinds[key] = known + 1 if isinstance(known, int) else known
        try:
            if known == PLAIN:
                self._kinds[key] = self._recorded(lambda *new: self.objective(kind, *new), inputs)
            if known in (0, PLAIN):
                self._forget()
            if known is None or isinstance(known, int):
                return None
            known.replay(inputs)
        except OtherShapes:
            raise
        except NotRecordable:
            self._kinds[key] = None if isinstance(known, int) else known
            return None
        if not known.checked:
            total, _ = self.objective(kind, *inputs)
            known.checked = known.equals(total.detach(), torch.autograd.grad(total, self.parameters))
        if not known.checked:
            self._kinds[key] = None
            return None
        return known

    def _forget(self) -> None:
        """Drop the least recent kinds until the limits on kinds and memory hold; graphs share their memory."""
        recordings = {key: one.bytes for key, one in self._kinds.items() if isinstance(one, RecordedGradient)}
        for key in [*self._kinds]:
            if len(self._kinds) > KINDS:
                del self._kinds[key]
                recordings.pop(key, None)
            elif sum(recordings.values()) > MEMORY and recordings.pop(key, None) is not None:
                self._kinds[key] = None
