"""Training steps, roll-outs and whole fits on a GPU: eager against CUDA graphs, in one run.

The cases are A, B and C (see `cases`), with batches of 100 fields. Wall time, the GPU waited for; the fastest of the
repetitions, as in `step`.
"""

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import torch

from benchmarks import fit, scaling
from benchmarks.cases import CASES, Case
from benchmarks.step import best
from morlight.operators import Exponential, Rollouts, advance, mean_square, states
from morlight.simulate.walkers import Walkers, brownian

REALIZATIONS = (1, 20, 200)
ROLLOUTS = {  # case, scheme, states, steps
    "demo": ("B", "explicit", 1, 1000),
    "demo, 64 states": ("B", "explicit", 64, 1000),
    "demo, exponential steps": ("B", "exponential", 1, 200),
    "channel": ("C", "explicit", 1, 1000),
    "plane": ("A", "explicit", 1, 200),
    "plane, 64 states": ("A", "explicit", 64, 100),
}


class Step:
    """A step of R realizations side by side: forward, backward and Adam.

    Args:
        case: operator and data.
        realizations: R.
        horizon: m.
        dtype: precision.
        graph: launch all of it as one CUDA graph.
    """

    def __init__(self, case: Case, realizations: int, horizon: int, dtype: torch.dtype, graph: bool) -> None:
        self.case, self.horizon = case, horizon
        self.operator = case.operator(realizations, dtype).cuda()
        self.optimizer = torch.optim.Adam(self.operator.parameters(), fused=True, capturable=graph)
        self.batch = [part.cuda() for part in case.batch(dtype)]
        self.graph = self._captured() if graph else None

    def __call__(self) -> None:
        """One step, to its end."""
        if self.graph is None:
            self._step()
        else:
            self.graph.replay()
        torch.cuda.synchronize()

    def _step(self) -> None:
        u, target, gamma = self.batch
        self.optimizer.zero_grad()
        increment = self.operator.prepared(self.case.bounds, gamma)
        mean_square(advance(increment, u, self.horizon), target).sum().backward()
        self.optimizer.step()

    def _captured(self) -> torch.cuda.CUDAGraph:
        side, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._step()
        torch.cuda.current_stream().wait_stream(side)
        with torch.cuda.graph(graph):
            self._step()
        return graph


def steps() -> Iterator[dict[str, Any]]:
    """A, B and C for each R in both precisions, m = 1."""
    for name, case in CASES.items():
        for dtype, precision in ((torch.float32, 32), (torch.float64, 64)):
            for realizations in REALIZATIONS:
                eager = best(Step(case, realizations, 1, dtype, graph=False), 0.3)
                line = {"case": name, "realizations": realizations, "precision": precision, "unit": "ms a step"}
                line |= {"value": eager}
                if not case.values:  # the distinct values of γ are counted by the host
                    line |= {"graph": best(Step(case, realizations, 1, dtype, graph=True), 0.3)}
                yield line
                torch.cuda.empty_cache()


def rollouts() -> Iterator[dict[str, Any]]:
    """Five realizations in double precision, by the plain loop and by the engine."""
    for name, (case, scheme, count, steps) in ROLLOUTS.items():
        plainly, engine = rolled(CASES[case], scheme, count, steps)
        shared = {"unit": "steps/s", "states": count, "realizations": 5}
        yield {"case": f"{name}: plain loop", "value": plainly, **shared, "over_plain": 1.0}
        yield {"case": f"{name}: engine", "value": engine, **shared, "over_plain": engine / plainly}


def rolled(case: Case, scheme: str, count: int, steps: int) -> tuple[float, float]:
    """Steps a second of all states together."""
    operator = case.operator(5, torch.float64).requires_grad_(False).cuda()
    u, _, gamma = (part.cuda() for part in case.batch(torch.float64, count))
    way = Exponential(case.data.fields) if scheme == "exponential" else scheme
    engine = Rollouts(operator, gamma, way)

    def plain() -> None:
        for _ in states(operator, u, steps, gamma, way):
            pass
        torch.cuda.synchronize()

    def by_graph() -> None:
        engine.frames(u, steps, every=steps)
        torch.cuda.synchronize()

    return steps / (best(plain, 1.0) / 1e3), steps / (best(by_graph, 1.0) / 1e3)


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
    """How the cost of an eager step grows (see `scaling`)."""
    yield from scaling.lines("cuda")


def measure() -> Iterator[dict[str, Any]]:
    """Steps, roll-outs, growth, fits; each line names the card."""
    card = torch.cuda.get_device_name()
    for part in (steps, rollouts, growth, fits):
        for line in part():
            yield line | {"part": part.__name__, "card": card}
