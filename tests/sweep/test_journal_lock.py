"""The lock of a journal, held by real processes that are killed."""

import itertools
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from morlight.sweep import journal_lock
from morlight.sweep.journal_lock import JournalLock

HOLD = (
    "import sys, time; from pathlib import Path; from morlight.sweep.journal_lock import JournalLock\n"
    "JournalLock(Path(sys.argv[1])).acquire(); print('mine', flush=True); time.sleep(600)"
)
APPEND = (
    "import sys; from pathlib import Path; from morlight.sweep.storage import WholeLines\n"
    "from morlight.sweep.journal_lock import JournalLock\n"
    "path = Path(sys.argv[1]); journal = WholeLines(str(path), JournalLock(path))\n"
    "[journal.append_logs([{'worker': int(sys.argv[2]), 'line': i}]) for i in range(100)]"
)


@pytest.fixture
def held(tmp_path):
    """A journal whose lock is held by a living process, and that process."""
    journal = tmp_path / "a.journal"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(journal)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "mine\n"
        yield journal, process
        process.kill()


def taken_after(journal):
    """s until the lock is ours."""
    started = time.monotonic()
    lock = JournalLock(journal)
    lock.acquire()
    lock.release()
    return time.monotonic() - started


def test_the_lock_of_a_killed_worker_is_removed_after_the_grace_period_and_said(held, monkeypatch, capsys):
    monkeypatch.setattr(journal_lock, "GRACE", 1.0)
    journal, process = held
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 1.0 < taken_after(journal) < 60.0
    assert f"{journal}.lock is the lock of a worker that died" in capsys.readouterr().err


def test_one_that_gives_up_a_lock_late_leaves_the_next_one_alone(tmp_path):
    journal = tmp_path / "a.journal"
    late, next_one = JournalLock(journal), JournalLock(journal)
    late.file.touch()  # of a worker that died
    mark = journal_lock._mark(late.file)
    late.file.unlink()
    next_one.acquire()
    late._give_up(mark)
    assert late.file.exists()
    next_one.release()
    assert not late.file.exists()


def test_two_that_wait_for_the_lock_of_a_killed_worker_do_not_get_it_together(held, monkeypatch):
    monkeypatch.setattr(journal_lock, "GRACE", 3.0)  # far longer than a turn, also under load
    journal, process = held
    process.kill()
    process.wait()

    def turn(_):
        lock = JournalLock(journal)
        lock.acquire()
        began = time.monotonic()
        time.sleep(0.05)
        ended = time.monotonic()
        lock.release()
        return began, ended

    with ThreadPoolExecutor(4) as pool:
        turns = sorted(pool.map(turn, range(4)))
    assert all(ended <= began for (_, ended), (began, _) in itertools.pairwise(turns))


def test_a_link_that_leads_nowhere_is_a_lock_like_any_other(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_lock, "GRACE", 1.0)
    journal = tmp_path / "a.journal"
    os.symlink("mlruns/sweeps/a.journal", f"{journal}.lock")  # of a worker of version 0.1 with a relative path
    before = time.process_time()
    assert 1.0 < taken_after(journal) < 60.0
    assert time.process_time() - before < 0.5  # it waits without using a core


def test_an_interruption_while_waiting_leaves_the_lock_of_the_other(held):
    journal, process = held
    code = HOLD.replace("print", "assert False; print").replace("JournalLock(P", "print(flush=True); JournalLock(P")
    command = [sys.executable, "-c", code, str(journal)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as waiting:
        waiting.stdout.readline()
        time.sleep(0.5)
        waiting.send_signal(signal.SIGINT)
        assert b"AssertionError" not in waiting.communicate(timeout=300)[1]
    assert process.poll() is None
    assert Path(f"{journal}.lock").exists()


def test_a_lock_that_was_taken_away_is_not_released_in_another_s_hands(tmp_path):
    slow, other = JournalLock(tmp_path / "a.journal"), JournalLock(tmp_path / "a.journal")
    slow.acquire()
    slow.file.unlink()  # another took it for dead
    other.acquire()
    slow.release()
    assert other.file.exists()
    other.release()
    assert not other.file.exists()


def test_four_processes_that_write_at_once_lose_no_line(tmp_path):
    journal = tmp_path / "a.journal"
    journal.touch()
    command = [sys.executable, "-c", APPEND, str(journal)]
    writers = [subprocess.Popen([*command, str(i)]) for i in range(4)]
    assert [writer.wait(timeout=300) for writer in writers] == [0] * 4
    lines = journal.read_text().splitlines()
    assert sorted(lines) == sorted(f'{{"worker":{w},"line":{i}}}' for w in range(4) for i in range(100))
