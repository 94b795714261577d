"""Whether torch.compile pays: a step of case C with R = 20 as it is and compiled, and the steps that pay for compiling.

The whole of roll-out and loss is compiled, for one shape of batch; every other shape and horizon M would compile anew.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from benchmarks.cases import CASES
from benchmarks.step import best
from morlight.operators import advance, mean_square
from morlight.training.allocation import keep_freed_memory

REALIZATIONS = 20
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def stepping(dtype: torch.dtype, wrap: Callable[[Loss], Loss]) -> Callable[[], None]:
    """A step whose loss is wrapped."""
    case = CASES["C"]
    operator = case.operator(REALIZATIONS, dtype)
    optimizer = torch.optim.Adam(operator.parameters(), fused=True)
    u, target, gamma = case.batch(dtype)

    def plain(u: Tensor, target: Tensor, gamma: Tensor) -> Tensor:
        return mean_square(advance(operator.prepared(case.bounds, gamma), u, 1), target).sum()

    loss = wrap(plain)

    def step() -> None:
        assert gamma is not None
        optimizer.zero_grad()
        loss(u, target, gamma).backward()
        optimizer.step()

    return step


def measure() -> Iterator[dict[str, Any]]:
    """In both precisions."""
    keep_freed_memory()
    for dtype, precision in ((torch.float64, 64), (torch.float32, 32)):
        eager = best(stepping(dtype, lambda loss: loss), 2.0)
        torch._dynamo.reset()
        step = stepping(dtype, lambda loss: torch.compile(loss, dynamic=False))
        start = time.perf_counter()
        step()
        first = time.perf_counter() - start
        compiled = best(step, 2.0)
        for case, value in (("as it is", eager), ("compiled", compiled)):
            yield {
                "case": case,
                "value": value / REALIZATIONS,
                "unit": "ms a step a realisation",
                "precision": precision,
                "speedup": eager / value,
                "threads": torch.get_num_threads(),
                **({"first_step": first, "break_even": 1e3 * first / (eager - value)} if case == "compiled" else {}),
            }
