"""Fits in a project that is copied and renamed between them."""

import shutil

import pytest
import yaml

from morlight.cli import main as cli
from morlight.tracking.checkpoints import resolve
from morlight.tracking.runs import read_runs

BASE = {
    "model": {"biases": ["conservation", "reflection"], "realizations": 1, "width": 2, "depth": 2, "horizons": [1]},
    "trainer": {"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False},
}


@pytest.fixture
def project(tmp_path, monkeypatch, heat_file):
    """A project folder with a finished fit."""
    place = tmp_path / "project"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (place / "base.yaml").write_text(yaml.safe_dump(BASE | {"data": {"path": str(heat_file), "batch": 40}}))
    cli.main(["fit", "--config", "base.yaml"])
    return place


def test_a_copy_of_a_renamed_project_continues_on_its_own(project, monkeypatch, heat_file):
    old = read_runs("morlight")[0].run_id
    renamed, copy = project.with_name("renamed"), project.with_name("copy")
    shutil.copytree(project, copy)
    project.rename(renamed)
    for place in (renamed, copy):
        monkeypatch.chdir(place)
        cli.main(["fit", "--config", "base.yaml", "--name", place.name])
        (new,) = (run.run_id for run in read_runs("morlight") if run.name == place.name)
        for run_id in (old, new):
            assert resolve(f"runs:/{run_id}").is_relative_to(place / "mlruns" / "artifacts")
        cli.main(["predict", f"runs:/{old}", "--initial", str(heat_file), "--steps", "2", "-o", "later.h5"])
        cli.main(["fit", "--config", f"runs:/{old}", "--name", "again"])
    assert not project.exists()
    assert len(read_runs("morlight")) == 3
