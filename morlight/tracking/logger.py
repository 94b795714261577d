"""Fits as MLflow runs: the logger of the trainer.

Also the door to `morlight.tracking.store`, the other file that knows MLflow, which needs neither torch nor Lightning.
"""

import getpass
import importlib.metadata
import json
import os
import platform
import posixpath
import re
import shlex
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from lightning_fabric.loggers.logger import rank_zero_experiment
from lightning_utilities.core.rank_zero import rank_zero_only, rank_zero_warn
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import Tensor

from morlight.tracking.store import connect, database, experiment_id, hasty, resolve, runs, short, tracking_uri, ui

if TYPE_CHECKING:
    import mlflow

__all__ = ["Tracker", "connect", "resolve", "runs", "tracking_uri", "ui"]

# limits of MLflow (mlflow/utils/validation.py)
METRICS_A_BATCH, PARAMS_A_BATCH = 1000, 100
NAME_LENGTH, PARAM_LENGTH, TAG_LENGTH, DIGEST_LENGTH = 250, 6000, 8000, 36

UNSENT = "unsent_metrics.jsonl"
INTERVAL = 5.0  # s between two sendings of a buffer that is not full
PATIENCE = 30.0  # s that the end of a run waits for a server that is away

# "finished" comes from SLURM's signal only, when Lightning has the job queued again
STATUS = {
    "success": "FINISHED",
    "finished": "SCHEDULED",
    "failed": "FAILED",
    "interrupted": "KILLED",
    "aborted": "KILLED",
}


class Measurement(NamedTuple):
    """A metric as it waits to be sent."""

    name: str
    value: float | Tensor
    time: int
    """ms since 1970"""
    step: int


