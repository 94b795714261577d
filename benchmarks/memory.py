"""Largest resident memory of the demonstration, of fits to its data (103 MB), and of a fit to more than the memory."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from morlight.data.trajectory_file import Contents
from morlight.data.trajectory_writer import Writer
from morlight.operators.description import Grid

ROOT = Path(__file__).parents[1]
GIB = 2**30


def ran(folder: str, *words: str) -> dict[str, Any]:
    """Largest resident memory in GiB, wall and processor time of a process of its own."""
    start = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-m", *words], cwd=folder, env=environment,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(words)} ended with status {status}")
    return {
        "value": usage.ru_maxrss * 1024 / GIB,
        "unit": "GiB",
        "seconds": time.perf_counter() - start,
        "processor_seconds": usage.ru_utime + usage.ru_stime,
    }


def plane(path: Path, sets: int = 100, frames: int = 2500, points: int = 64) -> None:
    """Waves that decay in the plane, with noise: 4.1 GB."""
    x, t = np.arange(points) * 2 * np.pi / points, np.arange(frames)[:, None, None] * 1e-3
    noise = np.random.default_rng(0).normal(0, 1e-3, (frames, points, points))
    grid = Grid((points, points), (2 * np.pi,) * 2, ("PERIODIC",) * 2)
    whole = Contents(path, "plane", ("density",), grid, t.ravel(), sets, {}, {"generator": "benchmark"})
    with Writer(whole) as writer:
        for phase in range(sets):
            u = 1 + 0.1 * np.exp(-2 * t) * np.cos(x + phase)[:, None] * np.cos(x) + noise
            writer.put(phase, {"density": u.astype(np.float32)})


STREAMED = [
    "--data.memory", "0.5", "--model.optimizer", "adam", "--model.horizons", "[1]", "--model.realizations", "1",
    "--trainer.limit_train_batches", "100",  # the peak is early
]  # fmt: skip


def measure() -> Iterator[dict[str, Any]]:
    """The demonstration, and fits with one realization and with twenty: the data are there once."""
    with tempfile.TemporaryDirectory() as folder:
        yield {"case": "make demo", **ran(folder, "experiments.demo")}
        data = ("--data.path", "mlruns/demo/brownian.h5")
        for config in ("brownian", "brownian_paper"):
            for R in (1, 20):
                few = [] if config == "brownian" else ["--trainer.limit_train_batches", "0.05"]  # the peak is early
                more = ["--model.realizations", str(R), *few]
                result = ran(folder, "morlight", "fit", "--config", config, *data, *more)
                yield {"case": f"configs/{config}.yaml", "realizations": R, **result}
        plane(Path(folder, "plane.h5"))
        result = ran(folder, "morlight", "fit", "--config", "levy", "--data.path", "plane.h5", *STREAMED)
        yield {"case": "4.1 GB, --data.memory 0.5", "realizations": 1, **result}
