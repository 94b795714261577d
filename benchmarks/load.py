"""`morlight compare` of 2000 runs, and what a trial of a trivial sweep costs on each storage."""

import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import morlight

TRIALS, RUNS = 1000, 2000
BASE = {
    "data": {"path": "heat.h5", "batch": 100},
    "model": {"width": 2, "depth": 2, "realizations": 1, "horizons": [1], "optimizer": "adam"},
    "trainer": {"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False},
}
PLAN = {
    "config": "base.yaml",
    "space": {"model.lr": {"low": 1e-3, "high": 1e-1, "log": True}},
    "objective": "train_loss",
    "sampler": "random",
}
TABLES = {
    "runs": "run_uuid",
    "latest_metrics": "run_uuid",
    "metrics": "run_uuid",
    "params": "run_uuid",
    "tags": "run_uuid",
    "inputs": "destination_id",
}


def ran(folder: str, *words: str) -> tuple[float, float]:
    """Seconds and seconds of the processor of a command."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-m", "morlight", *words], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr[-1000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, used


def copied(database: Path, count: int) -> None:
    """So many copies of the first trial, with values of their own."""
    with closing(sqlite3.connect(database)) as connection:
        (source,) = connection.execute("SELECT run_uuid FROM tags WHERE key = 'trial' AND value = '0'").fetchone()
        for table, key in TABLES.items():
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            new = {key: "printf('%032d', ?1)", "input_uuid": "printf('%036d', ?1)"}
            if table in ("metrics", "latest_metrics"):
                new["value"] = "value * (1 + (?1 * 7919 % 1000) / 1000.0)"
            chosen = ", ".join(new.get(name, name) for name in names)
            copy = f"INSERT INTO {table} SELECT {chosen} FROM {table} WHERE {key} = ?2"
            connection.executemany(copy, [(number, source) for number in range(count)])
        connection.commit()


def prepared(folder: str) -> None:
    """A small file of the heat equation and the base configuration."""
    t, x, k = np.arange(21)[:, None] * 0.05, np.arange(16) * np.pi / 8, np.arange(1, 5)[:, None, None]
    u = 1 + np.exp(-(k**2) * t) * np.cos(k * x)
    morlight.write(f"{folder}/heat.h5", {"u": u}, dt=0.05, length=2 * np.pi, boundaries="periodic")
    Path(folder, "base.yaml").write_text(yaml.safe_dump(BASE))
    Path(folder, "search.yaml").write_text(yaml.safe_dump(PLAN))


def comparisons() -> Iterator[dict[str, Any]]:
    """`morlight compare` of many trials: the best 20, and all."""
    with tempfile.TemporaryDirectory() as folder:
        prepared(folder)
        ran(folder, "sweep", "--config", "search.yaml", "--trials", "2")
        copied(Path(folder, "mlruns", "mlflow.db"), RUNS - 2)
        for words in ([], ["--all"], ["--json"]):
            seconds, used = ran(folder, "compare", *words)
            case = " ".join(["compare", *words])
            yield {"case": f"{case}, {RUNS} runs", "value": seconds, "unit": "s", "processor_seconds": used}


def trials(storage: str, count: int) -> dict[str, Any]:
    """Seconds a trial of a sweep of fits that take next to no time, in one process."""
    with tempfile.TemporaryDirectory() as folder:
        prepared(folder)
        place = ["--storage", storage] if storage else []
        first = ran(folder, "sweep", "--config", "search.yaml", "--trials", "1", *place)
        whole = ran(folder, "sweep", "--config", "search.yaml", "--trials", str(count + 1), *place)
    seconds, used = ((b - a) / count for a, b in zip(first, whole, strict=True))
    name = storage.partition(":")[0] or "journal"
    return {"case": f"a trial, {name}, {count} trials", "value": seconds, "unit": "s", "processor_seconds": used}


def measure(*storages: str) -> Iterator[dict[str, Any]]:
    """All of it; other storages, such as postgresql://…, are named behind the benchmark."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    yield from comparisons()
    for storage in ("", "sqlite:///studies.db", *storages):
        yield trials(storage, TRIALS)
