"""The store: where it is, how it is created and reached, and what happens when it cannot be."""

import os
import subprocess
import sys
import time

import pytest

from morlight.tracking.checkpoints import resolve
from morlight.tracking.logger import Tracker
from morlight.tracking.runs import read_runs
from morlight.tracking.store import connect, tracking_uri
from tests.tracking.stores import folder, free_port, fresh_database

__all__ = ["folder", "fresh_database"]  # fixtures


def python(code, **kwargs):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, **kwargs)


def test_looking_at_results_needs_neither_mlflow_nor_torch_to_start():
    heavy = "{'mlflow', 'torch', 'pytorch_lightning'} & set(sys.modules)"
    imports = "import sys, morlight.tracking.runs, morlight.tracking.checkpoints, morlight.tracking.leaderboard"
    assert python(f"{imports}; print({heavy})").stdout == "set()\n"


def test_nothing_is_reported_to_the_makers_of_mlflow():
    code = "import morlight.tracking.store, mlflow, mlflow.telemetry as t; print(t.get_telemetry_client() is None)"
    surroundings = {
        k: v for k, v in os.environ.items() if k not in ("CI", "PYTEST_CURRENT_TEST", "MLFLOW_TRACKING_URI")
    }
    assert python(code, env=surroundings).stdout == "True\n"


def test_processes_that_start_together_share_one_database_and_say_nothing(tmp_path):
    code = (
        "import logging, time, mlflow, mlflow.store.db.utils; logging.basicConfig(level=logging.INFO)\n"
        "from morlight.tracking.experiments import experiment_id\n"
        "from morlight.tracking.store import connect\n"
        f"time.sleep(max(0, {time.time() + 1} - time.time()))\n"
        "client = connect(); client.create_run(experiment_id(client, 'rush', create=True))"
    )
    surroundings = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    both = [
        subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=surroundings, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [process.communicate(timeout=300)[1] for process in both] == [b"", b""]
    client = connect(f"sqlite:///{tmp_path}/mlruns/mlflow.db", create=False)
    experiment = client.get_experiment_by_name("rush")
    assert experiment.artifact_location == (tmp_path / "mlruns" / "artifacts").as_uri()
    assert len(client.search_runs([experiment.experiment_id])) == 2
    assert [file.name for file in (tmp_path / "mlruns").iterdir()] == ["mlflow.db"]


def test_store_is_named_by_the_environment_or_lies_in_the_working_directory(folder, monkeypatch):
    assert tracking_uri() == f"sqlite:///{folder}/mlruns/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:1")
    assert tracking_uri() == "http://localhost:1"


def test_a_store_survives_spaces_and_signs_in_its_path(fresh_database, tmp_path, monkeypatch):
    place = tmp_path / "a b" / "50% #1"
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    tracker = Tracker()
    tracker.log_text("weights", "checkpoints/best.ckpt")
    assert resolve(f"runs:/{tracker.run_id}").read_text() == "weights"
    assert sorted(file.name for file in (place / "mlruns").iterdir()) == ["artifacts", "mlflow.db"]


def test_reading_makes_no_database(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(ValueError, match=r"mlflow.db: no tracking database; fit a model first"):
        resolve("runs:/0123")
    with pytest.raises(ValueError, match="no tracking database"):
        read_runs("morlight")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/notes.txt")
    (tmp_path / "notes.txt").write_text("buy milk\n" * 500)
    with pytest.raises(ValueError, match=r"notes.txt: .*file is not a database") as caught:
        connect()
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there_is_told_at_once(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    begin = time.monotonic()
    with pytest.raises(ValueError, match=r"127.0.0.1:\d+: the tracking store does not answer"):
        resolve("runs:/0123")
    assert time.monotonic() - begin < 120  # MLflow alone: four minutes
