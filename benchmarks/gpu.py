"""Training steps, roll-outs and whole fits on a GPU: eager against CUDA graphs, in one run.

The cases are A, B and C (see `cases`), with batches of 100 fields. Wall time, the GPU waited for; the fastest of the
repetitions, as in `step`.
"""

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import torch

from benchmarks import engine, fit, scaling
from benchmarks.cases import CASES, Case
from benchmarks.step import best, stepping
from morlight.simulate.walkers import Walkers, brownian

REALIZATIONS = (1, 20, 200)
BESIDE = 20  # realizations up to which the processor is measured too
ROLLOUTS = {  # case, scheme, states, steps
    "demo": ("B", "explicit", 1, 1000),
    "demo, 64 states": ("B", "explicit", 64, 1000),
    "demo, exponential steps": ("B", "exponential", 1, 200),
    "channel": ("C", "explicit", 1, 1000),
    "plane": ("A", "explicit", 1, 200),
    "plane, 64 states": ("A", "explicit", 64, 100),
}


def steps() -> Iterator[dict[str, Any]]:
    """A, B and C for each R in both precisions, m = 1, and in single precision on the processor beside the GPU."""
    for name, case in CASES.items():
        for dtype, precision in ((torch.float32, 32), (torch.float64, 64)):
            for realizations in REALIZATIONS:
                size = case, realizations, 1, dtype
                eager = best(stepping(*size, wrap=lambda loss: loss, device="cuda"), 0.3)
                graph = best(stepping(*size, device="cuda"), 0.5)
                line = {"case": name, "realizations": realizations, "precision": precision, "unit": "ms a step"}
                yield line | {"value": graph, "eager": eager, "over_eager": eager / graph, **beside(size, graph)}
                torch.cuda.empty_cache()


def beside(size: tuple[Case, int, int, torch.dtype], graph: float) -> dict[str, float]:
    """The same step on all cores of the processor, for few realizations in single precision."""
    if size[1] > BESIDE or size[3] != torch.float32:
        return {}
    processor = best(stepping(*size), 0.3)
    return {"processor": processor, "over_processor": processor / graph}


def rollouts() -> Iterator[dict[str, Any]]:
    """Five realizations in double precision, by the plain loop and by the engine."""
    yield from engine.lines(ROLLOUTS, "cuda")


def fits() -> Iterator[dict[str, Any]]:
    """Whole fits through the command's own path, as in `fit`."""
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            brownian("B.h5", Walkers(sets=10))
            fit.channel("C.h5")
            fit.fit("C", 1, "32-true", "gpu")  # makes the store
            for name, realizations in (("C", 20), ("B", 20), ("B", 200)):
                yield fit.fit(name, realizations, "32-true", "gpu")
        finally:
            os.chdir(here)


def growth() -> Iterator[dict[str, Any]]:
    """How the cost of a step grows (see `scaling`)."""
    yield from scaling.lines("cuda")


def measure() -> Iterator[dict[str, Any]]:
    """Steps, roll-outs, growth, fits; each line names the card."""
    card = torch.cuda.get_device_name()
    for part in (steps, rollouts, growth, fits):
        for line in part():
            yield line | {"part": part.__name__, "card": card}
