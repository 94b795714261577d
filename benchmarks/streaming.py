"""Fits to a file larger than the memory they may take, against fits with all of it in memory.

A hundred sets of flights in the plane with a hundredth of the paper's walkers: fields of 1.6 GB. Or any other file:
python -m benchmarks streaming FILE.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from morlight.simulate.walkers import PLANE, levy

CONFIG = Path(__file__).parents[1] / "configs" / "levy.yaml"
GIB = 2**30
RECIPES = {
    "moments": ["--model.iterations", "1", "--model.realizations", "1"],
    "adam": ["--model.optimizer", "adam", "--model.horizons", "[1]", "--model.realizations", "1"],
}


def fit(folder: str, *words: str) -> tuple[float, float]:
    """Seconds and largest resident memory in GiB of a fit in a process of its own."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "morlight", "fit", "--config", str(CONFIG), *words]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with status {status}")
    return time.perf_counter() - start, usage.ru_maxrss * 1024 / GIB


def measure(path: str | None = None) -> Iterator[dict[str, Any]]:
    """One pass over the data under 1 GiB, 0.25 GiB and no bound, by each optimiser."""
    with tempfile.TemporaryDirectory() as folder:
        if path is None:
            path = f"{folder}/flights.h5"
            levy(path, replace(PLANE, sets=100, walkers=8192))
        held = os.path.abspath(path)
        fit(folder, "--data.path", held, "--data.trajectories", "1", *RECIPES["adam"])  # makes the store
        for name, words in RECIPES.items():
            whole = 0.0
            for memory in (64.0, 1.0, 0.25):
                seconds, resident = fit(folder, "--data.path", held, "--data.memory", str(memory), *words)
                whole = whole or seconds
                case = "in memory" if memory == 64.0 else f"{memory} GiB"
                yield {
                    "case": f"{name}, {case}",
                    "value": seconds,
                    "unit": "s a fit of one pass",
                    "over_in_memory": seconds / whole,
                    "resident_gib": resident,
                }
