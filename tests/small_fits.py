"""Tiny fits through the command line, for tests of behavior: the only place where those tests know files and words.

By default the learning rate is so small that the weights stay where they start. Every number that a fit reports is
then one that a test can compute again from the checkpoint, in NumPy.
"""

import contextlib
import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import yaml

import morlight
from morlight.cli import main as cli
from morlight.data.trajectory_writer import write as write_file
from morlight.operators.description import Grid

STILL = {
    "model.biases": [],
    "model.symbol": "plain",
    "model.terms": 2,  # h is then evaluated at every point, and not interpolated from a table
    "model.realizations": 3,
    "model.width": 3,
    "model.depth": 3,
    "model.horizons": [2],
    "model.loss": "points",
    "model.field_weights": "none",
    "model.smoothness": 0,
    "model.lr": 1e-12,
    "data.batch": 100_000,
    "data.validation": 0,
    "data.test": 0,
    "trainer.max_epochs": 1,
    "trainer.precision": "64-true",
    "trainer.accelerator": "cpu",
    "trainer.enable_progress_bar": False,
}


@dataclass(frozen=True)
class Fit:
    """A finished fit."""

    model: Any
    checkpoint: Path
    metrics: dict[str, float]
    run_id: str

    def per_realization(self, name: str) -> np.ndarray:
        """A metric of each realization."""
        return np.array([self.metrics[f"{name}/{r:02d}"] for r in range(self.model.realizations)])


def write(  # noqa: PLR0913 - the parts of a file
    path, fields: Mapping[str, np.ndarray], *, dt=0.1, length=(1.0,), walls=False, parameters=None, provenance=None
) -> Path:
    """A trajectory file of fields (trajectory, time, *X)."""
    u = next(iter(fields.values()))
    kinds = ("WALL" if walls else "PERIODIC",) * (u.ndim - 2)
    grid = Grid(tuple(u.shape[2:]), tuple(length), kinds)
    gamma = {name: np.asarray(values, float) for name, values in (parameters or {}).items()}
    write_file(path, name=Path(path).stem, fields=fields, grid=grid, times=np.arange(u.shape[1]) * dt,
                          provenance=provenance or {}, parameters=gamma)  # fmt: skip
    return Path(path)


def fit(path, changes: Mapping[str, Any] | None = None, name="small") -> Fit:
    """Fit in the present folder, with `STILL` but for some keys."""
    whole: dict[str, dict[str, Any]] = {}
    for key, value in {**STILL, **(changes or {}), "data.path": str(path)}.items():
        group, word = key.split(".")
        whole.setdefault(group, {})[word] = value
    Path(f"{name}.yaml").write_text(yaml.safe_dump(whole))
    cli.main(["fit", "--config", f"{name}.yaml"])
    run = run_of(name)
    checkpoint = Path("mlruns", "fits", name, run.info.run_id, "last.ckpt").absolute()
    metrics = dict(run.data.metrics) | realizations(run.info.run_id)
    return Fit(morlight.load(str(checkpoint)), checkpoint, metrics, run.info.run_id)


def realizations(run_id: str) -> dict[str, float]:
    """The table of single realizations of a run, as metrics NAME/RR."""
    text = mlflow.artifacts.load_text(f"{tracked().get_run(run_id).info.artifact_uri}/realizations.csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    return {f"{row['metric']}/{key}": float(row[key]) for row in rows for key in row if key != "metric" and row[key]}


def run_of(name: str) -> Any:
    """The run of this name."""
    client = tracked()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (run,) = client.search_runs(experiments, f"attributes.run_name = '{name}'")
    return run


def tracked() -> mlflow.MlflowClient:
    """The tracking store of the present folder."""
    return mlflow.MlflowClient(f"sqlite:///{Path('mlruns', 'mlflow.db').absolute()}")


def history(run_id: str, metric: str) -> tuple[list[int], list[float]]:
    """Steps and values of a metric, in the order of the steps."""
    logged = sorted(tracked().get_metric_history(run_id, metric), key=lambda entry: entry.step)
    return [entry.step for entry in logged], [entry.value for entry in logged]


def told(*words: object) -> dict[str, Any]:
    """The JSON that a command prints."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        cli.main([*map(str, words), "--json"])
    return json.loads(out.getvalue())
