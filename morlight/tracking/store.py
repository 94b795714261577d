"""The MLflow store of runs and models: its location, and the connection of a client."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from morlight.tracking import sqlite_store
from morlight.tracking.mlflow_calls import first_line, short_timeout, silenced
from morlight.tracking.relocation import relocate

if TYPE_CHECKING:
    import mlflow


class StoreUnavailable(ValueError):
    """The tracking store does not answer."""


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI if it is set, otherwise `mlruns/mlflow.db` under the working directory.

    The path is made absolute, so that the store stays the same if the working directory changes; the first writer
    creates the database itself (`connect`).
    """
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{sqlite_store.SQLITE}{Path('mlruns/mlflow.db').absolute()}"


def connect(uri: str | None = None, *, create: bool = True) -> "mlflow.MlflowClient":
    """Client of the store at `uri` (default: `tracking_uri()`), once the store has answered.

    A SQLite store that was moved with its project is first brought up to date (`relocate`).

    Raises:
        ValueError: if the server does not answer, or the database cannot be opened, or is missing and `create`
            is False.
    """
    uri = uri or tracking_uri()
    file = sqlite_store.database_file(uri)
    if file and not file.exists():
        if not create:
            raise ValueError(
                f"{file}: no tracking database; fit a model first, or name a server by MLFLOW_TRACKING_URI"
            )
        sqlite_store.create(file)
    if file:
        relocate(file)
    from mlflow import MlflowClient

    try:
        with silenced(), short_timeout():
            client = MlflowClient(uri, os.environ.get("MLFLOW_REGISTRY_URI") or uri)
            client.search_experiments(max_results=1)
    except Exception as error:  # MLflow's, the database's or the operating system's
        raise StoreUnavailable(f"{uri}: the tracking store does not answer ({first_line(error)})") from error
    return client
