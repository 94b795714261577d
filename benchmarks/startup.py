"""Start-up: processor time of importing, of the first answer and of a small fit, each in a process of its own.

The fit is one epoch of least squares on 20 small histograms of walkers, with its report, in a folder without runs; its
training alone takes 3 s. The least of five is given.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from os import times
from pathlib import Path
from typing import Any

MORLIGHT = ["-m", "morlight"]
SMALL = "simulate brownian --sets 20 --walkers 1000 --steps 100 --bins 32 -o small.h5"
FIT = "fit small.h5 --trainer.max_epochs 1 --trainer.accelerator cpu"
ONE = "--model.realizations 1 --model.width 2 --model.depth 2 --model.horizons [1]"
CASES = {
    "an empty program": ["-c", ""],
    "import morlight": ["-c", "import morlight"],
    "morlight --help": [*MORLIGHT, "--help"],
    "import morlight.operators": ["-c", "import morlight.operators"],
    "import morlight.training.fit and MLflow": ["-c", "import morlight.training.fit, mlflow"],
    "a fit with a refused argument": [*MORLIGHT, *FIT.split(), "--model.width", "wide"],
    "a small fit, 5 realizations": [*MORLIGHT, *FIT.split()],
    "a small fit, 1 realization": [*MORLIGHT, *FIT.split(), *ONE.split()],
}


def measure() -> Iterator[dict[str, Any]]:
    """What a user waits for before and around the numbers."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, *MORLIGHT, *SMALL.split()], check=True, cwd=folder, capture_output=True)
        for case, words in CASES.items():
            yield {"case": case, "value": min(used(words, folder) for _ in range(5)), "unit": "s"}


def used(words: list[str], folder: str) -> float:
    """Seconds of the processor that a command takes in a folder without runs, whatever it answers."""
    shutil.rmtree(Path(folder, "mlruns"), ignore_errors=True)
    before = times()
    subprocess.run([sys.executable, *words], check=False, cwd=folder, capture_output=True)
    after = times()
    return after.children_user + after.children_system - before.children_user - before.children_system
