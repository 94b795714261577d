"""CUDA graphs of roll-outs and of training steps: for small fields on a GPU, launching kernels takes most of the time.

This module does on a GPU what `recorded` and `recorded_gradient` do on a CPU. A graph launches all kernels of a step at
once, some thirty in a roll-out and several hundred in a training step. They are those of the plain step, on fixed
memory, so that the numbers are the same.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from morlight.operators.kernels.recorded import HostParts, NotRecordable

WARM_UP = 3  # calls that make plans of transforms and workspaces, which is not possible during a capture


def captured(work: Callable[[], Any], device: torch.device, pool: Any = None) -> tuple[torch.cuda.CUDAGraph, Any]:
    """A graph of the kernels that some work launches, and the result of the work, which every replay overwrites.

    Args:
        work: function that is called `WARM_UP` times, and once more for the capture.
        device: the GPU.
        pool: memory pool of another existing graph, if the two are never in use together; a new pool by default.

    Raises:
        NotRecordable: if the work synchronizes with the GPU.
    """
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.device(device):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                work()
        torch.cuda.current_stream().wait_stream(side)
        try:
            with torch.cuda.graph(graph, pool=pool):
                result = work()
        except RuntimeError as error:
            raise NotRecordable(str(error)) from error
    return graph, result


class Graph:
    """A function whose result has the shape of its argument, captured once and launched many times.

    Args:
        function: does the same operations for every argument, without synchronizing with the GPU or keeping gradients.
        u: fields on the GPU, with the shape and type of all later arguments.

    Raises:
        NotRecordable: if the function synchronizes with the GPU.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], u: Tensor) -> None:
        self.state = u.clone(memory_format=torch.contiguous_format)
        with torch.no_grad():
            self.graph, _ = captured(lambda: self.state.copy_(function(self.state)), u.device)

    def iterate(self, u: Tensor, times: int) -> Tensor:
        """The function applied repeatedly, starting from u; the next call overwrites the result."""
        self.state.copy_(u)
        for _ in range(times):
            self.graph.replay()
        return self.state


class GraphedGradient:
    """An objective and its gradients with respect to some parameters as a CUDA graph (see `RecordedGradient`).

    Args:
        objective: a composition of torch's operations on the inputs and the parameters.
        inputs: tensors with the shapes and types of all later inputs; single numbers may be on the CPU.
        parameters: the parameters of the objective, on the GPU; their memory must not move.
        pool: memory pool of another graph, whose results are not needed when this one is launched.

    Raises:
        NotRecordable: if the objective synchronizes with the GPU.
    """

    def __init__(
        self,
        objective: Callable[..., tuple[Tensor, Tensor]],
        inputs: Sequence[Tensor],
        parameters: Sequence[nn.Parameter],
        pool: Any = None,
    ) -> None:
        device = parameters[0].device
        self.inputs = [one.to(device).clone(memory_format=torch.contiguous_format) for one in inputs]
        self.host = HostParts(self.inputs)
        self.checked, self.turn = False, 0

        def work() -> tuple[Tensor, Tensor, Sequence[Tensor]]:
            with self.host:
                total, values = objective(*self.inputs)
            return total.detach(), values.detach(), torch.autograd.grad(total, parameters)

        self.graph, (self.total, self.values, self.gradients) = captured(work, device, pool)

    def replay(self, inputs: Sequence[Tensor]) -> None:
        """Compute the total, the values and the gradients for new inputs, in the same memory.

        Raises:
            OtherShapes: if operations on the host have results of another shape for these inputs.
        """
        self.turn += 1
        with torch.no_grad():
            for place, one in zip(self.inputs, inputs, strict=True):
                place.copy_(one, non_blocking=True)
            self.host.again()
            self.graph.replay()

    def equals(self, total: Tensor, gradients: Sequence[Tensor]) -> bool:
        """Whether the last replay gave these numbers to rounding; on a GPU, the order of summation varies."""
        tolerance = torch.finfo(total.dtype).eps ** 0.5
        size = torch.stack([gradient.abs().max() for gradient in gradients]).max()
        differences = [(a - b).abs().max() for a, b in zip(self.gradients, gradients, strict=True)]
        same = torch.isclose(self.total, total, rtol=tolerance) & (torch.stack(differences).max() <= tolerance * size)
        return bool(same)
