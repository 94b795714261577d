"""Runs read from real stores."""

import sqlite3

import pytest

from morlight.tracking.logger import Tracker
from morlight.tracking.runs import read_runs
from morlight.tracking.store import connect
from tests.tracking.stores import folder, fresh_database

__all__ = ["folder", "fresh_database"]  # fixtures


def test_experiments_that_are_missing_or_deleted_are_told(folder):
    assert Tracker("levy").run_id
    with pytest.raises(ValueError, match=r"experiment 'burgers' is not in sqlite.*; there are: Default, levy"):
        read_runs("burgers")
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
    assert [run.name for run in read_runs("many")] == [str(i) for i in reversed(range(1001))]
