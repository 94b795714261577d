"""Experiments of the store: the name under which MLflow groups runs."""

from typing import TYPE_CHECKING

from morlight.tracking.sqlite_store import artifact_root, database_file

if TYPE_CHECKING:
    import mlflow

KIND = {"mlflow.experimentKind": "custom_model_development"}  # the UI then shows training, not language models


def experiment_id(client: "mlflow.MlflowClient", name: str, *, create: bool = False) -> str:
    """ID of the experiment `name`, created if it is missing and `create` is True.

    Raises:
        ValueError: if there is no such experiment, or only a deleted one.
    """
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None and create:
        file = database_file(client.tracking_uri)
        try:
            return client.create_experiment(name, artifact_location=artifact_root(file) if file else None, tags=KIND)
        except MlflowException:  # another process was faster, or the server refuses
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    if experiment is None:
        names = ", ".join(sorted(e.name for e in client.search_experiments())) or "none"
        raise ValueError(f"experiment '{name}' is not in {client.tracking_uri}; there are: {names}")
    if experiment.lifecycle_stage == "deleted":
        raise ValueError(
            f"experiment '{name}' was deleted from {client.tracking_uri}; choose another name, "
            f"or bring it back by `mlflow experiments restore -x {experiment.experiment_id}`"
        )
    return experiment.experiment_id
