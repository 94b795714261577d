"""Stores for the tests: an empty SQLite file that is copied, and an `mlflow server` that can be killed."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from morlight.tracking import logger as tracking
from morlight.tracking.store import connect


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory):
    """MLflow's migrations take about a second: done once, copied for each test."""
    file = tmp_path_factory.mktemp("template") / "mlflow.db"
    connect(f"sqlite:///{file}")
    return file


@pytest.fixture
def folder(fresh_database, tmp_path, monkeypatch):
    """A working directory with an empty store; buffers are sent when full or told, never by the clock."""
    (tmp_path / "mlruns").mkdir()
    shutil.copy(fresh_database, tmp_path / "mlruns" / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(tracking, "INTERVAL", 3600.0)
    return tmp_path


def rows(query, *values):
    """From the database itself, past MLflow."""
    connection = sqlite3.connect("mlruns/mlflow.db")
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.close()


def metric_rows():
    return rows("SELECT key, step, value, is_nan FROM metrics ORDER BY step, key")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def served(folder, port):
    """An `mlflow server` of one worker on the store of `folder`; killed, not asked, at the end."""
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlruns/mlflow.db"]
    command += ["--artifacts-destination", f"{folder}/remote"]
    surroundings = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    del surroundings["MLFLOW_TRACKING_URI"]
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen(command, cwd=folder, env=surroundings, stdout=log, stderr=log, start_new_session=True)
    try:
        while not listens(port):
            assert server.poll() is None, (folder / "server.log").read_text()
            time.sleep(0.1)
        yield
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
