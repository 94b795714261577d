"""Exclusive access to a journal, for any number of workers on any number of hosts."""

import fcntl
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from optuna.storages.journal._file import BaseJournalFileLock

GRACE = 30.0  # s; one write takes milliseconds, a slow disk some seconds
SHORTEST, LONGEST = 0.001, 1.0  # s between two attempts


class Mark(NamedTuple):
    """What tells one lock file from the next under the same name."""

    inode: int
    modified: int


class JournalLock(BaseJournalFileLock):
    """A file beside the journal that exists while one worker writes.

    A worker that is killed while it writes leaves the file behind. A lock that stays the same for longer than `GRACE`
    is therefore removed by whoever waits for it. The times of different hosts are not compared: the wait is measured
    by the clock of the process that waits.

    Optuna's own locks stop at a link that leads nowhere, which a journal with a relative path leaves behind, and
    release the lock of another worker when they are interrupted while they wait.

    Args:
        journal: absolute path of the journal.
    """

    def __init__(self, journal: Path) -> None:
        self.journal, self.file = journal, journal.with_name(f"{journal.name}.lock")
        self.mine: Mark | None = None

    def acquire(self) -> bool:
        """Create the file, after the worker that has created it before has removed it or is given up."""
        seen, since, pause = None, time.monotonic(), SHORTEST
        while True:
            try:
                descriptor = os.open(self.file, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            except FileExistsError:
                mark = _mark(self.file)
                if mark != seen:
                    seen, since = mark, time.monotonic()
                elif mark is not None and time.monotonic() - since > GRACE:
                    self._give_up(mark)
                    continue
                time.sleep(pause)
                pause = min(2 * pause, LONGEST)
            else:
                os.close(descriptor)
                self.mine = _mark(self.file)
                return True

    def _give_up(self, mark: Mark) -> None:
        """Remove the lock of a worker that died, unless another one who waited has done so, whose new lock this is."""
        with open(self.journal, "ab") as journal:
            fcntl.flock(journal, fcntl.LOCK_EX)  # one at a time compares and removes
            if _mark(self.file) == mark:
                print(f"morlight: {self.file} is the lock of a worker that died; removed", file=sys.stderr)
                _remove(self.file)

    def release(self) -> None:
        """Remove the file, unless it is no longer ours."""
        if self.mine is not None and _mark(self.file) == self.mine:
            _remove(self.file)
        self.mine = None


def _mark(file: Path) -> Mark | None:
    """Of the file itself, not of what a link leads to; None where there is none."""
    try:
        found = os.lstat(file)
    except FileNotFoundError:
        return None
    return Mark(found.st_ino, found.st_mtime_ns)


def _remove(file: Path) -> None:
    with suppress(FileNotFoundError):
        file.unlink()
