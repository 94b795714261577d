"""CUDA graphs of roll-outs and of training steps: on a GPU, small fields wait for the launches of their kernels.

What `recorded` and `recorded_gradient` are on a CPU. A graph launches the kernels of a step, some thirty of a roll-out
and some hundreds of a training step, at once and on the same memory, so that the numbers are those of the plain step.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from morlight.operators.kernels.recorded import HostParts, NotRecordable

WARM_UP = 3  # calls in which plans of transforms and workspaces are made, which a capture cannot do


def captured(work: Callable[[], Any], device: torch.device, pool: Any = None) -> tuple[torch.cuda.CUDAGraph, Any]:
    """A graph of what some work launches, and the result of the work, which every launch writes anew.

    Args:
        work: is done some times before, and once for the capture.
        device: the GPU.
        pool: memory of another graph that is still there, if never both are in use; memory of its own by default.

    Raises:
        NotRecordable: if the work waits for the GPU.
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
        function: does the same operations at every argument and never waits for the GPU; no gradients are kept.
        u: fields on the GPU, of the shape and type of all that follow.

    Raises:
        NotRecordable: if the function waits for the GPU.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], u: Tensor) -> None:
        self.state = u.clone(memory_format=torch.contiguous_format)
        with torch.no_grad():
            self.graph, _ = captured(lambda: self.state.copy_(function(self.state)), u.device)

    def iterate(self, u: Tensor, times: int) -> Tensor:
        """The function applied so many times to its own result, in memory that the next call overwrites."""
        self.state.copy_(u)
        for _ in range(times):
            self.graph.replay()
        return self.state


class GraphedGradient:
    """An objective and its gradients with respect to some parameters as a CUDA graph (see `RecordedGradient`).

    Args:
        objective: a composition of torch's operations that reads the inputs and the parameters.
        inputs: of the shapes and types of all that follow; numbers may be on the CPU.
        parameters: on the GPU, which the objective depends on; their memory must stay.
        pool: of another graph, whose results are not needed when this one is launched.

    Raises:
        NotRecordable: if the objective waits for the GPU.
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
        """Compute total, values and gradients anew, in the same memory.

        Raises:
            NotRecordable: if what the host does has results of another shape at these inputs.
        """
        self.turn += 1
        with torch.no_grad():
            for place, one in zip(self.inputs, inputs, strict=True):
                place.copy_(one, non_blocking=True)
            self.host.again()
            self.graph.replay()

    def equals(self, total: Tensor, gradients: Sequence[Tensor]) -> bool:
        """Whether the last replay gave these numbers to rounding: a GPU adds in another order every time."""
        tolerance = torch.finfo(total.dtype).eps ** 0.5
        size = torch.stack([gradient.abs().max() for gradient in gradients]).max()
        differences = [(a - b).abs().max() for a, b in zip(self.gradients, gradients, strict=True)]
        same = torch.isclose(self.total, total, rtol=tolerance) & (torch.stack(differences).max() <= tolerance * size)
        return bool(same)
