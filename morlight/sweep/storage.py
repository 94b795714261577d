"""Where a study is kept: Optuna's storages, with patience for a disk or server that is away for a while.

A new trial is never made by asking: all that a sweep will run wait in the storage from the beginning, and each is taken
by one worker. So any number of workers end with exactly the number of trials that was asked for.
"""

import errno
import functools
import io
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.storages._rdb.models import TrialHeartbeatModel
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import get_lock_file
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from morlight.sweep.journal_lock import JournalLock

FOLDER = Path("mlruns") / "sweeps"
JOURNAL = "journal:///"
PATIENCE = 600.0  # s that a worker waits for its storage
RETRIES = 3  # of a trial whose worker died
MEETINGS = 5  # of workers that make the same tables
MADE = ("duplicate key", "already exists", "UNIQUE constraint failed")  # of tables, by another worker
GRACE = 3  # heartbeats without a sign of life after which a worker counts as dead

# PostgreSQL notices a host that is gone within two minutes, on both sides: else its locks would stay for hours
LOST = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 6,
    "tcp_user_timeout": 120_000,  # ms
    "options": "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=6"
    " -c tcp_user_timeout=120000 -c idle_in_transaction_session_timeout=120000",
}

METHODS = (
    *(name for name in vars(BaseStorage) if not name.startswith("_") and name != "remove_session"),
    "_create_new_trial", "_get_trials", "_get_stale_trial_ids", "_set_trial_param", "record_heartbeat",
)  # fmt: skip


class QueueEmpty(Exception):
    """No trial waits."""


def patient(kind: type) -> type:
    """The class, whose methods try again while the storage does not answer."""
    for name in METHODS:
        if hasattr(kind, name):
            setattr(kind, name, _trying(getattr(kind, name)))
    return kind


def _trying(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def trying(self: Any, *args: Any, **kwargs: Any) -> Any:
        deadline, told = time.monotonic() + self.patience, False
        while True:
            try:
                return method(self, *args, **kwargs)
            except (OSError, DBAPIError, optuna.exceptions.StorageInternalError) as error:
                if time.monotonic() > deadline or not _passing(error):
                    raise
                if not told:
                    print(f"morlight: {self.place} does not answer ({_first_line(error)}); waiting", file=sys.stderr)
                    told = True
                time.sleep(0.5)

    return trying


def _passing(error: BaseException) -> bool:
    """Whether a failure may be over soon: of the disk or the connection, not of what was asked."""
    cause = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
    if isinstance(cause, DBAPIError):
        return type(cause).__name__ in ("OperationalError", "InterfaceError", "InternalError")
    return isinstance(cause, OSError)


def _first_line(error: BaseException) -> str:
    return str(error.__cause__ or error).partition("\n")[0][:200]


@patient
class Database(RDBStorage):
    """SQLite or a server such as PostgreSQL."""

    patience = 0.0  # until it has answered once

    def __init__(self, url: str, **words: Any) -> None:
        self.place = url.rpartition("@")[2] if "@" in url else url  # without a password
        more = {"connect_args": LOST} if url.startswith("postgresql") else {}
        super().__init__(url, engine_kwargs={"pool_pre_ping": True, **more}, **words)
        self.patience = PATIENCE

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> Any:
        if template_trial is None:
            raise QueueEmpty
        return super()._create_new_trial(study_id, template_trial)

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        """Optuna's, and those whose worker died before its first sign of life."""
        stale = super()._get_stale_trial_ids(study_id)
        for trial in self.get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,)):
            old = trial.datetime_start is None or datetime.now() - trial.datetime_start > GRACE * timedelta(
                seconds=self.heartbeat_interval or 0
            )
            if old and trial._trial_id not in stale and self._never_seen(trial._trial_id):
                stale.append(trial._trial_id)
        return stale

    def _never_seen(self, trial_id: int) -> bool:
        with _create_scoped_session(self.scoped_session) as session:
            return TrialHeartbeatModel.where_trial_id(trial_id, session) is None


class WholeLines(JournalFileBackend):
    """A journal in which a full disk leaves no half line."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write all or nothing, after whole lines."""
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        with get_lock_file(self._lock), open(self._file_path, "rb+", buffering=0) as file:
            size = _whole(file)
            file.seek(size)
            try:
                if file.write(text) < len(text):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise


