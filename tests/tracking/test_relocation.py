"""Stores whose folder was moved, copied or linked."""

import shutil
import stat
from pathlib import Path

import pytest

from morlight.tracking.checkpoints import resolve
from morlight.tracking.logger import Tracker
from morlight.tracking.registry import register
from morlight.tracking.store import connect
from tests.tracking.stores import folder, fresh_database, rows

__all__ = ["folder", "fresh_database"]  # fixtures


def files(place):
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


@pytest.fixture
def project(folder, monkeypatch):
    """A project with a run and a registered model; its folder and the id of the run."""
    place = folder / "a project #1"
    place.mkdir()
    (folder / "mlruns").rename(place / "mlruns")
    monkeypatch.chdir(place)
    connect()
    run_id = finished("first")
    register("heat", run_id)
    return place, run_id


def finished(text):
    tracker = Tracker()
    tracker.log_text(text, "checkpoints/best.ckpt")
    tracker.finalize("success")
    return tracker.version


def test_a_renamed_project_finds_its_artifacts_and_puts_new_ones_beside_them(project, monkeypatch):
    place, run_id = project
    moved = place.rename(place.with_name("renamed"))
    monkeypatch.chdir(moved)
    inside = moved / "mlruns" / "artifacts"
    assert resolve(f"runs:/{run_id}") == inside / run_id / "artifacts" / "checkpoints" / "best.ckpt"
    assert resolve("models:/heat@best").is_relative_to(inside)
    assert resolve(f"runs:/{finished('second')}").is_relative_to(inside)
    assert not place.exists()


def test_a_copied_project_and_its_original_go_separate_ways(project, monkeypatch):
    place, run_id = project
    copy = place.with_name("copy")
    shutil.copytree(place, copy)
    original = files(place)
    monkeypatch.chdir(copy)
    assert resolve(f"runs:/{run_id}").is_relative_to(copy)
    assert resolve(f"runs:/{finished('second')}").is_relative_to(copy)
    assert files(place) == original
    monkeypatch.chdir(place)
    assert resolve(f"runs:/{run_id}").is_relative_to(place)
    assert resolve(f"runs:/{finished('third')}").is_relative_to(place)


def test_a_project_moved_twice_and_back_loses_nothing(project, monkeypatch):
    place, run_id = project
    kept = [run_id]
    for name in ("there", "elsewhere", place.name):
        now = Path.cwd().rename(place.with_name(name))
        monkeypatch.chdir(now)
        kept.append(finished(name))
    assert [resolve(f"runs:/{run}").read_text() for run in kept] == ["first", "there", "elsewhere", place.name]


def test_a_store_by_another_path_is_the_same_store(project, monkeypatch, capsys):
    place, run_id = project
    link = place.with_name("link")
    link.symlink_to(place)
    before = rows("SELECT artifact_uri FROM runs")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{link}/mlruns/mlflow.db")
    assert resolve(f"runs:/{run_id}").read_text() == "first"
    assert rows("SELECT artifact_uri FROM runs") == before
    assert capsys.readouterr().err == ""


def test_a_database_copied_without_its_artifacts_still_names_the_only_ones(project, monkeypatch):
    place, run_id = project
    alone = place.with_name("alone")
    (alone / "mlruns").mkdir(parents=True)
    shutil.copy(place / "mlruns" / "mlflow.db", alone / "mlruns")
    monkeypatch.chdir(alone)
    assert resolve(f"runs:/{run_id}").is_relative_to(place)
    assert resolve(f"runs:/{finished('second')}").is_relative_to(alone)


def test_places_are_rewritten_once(project, monkeypatch, capsys):
    monkeypatch.chdir(project[0].rename(project[0].with_name("renamed")))
    connect()
    assert "mlflow.db was moved or copied" in capsys.readouterr().err
    connect()
    assert capsys.readouterr().err == ""


def test_a_moved_database_that_cannot_be_changed_is_refused_in_one_sentence(project, monkeypatch):
    place, run_id = project
    moved = place.rename(place.with_name("renamed"))
    monkeypatch.chdir(moved)
    readonly = "attempt to write a readonly database"
    database = moved / "mlruns" / "mlflow.db"
    database.chmod(stat.S_IRUSR)
    if not is_read_only(database):
        pytest.skip("the superuser may write to any file")
    with pytest.raises(ValueError, match=rf"mlflow.db: the project was moved here from .*{readonly}") as caught:
        resolve(f"runs:/{run_id}")
    assert "\n" not in str(caught.value)


def is_read_only(path):
    try:
        path.open("ab").close()
    except PermissionError:
        return True
    return False
