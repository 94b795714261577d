"""How time and memory of a training step grow with R, N, the batch, the horizon M and the terms K, and an epoch of
reading with the number of windows.

One number is varied at a time, from a batch of 100 fields of 256 points, R = 4, M = 1 and K = 1 on; planes and cubes
have one realization and 10 fields. Each case yields the points of a line and, last, the exponent of a power law through
the larger half of them and the first size that takes twice as long as the smallest.
"""

import dataclasses
import math
import multiprocessing
import resource
from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmarks.cases import periodic
from benchmarks.step import best, stepping
from morlight.data.windows import BatchLoader, MemoryFrames, Windows
from morlight.operators.kernels.recorded_gradient import PLAIN
from morlight.training.allocation import keep_freed_memory


@dataclasses.dataclass(frozen=True)
class Size:
    """What a step depends on."""

    R: int = 4
    N: int = 256
    dimensions: int = 1
    batch: int = 100
    M: int = 1
    K: int = 1


LINE, PLANE, CUBE = Size(), Size(R=1, dimensions=2, batch=10), Size(R=1, dimensions=3, batch=10)
VALUES: dict[str, tuple[Size, str, list[int]]] = {
    "R": (LINE, "R", [1, 4, 16, 64, 250, 1000]),
    "N": (LINE, "N", [20, 64, 128, 256, 512, 1024, 2048, 4096]),
    "plane": (PLANE, "N", [16, 32, 64, 128, 256]),
    "cube": (CUBE, "N", [16, 24, 32, 48, 64]),
    "batch": (LINE, "batch", [10, 25, 50, 100, 200, 400, 800]),
    "M": (LINE, "M", [1, 2, 4, 8, 16]),
    "K": (LINE, "K", [1, 2, 4, 8]),
}
WINDOWS = [3_000, 10_000, 30_000, 100_000, 300_000]


def step(size: Size, device: str = "cpu") -> Callable[[], None]:
    """Forward, backward and Adam, as in fits once they have recorded such a step."""
    case = periodic([size.N] * size.dimensions, biases=["conservation"], width=4, depth=4, terms=size.K)
    case = case if size.K == 1 else dataclasses.replace(case, bounds=None)
    work = stepping(case, size.R, size.M, torch.float32, device=device, fields=size.batch)
    for _ in range(PLAIN + 2):
        work()
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


def memory(size: Size, device: str) -> float:
    """MiB that a step needs at most: on the CPU, what a child process grows by."""
    if device != "cpu":
        work = step(size, device)
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        work()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_growth, args=(size, sender))
    child.start()
    sender.close()
    grown = receiver.recv()
    child.join()
    return float(grown)


def _growth(size: Size, sender: Any) -> None:
    step(Size(R=1, N=16, batch=1))  # what every step needs is there
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step(size)
    sender.send((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10)


def exponent(points: list[tuple[int, float]]) -> float:
    """Slope of ln time over ln size, least squares."""
    x, y = ([math.log(value) for value in values] for values in zip(*points, strict=True))
    means = sum(x) / len(x), sum(y) / len(y)
    return sum((a - means[0]) * (b - means[1]) for a, b in zip(x, y, strict=True)) / sum((a - means[0]) ** 2 for a in x)


def doubled(points: list[tuple[int, float]]) -> int | None:
    """The first size that takes twice as long as the smallest: below it, the time hardly depends on the size."""
    return next((size for size, value in points if value >= 2 * points[0][1]), None)


def lines(device: str) -> Iterator[dict[str, Any]]:
    """Steps of each size: the memory of all first, since a process keeps what it once had."""
    cases = {
        name: {value: dataclasses.replace(base, **{key: value}) for value in sizes}
        for name, (base, key, sizes) in VALUES.items()
    }
    needed = {size: memory(size, device) for sizes in cases.values() for size in sizes.values()}
    keep_freed_memory()
    for name, sizes in cases.items():
        points = []
        for value, size in sizes.items():
            time = best(step(size, device), 0.3)
            points.append((value, time))
            yield {"case": name, "value": time, "unit": "ms", "size": value, "mebibytes": needed[size]}
        yield {
            "case": name,
            "value": exponent(points[len(points) // 2 - 1 :]),
            "unit": "exponent",
            "doubled": doubled(points),
        }


def measure() -> Iterator[dict[str, Any]]:
    """R, N, planes, cubes, batch, M, K, windows."""
    yield from lines("cpu")
    points = []
    for count in WINDOWS:
        points.append((count, best(epoch(count), 0.4)))
        yield {"case": "windows", "value": points[-1][1], "unit": "ms", "size": count}
    yield {"case": "windows", "value": exponent(points[1:]), "unit": "exponent", "doubled": doubled(points)}
