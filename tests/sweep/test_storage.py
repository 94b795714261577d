"""Storages of studies when their disk or server is away: real files, a real PostgreSQL."""

import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import sqlalchemy
import yaml
from optuna.trial import TrialState

from morlight.sweep import storage as storages
from morlight.sweep import study as studies
from morlight.sweep.common import Common
from morlight.sweep.plan import Dimension, Plan
from morlight.tracking.runs import read_runs
from tests.postgres import served
from tests.sweep.test_sweep import PLAN, folder, parent_and_children

__all__ = ["folder"]  # a fixture

COMMON = Common({}, "")
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning", "ignore:Heartbeat of storage")


def plan(storage, trials=4, **words):
    space = (Dimension.read("x", {"low": 0.0, "high": 1.0}),)
    return Plan("wait", Path("base.yaml"), space, ("x",), storage=str(storage), trials=trials, heartbeat=1, **words)


def opened(given):
    found, new = studies.open_study(given, COMMON)
    if new:
        studies.fill(found, given)
        found.set_user_attr("plan", COMMON.signature(given))
    return found


def take(study, given):
    """A trial from the queue with a value."""
    trial = study.ask()
    values = studies.suggest(trial, given.space)
    study.tell(trial, values["x"])


def close(study):
    study._storage.remove_session()
    study._storage._backend.engine.dispose()


def states(study):
    return [trial.state.name for trial in study.get_trials()]


@pytest.mark.parametrize("url", ["sqlite:///{}/a.db", "journal:///{}/a.journal"])
def test_the_queue_holds_what_was_asked_for_and_nothing_can_be_taken_beyond_it(tmp_path, url):
    given = plan(url.format(tmp_path), trials=2)
    study = opened(given)
    take(study, given)
    take(study, given)
    with pytest.raises(storages.QueueEmpty):
        study.ask()
    more = plan(url.format(tmp_path), trials=3)
    again = opened(more)
    studies.fill(again, more)
    assert states(again) == ["COMPLETE", "COMPLETE", "WAITING"]
    fewer = plan(url.format(tmp_path), trials=2)
    studies.fill(again, fewer)
    with pytest.raises(storages.QueueEmpty):
        again.ask()


def test_two_that_fill_the_queue_at_the_same_time_do_nothing_twice(tmp_path):
    given = plan(f"sqlite:///{tmp_path}/a.db", trials=2)
    study = opened(given)
    for slot in range(2):  # as a second worker that has not seen the first one's
        study.add_trial(optuna.trial.create_trial(state=TrialState.WAITING, user_attrs={"slot": slot}))
    taken = [study.ask() for _ in range(4)]
    assert [studies.superfluous(study, trial) for trial in taken] == [False, False, True, True]


