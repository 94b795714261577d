"""The command line as a person uses it: help, bad input, and every command of the README."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from command import refused

from morlight.analysis import model as prediction
from morlight.cli import main as cli
from morlight.data.trajectory_file import TrajectoryFile
from morlight.tracking.runs import read_runs

ROOT = Path(__file__).parents[2]


HEAVY = ("torch", "pytorch_lightning", "mlflow", "matplotlib")


def imported_by(words):
    """Output of a command in a process of its own, and which of the heavy packages it imported."""
    code = (
        f"import sys; from morlight.cli import main as cli\n"
        f"try: cli.main({shlex.split(words)})\n"
        f"except SystemExit: pass\n"
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *lines, imported = done.stdout.splitlines()
    return "\n".join(lines) + done.stderr, imported


def test_help_imports_nothing_heavy():
    text, imported = imported_by("--help")
    assert imported == "[]"
    assert all(command in text for command in ("simulate", "fit", "predict", "evaluate", "ui"))


QUICK = [
    ("fit --config brownian --data.path walkers.h5 --modl.width 3", "did you mean model.width?"),
    ("fit --config brownian --data.path walkers.h5 --trainer.max_epoch 3", "did you mean trainer.max_epochs?"),
    ("fit --config brownian --data.path walkers.h5 --model.width wide", "expected a whole number"),
    ("fit --config brownian --data.path absent.h5", "absent.h5: no such file"),
    ("fit absent.h5 --config brownian", "absent.h5: no such file"),  # not the file that the configuration names
    ("predict absent.ckpt --initial walkers.h5 --steps 1 -o out.h5", "absent.ckpt: not a file"),
    ("evaluate absent.ckpt --data absent.h5", "absent.h5: no such file"),
]


@pytest.mark.parametrize(("words", "sentence"), QUICK)
def test_a_mistake_is_reported_before_seconds_of_imports(words, sentence):
    text, imported = imported_by(words)
    assert sentence in text
    assert imported == "[]"


def test_help_of_a_fit_lists_our_options_and_those_of_the_trainer_on_request(capsys):
    text, imported = imported_by("fit --help")
    assert "--model.width" in text
    assert "--trainer.gradient_clip_val" not in text
    assert imported == "[]"
    (request,) = re.findall(r"`morlight (fit --trainer.help)`", text)
    cli.main(shlex.split(request))
    assert "--trainer.gradient_clip_val" in capsys.readouterr().out


def test_one_trajectory_is_not_called_trajectories(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cli.main(shlex.split("simulate brownian --sets 1 --walkers 50 --steps 2 --bins 4 -o one.h5"))
    capsys.readouterr()
    cli.main(["data", "one.h5"])
    printed = capsys.readouterr().out
    assert printed.startswith("one.h5: 1 trajectory of 3 frames")
    assert "\n  Δt = 0.001, length 6.28319, periodic\n" in printed


@pytest.mark.parametrize("system", ["plane", "shear"])
def test_help_of_a_periodic_box_names_no_channel_and_no_grid_of_the_paper(system, capsys):
    with pytest.raises(SystemExit):
        cli.main(["simulate", system, "--help"])
    printed = capsys.readouterr().out
    assert "cells along x" in printed
    assert "channel" not in printed
    assert "--grid" not in printed


@pytest.mark.parametrize("words", ["fit --help", "simulate brownian --help", "predict --help", "evaluate --help"])
def test_every_command_has_help(words, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(shlex.split(words))
    assert ended.value.code in (0, None)
    assert "usage" in capsys.readouterr().out.lower()


def test_simulated_file_is_what_was_asked_for(folder):
    cli.main(shlex.split("simulate brownian --sets 2 --walkers 500 --steps 5 --bins 16 --seed 4 -o walkers.h5"))
    with h5py.File("walkers.h5") as file:
        assert file["t0_fields/density"].shape == (2, 6, 16)
        assert np.asarray(file["t0_fields/density"]).mean(-1) == pytest.approx(1)
        assert file.attrs["seed"] == 4


def test_prediction_becomes_a_trajectory_a_realization_with_a_figure(folder):
    cli.main(
        shlex.split("predict model.ckpt --initial heat.h5 --frame 3 --steps 20 --every 5 -o out.h5 --plot out.png")
    )
    described = TrajectoryFile.open("out.h5")
    assert (described.trajectories, len(described.times), described.dt) == (2, 5, pytest.approx(0.05))
    start = TrajectoryFile.open("heat.h5").read(times=slice(3, 4))[0, 0, 0]
    expected = prediction.load("model.ckpt").predict(start, 20, every=5)
    # written in single precision
    assert TrajectoryFile.open("out.h5").read()[:, :, 0] == pytest.approx(expected, abs=1e-6)
    assert Path("out.png").read_bytes().startswith(b"\x89PNG")


def test_evaluate_prints_one_json_object_or_a_table(folder, capsys):
    cli.main(shlex.split("evaluate model.ckpt --data heat.h5 --json"))
    result = json.loads(capsys.readouterr().out)
    keys = "checkpoint data on_training_data realizations dt errors mass_drift noise_ceiling baselines"
    assert set(result) == set(keys.split())
    assert set(result["errors"]["rollout_end"]) == {"per_realization", "median", "min"}
    cli.main(shlex.split("evaluate model.ckpt --data heat.h5"))
    assert "rollout_end" in capsys.readouterr().out


BAD = [
    ("evaluate model.ckpt --data absent.h5", "absent.h5: no such file"),
    ("evaluate model.ckpt --data model.ckpt", "model.ckpt: not an HDF5 file"),
    ("evaluate absent.ckpt --data heat.h5", "absent.ckpt"),
    ("evaluate heat.h5 --data heat.h5", "heat.h5: not a readable checkpoint"),
    ("evaluate runs:/0123 --data heat.h5", "no tracking database"),
    ("predict model.ckpt --initial heat.h5 --steps -3 -o out.h5", "steps is -3"),
    ("predict model.ckpt --initial heat.h5 --steps 10 --every 3 -o out.h5", "every is 3"),
    ("predict model.ckpt --initial heat.h5 --steps ten -o out.h5", "--steps"),
    ("predict model.ckpt --initial heat.h5 --trajectory 7 --steps 1 -o out.h5", "trajectory 7 is not there"),
    ("predict model.ckpt --initial heat.h5 --frame 1000 --steps 1 -o out.h5", "frame 1000 is not there"),
    ("predict model.ckpt --initial heat.h5 --steps 1 -o nowhere/out.h5", "nowhere"),
    ("predict model.ckpt --initial heat.h5 --steps 1 -o out.h5 --plot out.txt", "not an image format"),
    ("predict model.ckpt --initial heat.h5 --steps 1 -o out.npy", "out.npy: expected a name ending in .h5 or .hdf5"),
    ("predict model.ckpt --initial heat.h5 --steps 1 -o ./heat.h5", "heat.h5: is one of the files to read"),
    ("predict model.ckpt --initial heat.h5 --steps 1 -o out.h5 --plot nowhere/out.png", "nowhere"),
    ("simulate brownian --steps -1 -o out.h5", "steps is -1"),
    ("simulate brownian --walkers 0 -o out.h5", "walkers is 0"),
    ("simulate brownian --device tpu9 -o out.h5", "tpu9"),
    ("simulate brownian --sets 1 --walkers 10 --steps 1 -o nowhere/out.h5", "nowhere"),
    ("simulate comets -o out.h5", "comets"),
    ("foretell", "foretell"),
    ("ui --port 99999", "99999"),
]


@pytest.mark.parametrize(("words", "named"), BAD)
def test_bad_input_is_one_sentence_and_leaves_nothing_behind(folder, capsys, words, named):
    before = sorted(folder.iterdir())
    assert named in refused(words, capsys)
    assert sorted(folder.iterdir()) == before


MISTYPED = [
    ("prdict", "did you mean predict? See `morlight --help`"),
    ("simulate brwnian -o a.h5", "did you mean brownian? See `morlight simulate --help`"),
    ("predict model.ckpt --intial heat.h5", "--intial is not an option of `morlight predict`; did you mean --initial?"),
    ("simulate levy --stpes=3", "--stpes is not an option of `morlight simulate levy`; did you mean --steps?"),
    ("compare --largst", "did you mean --largest?"),
]


@pytest.mark.parametrize(("words", "advice"), MISTYPED)
def test_a_mistyped_word_gets_the_closest_match(capsys, words, advice):
    assert advice in refused(words, capsys)


def test_a_word_like_nothing_known_gets_no_match(capsys):
    assert "did you mean" not in refused("compare --xyzzy", capsys)


def test_an_abbreviated_option_is_still_taken(folder, capsys):
    cli.main(shlex.split("evaluate model.ckpt --dat heat.h5 --js"))
    assert json.loads(capsys.readouterr().out)["data"] == "heat.h5"


def test_readme_from_the_first_command_to_the_last(folder, monkeypatch, capsys):
    """The commands of the README's tour, on fewer walkers, and its example in Python."""
    text = (ROOT / "README.md").read_text()
    shell = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    commands = [shlex.split(line, comments=True) for line in shell.splitlines() if line.startswith("morlight ")]
    assert {words[1] for words in commands} >= {"simulate", "fit", "predict", "evaluate", "ui"}
    (folder / "configs").symlink_to(ROOT / "configs")
    for words in commands:
        if words[1] == "simulate":
            words += ["--sets", "10", "--walkers", "2000", "--steps", "60", "--bins", "32"]
        if words[1] == "fit":
            words += ["--trainer.enable_progress_bar", "false"]
        words = [f"runs:/{read_runs('morlight')[0].run_id}" if word == "runs:/ID" else word for word in words]
        if words[1] != "ui":  # started and asked in test_tracking.py
            cli.main(words[1:])
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(example.replace("[4]", "[1]"), {})
    assert capsys.readouterr().out
