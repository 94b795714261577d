"""Cost of a training step of the 1-D Brownian case (256 points, batch 100, width 4, depth 4)."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from morlight.operators import advance, build, mean_square

DATA = {"fields": ["u"], "points": [256], "length": [6.283185307179586], "boundaries": ["PERIODIC"], "scale": [1.0]}
MODEL = {
    "biases": ["conservation", "reflection"],
    "symbol": "plain",
    "width": 4,
    "depth": 4,
    "activation": "elu",
    "seed": 0,
    "literal": False,
}


def best(work: Callable[[], object], seconds: float = 1.0) -> float:
    """Fastest of the repetitions that fit into some seconds, in ms."""
    work()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def case(realizations: int, horizon: int, bounds: tuple[float, float] | None, dtype: torch.dtype) -> float:
    """Forward, backward and Adam, in ms."""
    operator = build.operator(MODEL | {"realizations": realizations}, DATA).to(dtype)
    optimizer = torch.optim.Adam(operator.parameters(), fused=True)
    u, target = torch.rand(2, 1, 100, 1, 256, dtype=dtype).unbind()

    def step() -> None:
        optimizer.zero_grad()
        mean_square(advance(operator.prepared(bounds), u, horizon), target).sum().backward()
        optimizer.step()

    return best(step)


def transforms(u: torch.Tensor) -> Callable[[], torch.Tensor]:
    """One forward and one inverse transform of a field."""
    return lambda: torch.fft.irfft(torch.fft.rfft(u), n=u.shape[-1])


def measure() -> Iterator[dict[str, Any]]:
    """With h from a table, against the network at every point, and against the transforms alone."""
    for dtype, precision in ((torch.float32, 32), (torch.float64, 64)):
        pair = best(transforms(torch.rand(1, 100, 1, 256, dtype=dtype)))
        for realizations in (1, 5, 20):
            for horizon in (1, 2, 4):
                value, plain = (case(realizations, horizon, bounds, dtype) for bounds in ((-2.0, 2.0), None))
                yield {
                    "case": "B",
                    "value": value / realizations,
                    "unit": "ms a step a realisation",
                    "realizations": realizations,
                    "horizon": horizon,
                    "precision": precision,
                    "fft_pairs": value / realizations / pair,
                    "speedup": plain / value,
                }
