"""Workers whose parent is killed: real processes, real signals."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from morlight.sweep import orphan

WORKER = (
    "import time; from morlight.sweep.orphan import end_with_parent; end_with_parent()\n"
    "print('worker', flush=True); time.sleep(600)"
)
PARENT = (
    "import os, subprocess, sys, time; from morlight.sweep import orphan\n"
    "surroundings = os.environ | {orphan.PARENT: str(os.getpid())}\n"
    "worker = subprocess.Popen([sys.executable, '-c', sys.argv[1]], env=surroundings)\n"
    "print(worker.pid, flush=True); worker.wait()"
)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_ends_within_seconds_of_the_death_of_its_parent(how, ignored):
    """Also where a shell has started the parent in the background, so that Ctrl-C is ignored."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if ignored else None
    try:
        process = subprocess.Popen([sys.executable, "-c", PARENT, WORKER], stdout=subprocess.PIPE, text=True)
    finally:
        if ignored:
            signal.signal(signal.SIGINT, before)
    with process:
        worker = int(process.stdout.readline())
        assert process.stdout.readline() == "worker\n"
        os.kill(process.pid, how)
        process.wait(timeout=300)
        deadline = time.monotonic() + 120
        while is_alive(worker) and time.monotonic() < deadline:
            time.sleep(0.1)
        alive = is_alive(worker)
        if alive:
            os.kill(worker, signal.SIGKILL)
        assert not alive


def test_a_process_that_nobody_started_as_a_worker_is_left_alone(monkeypatch):
    monkeypatch.delenv(orphan.PARENT, raising=False)
    orphan.end_with_parent()
    assert not any("parent" in thread.name for thread in threading.enumerate())
