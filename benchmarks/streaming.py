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
from typing import Any

from morlight.simulate.walkers import PLANE, levy

GIB = 2**30
PASS = ["--model.optimizer", "adam", "--model.horizons", "[1]", "--model.realizations", "1"]  # the least work a batch


def fit(folder: str, *words: str) -> tuple[float, float]:
    """Seconds and largest resident memory in GiB of a fit in a process of its own."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "morlight", "fit", "--config", "levy", *words]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with status {status}")
    return time.perf_counter() - start, usage.ru_maxrss * 1024 / GIB


def measure(path: str | None = None) -> Iterator[dict[str, Any]]:
    """One pass over the data by Adam under 1 GiB, 0.25 GiB and no bound; and over a tenth, for what is fixed."""
    with tempfile.TemporaryDirectory() as folder:
        if path is None:
            path = f"{folder}/flights.h5"
            levy(path, replace(PLANE, sets=100, walkers=8192))
        held = os.path.abspath(path)
        fit(folder, "--data.path", held, "--data.trajectories", "1", *PASS)  # makes the store
        tenth, least = fit(folder, "--data.path", held, "--data.trajectories", "10", *PASS)
        yield {"case": "a tenth, in memory", "value": tenth, "unit": "s a fit", "resident_gib": least}
        whole = 0.0
        for memory in (64.0, 1.0, 0.25):
            seconds, resident = fit(folder, "--data.path", held, "--data.memory", str(memory), *PASS)
            whole = whole or seconds
            yield {
                "case": "in memory" if memory == 64.0 else f"{memory} GiB",
                "value": seconds,
                "unit": "s a fit",
                "over_in_memory": seconds / whole,
                "resident_gib": resident,
            }
