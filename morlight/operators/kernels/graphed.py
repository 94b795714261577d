"""A step of a roll-out as a CUDA graph: on a GPU, small fields wait for the launches of some thirty kernels a step.

What `recorded` is on a CPU. The graph launches the same kernels on the same memory at once, so that the states are
those of the plain loop bit by bit.
"""

from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 3  # calls in which plans of transforms and workspaces are made, which a capture cannot do


class Graph:
    """A function whose result has the shape of its argument, captured once and launched many times.

    Args:
        graph: the captured launches, which write the result over the argument.
        state: where the graph reads the argument and writes the result.
    """

    def __init__(self, graph: torch.cuda.CUDAGraph, state: Tensor) -> None:
        self.graph, self.state = graph, state

    def iterate(self, u: Tensor, times: int) -> Tensor:
        """The function applied so many times to its own result, in memory that the next call overwrites."""
        self.state.copy_(u)
        for _ in range(times):
            self.graph.replay()
        return self.state


def graphed(function: Callable[[Tensor], Tensor], u: Tensor) -> Graph:
    """A function at fields on a GPU as a graph.

    Args:
        function: does the same operations at every argument and never waits for the GPU; no gradients are kept.
        u: an argument of the shape and type of all that follow.
    """
    state = u.clone(memory_format=torch.contiguous_format)
    graph = torch.cuda.CUDAGraph()
    with torch.no_grad(), torch.cuda.device(u.device):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                function(state)
        torch.cuda.current_stream().wait_stream(side)
        with torch.cuda.graph(graph):
            state.copy_(function(state))
    return Graph(graph, state)
