"""Walkers simulated and counted a second, against a plain loop of torch in the same run.

For a number a core, run with OMP_NUM_THREADS=1.
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from morlight.simulate.walkers import PLANE, Walkers, brownian, levy

TURN = 2 * math.pi


def on_a_line(setting: Walkers) -> None:
    """Brownian walkers in floating point, one set at a time."""
    for _ in range(setting.sets):
        x = torch.rand(setting.walkers) * TURN
        for _ in range(setting.steps):
            x = torch.remainder(x + math.sqrt(2 * setting.dt) * torch.randn(setting.walkers), TURN)
            torch.histc(x, setting.bins, 0, TURN)


def stable(alpha: float, n: int) -> Tensor:
    """One-sided stable variables A with E exp(−sA) = exp(−s^(α/2)) (Kanter 1975)."""
    a = alpha / 2
    u = torch.rand(n) * math.pi
    waiting = torch.sin((1 - a) * u) / -torch.rand(n).log()
    return torch.sin(a * u) * torch.sin(u) ** (-1 / a) * waiting ** ((1 - a) / a)


def in_the_plane(setting: Walkers) -> None:
    """Isotropic flights in floating point, one set at a time."""
    N = setting.bins
    for _ in range(setting.sets):
        x = torch.rand(2, setting.walkers) * TURN
        for _ in range(setting.steps):
            size = setting.dt ** (1 / setting.alpha) * (2 * stable(setting.alpha, setting.walkers)).sqrt()
            x = torch.remainder(x + size * torch.randn(2, setting.walkers), TURN)
            cell = (x * (N / TURN)).nan_to_num().long() % N
            torch.bincount(cell[0] * N + cell[1], minlength=N * N)


def seconds(work: Callable[[], None]) -> float:
    """Time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure() -> Iterator[dict[str, Any]]:
    """Ten sets of the paper's size on a line, and a tenth of the steps of two in the plane."""
    line, plane = Walkers(sets=10), replace(PLANE, sets=2, steps=100)
    with tempfile.TemporaryDirectory() as folder:
        for name, setting, plain, ours in (
            ("brownian", line, on_a_line, brownian),
            ("levy", plane, in_the_plane, levy),
        ):
            cases: list[tuple[str, Callable[[], None]]] = [("plain torch", partial(plain, setting))]
            for deposit in ("histogram", "fourier"):
                chosen = replace(setting, deposit=deposit)
                cases.append((deposit, partial(ours, f"{folder}/{name}_{deposit}.h5", chosen)))
            taken = {case: seconds(work) for case, work in cases}
            for case, value in taken.items():
                yield {
                    "case": f"{name}, {case}",
                    "value": setting.sets * setting.walkers * setting.steps / value / 1e6,
                    "unit": "million walker-steps/s",
                    "threads": torch.get_num_threads(),
                    "speedup": taken["plain torch"] / value,
                }
