"""Checkpoints by the names of runs and of registered models."""

import pytest

from morlight.tracking.checkpoints import resolve
from morlight.tracking.logger import Tracker
from tests.tracking.stores import folder, fresh_database

__all__ = ["folder", "fresh_database"]  # fixtures


@pytest.fixture
def kept(folder):
    """Id of a run with checkpoints, of which three versions of a model are made."""
    tracker = Tracker()
    for path in ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "top.ckpt", "model/artifacts/best.ckpt"):
        tracker.log_text(path, path)
    client = tracker.experiment
    client.create_registered_model("burgers")
    for source in ("checkpoints/best.ckpt", "checkpoints", "model"):
        client.create_model_version("burgers", f"runs:/{tracker.run_id}/{source}", tracker.run_id)
    client.set_registered_model_alias("burgers", "champion", "3")
    client.create_registered_model("empty")
    tracker.log_text("no weights", "notes/a.txt")
    client.create_model_version("empty", f"runs:/{tracker.run_id}/notes", tracker.run_id)
    return tracker.run_id


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("runs:/ID", "checkpoints/best.ckpt"),
        ("runs:/ID/checkpoints/last.ckpt", "checkpoints/last.ckpt"),
        ("runs:/ID/top.ckpt", "top.ckpt"),
        ("models:/burgers/1", "checkpoints/best.ckpt"),
        ("models:/burgers/2", "checkpoints/best.ckpt"),
        ("models:/burgers/3", "model/artifacts/best.ckpt"),
        ("models:/burgers@champion", "model/artifacts/best.ckpt"),
    ],
)
def test_names_lead_to_the_files_themselves(folder, kept, name, file):
    root = folder / "mlruns" / "artifacts" / kept / "artifacts"
    assert resolve(name.replace("ID", kept)) == root / file


def test_paths_are_taken_as_they_are(tmp_path):
    path = tmp_path / "a.ckpt"
    path.touch()
    assert resolve(str(path)) == resolve(path) == path


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("absent.ckpt", "absent.ckpt: not a file; expected a checkpoint"),
        ("mlruns", "mlruns: not a file"),
        ("runs:/", "runs:/: expected runs:/ID"),
        ("runs://ID", "expected runs:/ID"),
        ("runs:/0123", "runs:/0123: no run '0123' in sqlite:///"),
        ("runs:/ID/absent.ckpt", "the run holds no absent.ckpt"),
        ("runs:/ID/../ID/top.ckpt", "the run holds no|cannot be listed"),
        ("models:/burgers", "expected models:/NAME@ALIAS or models:/NAME/VERSION"),
        ("models:/burgers/latest", "VERSION a number"),
        ("models:/burgers/9", "models:/burgers/9: no such model in sqlite:///"),
        ("models:/burgers@loser", "no such model"),
        ("models:/lj/1", "no such model"),
        ("models:/empty/1", "models:/empty/1: the model holds no checkpoint"),
    ],
)
def test_names_that_lead_nowhere_are_named_in_one_sentence(folder, kept, name, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        resolve(name.replace("ID", kept))
    assert "\n" not in str(caught.value)


def test_a_run_without_checkpoints_is_told(folder):
    tracker = Tracker()
    with pytest.raises(ValueError, match=r"holds no checkpoints/best.ckpt and no checkpoints/last.ckpt"):
        resolve(f"runs:/{tracker.run_id}")
