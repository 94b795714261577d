# ruff: noqa: E402 - shapes come before the package is imported
"""What several test files share: operators with every parameter redrawn, and a small file of walkers."""

import gc
import multiprocessing
import os
import signal
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two processes of two threads each on two cores wait for each other

gc.disable()  # until all test files are imported; see `pytest_collection_finish`

import shapes

shapes.install()

import heat
import numpy as np
import pytest
import small

from morlight.data import trajectory_writer
from morlight.operators.description import Grid

ROOT = Path(__file__).parent
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs, and theirs, start without Ctrl-C


LONGEST = (  # files, from the longest: begun first, so that no process has one left when the others have ended
    "training/test_continued_fits.py",
    "sweep/test_sweep.py",
    "experiments/test_framework.py",
    "analysis/export/test_pyfunc.py",
    "sweep/test_storage.py",
    "experiments/studies/test_equations.py",
    "experiments/test_demo.py",
    "tracking/test_store.py",
    "tracking/test_logger.py",
    "training/test_regression_fit.py",
)


def pytest_collection_modifyitems(items):
    """The files that take longest come first."""
    ranks = {ROOT / name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


def pytest_collection_finish():
    """Garbage is collected from now on, but not sought among the objects of imported packages and collected tests.

    They live as long as this process: a search among all of them takes half a second, and pytest makes five at the end.
    """
    gc.freeze()
    gc.enable()


def pytest_unconfigure():
    """Python ends without seeking garbage."""
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _shapes_checked_anew():
    """Every test file checks the shapes of its own arguments."""
    shapes.checked_before.clear()


@pytest.fixture
def make_operator():
    """Operator of one field with the options given, every parameter redrawn."""

    def make(points=(32,), seed=0, scale=1.7, **options):
        data = small.description([small.field(scale=scale)], where=small.grid(points))
        return small.operator(data, seed, **options)

    return make


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a checkpoint and a trajectory file that fit together."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    heat.checkpoint(tmp_path / "model.ckpt")
    heat.write(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def processes():
    """Processes that have imported everything already; this one has threads, which no copy of it would have."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["morlight.sweep.run", "morlight.cli.main", "mlflow", "small_fits"])
    return context


@pytest.fixture(scope="session")
def heat_file(tmp_path_factory) -> Path:
    """Noisy solutions of the heat equation, 6 trajectories of 31 frames on 32 points; made in a blink."""
    path = tmp_path_factory.mktemp("data") / "heat.h5"
    rng = np.random.default_rng(3)
    grid = Grid((32,), (2 * np.pi,), ("PERIODIC",))
    times = np.arange(31) * 0.01
    kappa = np.arange(17)
    start = rng.normal(size=(6, 17)) + 1j * rng.normal(size=(6, 17))
    start[:, 0], start[:, 8:] = 32, 0
    decay = np.exp(-np.square(kappa) * times[:, None])
    u = np.fft.irfft(start[:, None] * decay, n=32) + 1e-3 * rng.normal(size=(6, 31, 32))
    trajectory_writer.write(path, name="heat", fields={"density": u.astype(np.float32)}, grid=grid, times=times,
                       provenance={"generator": "test"})  # fmt: skip
    return path
