"""Three ways through the networks: one pass over the points (`fused.cpp`), layer by layer, and that by torch.compile.

A step of case C with R = 20. torch.compile gets the whole of roll-out and loss, for one shape of batch; every other
shape and horizon M would compile anew.
"""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.cases import CASES
from benchmarks.step import best, stepping
from morlight.operators.kernels import fused
from morlight.training.allocation import keep_freed_memory

REALIZATIONS = 20


def measure() -> Iterator[dict[str, Any]]:
    """In both precisions."""
    keep_freed_memory()
    case_c = CASES["C"]
    for dtype, precision in ((torch.float64, 64), (torch.float32, 32)):
        whole = best(stepping(case_c, REALIZATIONS, 1, dtype), 2.0)
        with patch.object(fused, "serves", lambda *tensors: False):
            layered = best(stepping(case_c, REALIZATIONS, 1, dtype), 2.0)
            torch._dynamo.reset()
            step = stepping(case_c, REALIZATIONS, 1, dtype, partial(torch.compile, dynamic=False))
            start = time.perf_counter()
            step()
            first = time.perf_counter() - start
            compiled = best(step, 2.0)
        for case, value in (("one pass", whole), ("layer by layer", layered), ("torch.compile", compiled)):
            yield {
                "case": case,
                "value": value / REALIZATIONS,
                "unit": "ms a step a realization",
                "precision": precision,
                "speedup": layered / value,
                "threads": torch.get_num_threads(),
                **({"first_step": first} if case == "torch.compile" else {}),
            }
