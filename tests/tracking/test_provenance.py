"""Tags that say where a run comes from."""

import importlib.metadata
import shlex
import subprocess
import sys
from pathlib import Path

from mlflow import MlflowClient

from morlight.tracking import provenance
from morlight.tracking.logger import Tracker
from morlight.tracking.names import TAG_LENGTH
from morlight.tracking.store import tracking_uri
from tests.tracking.stores import folder, fresh_database

__all__ = ["folder", "fresh_database"]  # fixtures


def git(folder, *command):
    done = subprocess.run(["git", *command], cwd=folder, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def test_runs_know_where_they_come_from(folder):
    git(folder, "init")
    (folder / "notes").write_text("1")
    git(folder, "add", "notes")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "first")
    (folder / "notes").write_text("2")
    tracker = Tracker(tags={"study": "levy"})
    tags = MlflowClient(tracking_uri()).get_run(tracker.run_id).data.tags
    checkout = next(place for place in (Path(provenance.__file__).parent, folder) if git(place, "rev-parse", "HEAD"))
    assert tags["mlflow.source.git.commit"] == git(checkout, "rev-parse", "HEAD")
    assert tags["mlflow.source.git.dirty"] == str(bool(git(checkout, "status", "-s", "-uno"))).lower()
    for package in ("torch", "pytorch-lightning", "mlflow", "numpy", "morlight"):
        assert tags[f"version.{package}"] == importlib.metadata.version(package)
    assert tags["command"] == shlex.join(sys.orig_argv)[:TAG_LENGTH]
    assert tags["study"] == "levy"
    assert tags["mlflow.user"]
