"""Whether torch.compile pays: a step of case C with R = 20 as it is and compiled, and the steps that pay for compiling.

The whole of roll-out and loss is compiled, for one shape of batch; every other shape and horizon M would compile anew.
"""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from benchmarks.cases import CASES
from benchmarks.step import best, stepping
from morlight.training.allocation import keep_freed_memory

REALIZATIONS = 20


def measure() -> Iterator[dict[str, Any]]:
    """In both precisions."""
    keep_freed_memory()
    case_c = CASES["C"]
    for dtype, precision in ((torch.float64, 64), (torch.float32, 32)):
        eager = best(stepping(case_c, REALIZATIONS, 1, dtype), 2.0)
        torch._dynamo.reset()
        step = stepping(case_c, REALIZATIONS, 1, dtype, partial(torch.compile, dynamic=False))
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
