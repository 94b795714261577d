"""A small file to learn from, and a folder to fit in."""

import numpy as np
import pytest
import short_fits
import small_fits


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A file of smooth noise around 1 in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    x = np.arange(12) / 12 * 2 * np.pi
    u = 1 + np.random.default_rng(0).normal(size=(4, 8, 1)) * np.cos(x)
    return small_fits.write("u.h5", {"u": u})


@pytest.fixture
def fits(tmp_path, monkeypatch):
    """A working directory of its own with the configuration `short.yaml`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "short.yaml").write_text(short_fits.SHORT)
    return tmp_path
