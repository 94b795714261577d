"""The MLflow run of a fit: created or reopened at first use, closed at the end, with retries."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lightning_utilities.core.rank_zero import rank_zero_warn

from morlight.tracking.experiments import experiment_id
from morlight.tracking.metric_buffer import Recorded, recorded
from morlight.tracking.mlflow_calls import first_line, short_timeout
from morlight.tracking.names import NAME_LENGTH, TAG_LENGTH
from morlight.tracking.owners import owner
from morlight.tracking.provenance import provenance
from morlight.tracking.runs import close_abandoned_runs
from morlight.tracking.store import connect

if TYPE_CHECKING:
    import mlflow

ENTRIES_PER_BATCH = 100  # limit of MLflow for parameters and for tags


class TrackedRun:
    """One run of the store; nothing is written before `client` is used.

    Args:
        uri: store of the run.
        experiment: MLflow experiment, created if missing.
        name: name of the run; MLflow invents one without it.
        run_id: an existing run to continue, in its own experiment.
        tags: added to those of `provenance`.
    """

    def __init__(
        self, uri: str, experiment: str, name: str | None, run_id: str | None, tags: Mapping[str, str]
    ) -> None:
        self.uri, self.experiment, self.name, self.run_id = uri, experiment, name, run_id
        self._tags = {key: str(value)[:TAG_LENGTH] for key, value in tags.items()}
        self._client: mlflow.MlflowClient | None = None
        self.continued = run_id is not None
        self.unreachable = False

    def __getstate__(self) -> dict[str, Any]:
        """State without the client, whose connections cannot be passed to another process."""
        return self.__dict__ | {"_client": None}

    @property
    def is_open(self) -> bool:
        """Whether the run has been created or reopened by this process."""
        return self._client is not None

    @property
    def client(self) -> "mlflow.MlflowClient":
        """MLflow's client; the first use creates the run, or reopens the one to continue.

        Raises:
            ValueError: the store does not answer or has no such run.
        """
        if self._client is None:
            client = connect(self.uri)
            if "mlflow.parentRunId" not in self._tags:  # a sweep has looked when it began
                close_abandoned_runs(client)
            if self.run_id is None:
                where = experiment_id(client, self.experiment, create=True)
                run = client.create_run(where, run_name=self.name, tags=provenance() | self._tags | owner())
                self.run_id = run.info.run_id
            else:
                self._reopen(client, self.run_id)
            self._client = client
        return self._client

    def _reopen(self, client: "mlflow.MlflowClient", run_id: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            run = client.get_run(run_id)
        except MlflowException as error:
            raise ValueError(f"no run '{run_id}' in {self.uri} to continue; `morlight compare` lists them") from error
        if run.info.lifecycle_stage == "deleted":
            raise ValueError(f"run '{run_id}' was deleted from {self.uri}; `mlflow runs restore` brings it back")
        self.experiment = client.get_experiment(run.info.experiment_id).name
        # the first start keeps its provenance; the owner comes before the status, or others would close the run
        tags = {f"continued.{key}": value for key, value in provenance().items()} | self._tags | owner()
        self._add_tags(client, tags)
        client.update_run(run_id, status="RUNNING")

    def recorded(self) -> set[Recorded]:
        """The metrics that the store had when the run was continued, if it answers."""
        found: set[Recorded] = set()

        def read() -> None:
            client = self.client
            for name in client.get_run(self.run_id).data.metrics:
                found.update(recorded(name, m.step, m.value) for m in client.get_metric_history(self.run_id, name))

        if self.continued:
            self.attempt("a look at its earlier metrics", read)
        return found

    def _add_tags(self, client: "mlflow.MlflowClient", tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        entries = [RunTag(key, value) for key, value in tags.items()]
        for start in range(0, len(entries), ENTRIES_PER_BATCH):
            client.log_batch(self.run_id, tags=entries[start : start + ENTRIES_PER_BATCH])

    def add_params(self, params: Mapping[str, str]) -> None:
        """Record parameters. MLflow never changes one: a new value of a known one becomes the tag `changed.NAME`."""
        from mlflow.entities import Param

        client = self.client
        known = client.get_run(self.run_id).data.params
        entries = [Param(key, value) for key, value in params.items() if key not in known]
        for start in range(0, len(entries), ENTRIES_PER_BATCH):
            client.log_batch(self.run_id, params=entries[start : start + ENTRIES_PER_BATCH])
        changed = {key: value for key, value in params.items() if known.get(key, value) != value}
        self._add_tags(client, {f"changed.{key}"[:NAME_LENGTH]: value for key, value in changed.items()})

    def close(self, status: str) -> None:
        """Set the final status."""
        self.client.set_terminated(self.run_id, status)

    def deliver(self, action: Callable[[], object]) -> bool:
        """Whether `action` succeeded; False if the store does not answer, with a warning the first time."""
        from mlflow.exceptions import MlflowException

        try:
            with short_timeout():
                action()
        except MlflowException as error:
            if not self.unreachable:
                self.unreachable = True
                rank_zero_warn(
                    f"{self.uri}: the tracking store does not answer ({first_line(error)}); "
                    f"metrics are kept and sent later",
                    category=RuntimeWarning,
                )
            return False
        self.unreachable = False
        return True

    def deliver_by(self, deadline: float, action: Callable[[], bool]) -> bool:
        """Repeat `action` until it succeeds or the deadline (of `time.monotonic`) has passed; at least once."""
        while not action():
            if time.monotonic() >= deadline:
                return False
            time.sleep(1.0)
        return True

    def attempt(self, entry: object, action: Callable[[], object]) -> bool:
        """Store an entry that the fit can do without, and return whether that was possible; a failure is a warning."""
        try:
            with short_timeout(retries=0 if self.unreachable else 2, timeout=120):
                action()
            return True
        except Exception as error:  # each kind of storage has errors of its own
            rank_zero_warn(
                f"run {self.run_id} goes on without {entry}: {self.uri} did not take it ({first_line(error)})",
                category=RuntimeWarning,
            )
            return False
