"""A working directory for commands."""

import heat
import pytest


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a checkpoint and a trajectory file that fit together."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    heat.checkpoint(tmp_path / "model.ckpt")
    heat.write(tmp_path)
    return tmp_path
