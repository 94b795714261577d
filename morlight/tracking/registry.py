"""Registered models: the checkpoints of a run under a name."""

import math
from typing import TYPE_CHECKING

from morlight.tracking.mlflow_calls import refused_as
from morlight.tracking.run import Run
from morlight.tracking.runs import read_run
from morlight.tracking.store import connect

if TYPE_CHECKING:
    import mlflow

BEST = "best"
METRIC, BY = "metric", "ranked_by"  # tags of a version


def register(name: str, run_id: str, metric: float | None = None, by: str = "") -> tuple[str, bool]:
    """Make the checkpoints of a run a version of a registered model; the best version has the alias `best`.

    The best is the one with the smallest metric among those versions that can be compared with the new one: with the
    same metric and errors on the same data. If there is no other, the new one is the best.

    Args:
        name: registered model, created if missing.
        run_id: run that holds the checkpoints.
        metric: value to rank by; smaller is better. Without it, the newest version is the best.
        by: name of this metric, with or without `/median`.

    Returns:
        The version, and whether it is the best.

    Raises:
        ValueError: if the store does not take it, with the store and the reason.
    """
    from mlflow.exceptions import MlflowException

    client, by = connect(create=False), by.removesuffix("/median")
    with refused_as(f"model '{name}' cannot be registered in {client.tracking_uri}"):
        try:
            client.create_registered_model(name)
        except MlflowException:  # it exists, or the store refuses: the next call distinguishes the two
            client.get_registered_model(name)
        versions = list(client.search_model_versions(f"name = '{name}'"))
        known = [v for v in versions if v.run_id == run_id]
        version = known[0] if known else client.create_model_version(name, f"runs:/{run_id}/checkpoints", run_id)
        for key, value in () if metric is None else ((METRIC, repr(metric)), (BY, by)):
            client.set_model_version_tag(name, version.version, key, value)
        best = version
        if metric is not None:
            ours = read_run(run_id)
            others = [v for v in versions if v.version != version.version and _comparable(v, ours, by)]
            best = min([version, *others], key=lambda v: _size(metric if v is version else float(v.tags[METRIC])))
        client.set_registered_model_alias(name, BEST, best.version)
    return str(version.version), best is version


def _size(metric: float) -> float:
    """By which versions are ordered: those without a number come last."""
    return math.inf if math.isnan(metric) else metric


def _comparable(version: "mlflow.entities.model_registry.ModelVersion", ours: Run | None, by: str) -> bool:
    """Whether the metric of a version is the same, and measured on the same data, as that of a run."""
    if METRIC not in version.tags or version.tags.get(BY, by) != by:
        return False
    theirs = read_run(str(version.run_id))
    return theirs is not None and ours is not None and ours.measured_on.comparable(theirs.measured_on)