class Tracker(Logger):
    """One MLflow run per fit, whatever the number of processes; metrics travel in batches.

    Nothing is written before the first use. A server that goes away costs a warning: metrics wait in memory
    and, if it never comes back, in a file beside the checkpoints.

    Args:
        experiment: the MLflow experiment, made if missing.
        name: of the run; MLflow invents one without it.
        run_id: an existing run to continue; its own experiment then counts.
        tags: added to those of `provenance`.
        uri: of the store; `tracking_uri()` without it.

    Raises:
        ValueError: at first use, if the store does not answer or knows no such run.
    """

    def __init__(
        self,
        experiment: str = "morlight",
        name: str | None = None,
        *,
        run_id: str | None = None,
        tags: dict[str, str] | None = None,
        uri: str | None = None,
    ) -> None:
        super().__init__()
        self._experiment, self._run_name, self._run_id = experiment, name, run_id
        self._tags = {key: str(value)[:TAG_LENGTH] for key, value in (tags or {}).items()}
        self._uri = uri or tracking_uri()
        file = database(self._uri)
        self._folder = file.parent if file else Path("mlruns").absolute()
        self._client: mlflow.MlflowClient | None = None
        self._pending: list[Measurement] = []
        self._latest: dict[str, float | Tensor] = {}
        self._spool: Path | None = None
        self._spooled = 0  # of those pending, how many the file has
        self._due = time.monotonic() + INTERVAL
        self._away = False
        self._status: str | None = None
        self._checkpoints: dict[str, Path] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Without the client, whose connections cannot go to another process."""
        return self.__dict__ | {"_client": None}

    @property
    @rank_zero_experiment
    def experiment(self) -> "mlflow.MlflowClient":
        """MLflow's client; the first use creates the run, or opens the one to be continued."""
        if self._client is None:
            client = connect(self._uri)
            if self._run_id is None:
                where = experiment_id(client, self._experiment, create=True)
                run = client.create_run(where, run_name=self._run_name, tags=provenance() | self._tags)
                self._run_id = run.info.run_id
            else:
                self._continue(client, self._run_id)
            self._client = client
        return self._client

    def _continue(self, client: "mlflow.MlflowClient", run_id: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            run = client.get_run(run_id)
        except MlflowException as error:
            raise ValueError(f"no run '{run_id}' in {self._uri} to continue; `morlight compare` lists them") from error
        if run.info.lifecycle_stage == "deleted":
            raise ValueError(f"run '{run_id}' was deleted from {self._uri}; `mlflow runs restore` brings it back")
        self._experiment = client.get_experiment(run.info.experiment_id).name
        client.update_run(run_id, status="RUNNING")
        # the first start keeps its provenance
        self._tag(client, {f"continued.{key}": value for key, value in provenance().items()} | self._tags)

    def _tag(self, client: "mlflow.MlflowClient", tags: dict[str, str]) -> None:
        from mlflow.entities import RunTag

        every = [RunTag(key, value) for key, value in tags.items()]
        for start in range(0, len(every), PARAMS_A_BATCH):
            client.log_batch(self._run_id, tags=every[start : start + PARAMS_A_BATCH])

    @property
    def run_id(self) -> str | None:
        """Id of the run, created by this if need be; None on processes other than the first."""
        return self._run_id if self.experiment is self._client else None

    @property
    def name(self) -> str:
        """The experiment."""
        return self._experiment

    @property
    def version(self) -> str | None:
        """Id of the run; None before it exists."""
        return self._run_id

    @property
    def save_dir(self) -> str:
        """Where Lightning puts checkpoints, under `name/version/checkpoints`: beside the database."""
        return str(self._folder)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float | int | Tensor], step: int | None = None) -> None:
        """Put values, numbers or tensors of one element, into the buffer; tensors stay on their device."""
        now = time.time_ns() // 1_000_000
        for name, value in metrics.items():
            number = value.detach().clone().reshape(()) if isinstance(value, Tensor) else float(value)
            self._pending.append(Measurement(_legal(name), number, now, step or 0))
            self._latest[name] = number
        self._write_spool()
        self.save()

    @rank_zero_only
    def keep_in(self, folder: Path) -> None:
        """Keep what is not sent in a file there, for the next process if this one is killed; send what is there."""
        self._spool = folder / UNSENT
        if self._spool.exists():
            lines = [json.loads(line) for line in self._spool.read_text().splitlines() if line.endswith("}")]
            ours = [line for line in lines if line.pop("run_id") == self.run_id]
            self._pending = [Measurement(**line) for line in ours] + self._pending
            self._spool.unlink()
            self._spooled = 0
            self.flush()

    def _write_spool(self) -> None:
        if self._spool is None or self._spooled == len(self._pending):
            return
        self._pending[self._spooled :] = _on_host(self._pending[self._spooled :])
        try:
            self._spool.parent.mkdir(parents=True, exist_ok=True)
            with self._spool.open("a" if self._spooled else "w") as file:
                for measurement in self._pending[self._spooled :]:
                    file.write(json.dumps({"run_id": self._run_id, **measurement._asdict()}) + "\n")
        except OSError:  # a full disk; the values are in memory still
            return
        self._spooled = len(self._pending)

    @property
    def latest(self) -> dict[str, float]:
        """Last value of every metric, under the name it was logged by."""
        return {name: float(value) for name, value in self._latest.items()}

    @rank_zero_only
    def save(self) -> None:
        """Send the buffer if it is due: Lightning calls this after every single `log_metrics`."""
        full = len(self._pending) >= METRICS_A_BATCH and not self._away
        if self._pending and (full or self._status or time.monotonic() >= self._due):
            self.flush()

    def flush(self) -> bool:
        """Send the buffer now; False if the store did not take it and it is kept."""
        if not self._pending:
            return True
        _ = self.experiment
        begin = time.monotonic()
        sent = self._reaches_store(self._send)
        # a slow or absent server may take a tenth of the time, not more
        self._due = time.monotonic() + max(INTERVAL, 10 * (time.monotonic() - begin))
        return sent

    def _send(self) -> None:
        # the buffer is swapped, so that a signal handler that logs meanwhile neither loses nor repeats
        pending, self._pending = self._pending, []
        from mlflow.entities import Metric

        try:
            pending = _on_host(pending)
            while pending:
                batch = [Metric(m.name, m.value, m.time, m.step) for m in pending[:METRICS_A_BATCH]]
                self.experiment.log_batch(self._run_id, metrics=batch)
                del pending[:METRICS_A_BATCH]
        finally:
            self._pending = pending + self._pending
            self._spooled = 0
            if self._spool is not None and not self._pending:
                self._spool.unlink(missing_ok=True)

    def _reaches_store(self, action: Callable[[], object]) -> bool:
        """Whether `action` succeeded; the first failure of a row is told."""
        from mlflow.exceptions import MlflowException

        try:
            with hasty():
                action()
        except MlflowException as error:
            if not self._away:
                self._away = True
                rank_zero_warn(
                    f"{self._uri}: the tracking store does not answer ({short(error)}); "
                    f"metrics are kept and sent later",
                    category=RuntimeWarning,
                )
            return False
        self._away = False
        return True

    @rank_zero_only
    def log_hyperparams(self, params: Mapping[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Record parameters, nested names joined by dots.

        MLflow never changes a parameter: another value for a known one becomes the tag `changed.NAME`.
        """
        from mlflow.entities import Param

        client = self.experiment

        def record() -> None:
            flat, known = flatten(params), client.get_run(self._run_id).data.params
            new = [Param(key, value) for key, value in flat.items() if key not in known]
            for start in range(0, len(new), PARAMS_A_BATCH):
                client.log_batch(self._run_id, params=new[start : start + PARAMS_A_BATCH])
            self._tag(client, {f"changed.{k}"[:NAME_LENGTH]: v for k, v in flat.items() if known.get(k, v) != v})

        self._keep("the parameters", record)

    @rank_zero_only
    def log_dataset(self, path: str | Path, name: str, digest: str, profile: Mapping[str, Any]) -> None:
        """Record the data of the fit: file, name, digest (its first 36 characters), properties."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = json.dumps({"uri": str(Path(path).absolute())})
        data = Dataset(name, digest[:DIGEST_LENGTH], "local", source, profile=json.dumps(profile))
        inputs = [DatasetInput(data, [InputTag("mlflow.data.context", "training")])]
        client = self.experiment
        self._keep(f"the data set {name}", lambda: client.log_inputs(self._run_id, datasets=inputs))

    @rank_zero_only
    def describe(self, text: str) -> None:
        """The words that MLflow shows above the run, in Markdown."""
        client = self.experiment
        self._keep("its description", lambda: client.set_tag(self._run_id, "mlflow.note.content", text))

    @rank_zero_only
    def log_artifact(self, path: str | Path, folder: str | None = None) -> None:
        """Copy a file, or a folder with what is in it, into the run, under `folder`."""
        path, client = Path(path), self.experiment
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file to keep in run {self._run_id}")
        send = client.log_artifacts if path.is_dir() else client.log_artifact
        self._keep(path, lambda: send(self._run_id, str(path), folder))

    @rank_zero_only
    def log_text(self, text: str, path: str) -> None:
        """Write `text` as the file `path` of the run."""
        client = self.experiment
        self._keep(path, lambda: client.log_text(self._run_id, text, path))

    def _keep(self, what: object, action: Callable[[], object]) -> None:
        """Do what the fit can live without; a failure is told and forgotten."""
        try:
            with hasty(retries=0 if self._away else 2, timeout=120):
                action()
        except Exception as error:  # each kind of storage has errors of its own
            rank_zero_warn(
                f"run {self._run_id} goes on without {what}: {self._uri} did not take it ({short(error)})",
                category=RuntimeWarning,
            )

    @rank_zero_only
    def keep_checkpoints(self, files: Mapping[str, Path]) -> None:
        """Note what to keep in the run at its end, as `checkpoints/NAME.ckpt`."""
        self._checkpoints |= files

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Send what waits, keep the checkpoints, close the run; a run that failed stays failed.

        Lightning says "failed" for exceptions, Ctrl-C and SIGTERM alike; the exception tells which.
        """
        if self._client is None and not self._pending:
            return
        if self._status not in ("FAILED", "KILLED"):
            stopped = isinstance(sys.exception(), KeyboardInterrupt | SIGTERMException)
            self._status = "KILLED" if status == "failed" and stopped else STATUS[status]
        deadline = time.monotonic() + PATIENCE
        if _until(deadline, self.flush):
            self._keep_checkpoints()
        else:
            self._write_unsent()
        if not _until(deadline, lambda: self._reaches_store(self._close)):
            rank_zero_warn(
                f"{self._uri} does not answer; run {self._run_id} still counts as RUNNING there",
                category=RuntimeWarning,
            )

    def _close(self) -> None:
        self.experiment.set_terminated(self._run_id, self._status)

    def _keep_checkpoints(self) -> None:
        client = self.experiment
        with tempfile.TemporaryDirectory() as folder:
            for name, path in self._checkpoints.items():
                if path.is_file():
                    alias = Path(folder) / f"{name}.ckpt"
                    alias.symlink_to(path.absolute())
                    self._keep(path, partial(client.log_artifact, self._run_id, str(alias), "checkpoints"))
        self._checkpoints = {}

    def _write_unsent(self) -> None:
        """Metrics that no server took, a JSON object a line."""
        local = next(iter(self._checkpoints.values()), self._folder / self.name / str(self.version) / "unsent")
        path = self._spool or local.parent / UNSENT
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if self._spool else "a") as file:  # the spool has part of them
            for measurement in _on_host(self._pending):
                file.write(json.dumps({"run_id": self._run_id, **measurement._asdict()}) + "\n")
        rank_zero_warn(
            f"{self._uri}: the tracking store did not come back within {PATIENCE:.0f} s; run {self._run_id} "
            f"lacks its last {len(self._pending)} metrics, which are in {path}",
            category=RuntimeWarning,
        )
        self._pending = []


def provenance() -> dict[str, str]:
    """Tags that say where a run comes from: user, command, versions, git revision."""
    tags = {
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": sys.argv[0],
        "mlflow.user": _user(),
        "command": shlex.join(sys.orig_argv)[:TAG_LENGTH],
        "version.python": platform.python_version(),
    }
    for package in ("morlight", "torch", "pytorch-lightning", "mlflow", "numpy"):
        tags[f"version.{package}"] = importlib.metadata.version(package)
    return tags | _revision()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())


def _revision() -> dict[str, str]:
    """Commit of the checkout that holds the code, else of the one worked in; empty without either."""
    for folder in (Path(__file__).parent, Path.cwd()):
        commit = _git(folder, "rev-parse", "HEAD")
        if commit:
            dirty = bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
            return {"mlflow.source.git.commit": commit, "mlflow.source.git.dirty": str(dirty).lower()}
    return {}


def _git(folder: Path, *command: str) -> str:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *command], cwd=folder, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def flatten(params: Mapping[str, Any] | Namespace, prefix: str = "") -> dict[str, str]:
    """Parameters as MLflow takes them: names joined by dots, values as text.

    Names that begin with `_` are Lightning's own (`_class_path`, `_instantiator`) and left out.
    """
    flat: dict[str, str] = {}
    for key, value in (vars(params) if isinstance(params, Namespace) else params).items():
        if str(key).startswith("_"):
            continue
        if isinstance(value, Mapping | Namespace) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[_legal(f"{prefix}{key}")] = str(value)[:PARAM_LENGTH]
    return flat


@lru_cache(4096)
def _legal(name: str) -> str:
    """The name, with what MLflow refuses replaced: signs, and paths such as `a//b` or `../a`."""
    name = posixpath.normpath(re.sub(r"[^/\w.\- :]", "_", name)).lstrip("./")
    return name[:NAME_LENGTH].rstrip("/") or "_"


def _on_host(measurements: list[Measurement]) -> list[Measurement]:
    """All values as floats; one transfer for all tensors of a device and type."""
    values: list[float | Tensor] = [m.value for m in measurements]
    groups: defaultdict[tuple[torch.device, torch.dtype], list[int]] = defaultdict(list)
    for i, value in enumerate(values):
        if isinstance(value, Tensor):
            groups[value.device, value.dtype].append(i)
    for indices in groups.values():
        numbers = torch.stack([torch.as_tensor(values[i]) for i in indices]).tolist()
        for i, number in zip(indices, numbers, strict=True):
            values[i] = float(number)
    return [m._replace(value=value) for m, value in zip(measurements, values, strict=True)]


def _until(deadline: float, action: Callable[[], bool]) -> bool:
    """Try `action` until it succeeds or the deadline has passed; once in any case."""
    while not action():
        if time.monotonic() >= deadline:
            return False
        time.sleep(1.0)
    return True
