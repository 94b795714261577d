"""Which process works on a run, and the runs whose process has died without closing them."""

import hashlib
import os
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from morlight.tracking.run import Run

if TYPE_CHECKING:
    import mlflow

OWNER = "mlflow.process"  # tag of the process of a fit; MLflow's pages do not show tags that begin with mlflow
WORKERS = f"{OWNER}."  # start of the tags of the workers of a sweep, one each
REASON = "its process ended without closing the run"


def owner() -> dict[str, str]:
    """Tag of a run on which this process works alone."""
    return {OWNER: _identity()}


def worker() -> dict[str, str]:
    """Tag of a run on which this process works with others."""
    return {f"{WORKERS}{_host()}.{os.getpid()}": _identity()}


def is_abandoned(run: Run) -> bool:
    """Whether a run is RUNNING although every process that worked on it has died; only those of this host are known.

    Runs of other hosts, and of versions that did not record the process, are taken to be alive.
    """
    identities = [value for key, value in run.tags.items() if key == OWNER or key.startswith(WORKERS)]
    return run.status == "RUNNING" and bool(identities) and all(map(_has_died, identities))


def close_abandoned(client: "mlflow.MlflowClient", runs: Iterable[Run]) -> None:
    """Set the abandoned runs to KILLED, unless they have been continued in the meantime."""
    from mlflow.exceptions import MlflowException

    for run in filter(is_abandoned, runs):
        with suppress(MlflowException):  # deleted, or a server that went away: the next command tries again
            present = client.get_run(run.run_id)
            if present.info.status == "RUNNING" and _same(present.data.tags, run.tags):
                client.set_tag(run.run_id, "killed", REASON)
                client.set_terminated(run.run_id, "KILLED")


def _same(tags: Mapping[str, str], before: Mapping[str, str]) -> bool:
    return {k: v for k, v in tags.items() if k.startswith(OWNER)} == {
        k: v for k, v in before.items() if k.startswith(OWNER)
    }


def _identity() -> str:
    return f"{_host()} {os.getpid()} {_started(os.getpid())}"


def _has_died(identity: str) -> bool:
    host, _, process = identity.partition(" ")
    number, _, started = process.partition(" ")
    return host == _host() and number.isdigit() and not _runs(int(number), started)


def _runs(number: int, started: str) -> bool:
    """Whether the process is alive; a later process with the same number began at another time."""
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        pass
    return _started(number) in (started, "")


def _started(number: int) -> str:
    """When a process began, in clock ticks since the host was started; empty if the system does not provide it."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _host() -> str:
    """This host: name, machine id, and the space of process numbers, which containers on one host do not share."""
    machine = Path("/etc/machine-id")
    space = os.readlink("/proc/self/ns/pid") if os.path.lexists("/proc/self/ns/pid") else ""
    words = [socket.gethostname(), machine.read_text() if machine.is_file() else "", space]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]
