"""How the cost of a step grows with R, N, the batch, the horizon M, and that of reading with the number of windows.

One number is varied at a time, from a batch of 100 fields of 256 points, R = 4 and m = 1 on. Each case yields the
points of a line and, last, the exponent of a power law through the larger half of them.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmarks.cases import periodic
from benchmarks.step import best
from morlight.data.windows import BatchLoader, MemoryFrames, Windows
from morlight.operators import advance, mean_square
from morlight.training.allocation import keep_freed_memory


@dataclasses.dataclass(frozen=True)
class Size:
    """What a step depends on."""

    R: int = 4
    N: int = 256
    batch: int = 100
    M: int = 1


VALUES = {
    "R": [1, 2, 4, 8, 16, 32],
    "N": [32, 64, 128, 256, 512, 1024, 2048],
    "batch": [10, 25, 50, 100, 200, 400, 800],
    "M": [1, 2, 4, 8, 16],
}
WINDOWS = [3_000, 10_000, 30_000, 100_000, 300_000]


def step(size: Size) -> Callable[[], None]:
    """Forward, backward and Adam."""
    case = periodic([size.N], biases=["conservation", "reflection"], width=4, depth=4)
    operator = case.operator(size.R, torch.float32)
    optimizer = torch.optim.Adam(operator.parameters(), fused=True)
    u, target, _ = case.batch(torch.float32, size.batch)

    def work() -> None:
        optimizer.zero_grad()
        mean_square(advance(operator.prepared(case.bounds), u, size.M), target).sum().backward()
        optimizer.step()

    return work


def epoch(count: int) -> Callable[[], None]:
    """All windows of one frame more than there are steps, batch by batch."""
    trajectories = count // 1000
    frames = MemoryFrames(torch.zeros(trajectories, 1001, 1, 16))
    windows = Windows(frames, torch.arange(trajectories), torch.zeros(trajectories, 0))
    order = torch.randperm(windows.count(1), generator=torch.Generator().manual_seed(0))

    def work() -> None:
        for _ in BatchLoader(windows, order, (0, 1), 100):
            pass

    return work


def exponent(points: list[tuple[int, float]]) -> float:
    """Slope of ln time over ln size, least squares."""
    x, y = ([math.log(value) for value in values] for values in zip(*points, strict=True))
    means = sum(x) / len(x), sum(y) / len(y)
    return sum((a - means[0]) * (b - means[1]) for a, b in zip(x, y, strict=True)) / sum((a - means[0]) ** 2 for a in x)


def measure() -> Iterator[dict[str, Any]]:
    """R, N, batch, M, windows."""
    keep_freed_memory()
    lines: list[tuple[str, list[int], Callable[[int], Callable[[], None]]]] = [
        (key, sizes, lambda value, key=key: step(dataclasses.replace(Size(), **{key: value})))  # type: ignore[misc]
        for key, sizes in VALUES.items()
    ]
    for name, sizes, work in [*lines, ("windows", WINDOWS, epoch)]:
        points = []
        for size in sizes:
            value = best(work(size), 0.4)
            points.append((size, value))
            yield {"case": name, "value": value, "unit": "ms", "size": size}
        yield {"case": name, "value": exponent(points[len(points) // 2 - 1 :]), "unit": "exponent"}