@pytest.mark.parametrize("url", ["sqlite:///{}/a.db", "journal:///{}/a.journal"])
def test_a_trial_whose_worker_died_is_queued_again_with_its_values(tmp_path, url):
    given = plan(url.format(tmp_path), trials=1)
    code = (
        "import os, warnings; warnings.simplefilter('ignore')\n"
        "from pathlib import Path; from morlight.sweep import study as studies\n"
        "from morlight.sweep.common import Common\n"
        "from morlight.sweep.plan import Plan, Dimension\n"
        "from optuna.storages._heartbeat import get_heartbeat_thread\n"
        f"plan = Plan('wait', Path('base.yaml'), (Dimension.read('x', {{'low': 0.0, 'high': 1.0}}),), ('x',),"
        f" storage={given.storage!r}, trials=1, heartbeat=1)\n"
        "common = Common({}, '')\n"
        "study, _ = studies.open_study(plan, common); studies.fill(study, plan)\n"
        "study.set_user_attr('plan', common.signature(plan))\n"
        "trial = study.ask(); get_heartbeat_thread(trial._trial_id, study._storage).start()\n"
        "print(studies.suggest(trial, plan.space)['x'], flush=True); trial.set_user_attr('run_id', 'abc'); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 9, done.stderr
    study = opened(given)
    optuna.storages.fail_stale_trials(study)
    assert states(study) == ["RUNNING"]  # it may still be alive
    time.sleep(storages.GRACE + 1.5)
    optuna.storages.fail_stale_trials(study)
    assert states(study) == ["FAIL", "WAITING"]
    trial = study.ask()
    assert studies.suggest(trial, given.space)["x"] == float(done.stdout)
    assert (trial.user_attrs["slot"], trial.user_attrs["run_id"]) == (0, "abc")


def test_a_journal_survives_a_full_disk_and_half_lines(tmp_path, capsys):
    given = plan(f"journal:///{tmp_path}/a.journal", trials=3)
    study = opened(given)
    take(study, given)
    file = tmp_path / "a.journal"
    with file.open("ab") as half:  # of a worker killed while writing
        half.write(b'{"op_code":5,"wor')
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 40, hard))  # the disk is full in 40 bytes
    freed = threading.Timer(1.5, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard)))
    freed.start()
    try:
        take(study, given)
    finally:
        freed.join()
    assert "does not answer" in capsys.readouterr().err
    take(study, given)
    assert states(opened(given)) == ["COMPLETE"] * 3
    assert all(json.loads(line) for line in file.read_text().splitlines())


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 16 MB."""
    mounted = shutil.which("mount") and os.geteuid() == 0
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=16m", "morlight-test", str(disk)]
    if not mounted or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by root only")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize("url", ["sqlite:///{}/a.db", "journal:///{}/a.journal"])
def test_a_study_on_a_full_disk_waits_for_room_and_loses_nothing(small_disk, url, capsys):
    given = plan(url.format(small_disk), trials=20)
    study = opened(given)
    take(study, given)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free))
    freed = threading.Timer(2.0, ballast.unlink)
    freed.start()
    try:
        for _ in range(19):
            take(study, given)
    finally:
        freed.join()
    assert "does not answer" in capsys.readouterr().err
    again = opened(given)
    assert states(again) == ["COMPLETE"] * 20
    assert [trial.value for trial in again.trials] == [trial.params["x"] for trial in again.trials]


@pytest.mark.parametrize("url", [None, "journal:///a.journal", "sqlite:///a.db"])
def test_a_relative_path_stays_the_same_file_when_the_process_changes_its_folder(tmp_path, monkeypatch, url):
    monkeypatch.chdir(tmp_path)
    given = replace(plan("", trials=2), storage=url)
    study = opened(given)
    take(study, given)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    take(study, given)
    assert not list(Path().iterdir())
    monkeypatch.chdir(tmp_path)
    assert states(opened(given)) == ["COMPLETE"] * 2


def killed_with_the_lock(folder):
    """A worker of the study `search` in the default storage, killed while it holds the lock of the journal."""
    code = (
        "import os, signal\nfrom morlight.sweep.storage import open_storage\n"
        "open_storage(None, 'search', 1)._backend._lock.acquire(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=folder).returncode == -9
    assert (folder / "mlruns/sweeps/search.journal.lock").exists()


@pytest.mark.slow
def test_a_sweep_goes_on_after_a_worker_was_killed_while_it_held_the_lock_of_the_journal(folder):
    Path("search.yaml").write_text(yaml.safe_dump(PLAN))
    command = [sys.executable, "-m", "morlight", "sweep", "--config", "search.yaml", "--trials"]
    subprocess.run([*command, "1"], check=True, capture_output=True, timeout=300)
    killed_with_the_lock(folder)
    done = subprocess.run([*command, "2"], check=True, capture_output=True, text=True, timeout=300)
    assert "is the lock of a worker that died" in done.stderr
    journal = optuna.storages.journal.JournalFileBackend("mlruns/sweeps/search.journal")
    study = optuna.load_study(storage=optuna.storages.JournalStorage(journal), study_name="search")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2


def test_a_postgresql_that_dies_and_comes_back_is_waited_for(capsys):
    with served() as server:
        given = plan(server.url, trials=20)
        study = opened(given)
        for _ in range(5):
            take(study, given)
        server.kill()
        threading.Timer(2.0, server.start).start()
        for _ in range(15):
            take(study, given)
        again = opened(given)
        assert states(again) == ["COMPLETE"] * 20
        assert capsys.readouterr().err.count("does not answer") >= 1
        close(study)
        close(again)


@pytest.mark.slow
def test_four_workers_on_postgresql_survive_its_death_and_that_of_one_of_them(folder, monkeypatch):
    words = {"trials": 12, "set": {"trainer.max_epochs": 20}, "objective": "rollout_end", "heartbeat": 3}
    with served() as server:
        Path("search.yaml").write_text(yaml.safe_dump(PLAN | words | {"storage": server.url}))
        command = [sys.executable, "-m", "morlight", "sweep", "--config", "search.yaml", "--workers", "1"]
        workers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
        while len(list(Path("mlruns").glob("fits/*/*/last.ckpt"))) < 4:
            time.sleep(0.1)
        server.kill()
        time.sleep(3)
        server.start()
        workers[0].kill()
        said = [worker.communicate(timeout=600)[1] for worker in workers]
        assert [worker.returncode for worker in workers] == [-9, 0, 0, 0], said
        study = optuna.load_study(storage=server.url.replace("://", "+psycopg://"), study_name="search")
        done = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
        assert sorted(trial.user_attrs["slot"] for trial in done) == list(range(12))
        close(study)
    parent, trials = parent_and_children()
    assert [run.status for run in [parent, *trials]] == ["FINISHED"] * 13
    assert len(read_runs("morlight")) == 13


TABLE, ROW = "CREATE TABLE version (number INTEGER PRIMARY KEY)", "INSERT INTO version VALUES (1)"


@pytest.mark.parametrize("again", [TABLE, ROW])
def test_tables_that_another_worker_makes_at_the_same_moment_are_found(again, monkeypatch):
    monkeypatch.setattr(storages.time, "sleep", lambda seconds: None)
    attempts = []

    def make():
        attempts.append(again)
        if len(attempts) > 1:
            return "the storage"
        with sqlalchemy.create_engine("sqlite://").begin() as connection:
            for statement in (TABLE, ROW, again):  # of the other worker, and ours
                connection.execute(sqlalchemy.text(statement))
        return None

    assert storages._first(make) == "the storage"
    assert len(attempts) == 2
