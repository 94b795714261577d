"""Runs read from real stores."""

import math
import sqlite3

import pytest
from mlflow.entities import Dataset, DatasetInput

from morlight.tracking import runs
from morlight.tracking.experiments import experiment_id
from morlight.tracking.logger import Tracker
from morlight.tracking.store import connect
from tests.tracking.stores import folder, free_port, fresh_database, served

__all__ = ["folder", "fresh_database"]  # fixtures


def test_experiments_that_are_missing_or_deleted_are_told(folder):
    assert Tracker("levy").run_id
    with pytest.raises(ValueError, match=r"experiment 'burgers' is not in sqlite.*; there are: Default, levy"):
        runs.read_runs("burgers")
    client = connect()
    client.delete_experiment(client.get_experiment_by_name("levy").experiment_id)
    with pytest.raises(ValueError, match="experiment 'levy' was deleted"):
        _ = Tracker("levy").experiment


def test_runs_are_listed_whatever_their_number_the_latest_first(folder):
    client = connect()
    first = client.create_run(client.create_experiment("many"), run_name="0", start_time=1).info.run_id
    connection = sqlite3.connect("mlruns/mlflow.db")
    names = [row[1] for row in connection.execute("PRAGMA table_info(runs)")]
    new = {"run_uuid": "printf('%032d', ?1)", "name": "?1", "start_time": "?1 + 1"}
    copy = f"INSERT INTO runs SELECT {', '.join(new.get(n, n) for n in names)} FROM runs WHERE run_uuid = ?2"
    connection.executemany(copy, [(i, first) for i in range(1, 1001)])  # MLflow's page holds 1000
    connection.commit()
    connection.close()
    assert [run.name for run in runs.read_runs("many")] == [str(i) for i in reversed(range(1001))]


def test_tables_are_read_as_mlflow_reads_them(folder):
    client = connect()
    where = client.create_experiment("all")
    for name in ("a", "b", "deleted"):
        run_id = client.create_run(where, run_name=name, tags={"note": "κ\n'"}).info.run_id
        for step, value in ((0, 1.0), (5, math.nan if name == "a" else math.inf), (3, 2.0)):
            client.log_metric(run_id, "loss", value, step=step)
        client.log_param(run_id, "model.width", "8")
        client.log_inputs(run_id, datasets=[DatasetInput(Dataset(f"heat {name}", "00", "local", "{}"))])
    client.create_run(where)
    client.delete_run(run_id)
    directly, through_mlflow = runs.read_runs("all"), runs._from_mlflow("all")
    assert repr(directly) == repr(through_mlflow)  # NaN is not equal to itself
    assert [run.dataset and run.dataset.name for run in directly] == [None, "heat b", "heat a"]
    assert math.isnan(directly[2].metrics["loss"])


def test_a_server_has_the_same_runs_as_its_database(folder, monkeypatch):
    client = connect()
    for i in range(3):
        run_id = client.create_run(experiment_id(client, "all", create=True), run_name=str(i)).info.run_id
        client.log_metric(run_id, "loss", i)
    directly = runs.read_runs("all")
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    with served(folder, port):
        assert runs.read_runs("all") == directly
