"""Fits that are killed, in processes of their own, and continued: the same weights, a complete run, nothing twice."""

import contextlib
import itertools
import os
import pkgutil
import shlex
import shutil
import signal
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import small_fits
import torch
import yaml

from morlight.analysis.model import load
from morlight.cli import main as cli
from morlight.tracking.checkpoints import resolve
from morlight.tracking.runs import read_runs
from morlight.tracking.store import connect
from tests.tracking.stores import fresh_database

__all__ = ["fresh_database"]  # a fixture

EPOCHS = 3
CHECKPOINTS = "morlight.training.callbacks.checkpoints"
FIT = "fit --config q.yaml --ckpt_path last"


def written(folder):
    """Data and configuration of a fit of three epochs."""
    x = np.arange(12) / 12 * 2 * np.pi
    u = 1 + np.random.default_rng(0).normal(size=(4, 12, 1)) * np.cos(x)
    small_fits.write(folder / "u.h5", {"u": u})
    changes = {"model.lr": 1e-2, "data.path": "u.h5", "data.validation": 0.25, "trainer.max_epochs": EPOCHS}
    nested: dict = {}
    for key, value in {**small_fits.STILL, **changes}.items():
        group, name = key.split(".")
        nested.setdefault(group, {})[name] = value
    (folder / "q.yaml").write_text(yaml.safe_dump(nested))


def in_folder(path):
    patch = pytest.MonkeyPatch()
    patch.chdir(path)
    patch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return patch


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with a fit that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    written(folder)
    with in_folder(folder).context():
        cli.main(shlex.split("fit --config q.yaml"))
    return folder


@pytest.fixture
def folder(fresh_database, tmp_path, monkeypatch):
    (tmp_path / "mlruns").mkdir()
    shutil.copy(fresh_database, tmp_path / "mlruns" / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    written(tmp_path)
    return tmp_path


def fit_until(folder, owner, name, call, number=signal.SIGKILL):
    """A fit that gets a signal in place of the given call, counted from 1, of a function."""
    os.chdir(folder)
    owner = pkgutil.resolve_name(owner)
    function, calls = getattr(owner, name), Counter()

    def die(*args, **kwargs):
        calls[name] += 1
        if calls[name] == call:
            os.kill(os.getpid(), number)
        return function(*args, **kwargs)

    setattr(owner, name, die)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with open("stderr", "w") as file, contextlib.redirect_stderr(file):
        cli.main(shlex.split("fit --config q.yaml"))


# best and last of each of the three epochs are published in turn, if each is better
MOMENTS = {
    "between two epochs": (f"{CHECKPOINTS}:FitCheckpoints", "on_train_epoch_end", 2),
    "before the second checkpoint has its name": (CHECKPOINTS, "publish", 4),
    "between the two files of the last epoch": (CHECKPOINTS, "publish", 6),
    "after the last epoch, before the report": ("morlight.training.callbacks.report", "evaluate", 1),
    "in the report, after its metrics": ("morlight.analysis.export.pyfunc", "save", 1),
    "after the report, before the run is closed": ("morlight.tracking.logger:Tracker", "_keep_checkpoints", 1),
}
STATUSES = {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 130, signal.SIGTERM: 143}
QUICK = {
    "before the second checkpoint has its name": signal.SIGKILL,
    "between two epochs": signal.SIGINT,
    "in the report, after its metrics": signal.SIGTERM,
}
CASES = [
    pytest.param(*case, id=f"{case[1].name} {name}", marks=[] if QUICK.get(name) == case[1] else pytest.mark.slow)
    for name, moment in MOMENTS.items()
    for case in itertools.product([moment], STATUSES)
]


def ended(processes, folder, moment, number):
    """Run a fit until the signal; what it says."""
    process = processes.Process(target=fit_until, args=(folder, *moment, number))
    process.start()
    process.join()
    assert process.exitcode == STATUSES[number]
    said = (folder / "stderr").read_text()
    assert "Traceback" not in said
    return said


def same(first, second):
    a, b = (torch.load(path, weights_only=True)["state_dict"] for path in (first, second))
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize(("moment", "number"), CASES)
def test_a_killed_fit_is_completed_by_the_same_command(whole, folder, processes, moment, number):
    said = ended(processes, folder, moment, number)
    assert ("--ckpt_path last continues" in said) == (number != signal.SIGKILL)
    assert [run.status for run in read_runs("morlight")] == ["KILLED"]
    cli.main(shlex.split(FIT))
    run = small_fits.run_of("q")
    assert run.info.status == "FINISHED"
    (uninterrupted,) = whole.glob("mlruns/fits/q/*/last.ckpt")
    for name in ("last", "best"):
        assert same(
            resolve(f"runs:/{run.info.run_id}/checkpoints/{name}.ckpt"), uninterrupted.with_name(f"{name}.ckpt")
        )
    for name in run.data.metrics:
        steps, _ = small_fits.history(run.info.run_id, name)
        assert len(steps) == len(set(steps)), name
    assert len(small_fits.history(run.info.run_id, "train_loss/median")[0]) == EPOCHS
    (kept,) = Path("mlruns/fits/q").iterdir()
    assert sorted(path.name for path in kept.iterdir()) == ["best.ckpt", "last.ckpt"]


START_UP = {
    "before the run begins": ("morlight.training.fit", "announce", 1),
    "once the run has begun": ("morlight.tracking.logger:Tracker", "keep_in", 1),
    "before the first step": ("torch.optim:Adam", "step", 1),
}


@pytest.mark.parametrize("number", STATUSES)
@pytest.mark.parametrize("moment", START_UP.values(), ids=START_UP)
def test_a_fit_killed_while_it_starts_leaves_no_run_that_counts_as_running(folder, processes, moment, number):
    said = ended(processes, folder, moment, number)
    assert len(said.splitlines()) == (0 if number == signal.SIGKILL else 1)
    assert "--ckpt_path last" not in said  # there is no checkpoint
    experiments = {experiment.name for experiment in connect().search_experiments()}
    assert ("morlight" in experiments) == (moment[1] != "announce")
    if "morlight" in experiments:
        assert [run.status for run in read_runs("morlight")] == ["KILLED"]


def test_a_torn_checkpoint_is_said_and_the_newest_readable_one_continues(whole, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(shutil.copytree(whole, tmp_path / "copy"))
    (last,) = Path("mlruns/fits/q").glob("*/last.ckpt")
    last.write_bytes(last.read_bytes()[:1000])
    cli.main(shlex.split(f"{FIT} --trainer.max_epochs 4"))
    assert "last.ckpt: not a readable checkpoint" in (said := capsys.readouterr().err)
    assert "the fit goes on from mlruns/fits/q" in said
    assert torch.load(last, weights_only=True)["epoch"] == 3


def test_a_checkpoint_with_the_id_of_another_run_does_not_write_into_it(whole, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(shutil.copytree(whole, tmp_path / "copy"))
    before = small_fits.run_of("q")
    (last,) = Path("mlruns/fits/q").glob("*/last.ckpt")
    shutil.copy(last, "strange.ckpt")
    cli.main(shlex.split("fit --config q.yaml --name new --ckpt_path strange.ckpt --trainer.max_epochs 4"))
    assert "strange.ckpt: is not in" in capsys.readouterr().err
    after = small_fits.run_of("q")
    assert (after.data.to_dictionary(), after.info.end_time) == (before.data.to_dictionary(), before.info.end_time)
    new = small_fits.run_of("new").info
    assert load(resolve(f"runs:/{new.run_id}")).run == new.run_id
