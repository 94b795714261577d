"""A store in a SQLite file: its creation, and the folder of artifacts beside the database."""

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from morlight.tracking.mlflow_calls import first_line, silenced

SQLITE = "sqlite:///"
DRAFT = ".mlflow-"  # start of the name of a folder with a database that is being made
ABANDONED = 3600.0  # s after which its process was killed: it takes some seconds


def database_file(uri: str) -> Path | None:
    """File of a SQLite store; None for servers and other databases."""
    path = uri.removeprefix(SQLITE)
    return Path(path) if path not in (uri, "", ":memory:") else None


def artifact_root(file: Path) -> str:
    """URI of the folder `artifacts` beside the database, which holds the files of all runs."""
    return (file.parent.absolute() / "artifacts").as_uri()


def create(file: Path) -> None:
    """Create a database, completely or not at all, even if many processes do so at once.

    MLflow's migrations are neither atomic nor safe against a second process; so each process writes its own
    draft, and the first that links it under the final name wins.

    Raises:
        ValueError: if the file cannot be created, or something else has its name.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        for draft in file.parent.glob(f"{DRAFT}*"):
            if time.time() - draft.stat().st_mtime > ABANDONED:
                shutil.rmtree(draft, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=DRAFT, dir=file.parent) as folder, silenced():
            draft = Path(folder) / file.name
            _migrate(draft, artifact_root(file))
            os.link(draft, file)
    except FileExistsError:
        if not file.is_file():
            raise ValueError(f"{file}: expected a tracking database here, found something else") from None
    except Exception as error:  # of the database, or of the operating system: a full disk is either
        reason = getattr(error, "strerror", None) or first_line(error)
        raise ValueError(f"{file}: the tracking database cannot be created ({reason})") from error


def _migrate(draft: Path, root: str) -> None:
    """Create the tables, written to the disk once: a slow disk takes 5 s for the commits of the migrations."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy import Engine, event

    def unsynchronized(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", unsynchronized)
    try:
        SqlAlchemyStore(f"{SQLITE}{draft}", root).engine.dispose()
    finally:
        event.remove(Engine, "connect", unsynchronized)
    with draft.open("rb+") as file:
        os.fsync(file.fileno())
