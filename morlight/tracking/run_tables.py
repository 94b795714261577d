"""Runs read from the tables of MLflow's database; MLflow itself takes 20 times as long for thousands of runs."""

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from morlight.tracking.run import Dataset, Run
from morlight.tracking.sqlite_store import database_file

if TYPE_CHECKING:
    from sqlalchemy import Connection

EXPERIMENTS = "SELECT experiment_id, lifecycle_stage FROM experiments WHERE name = :name"
SELECTED = "run_uuid IN (SELECT run_uuid FROM runs WHERE experiment_id = :experiment AND lifecycle_stage = 'active')"
RUNS = """
    SELECT run_uuid, name, status FROM runs WHERE experiment_id = :experiment AND lifecycle_stage = 'active'
    ORDER BY start_time DESC, run_uuid
"""
METRICS = f"SELECT run_uuid, key, value, is_nan FROM latest_metrics WHERE {SELECTED}"
PARAMS = f"SELECT run_uuid, key, value FROM params WHERE {SELECTED}"
TAGS = f"SELECT run_uuid, key, value FROM tags WHERE {SELECTED}"
DATASETS = """
    SELECT inputs.destination_id, datasets.name, datasets.digest FROM inputs
    JOIN datasets ON datasets.dataset_uuid = inputs.source_id
    WHERE inputs.source_type = 'DATASET' AND inputs.destination_type = 'RUN' AND datasets.experiment_id = :experiment
"""


def read(uri: str, experiment: str) -> list[Run] | None:
    """Active runs of an experiment, latest first.

    Returns:
        None if MLflow must be asked: for a server, a store that does not answer, an experiment that is missing,
        deleted or in several workspaces, or tables of another layout.
    """
    file = database_file(uri)
    if not urlparse(uri).scheme.startswith(("sqlite", "postgresql", "mysql", "mssql")) or (file and not file.exists()):
        return None
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    try:
        engine = create_engine(uri)
        try:
            with engine.connect() as connection:
                return _read(connection, experiment)
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError):
        return None


def _read(connection: "Connection", experiment: str) -> list[Run] | None:
    experiments = list(_rows(connection, EXPERIMENTS, name=experiment))
    if len(experiments) != 1 or experiments[0][1] != "active":
        return None
    identity = experiments[0][0]
    metrics, params, tags = (defaultdict[str, dict[str, Any]](dict) for _ in range(3))
    for run_id, key, value, is_nan in _rows(connection, METRICS, experiment=identity):
        metrics[run_id][key] = math.nan if is_nan else value
    for values, query in ((params, PARAMS), (tags, TAGS)):
        for run_id, key, value in _rows(connection, query, experiment=identity):
            values[run_id][key] = value
    datasets = {run: Dataset(name, digest) for run, name, digest in _rows(connection, DATASETS, experiment=identity)}
    return [
        Run(run_id, name, status, metrics[run_id], params[run_id], tags[run_id], datasets.get(run_id))
        for run_id, name, status in _rows(connection, RUNS, experiment=identity)
    ]


def _rows(connection: "Connection", query: str, **values: Any) -> Iterator[Any]:
    from sqlalchemy import text

    yield from connection.execute(text(query), values)
