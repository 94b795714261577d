"""Largest resident memory of the demonstration and of fits to its data, 100 × 1001 fields of 256 points (103 MB)."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
