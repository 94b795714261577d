"""Cost of a training step, forward, backward and Adam: cases A, B and C (see `cases`) against the plain form.

Beside the ratios to it stand those to one forward and one inverse FFT of the same fields in the same run, since any
operator of this kind needs two of these pairs a composed step, one of them for the gradient.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from benchmarks import plain
from benchmarks.cases import BATCH, CASES, Case
from morlight.operators import advance, mean_square
from morlight.operators.kernels.recorded_gradient import Replays
from morlight.training.allocation import keep_freed_memory


def timer() -> Callable[[], float]:
    """The clock: with one thread that of the processor, which other work on the machine does not stretch."""
    return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def best(work: Callable[[], object], seconds: float = 0.4) -> float:
    """Fastest of the repetitions that fit into some seconds, in ms."""
    clock = timer()
    work()
    times: list[float] = []
    end = clock() + seconds
    while clock() < end or len(times) < 3:
        start = clock()
        work()
        times.append(clock() - start)
    return 1e3 * min(times)


def wait(device: str) -> None:
    """Until a GPU has done what it was given."""
    if device != "cpu":
        torch.cuda.synchronize()


Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def stepping(  # noqa: PLR0913 - what a step depends on
    case: Case,
    realizations: int,
    horizon: int,
    dtype: torch.dtype,
    wrap: Callable[[Loss], Loss] | None = None,
    device: str = "cpu",
    fields: int = BATCH,
) -> Callable[[], None]:
    """A step of R realizations side by side, replayed as in fits, or roll-out and loss wrapped where one likes."""
    operator = case.operator(realizations, dtype).to(device)
    optimizer = torch.optim.Adam(operator.parameters(), fused=True)
    u, target, gamma = (part.to(device) for part in case.batch(dtype, fields))

    def loss(u: Tensor, target: Tensor, gamma: Tensor) -> Tensor:
        return mean_square(advance(operator.prepared(case.bounds, gamma), u, horizon), target).sum()

    def objective(kind: int, u: Tensor, target: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor]:
        values = mean_square(advance(operator.prepared(case.bounds, gamma), u, kind), target)
        return values.sum(), values

    replays = Replays(objective, operator, realizations)
    work = (lambda *batch: replays(horizon, *batch)[0]) if wrap is None else wrap(loss)

    def step() -> None:
        optimizer.zero_grad()
        work(u, target, gamma).backward()
        optimizer.step()
        wait(device)

    return step


def plainly(case: Case, horizon: int, dtype: torch.dtype) -> Callable[[], None]:
    """A step of one realization in the plain form."""
    operator = case.operator(1, dtype)
    optimizer = torch.optim.Adam(operator.parameters(), foreach=False)
    u, target, gamma = case.batch(dtype)

    def step() -> None:
        optimizer.zero_grad()
        plain.loss(case, operator, u[0], target[0], horizon, gamma).backward()
        optimizer.step()

    return step


def pair(case: Case, dtype: torch.dtype) -> Callable[[], object]:
    """One forward and one inverse transform of the fields of a realization."""
    u = case.batch(dtype)[0]
    points = case.data.grid.points
    last = tuple(range(-len(points), 0))
    return lambda: torch.fft.irfftn(torch.fft.rfftn(u, dim=last), s=points, dim=last)


def measure(*names: str) -> Iterator[dict[str, Any]]:
    """For R = 1 and 20, m = 1, 2 and 4, in both precisions; of some cases, or of all."""
    keep_freed_memory()
    for name, case in ((name, CASES[name]) for name in names or CASES):
        for dtype, precision in ((torch.float64, 64), (torch.float32, 32)):
            transforms = best(pair(case, dtype))
            for horizon in (1, 2, 4):
                reference = best(plainly(case, horizon, dtype))
                for realizations in (1, 20):
                    value = best(stepping(case, realizations, horizon, dtype)) / realizations
                    yield {
                        "case": name,
                        "value": value,
                        "unit": "ms a step a realization",
                        "realizations": realizations,
                        "horizon": horizon,
                        "precision": precision,
                        "fft_pairs": value / transforms,
                        "speedup": reference / value,
                        "threads": torch.get_num_threads(),
                    }
