"""Registered models: the checkpoints of a run under a name."""

from morlight.tracking.mlflow_calls import refused_as
from morlight.tracking.store import connect

BEST = "best"


def register(name: str, run_id: str, metric: float | None = None) -> tuple[str, bool]:
    """Make the checkpoints of a run a version of a registered model; the best version has the alias `best`.

    Args:
        name: registered model, created if missing.
        run_id: run that holds the checkpoints.
        metric: value to rank by; smaller is better. Without it, the newest version is the best.

    Returns:
        The version, and whether it is the best.

    Raises:
        ValueError: if the registry refuses the version.
    """
    from mlflow.exceptions import MlflowException

    client = connect(create=False)
    with refused_as(f"model '{name}' cannot be registered in {client.tracking_uri}"):
        try:
            client.create_registered_model(name)
        except MlflowException:  # it exists, or the store refuses: the next call distinguishes the two
            client.get_registered_model(name)
        versions = [v for v in client.search_model_versions(f"name = '{name}'") if v.run_id == run_id]
        tags = {} if metric is None else {"metric": repr(metric)}
        version = (
            versions[0]
            if versions
            else client.create_model_version(name, f"runs:/{run_id}/checkpoints", run_id, tags=tags)
        )
        try:
            best_so_far = client.get_model_version_by_alias(name, BEST).tags.get("metric")
        except MlflowException:
            best_so_far = None
        better = metric is None or best_so_far is None or metric <= float(best_so_far)
        if better:
            client.set_registered_model_alias(name, BEST, version.version)
    return str(version.version), better