def _whole(file: io.FileIO) -> int:
    """Length of the file without the half line that a worker killed while writing has left."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return 0
    file.seek(size - 1)
    if file.read(1) != b"\n":
        file.seek(0)
        size = (file.readall() or b"").rfind(b"\n") + 1
        file.truncate(size)
    return size


@patient
class Journal(JournalStorage, BaseHeartbeat):
    """A journal file on a disk that all workers share; a worker's sign of life is a file that it touches."""

    patience = 0.0

    def __init__(self, path: Path, heartbeat: int, callback: RetryHeartbeatStaleTrialCallback) -> None:
        path = path.absolute()  # kept for the life of the process, which may change its folder
        path.parent.mkdir(parents=True, exist_ok=True)
        self.place, self.interval, self.callback = str(path), heartbeat, callback
        self.alive = path.with_suffix(".alive")
        super().__init__(WholeLines(str(path), JournalLock(path)))
        self.patience = PATIENCE

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Only of a template."""
        if template_trial is None:
            raise QueueEmpty
        return super().create_new_trial(study_id, template_trial)

    def record_heartbeat(self, trial_id: int) -> None:
        """Touch the file of the trial."""
        self.alive.mkdir(exist_ok=True)
        (self.alive / str(trial_id)).touch()

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        """Running trials whose file is old, by the clock of the disk."""
        self.alive.mkdir(exist_ok=True)
        probe = self.alive / f"now-{os.getpid()}"
        probe.touch()
        now = probe.stat().st_mtime
        probe.unlink()
        stale = []
        for trial in self.get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,)):
            file = self.alive / str(trial._trial_id)
            started = trial.datetime_start.timestamp() if trial.datetime_start else now
            seen = file.stat().st_mtime if file.exists() else started
            if now - seen > GRACE * self.interval:
                stale.append(trial._trial_id)
        return stale

    def get_heartbeat_interval(self) -> int:
        """s."""
        return self.interval

    def get_heartbeat_stale_trial_callback(self) -> RetryHeartbeatStaleTrialCallback:
        """Queues the trial again."""
        return self.callback


def open_storage(url: str | None, name: str, heartbeat: int) -> BaseStorage:
    """The storage at a URL, or the journal file of a study.

    Args:
        url: sqlite:///FILE, postgresql://…, journal:///FILE (with four slashes from the root), or None.
        name: of the study.
        heartbeat: s between two signs of life of a worker.

    Raises:
        ValueError: where it cannot be reached.
    """
    callback = RetryHeartbeatStaleTrialCallback(max_retry=RETRIES)
    url = url or f"{JOURNAL}{FOLDER / name}.journal"
    if "://" not in url:
        raise ValueError(
            f"storage is {url}, expected sqlite:///FILE, journal:///FILE or postgresql://USER@HOST/DATABASE"
        )
    try:
        if url.startswith(JOURNAL):
            return Journal(Path(url.removeprefix(JOURNAL)), heartbeat, callback)
        words = {"heartbeat_interval": heartbeat, "grace_period": GRACE * heartbeat}
        place = _database(url)
        return _first(lambda: Database(place, heartbeat_stale_trial_callback=callback, **words))
    except Exception as error:  # the database's, its driver's or the operating system's
        shown = url.rpartition("@")[2] if "@" in url else url
        reason = " ".join(str(error.__cause__ or error).split())[:300]
        if "no longer compatible with the table schema" in reason:  # both keep their version in one table
            reason = "its tables are not Optuna's, expected a database of its own, not that of the MLflow server"
        raise ValueError(f"{shown}: the storage of the study cannot be reached ({reason})") from error


def _database(url: str) -> str:
    """The URL with a driver that we have, and with the whole path of a file, whose folder is made."""
    place = make_url(url)
    if place.drivername in ("postgresql", "postgres"):
        place = place.set(drivername="postgresql+psycopg")
    file = place.database or ":memory:"
    if place.get_backend_name() == "sqlite" and not file.startswith((":memory:", "file:")):
        file = str(Path(file).absolute())
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        place = place.set(database=file)
    return place.render_as_string(hide_password=False)


def _first(make: Callable[[], BaseStorage]) -> BaseStorage:
    """Make the tables, or find that another worker has made them at the same moment."""
    for _ in range(MEETINGS):
        try:
            return make()
        except (DBAPIError, optuna.exceptions.StorageInternalError) as error:
            if not any(word in str(error.__cause__ or error) for word in MADE):
                raise
            time.sleep(1.0)
    return make()
