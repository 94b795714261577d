"""New databases: copies of an empty one in the user's cache, which MLflow's migrations have made."""

import re
import sqlite3
from contextlib import closing

import pytest

from morlight.tracking import sqlite_store


def content(file):
    """Tables, indices and rows, apart from the folder's name and the times at which the default experiment was made."""
    with closing(sqlite3.connect(file)) as connection:
        text = "\n".join(connection.iterdump())
    return re.sub(r"\d{13}", "TIME", text.replace(file.parent.as_uri(), "FOLDER"))


@pytest.fixture(scope="module")
def databases(tmp_path_factory):
    """Two new databases, the first beside a spoiled cache."""
    folder = tmp_path_factory.mktemp("stores")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        template = sqlite_store._template()
        template.parent.mkdir(parents=True)
        template.write_bytes(b"SQLite format 3\0" + bytes(1000))
        files = [folder / name / "mlflow.db" for name in ("first", "second")]
        sqlite_store.create(files[0])
        made = template.stat().st_ino
        sqlite_store.create(files[1])
        assert template.stat().st_ino == made  # the second was a copy, or it would have replaced the template
    return files


def test_a_copied_database_has_the_tables_and_rows_that_migrations_make(databases):
    migrated, copied = map(content, databases)
    assert "INSERT INTO \"experiments\" VALUES(0,'Default','FOLDER/artifacts/0'" in migrated
    assert copied == migrated


def test_a_spoiled_cache_is_replaced_and_leaves_nothing_behind(databases):
    for file in databases:
        assert [one.name for one in file.parent.iterdir()] == ["mlflow.db"]
    cache = databases[0].parents[1] / "cache" / "morlight" / "stores"
    assert [one.suffix for one in cache.iterdir()] == [".db"]


def test_without_a_cache_that_can_be_written_databases_are_created_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    sqlite_store.create(tmp_path / "mlflow.db")
    assert 'TABLE "experiments"' in content(tmp_path / "mlflow.db")
