"""Calls to MLflow that print nothing, send no telemetry, and fail within seconds and in one sentence.

Neither Lightning nor torch is imported in this package outside `logger` and `metric_buffer`, and MLflow only inside
functions, so that the commands that read results start fast.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # MLflow would report every call to its makers
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # standard output belongs to --json
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"


@contextmanager
def refused_as(sentence: str) -> Iterator[None]:
    """Raise a ValueError with `sentence` in place of MLflow's exceptions."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise ValueError(sentence) from error


@contextmanager
def short_timeout(retries: int = 0, timeout: int = 10) -> Iterator[None]:
    """Limit the duration of requests to a server; MLflow's default is four minutes.

    Args:
        retries: number of repetitions of a request that failed.
        timeout: seconds without an answer after which a request fails.
    """
    limits = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(retries), "MLFLOW_HTTP_REQUEST_TIMEOUT": str(timeout)}
    before = {key: os.environ.get(key) for key in limits}
    os.environ.update(limits)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


@contextmanager
def silenced() -> Iterator[None]:
    """Suppress the log messages and deprecation warnings that MLflow emits when it opens a database."""
    loggers = [logging.getLogger(name) for name in ("alembic", "mlflow.store.db.utils")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            # MLflow 3.17 under SQLAlchemy 2.1
            warnings.filterwarnings("ignore", "The ``noload`` loader strategy is deprecated", DeprecationWarning)
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def first_line(error: Exception) -> str:
    """First line of an error message, at most 300 characters."""
    return str(error).partition("\n")[0][:300]
