"""Workers and sweeps that are killed, and a disk that is full: the sweep ends with what was asked for, once each."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import optuna
import pytest
import torch
from optuna.trial import TrialState

from morlight.cli import main as cli
from morlight.sweep.plan import Plan
from morlight.sweep.run import _many
from morlight.tracking.runs import read_runs
from morlight.tracking.store import connect
from tests.sweep.test_orphan import is_alive
from tests.sweep.test_storage import small_disk
from tests.sweep.test_sweep import PATIENCE, command, finished, folder, parent_and_children, study, sweep

__all__ = ["folder", "small_disk"]  # fixtures

STORAGES = [None, "sqlite:///studies.db"]
LONG = {"space": {"model.lr": [0.02, 0.01, 0.005]}, "sampler": "grid", "set": {"trainer.max_epochs": 40}}


def worker(folder, name="search"):
    """A worker on `search.yaml`, to be run in a process of its own."""
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with open("stderr", "a") as file, contextlib.redirect_stderr(file):
        cli.main(["sweep", "--config", f"{name}.yaml"])


def parent_of_two(folder):
    """The command with two workers, without what it checks before it starts them."""
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _many(Plan.read("search.yaml", workers=2))


def studied(storage, name="search"):
    return optuna.load_study(storage=storage, study_name=name) if storage else study(name)


def started(processes, folder, target=worker, **plan):
    command(**plan)  # writes the file
    process = processes.Process(target=target, args=(folder,))
    process.start()
    return process


def until(condition, process):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.is_alive()
        assert time.monotonic() < end
        time.sleep(0.02)


def checkpoints():
    return list(Path("mlruns").glob("fits/*/*/last.ckpt"))


def in_the_second_trial():
    return [path for path in Path("mlruns").glob("fits/search-001/*/last.ckpt") if epochs(path) >= 1]


def epochs(path):
    return torch.load(path, weights_only=True)["epoch"]


@pytest.mark.parametrize("storage", STORAGES)
def test_a_worker_that_is_killed_leaves_nothing_behind_and_its_trial_goes_on_from_its_checkpoint(
    folder, processes, storage
):
    long = LONG | ({"storage": storage} if storage else {})
    process = started(processes, folder, **long)
    until(in_the_second_trial, process)
    process.kill()
    process.join()
    (checkpoint,) = in_the_second_trial()
    assert epochs(checkpoint) < 39
    sweep(**long)
    sweep(name="whole", **long)  # without interruption
    there = studied(storage)
    assert sorted(trial.user_attrs["slot"] for trial in finished(there.trials)) == [0, 1, 2]
    assert [trial.state for trial in there.trials].count(TrialState.FAIL) == 1
    parent, children = parent_and_children()
    assert [run.status for run in [parent, *children]] == ["FINISHED"] * 4
    assert checkpoint.parent.name == children[1].run_id
    assert "continued.command" in children[1].tags
    assert "continued.command" not in children[0].tags
    losses = connect().get_metric_history(children[1].run_id, "train_loss/median")
    assert {m.step for m in losses} == {m.step for m in connect().get_metric_history(
        children[0].run_id, "train_loss/median")}  # fmt: skip
    for ours, theirs in zip(children, parent_and_children("whole")[1], strict=True):
        assert ours.metrics["objective"] == theirs.metrics["objective"]


@pytest.mark.parametrize("storage", STORAGES)
def test_one_of_three_workers_on_one_storage_is_killed_and_the_others_do_its_trial(folder, processes, storage):
    plan = {"trials": 6, "set": {"trainer.max_epochs": 40}} | ({"storage": storage} if storage else {})
    first = started(processes, folder, **plan)
    until(checkpoints, first)  # of its first trial
    others = [started(processes, folder, **plan) for _ in range(2)]
    first.kill()
    for process in (first, *others):
        process.join(PATIENCE)
    assert [process.exitcode for process in (first, *others)] == [-signal.SIGKILL, 0, 0]
    trials = studied(storage).trials
    assert sorted(trial.user_attrs["slot"] for trial in finished(trials)) == list(range(6))
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.FAIL}
    parent, children = parent_and_children()
    assert [run.status for run in [parent, *children]] == ["FINISHED"] * 7
    assert len(read_runs("morlight")) == 7


def test_ctrl_c_leaves_a_sweep_that_goes_on(folder, processes):
    long = LONG | {"space": {"model.lr": [0.02, 0.01]}}
    process = started(processes, folder, **long)
    until(checkpoints, process)
    os.kill(process.pid, signal.SIGINT)
    process.join(PATIENCE)
    assert process.exitcode == 130
    assert "morlight: sweep interrupted; the same command continues the sweep\n" in Path("stderr").read_text()
    parent, (child,) = parent_and_children()
    assert (parent.status, child.status) == ("KILLED", "KILLED")
    sweep(**long)
    parent, children = parent_and_children()
    assert [run.status for run in [parent, *children]] == ["FINISHED"] * 3
    assert children[0].run_id == child.run_id


@pytest.mark.parametrize("storage", STORAGES)
def test_a_sweep_whose_whole_disk_is_full_for_a_while_ends_with_every_trial(folder, small_disk, monkeypatch, storage):
    shutil.copy("base.yaml", small_disk)
    monkeypatch.chdir(small_disk)
    ballast = small_disk / "ballast"

    def fill():
        while not checkpoints():
            time.sleep(0.01)
        ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free))
        time.sleep(2.0)
        ballast.unlink()

    filling = threading.Thread(target=fill)
    filling.start()
    sweep(trials=3, **({"storage": storage} if storage else {}))
    filling.join()
    trials = studied(storage).trials
    assert sorted(trial.user_attrs["slot"] for trial in finished(trials)) == [0, 1, 2]
    parent, children = parent_and_children()
    assert [run.status for run in [parent, *children]] == ["FINISHED"] * 4
    files = connect().list_artifacts(children[0].run_id, "checkpoints")
    assert {Path(file.path).name for file in files} == {"best.ckpt", "last.ckpt"}


def children(pid):
    """Processes started by a process."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks into /proc for the workers")
@pytest.mark.parametrize("how", SIGNALS)
def test_killing_a_sweep_ends_its_workers(folder, processes, how):
    process = started(processes, folder, parent_of_two, trials=2)
    until(lambda: len(children(process.pid)) == 2, process)
    workers = children(process.pid)
    os.kill(process.pid, how)
    process.join(PATIENCE)
    end = time.monotonic() + PATIENCE
    while any(map(is_alive, workers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(is_alive, workers))


@pytest.mark.slow
@pytest.mark.parametrize("how", SIGNALS)
def test_a_sweep_killed_at_work_is_finished_by_the_same_command(folder, how):
    typed = command("--trials", "2", "--workers", "2", set={"trainer.max_epochs": 50})
    with subprocess.Popen(typed, stderr=subprocess.DEVNULL) as process:
        while len(checkpoints()) < 2:
            time.sleep(0.1)
        workers = children(process.pid)
        process.send_signal(how)
        process.wait(timeout=PATIENCE)
    end = time.monotonic() + PATIENCE
    while any(map(is_alive, workers)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(is_alive, workers))
    subprocess.run(typed, check=True, capture_output=True, timeout=PATIENCE)
    parent, trials = parent_and_children()
    assert [run.status for run in [parent, *trials]] == ["FINISHED"] * 3
