"""A SQLite store that was moved or copied with its project: paths of artifacts are set to the new folder.

MLflow stores the absolute path of every artifact in the database. If the folder `artifacts` beside a database is not
the one that it names, these paths are rewritten once, in one transaction.
"""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from morlight.tracking.sqlite_store import artifact_root

PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def relocate(file: Path) -> None:
    """Make the paths of artifacts in a database agree with the location of the database.

    A path is not changed if its files exist and are not also beside the database, such as after a copy of the
    database without its artifacts.

    Args:
        file: the database; a file that is not an MLflow database is left for MLflow to refuse.

    Raises:
        ValueError: if the paths must be rewritten and the database cannot be changed.
    """
    roots = _former_roots(file)
    if not roots:
        return
    try:
        with closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            rewritten = sum(_rewrite(database, root, artifact_root(file)) for root in roots)
            database.execute("COMMIT")
    except sqlite3.Error as error:
        raise ValueError(
            f"{file}: the project was moved here from {_path(roots[0]).parent}, and the places of its artifacts cannot"
            f" be updated ({error}); make the database writable"
        ) from error
    if rewritten:
        print(f"morlight: {file} was moved or copied; its artifacts are now those beside it", file=sys.stderr)


def _former_roots(file: Path) -> list[str]:
    """Folders `artifacts` that the database names and that are beside another database, or beside none."""
    query = (
        "SELECT DISTINCT CASE experiment_id WHEN 0 THEN substr(artifact_location, 1, length(artifact_location) - 2)"
        " ELSE artifact_location END FROM experiments WHERE artifact_location LIKE 'file://%'"
    )
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=60)) as database:
            roots = [root for (root,) in database.execute(query)]
    except sqlite3.Error:
        return []
    return [root for root in roots if root.endswith("/artifacts") and not _is_beside(root, file)]


def _is_beside(root: str, file: Path) -> bool:
    if root == artifact_root(file):
        return True
    other = _path(root).parent / file.name  # the same database by another path, such as a link
    return other.exists() and other.samefile(file)


def _rewrite(database: sqlite3.Connection, old: str, new: str) -> int:
    """Replace the folder `old` by `new`, and return the number of paths of artifacts, without those of future runs."""
    count = 0
    for table, column in PLACES:
        inside = f"{column} = ?1 OR substr({column}, 1, length(?1) + 1) = ?1 || '/'"
        query = f"SELECT rowid, {column} FROM {table} WHERE {inside}"
        for row, place in database.execute(query, (old,)).fetchall():
            moved = new + place.removeprefix(old)
            if table == "experiments" or _path(moved).exists() or not _path(place).exists():
                database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (moved, row))
                count += table != "experiments"
    return count


def _path(uri: str) -> Path:
    return Path(url2pathname(urlparse(uri).path))
