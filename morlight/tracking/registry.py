"""Registered models: the checkpoints of a run under a name."""

from typing import TYPE_CHECKING

from morlight.tracking.mlflow_calls import refused_as
from morlight.tracking.runs import read_run
from morlight.tracking.store import connect

if TYPE_CHECKING:
    import mlflow

BEST = "best"
METRIC, BY = "metric", "ranked_by"  # tags of a version


def register(name: str, run_id: str, metric: float | None = None, by: str = "") -> tuple[str, bool]:
    """Make the checkpoints of a run a version of a registered model; the best version has the alias `best`.

    Versions are compared as runs are ranked (see `leaderboard`): only those with the same metric and data. One that
    cannot be compared with the best so far takes its place, as the newest.

    Args:
        name: registered model, created if missing.
        run_id: run that holds the checkpoints.
        metric: value to rank by; smaller is better. Without it, the newest version is the best.
        by: name of this metric, with or without `/median`.

    Returns:
        The version, and whether it is the best.

    Raises:
        ValueError: if the registry refuses the version.
    """
    from mlflow.exceptions import MlflowException

    client, by = connect(create=False), by.removesuffix("/median")
    with refused_as(f"model '{name}' cannot be registered in {client.tracking_uri}"):
        try:
            client.create_registered_model(name)
        except MlflowException:  # it exists, or the store refuses: the next call distinguishes the two
            client.get_registered_model(name)
        before = _best(client, name)
        versions = [v for v in client.search_model_versions(f"name = '{name}'") if v.run_id == run_id]
        version = versions[0] if versions else client.create_model_version(name, f"runs:/{run_id}/checkpoints", run_id)
        for key, value in () if metric is None else ((METRIC, repr(metric)), (BY, by)):
            client.set_model_version_tag(name, version.version, key, value)
        better = (
            metric is None
            or before is None
            or before.version == version.version
            or not _comparable(before, run_id, by)
            or metric <= float(before.tags[METRIC])
        )
        if better:
            client.set_registered_model_alias(name, BEST, version.version)
    return str(version.version), better


def _best(client: "mlflow.MlflowClient", name: str) -> "mlflow.entities.model_registry.ModelVersion | None":
    """The version that is the best so far; None if there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, BEST)
    except MlflowException:
        return None


def _comparable(version: "mlflow.entities.model_registry.ModelVersion", run_id: str, by: str) -> bool:
    """Whether the metric of a version is the same, measured on the same data, as that of a run."""
    if METRIC not in version.tags or version.tags.get(BY, by) != by:
        return False
    theirs, ours = read_run(str(version.run_id)), read_run(run_id)
    if theirs is None or ours is None:
        return False
    return theirs.errors_of == ours.errors_of
