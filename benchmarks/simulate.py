"""Walkers simulated and counted a second, against a plain loop of torch in the same run."""

import math
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import torch

from morlight.simulate.walkers import Walkers, brownian

SETTING = Walkers(sets=10)


def plain(setting: Walkers) -> None:
    """The same walk in floating point, one set at a time."""
    for _ in range(setting.sets):
        x = torch.rand(setting.walkers) * 2 * math.pi
        for _ in range(setting.steps):
            x = torch.remainder(x + math.sqrt(2 * setting.dt) * torch.randn(setting.walkers), 2 * math.pi)
            torch.histc(x, setting.bins, 0, 2 * math.pi)


def measure() -> Iterator[dict[str, Any]]:
    """Ten sets of the paper's size."""
    walker_steps = SETTING.sets * SETTING.walkers * SETTING.steps
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for case, work in (("plain torch", plain), ("morlight", lambda setting: brownian(f"{folder}/b.h5", setting))):
            start = time.perf_counter()
            work(SETTING)
            seconds[case] = time.perf_counter() - start
            value = walker_steps / seconds[case] / 1e6
            speedup = seconds["plain torch"] / seconds[case]
            yield {"case": case, "value": value, "unit": "million walker-steps/s", "speedup": speedup}
