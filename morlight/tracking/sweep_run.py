"""The run of a sweep: the parent of one run per trial."""

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from morlight.tracking.experiments import experiment_id
from morlight.tracking.mlflow_calls import first_line, short_timeout
from morlight.tracking.owners import worker
from morlight.tracking.runs import close_abandoned_runs
from morlight.tracking.store import connect

if TYPE_CHECKING:
    import mlflow

PATIENCE = 60.0  # s that a sweep waits for a store that is away before it goes on without an entry


class SweepRun:
    """The run of a sweep, and entries in the runs of its trials.

    Args:
        experiment: MLflow experiment of all these runs.
        name: name of the sweep.
    """

    def __init__(self, experiment: str, name: str) -> None:
        self.experiment, self.name, self.run_id = experiment, name, ""

    @property
    def client(self) -> "mlflow.MlflowClient":
        """MLflow's client, connected anew each time, because a sweep outlives servers."""
        return connect()

    def create(self, params: Mapping[str, str], texts: Mapping[str, str], tags: Mapping[str, str]) -> str:
        """Create the run of the sweep and return its ID."""
        client = self.client
        where = experiment_id(client, self.experiment, create=True)
        run = client.create_run(
            where, run_name=self.name, tags={"sweep": self.name, "kind": "sweep", **worker(), **tags}
        )
        for key, value in params.items():
            client.log_param(run.info.run_id, key, value)
        for path, text in texts.items():
            client.log_text(run.info.run_id, text, path)
        return run.info.run_id

    def open(self, run_id: str) -> None:
        """Continue a run."""
        self.run_id = run_id
        (mine,) = worker().items()

        def say(client: "mlflow.MlflowClient") -> None:
            close_abandoned_runs(client)
            client.set_tag(run_id, *mine)
            client.update_run(run_id, status="RUNNING")

        self._try(say)

    def metrics(self, run_id: str) -> dict[str, float]:
        """Last value of each metric of a run."""
        return dict(self.client.get_run(run_id).data.metrics)

    def tell(self, run_id: str, slot: int, values: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Log values of a finished trial in its run and, as the curve `trials/NAME`, in that of the sweep."""

        def say(client: "mlflow.MlflowClient") -> None:
            for name, value in values.items():
                client.log_metric(run_id, name, value)
                client.log_metric(self.run_id, f"trials/{name}", value, step=slot)
            for key, text in tags.items():
                client.set_tag(run_id, key, text)

        self._try(say)

    def mark(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Tag the run of a trial without a result, and set it to FAILED."""

        def say(client: "mlflow.MlflowClient") -> None:
            for key, value in tags.items():
                client.set_tag(run_id, key, value[:5000])
            client.set_terminated(run_id, "FAILED")

        self._try(say)

    def end(self, numbers: Mapping[str, float], tags: Mapping[str, str], status: str) -> None:
        """Log metrics and tags of the whole sweep, and set its status."""

        from mlflow.exceptions import MlflowException

        def say(client: "mlflow.MlflowClient") -> None:
            for name, value in numbers.items():
                client.log_metric(self.run_id, name, value)
            for key, text in tags.items():
                client.set_tag(self.run_id, key, text)
            for key in worker():
                with suppress(MlflowException):  # the tag is not there
                    client.delete_tag(self.run_id, key)
            if status == "RUNNING":
                client.update_run(self.run_id, status=status)
            else:
                client.set_terminated(self.run_id, status)

        self._try(say)

    def keep(self, folder: Path) -> None:
        """Log the files of a folder as figures of the sweep."""
        self._try(lambda client: client.log_artifacts(self.run_id, str(folder), "figures"))

    def _try(self, action: Callable[["mlflow.MlflowClient"], object]) -> None:
        """Repeat an action while the store does not answer; after a minute, continue without it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with short_timeout(retries=1, timeout=30):
                    action(self.client)
                return
            except Exception as error:  # each kind of storage has errors of its own
                if time.monotonic() > deadline:
                    print(
                        f"morlight: the run of sweep {self.name} lacks an entry ({first_line(error)})", file=sys.stderr
                    )
                    return
                time.sleep(1.0)
