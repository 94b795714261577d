"""Going on from a checkpoint, validating and testing it: only with data like those that it was trained on."""

import hashlib
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import small_fits
import torch
import yaml

from morlight.cli import main as cli
from tests.command import refused

POINTS, FRAMES = 12, 12
WORDS = "--data.path u.h5 --config q.yaml"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished fit, and data with another Δt, another length, and others."""
    folder = tmp_path_factory.mktemp("resuming")
    x = np.arange(POINTS) / POINTS * 2 * np.pi
    u = 1 + np.random.default_rng(0).normal(size=(4, FRAMES, 1)) * np.cos(x)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        stated = {"unit_length": 65.0, "simulation_parameters": ["force"], "force": 0.005}
        small_fits.write("u.h5", {"u": u}, provenance=stated)
        small_fits.write("wide.h5", {"u": u}, provenance={**stated, "unit_length": 130.0})
        small_fits.write("strong.h5", {"u": u}, provenance={**stated, "force": 0.01})
        small_fits.write("drawn.h5", {"u": u[::-1]}, provenance=stated)
        small_fits.write("half.h5", {"u": u[:, ::2]}, dt=0.2)
        small_fits.write("long.h5", {"u": u}, length=(2.0,))
        small_fits.write("walls.h5", {"u": u}, walls=True)
        small_fits.write("fine.h5", {"u": np.repeat(u, 2, 2)})
        small_fits.write("other.h5", {"v": u})
        changes = {**small_fits.STILL, "data.validation": 0.25, "data.test": 0.25, "trainer.max_epochs": 2}
        nested: dict = {}
        for key, value in {**changes, "model.horizons": [1]}.items():
            group, name = key.split(".")
            nested.setdefault(group, {})[name] = value
        (folder / "q.yaml").write_text(yaml.safe_dump(nested))
        cli.main(shlex.split(f"fit {WORDS}"))
    return folder


@pytest.fixture
def folder(made, monkeypatch):
    monkeypatch.chdir(made)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return made


def contents(folder):
    """Hash of every file of checkpoints and artifacts, and what the store holds."""
    files = {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in (".db", ".db-wal", ".db-shm", ".db-journal")
    }
    client = small_fits.tracked()
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return files, [(run.info.run_id, run.info.status, run.info.end_time, run.data.tags, run.data.metrics)
                   for run in client.search_runs(ids)]  # fmt: skip


TASKS = ["fit --trainer.max_epochs 4", "validate", "test"]
OTHERS = {
    "half.h5": "half.h5: Δt 0.2, expected 0.1 as in the data of",
    "long.h5": "long.h5: domain length 2, expected 1 as in the data of",
    "walls.h5": "walls.h5: boundaries ['WALL'], expected ['PERIODIC'] as in the data of",
    "fine.h5": "fine.h5: grid points [24], expected [12] as in the data of",
    "wide.h5": "wide.h5: unit_length is 130.0, expected 65.0 as in the data of",
    "strong.h5": "strong.h5: force is 0.01, expected 0.005 as in the data of",
    "other.h5": "other.h5: fields ['v'], expected ['u'] as in the data of",
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("file", "sentence"), OTHERS.items(), ids=OTHERS)
def test_other_data_are_refused_and_nothing_changes(folder, capsys, task, file, sentence):
    before = contents(folder)
    assert sentence in refused(f"{task} {WORDS} --data.path {file} --ckpt_path last", capsys)
    assert contents(folder) == before


CHANGED = {
    "--data.path drawn.h5": "drawn.h5: these data are not those with which the run of",
    "--data.seed 1": "last.ckpt: the data for validation were trajectories ",
    "--data.test 0": "last.ckpt: the data for validation were trajectories ",
}


@pytest.mark.parametrize("epochs", [2, 4], ids=["finished", "longer"])
@pytest.mark.parametrize(("words", "sentence"), CHANGED.items(), ids=CHANGED)
def test_a_run_does_not_go_on_with_other_data_or_another_split(folder, capsys, words, sentence, epochs):
    before = contents(folder)
    task = f"fit {WORDS} {words} --trainer.max_epochs {epochs} --ckpt_path last"
    assert sentence in refused(task, capsys)
    assert contents(folder) == before


def test_errors_of_other_trajectories_are_not_those_of_the_fit(folder, capsys):
    assert "last.ckpt: the data for validation were" in refused(f"test {WORDS} --data.seed 1 --ckpt_path last", capsys)


def test_a_run_goes_on_with_a_moved_file_and_other_batches_and_says_what_it_is_tested_on(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(folder, tmp_path / "copy"))
    Path("u.h5").rename("moved.h5")
    words = "--data.path moved.h5 --data.batch 3 --trainer.max_epochs 3 --ckpt_path last"
    cli.main(shlex.split(f"fit {WORDS} {words}"))
    tags = small_fits.run_of("q").data.tags
    assert tags["errors_on"] == "data held back"
    assert re.fullmatch(r"trajectories \d+(, \d+)*", tags["test_data"])


def test_a_copy_of_a_checkpoint_goes_on_with_other_data_in_another_run(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(folder, tmp_path / "copy"))
    shutil.copy(*Path("mlruns/fits/q").glob("*/last.ckpt"), "copy.ckpt")
    words = "--data.path drawn.h5 --data.seed 1 --name new --ckpt_path copy.ckpt --trainer.max_epochs 3"
    cli.main(shlex.split(f"fit --config q.yaml {words}"))
    assert small_fits.run_of("new").info.run_id != small_fits.run_of("q").info.run_id


def test_a_finished_fit_has_nothing_left_to_do(folder, capsys):
    before = contents(folder)
    cli.main(shlex.split(f"fit {WORDS} --ckpt_path last"))
    said = capsys.readouterr()
    assert "last.ckpt: there was nothing to do, 2 of 2 epochs are done; a larger trainer.max_epochs goes on" in said.err
    assert said.out == ""
    assert contents(folder) == before


def test_validate_and_test_print_the_losses_that_the_fit_reported(folder, capsys):
    run = small_fits.run_of("q")
    cli.main(shlex.split(f"validate {WORDS} --ckpt_path last"))
    printed = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert float(printed["val_loss/median"]) == pytest.approx(run.data.metrics["val_loss/median"], rel=1e-5)


@pytest.mark.parametrize("task", ["validate", "test"])
def test_without_trajectories_to_look_at_it_says_so(folder, capsys, task):
    part = {"validate": "validation"}.get(task, task)
    sentence = refused(f"{task} {WORDS} --data.{part} 0 --ckpt_path last", capsys)
    assert f"u.h5: data.{part} is 0.0, which leaves no trajectory for `{task}`" in sentence


def test_a_longer_fit_goes_on_in_the_same_run(folder, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(folder, tmp_path / "copy"))
    (path,) = (tmp_path / "copy").glob("mlruns/fits/q/*/last.ckpt")
    cli.main(shlex.split(f"fit {WORDS} --ckpt_path last --trainer.max_epochs 4"))
    assert torch.load(path, weights_only=True)["epoch"] == 3
    assert small_fits.run_of("q").info.status == "FINISHED"
