"""Fits as MLflow runs: the logger of the Lightning trainer."""

import json
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_fabric.loggers.logger import rank_zero_experiment
from lightning_utilities.core.rank_zero import rank_zero_only, rank_zero_warn
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import Tensor

from morlight.tracking.metric_buffer import METRICS_PER_BATCH, MetricBuffer
from morlight.tracking.names import DIGEST_LENGTH, flatten
from morlight.tracking.realization_table import FILE, table
from morlight.tracking.run import ERRORS_ON, HELD_BACK, TEST_DATA, TRAINING_DATA
from morlight.tracking.sqlite_store import database_file
from morlight.tracking.store import tracking_uri
from morlight.tracking.tracked_run import TrackedRun

if TYPE_CHECKING:
    import mlflow

UNSENT = "unsent_metrics.jsonl"
INTERVAL = 5.0  # s between two transmissions of a buffer that is not full
PATIENCE = 30.0  # s that the end of a run waits for a server that does not answer

# Lightning's status and MLflow's; "finished" comes from SLURM's signal only, when Lightning has the job queued again
STATUS = {
    "success": "FINISHED",
    "finished": "SCHEDULED",
    "failed": "FAILED",
    "interrupted": "KILLED",
    "aborted": "KILLED",
}


class Tracker(Logger):
    """One MLflow run per fit, whatever the number of processes; metrics are sent in batches.

    Nothing is written before the first use. A server that does not answer causes a warning: metrics are kept in memory
    and, if it never returns, in a file beside the checkpoints.

    Args:
        experiment: MLflow experiment, created if missing.
        name: name of the run; MLflow invents one without it.
        run_id: an existing run to continue, in its own experiment.
        tags: added to those of `provenance`.
        uri: store of the run; default `tracking_uri()`.

    Raises:
        ValueError: at the first use, if the store does not answer or has no such run.
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
        self._run = TrackedRun(uri or tracking_uri(), experiment, name, run_id, tags or {})
        file = database_file(self._run.uri)
        self._folder = file.parent if file else Path("mlruns").absolute()
        self._metrics = MetricBuffer()
        self._next_send = time.monotonic() + INTERVAL
        self._status: str | None = None
        self._closed = False
        self._checkpoints: dict[str, Path] = {}

    @property
    @rank_zero_experiment
    def experiment(self) -> "mlflow.MlflowClient":
        """MLflow's client; the first use creates the run, or reopens the one to continue."""
        return self._run.client

    @property
    def run_id(self) -> str | None:
        """ID of the run, which is created if necessary; None on processes other than the first."""
        return self._run.run_id if self.experiment and self._run.is_open else None

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self._run.experiment

    @property
    def version(self) -> str | None:
        """ID of the run; None before it exists."""
        return self._run.run_id

    @property
    def save_dir(self) -> str:
        """Folder beside the database in which Lightning writes checkpoints, under `name/version/checkpoints`."""
        return str(self._folder)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float | int | Tensor], step: int | None = None) -> None:
        """Put values, numbers or tensors of one element, into the buffer; tensors stay on their device.

        Of NAME/median, NAME/min and NAME/00, … only the median becomes a metric; the last values of the others become
        the table `realizations.csv` at the end of the run.
        """
        self._metrics.add(metrics, step or 0)
        self.save()

    @rank_zero_only
    def keep_in(self, folder: Path) -> None:
        """Keep unsent metrics in a file of this folder, and send those that an interrupted process left there."""
        if self._metrics.spool_to(folder / UNSENT, str(self.run_id), self._run.recorded()):
            self.flush()

    @property
    def latest(self) -> dict[str, float]:
        """Last value of every metric, under the name by which it was logged."""
        return self._metrics.latest

    @rank_zero_only
    def save(self) -> None:
        """Send the buffer if it is due; Lightning calls this after every `log_metrics`."""
        full = len(self._metrics) >= METRICS_PER_BATCH and not self._run.unreachable
        if full or self._status or time.monotonic() >= self._next_send:
            self.flush()

    def flush(self) -> bool:
        """Send the buffer now; False if the store did not accept it."""
        if not self._metrics:
            return True
        client = self.experiment
        begin = time.monotonic()
        sent = self._run.deliver(
            lambda: self._metrics.send(lambda batch: client.log_batch(self._run.run_id, metrics=batch))
        )
        # a slow or absent server may take a tenth of the time, not more
        self._next_send = time.monotonic() + max(INTERVAL, 10 * (time.monotonic() - begin))
        return sent

    @rank_zero_only
    def log_hyperparams(self, params: Mapping[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Record parameters, nested names joined by dots.

        MLflow never changes a parameter: a new value of a known one becomes the tag `changed.NAME`.
        """
        _ = self.experiment
        self._run.attempt("the parameters", lambda: self._run.add_params(flatten(params)))

    @rank_zero_only
    def log_dataset(self, path: str | Path | None, name: str, digest: str, profile: Mapping[str, Any]) -> None:
        """Record the data of the fit: file (None for data from Python), name, digest (36 characters), properties."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        kind, source = ("code", {}) if path is None else ("local", {"uri": str(Path(path).absolute())})
        data = Dataset(name, digest[:DIGEST_LENGTH], kind, json.dumps(source), profile=json.dumps(profile))
        inputs = [DatasetInput(data, [InputTag("mlflow.data.context", "training")])]
        client = self.experiment
        self._run.attempt(f"the data set {name}", lambda: client.log_inputs(self._run.run_id, datasets=inputs))

    @rank_zero_only
    def describe(self, text: str) -> None:
        """Set the description that MLflow shows above the run, in Markdown."""
        client = self.experiment
        self._run.attempt("its description", lambda: client.set_tag(self._run.run_id, "mlflow.note.content", text))

    @rank_zero_only
    def errors_on(self, test_data: str) -> None:
        """Record on which data the errors of the run are measured, so that only comparable runs are compared.

        Args:
            test_data: trajectories and frames that are held back, in a few words; empty for errors on training data.
        """
        from mlflow.entities import RunTag

        words = {ERRORS_ON: HELD_BACK, TEST_DATA: test_data} if test_data else {ERRORS_ON: TRAINING_DATA}
        tags, client = [RunTag(key, value) for key, value in words.items()], self.experiment
        self._run.attempt("what its errors are measured on", lambda: client.log_batch(self._run.run_id, tags=tags))

    @rank_zero_only
    def log_artifact(self, path: str | Path, folder: str | None = None) -> None:
        """Copy a file, or a folder with its contents, into the run, under `folder`."""
        path, client = Path(path), self.experiment
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file to keep in run {self._run.run_id}")
        send = client.log_artifacts if path.is_dir() else client.log_artifact
        self._run.attempt(path, lambda: send(self._run.run_id, str(path), folder))

    @rank_zero_only
    def log_text(self, text: str, path: str) -> None:
        """Write `text` as the file `path` of the run."""
        client = self.experiment
        self._run.attempt(path, lambda: client.log_text(self._run.run_id, text, path))

    @rank_zero_only
    def keep_checkpoints(self, files: Mapping[str, Path]) -> None:
        """Record what the run keeps at its end, as `checkpoints/NAME.ckpt`."""
        self._checkpoints |= files

    @rank_zero_only
    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Keep what Lightning's own callback writes as `checkpoints/best.ckpt` and `checkpoints/last.ckpt`."""
        best, last = checkpoint_callback.best_model_path, checkpoint_callback.last_model_path
        if checkpoint_callback.monitor is None:  # then Lightning calls the latest the best
            best, last = "", last or best
        self.keep_checkpoints({name: Path(path) for name, path in (("best", best), ("last", last)) if path})

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Send the remaining metrics, keep the checkpoints, close the run; a run that failed stays failed.

        A run is finished only if it holds its checkpoints. Lightning says "failed" for exceptions, Ctrl-C and SIGTERM
        alike; the exception distinguishes them.
        """
        if not self._run.is_open and not self._metrics:
            return
        if self._status not in ("FAILED", "KILLED"):
            stopped = isinstance(sys.exception(), KeyboardInterrupt | SIGTERMException)
            self._status = "KILLED" if status == "failed" and stopped else STATUS[status]
        deadline, run = time.monotonic() + PATIENCE, self._run
        if not run.deliver_by(deadline, self.flush):
            self._keep_unsent()
        else:
            if text := table(self.latest):
                self.log_text(text, FILE)
            if not self._keep_checkpoints():
                self._status = "FAILED"
        self._closed, final = True, self._status
        if not run.deliver_by(deadline, lambda: run.deliver(lambda: run.close(final))):
            rank_zero_warn(
                f"{run.uri} does not answer; run {run.run_id} still counts as RUNNING there", category=RuntimeWarning
            )

    @contextmanager
    def closed_after_errors(self) -> Iterator[None]:
        """Close the run after an error at which Lightning does not close it, such as one before the first epoch."""
        try:
            yield
        except BaseException:
            if not self._closed:
                self.finalize("failed")
            raise

    @property
    def failed(self) -> bool:
        """Whether the run was closed as FAILED."""
        return self._status == "FAILED"

    def _keep_checkpoints(self) -> bool:
        """Copy them into the run, and whether that was possible."""
        client, kept = self.experiment, True
        with tempfile.TemporaryDirectory() as folder:
            for name, path in self._checkpoints.items():
                if path.is_file():
                    alias = Path(folder) / f"{name}.ckpt"
                    alias.symlink_to(path.absolute())
                    copy = partial(client.log_artifact, self._run.run_id, str(alias), "checkpoints")
                    kept = self._run.attempt(path, copy) and kept
        self._checkpoints = {}
        return kept

    def _keep_unsent(self) -> None:
        run = self._run
        beside = next(iter(self._checkpoints.values()), self._folder / self.name / str(run.run_id) / "unsent").parent
        count = len(self._metrics)
        path = self._metrics.move_to_file(str(run.run_id), beside / UNSENT)
        rank_zero_warn(
            f"{run.uri}: the tracking store did not come back within {PATIENCE:.0f} s; run {run.run_id} "
            f"lacks its last {count} metrics, which are in {path}",
            category=RuntimeWarning,
        )
