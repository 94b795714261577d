"""Runs of an experiment, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from morlight.tracking.experiments import experiment_id
from morlight.tracking.store import connect

if TYPE_CHECKING:
    import mlflow


@dataclass(frozen=True)
class Run:
    """One run of MLflow: a fit, a trial of a sweep, or a sweep.

    Args:
        run_id: identity in the store.
        name: as shown in the UI.
        status: RUNNING, FINISHED, FAILED, KILLED or SCHEDULED.
        metrics: last value of each metric.
        params: options of the fit as text.
        tags: everything else that was noted, such as `sweep`, the name of the sweep that the run belongs to.
    """

    run_id: str
    name: str
    status: str
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    tags: Mapping[str, str]


def read_runs(experiment: str) -> list[Run]:
    """Every run of an experiment, the latest first.

    Raises:
        ValueError: no store, no server, or no such experiment.
    """
    client = connect(create=False)
    where, token, runs = [experiment_id(client, experiment)], None, list[Run]()
    while True:
        page = client.search_runs(where, order_by=["attributes.start_time DESC"], page_token=token)
        runs += [_run(run) for run in page]
        token = page.token
        if not token:
            return runs


def _run(run: "mlflow.entities.Run") -> Run:
    data = run.data
    return Run(run.info.run_id, run.info.run_name, run.info.status, data.metrics, data.params, data.tags)
