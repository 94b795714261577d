"""Runs whose process died, found by the next command: real processes, killed and alive."""

import os
import signal
import time

import pytest

from morlight.tracking import owners
from morlight.tracking.logger import Tracker
from morlight.tracking.runs import read_run, read_runs
from morlight.tracking.store import connect
from morlight.tracking.sweep_run import SweepRun
from tests.tracking.stores import folder, fresh_database

__all__ = ["folder", "fresh_database"]  # fixtures


def begin(folder, name, ready=None):
    """A run that its process leaves as it is: by its death, or after the parent has seen that it stays."""
    os.chdir(folder)
    _ = Tracker("heat", name).run_id
    if ready is None:
        os.kill(os.getpid(), signal.SIGKILL)
    ready.set()
    time.sleep(600)


@pytest.fixture
def alive(folder, processes):
    """A process that works on a run."""
    ready = processes.Event()
    process = processes.Process(target=begin, args=(folder, "alive", ready))
    process.start()
    assert ready.wait(60)
    yield process
    process.kill()
    process.join()


def killed(folder, processes):
    process = processes.Process(target=begin, args=(folder, "dead"))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def states():
    return {run.name: run.status for run in read_runs("heat")}


def test_the_next_command_closes_the_run_of_a_process_that_died_and_no_other(folder, processes, alive):
    _ = Tracker("heat", "own").run_id
    killed(folder, processes)
    assert states() == {"dead": "KILLED", "own": "RUNNING", "alive": "RUNNING"}
    (dead,) = (run for run in read_runs("heat") if run.name == "dead")
    assert dead.tags["killed"] == owners.REASON


def test_the_next_fit_closes_it_as_well(folder, processes, alive):
    killed(folder, processes)
    _ = Tracker("other", "next").run_id
    found = connect().search_runs([connect().get_experiment_by_name("heat").experiment_id])
    assert {run.info.run_name: run.info.status for run in found} == {"dead": "KILLED", "alive": "RUNNING"}


def test_a_run_that_is_continued_belongs_to_the_process_that_continues_it(folder, processes):
    killed(folder, processes)
    (dead,) = read_runs("heat")
    assert Tracker("heat", run_id=dead.run_id).run_id == dead.run_id
    assert states() == {"dead": "RUNNING"}


@pytest.mark.parametrize(
    ("identity", "status"),
    [
        ("{host} {process} 1", "KILLED"),  # the number of a process that ended, given to another
        ("{host} 999999999 {started}", "KILLED"),
        ("of_another_host 999999999 1", "RUNNING"),
        ("", "RUNNING"),
    ],
)
def test_the_same_number_of_another_process_is_noticed_and_other_hosts_are_left_alone(folder, identity, status):
    if not owners._started(os.getpid()):
        pytest.skip("the system does not say when a process began")
    run = Tracker("heat", "run").run_id
    host, process, started = owners._identity().split()
    connect().set_tag(run, owners.OWNER, identity.format(host=host, process=process, started=started))
    assert states() == {"run": status}


def test_the_run_of_a_sweep_is_open_as_long_as_one_of_its_workers_lives(folder):
    sweep = SweepRun("heat", "search")
    sweep.open(sweep.create({}, {}, {}))
    connect().set_tag(sweep.run_id, f"{owners.WORKERS}another", f"{owners._host()} 999999999 1")
    assert states() == {"search": "RUNNING"}
    for key in owners.worker():
        connect().delete_tag(sweep.run_id, key)
    assert states() == {"search": "KILLED"}


def test_a_worker_that_ends_takes_its_tag_along(folder):
    sweep = SweepRun("heat", "search")
    sweep.open(sweep.create({}, {}, {}))
    sweep.end({}, {}, "RUNNING")
    assert not any(key.startswith(owners.OWNER) for key in read_run(sweep.run_id).tags)
    assert states() == {"search": "RUNNING"}
