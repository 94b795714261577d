"""Runs of an experiment, as plain values."""

from contextlib import suppress
from typing import TYPE_CHECKING

from morlight.tracking import run_tables
from morlight.tracking.experiments import experiment_id
from morlight.tracking.owners import close_abandoned, is_abandoned
from morlight.tracking.run import Dataset, Run
from morlight.tracking.store import connect, tracking_uri

if TYPE_CHECKING:
    import mlflow


def read_runs(experiment: str) -> list[Run]:
    """Every run of an experiment, latest first.

    Runs of processes that have died are closed first (see `owners`). The tables of a database are read directly,
    because MLflow takes 20 times as long; servers are read through MLflow.

    Raises:
        ValueError: if there is no store, no server or no such experiment.
    """
    runs = _read(experiment)
    abandoned = [run for run in runs if is_abandoned(run)]
    if not abandoned:
        return runs
    close_abandoned(connect(create=False), abandoned)
    return _read(experiment)


def close_abandoned_runs(client: "mlflow.MlflowClient") -> None:
    """Set the runs whose process on this host has died to KILLED, in all experiments (see `owners`)."""
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):  # the next command tries again
        where = [experiment.experiment_id for experiment in client.search_experiments()]
        close_abandoned(client, map(_run, client.search_runs(where, "attributes.status = 'RUNNING'")))


def _read(experiment: str) -> list[Run]:
    runs = run_tables.read(tracking_uri(), experiment)
    return _from_mlflow(experiment) if runs is None else runs


def read_run(run_id: str) -> Run | None:
    """One run of any experiment; None if the store has no such run.

    Raises:
        ValueError: if there is no store or no server.
    """
    from mlflow.exceptions import MlflowException

    client = connect(create=False)
    try:
        return _run(client.get_run(run_id))
    except MlflowException:
        return None


def _from_mlflow(experiment: str) -> list[Run]:
    client = connect(create=False)
    where, token, runs = [experiment_id(client, experiment)], None, list[Run]()
    while True:
        page = client.search_runs(where, order_by=["attributes.start_time DESC"], page_token=token)
        runs += [_run(run) for run in page]
        token = page.token
        if not token:
            return runs


def _run(run: "mlflow.entities.Run") -> Run:
    inputs = run.inputs.dataset_inputs if run.inputs else []
    dataset = Dataset(inputs[0].dataset.name, inputs[0].dataset.digest) if inputs else None
    data = run.data
    return Run(run.info.run_id, run.info.run_name, run.info.status, data.metrics, data.params, data.tags, dataset)
