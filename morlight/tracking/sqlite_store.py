"""A store in a SQLite file: its creation, and the folder of artifacts beside the database."""

import importlib.metadata
import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing, suppress
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
            with suppress(FileNotFoundError):  # another process has just removed its own
                if time.time() - draft.stat().st_mtime > ABANDONED:
                    shutil.rmtree(draft, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=DRAFT, dir=file.parent) as folder, silenced():
            draft = _made(Path(folder), artifact_root(file))
            with draft.open("rb+") as complete:
                os.fsync(complete.fileno())
            os.link(draft, file)
    except FileExistsError:
        if not file.is_file():
            raise ValueError(f"{file}: expected a tracking database here, found something else") from None
    except Exception as error:  # of the database, or of the operating system: a full disk is either
        reason = getattr(error, "strerror", None) or first_line(error)
        raise ValueError(f"{file}: the tracking database cannot be created ({reason})") from error


def _made(folder: Path, root: str) -> Path:
    """A new database in a folder: a copy of the empty one in the user's cache, else made by MLflow's migrations."""
    template, draft = _template(), folder / "mlflow.db"
    copied = _copied(template, draft)
    _open(draft, root)
    if not copied:
        with suppress(OSError, sqlite3.Error):  # a home that cannot be written
            _keep_empty(draft, template)
    return draft


def _copied(template: Path, draft: Path) -> bool:
    """Whether the template was there, and was a database: for a spoiled one MLflow would try again for minutes."""
    try:
        shutil.copyfile(template, draft)
        with closing(sqlite3.connect(draft)) as connection:
            (answer,) = connection.execute("PRAGMA quick_check").fetchone()
        whole = bool(answer == "ok")
    except (OSError, sqlite3.Error):
        whole = False
    if not whole:
        draft.unlink(missing_ok=True)
    return whole


def _template() -> Path:
    """File of the user's cache for an empty database, as these versions make it: the migrations take 0.7 s."""
    packages = ("mlflow", "SQLAlchemy", "alembic")
    name = "-".join(f"{package}-{importlib.metadata.version(package)}" for package in packages)
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(cache, "morlight", "stores", f"{name}.db")


def _keep_empty(database: Path, template: Path) -> None:
    """Keep a copy of a new database without the only rows that MLflow adds to its tables: the default experiment."""
    template.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=DRAFT, dir=template.parent) as folder:
        copy = Path(shutil.copy(database, folder))
        with closing(sqlite3.connect(copy)) as connection, connection:
            connection.execute("DELETE FROM experiments")
        copy.replace(template)


def _open(draft: Path, root: str) -> None:
    """Have MLflow open a database, and add the tables and the default experiment if they are missing.

    Nothing waits for the disk, which the caller does once: a slow disk takes 5 s for the commits of the migrations.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy import Engine, event

    def unsynchronized(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", unsynchronized)
    try:
        SqlAlchemyStore(f"{SQLITE}{draft}", root).engine.dispose()
    finally:
        event.remove(Engine, "connect", unsynchronized)
