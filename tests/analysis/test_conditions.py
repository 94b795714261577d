"""Files in other units than the training data are refused, and other conditions of the runs are named."""

import dataclasses
import json
import re

import h5py
import numpy as np
import pytest
import small
import small_fits
from command import refused

from morlight.analysis.conditions import warn_of_conditions, warn_of_noise
from morlight.analysis.evaluation.evaluate import evaluate
from morlight.analysis.export.program import about
from morlight.analysis.extrapolation import Extrapolation
from morlight.analysis.model import load
from morlight.cli import main as cli
from morlight.data.conditions import stated
from morlight.data.config import DataConfig
from morlight.data.datamodule import TrajectoryDataModule
from morlight.data.trajectory_file import TrajectoryFile
from morlight.data.trajectory_writer import Writer
from morlight.simulate import lammps
from morlight.simulate.lammps.simulation import _held
from morlight.simulate.walkers import Walkers, levy

BINS, FRAMES = 8, 6
OPTIONS = {"realizations": 5, "depth": 2, "width": 2}


def channel(path, system=lammps.LJ, gammas=((0.1,), (0.2,)), **settings):
    """A file as `morlight simulate` lays it out, with made-up fields."""
    ensemble = lammps.Ensemble(system, gammas, settings=settings, frames=FRAMES, bins=BINS)
    runs = [lammps.Run(ensemble, gamma, 1, path.parent) for gamma in gammas]
    contents = _held(path, ensemble, runs)
    x, rng = np.arange(BINS) / BINS, np.random.default_rng(0)
    with Writer(contents) as writer:
        for row in range(len(runs)):
            decay = 0.9 ** np.arange(FRAMES + 1)[:, None]
            each = 1 + decay * np.cos(np.pi * x) * (1 + row) + 1e-3 * rng.normal(size=(FRAMES + 1, BINS))
            writer.put(row, dict.fromkeys(contents.fields, each))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of γ = ρ* and a file of the same channel, of a wider one, and of one with twice the force."""
    path = tmp_path_factory.mktemp("channels")
    trained = channel(path / "trained.h5")
    channel(path / "wide.h5", width=130.0)
    channel(path / "strong.h5", force=0.01, average=2000)
    file = TrajectoryFile.open(trained)
    foreign = {"density": file.read(["density"])[:, :, 0]}
    small_fits.write(path / "foreign.h5", foreign, dt=file.dt, walls=True, parameters={"density": [0.1, 0.2]})
    config = DataConfig(path=str(trained), fields=["density"], parameters=["density"], validation=0.0, test=0.0)
    module = TrajectoryDataModule(config)
    module.setup()
    small.model(path / "model.ckpt", module.description, **OPTIONS)
    return path


@pytest.fixture
def here(folder, monkeypatch):
    """The working directory with the files."""
    monkeypatch.chdir(folder)
    return folder


COMMANDS = [
    "evaluate model.ckpt --data {}",
    "predict model.ckpt --initial {} --steps 2 -o later.h5 --overwrite",
    "next model.ckpt --data {} --candidates density=0.15",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_channel_of_another_width_is_refused_though_its_length_is_1_as_well(here, command, capsys):
    sentence = refused(command.format("wide.h5"), capsys)
    assert "wide.h5: unit_length is 130, expected 65 as in the training data of model.ckpt" in sentence
    assert "fit a model to it" in sentence


@pytest.mark.parametrize("command", COMMANDS)
def test_another_force_is_named_and_the_command_goes_on(here, command, capsys):
    cli.main(command.format("strong.h5").split())
    told = capsys.readouterr().err
    assert told.count("strong.h5: force is 0.01 instead of 0.005, average is 2000 instead of 1000 as in") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_the_same_conditions_and_files_that_state_none_are_taken_without_a_word(here, command, capsys):
    for name in ("trained.h5", "foreign.h5"):
        cli.main(command.format(name).split())
        assert "warning" not in capsys.readouterr().err


def test_models_that_do_not_know_their_conditions_take_every_file(here, capsys):
    data = load("model.ckpt").data
    small.model("old.ckpt", dataclasses.replace(data, conditions=type(data.conditions)()), **OPTIONS)
    cli.main(["evaluate", "old.ckpt", "--data", "wide.h5"])
    assert "warning" not in capsys.readouterr().err


def test_prediction_has_the_conditions_of_the_training_data(here, capsys):
    cli.main(["predict", "model.ckpt", "--initial", "trained.h5", "--steps", "2", "-o", "later.h5", "--overwrite"])
    capsys.readouterr()
    model = load("model.ckpt")
    assert stated(TrajectoryFile.open("later.h5")) == model.data.conditions
    of_wide = dataclasses.replace(model.data.conditions, scales={"unit_length": 130.0})
    small.model("wide.ckpt", dataclasses.replace(model.data, conditions=of_wide), **OPTIONS)
    assert "unit_length is 65, expected 130" in refused("evaluate wide.ckpt --data later.h5", capsys)


def test_exported_program_says_for_which_units_it_is(here):
    model = load("model.ckpt")
    assert json.loads(about(model, [0])["conditions"])["scales"] == {"unit_length": 65.0, "unit_time": 2000.0}


def test_noise_of_another_number_of_particles_is_named(here):
    channel(here / "few.h5", atoms=500)
    model, file = load("model.ckpt"), TrajectoryFile.open("few.h5")
    warn_of_conditions(model, file)  # the mean does not depend on it
    with pytest.warns(Extrapolation, match="the number of particles is 500 instead of 2000"):
        warn_of_noise(model, file)


def test_scalar_that_was_constant_is_a_condition_unless_it_is_a_parameter(here):
    """Of a Couette flow, at the trajectories that are evaluated."""
    channel(here / "couette.h5", lammps.COUETTE, ((0.42, 1.0), (0.3, 1.0)))
    channel(here / "fast.h5", lammps.COUETTE, ((0.42, 1.0), (0.42, 2.0)))
    module = TrajectoryDataModule(
        DataConfig(path="couette.h5", fields=["density"], parameters=["density"], mirror=False)
    )
    module.setup()
    model = small.model("couette.ckpt", module.description, **OPTIONS)
    with pytest.warns(Extrapolation, match=re.escape("fast.h5: speed is 2 instead of 1 as in the training data")):
        evaluate(model, "fast.h5")
    evaluate(model, "fast.h5", [0])
    module = TrajectoryDataModule(DataConfig(path="couette.h5", fields=["density"], parameters=["density", "speed"]))
    module.setup()
    with pytest.warns(Extrapolation) as told:  # that γ lies outside the training data, once
        evaluate(small.model("speed.ckpt", module.description, **OPTIONS), "fast.h5")
    assert not [each for each in told if "no parameter γ" in str(each.message)]


def test_lattice_of_a_colloid_is_its_unit_of_length(here):
    gammas = ((0.15, 2.5), (0.2, 2.5))
    narrow, wide = (channel(here / f"{n}.h5", lammps.COLLOID, gammas, cells=n) for n in (10, 20))
    assert stated(TrajectoryFile.open(narrow)).scales == {"cells": 10, "unit_time": 2000}
    assert stated(TrajectoryFile.open(wide)).scales == {"cells": 20, "unit_time": 2000}


def test_stability_index_of_flights_is_a_condition(tmp_path):
    levy(tmp_path / "levy.h5", Walkers(2, 100, 2, 8, alpha=1.5, drift=(0.5,)))
    found = stated(TrajectoryFile.open(tmp_path / "levy.h5"))
    assert found.runs == {"diffusivity": 1, "alpha": 1.5, "deposit": "histogram", "drift_x": 0.5}
    assert found.particles == 100


@pytest.mark.parametrize(("unit", "differs"), [("fs", True), ("ps", False), (None, False)])
def test_words_for_units_must_agree_where_both_files_have_one(tmp_path, monkeypatch, unit, differs, capsys):
    monkeypatch.chdir(tmp_path)
    u = {"density": 1 + np.random.default_rng(0).random((1, 4, 8))}
    for name, word in (("trained.h5", "ps"), ("other.h5", unit)):
        small_fits.write(name, u)
        if word:
            with h5py.File(name, "a") as file:
                file["dimensions/time"].attrs["unit"] = word
    module = TrajectoryDataModule(DataConfig(path="trained.h5"))
    module.setup()
    small.model("model.ckpt", module.description, **OPTIONS)
    if differs:
        assert "time is fs, expected ps" in refused("evaluate model.ckpt --data other.h5", capsys)
    else:
        cli.main(["evaluate", "model.ckpt", "--data", "other.h5"])


@pytest.mark.parametrize(
    "attributes",
    [
        {"generator": "brownian", "generator_parameters": {"drift": 0.5, "walkers": "many"}},
        {"generator_parameters": {"atoms": [1, 2]}},
        {"deck": "variable a\nvariable b index\nvariable cells index ${n}\nvariable atoms index ${n}"},
    ],
    ids=["walkers", "atoms", "deck"],
)
def test_words_of_a_foreign_file_that_are_no_numbers_are_not_compared(tmp_path, attributes):
    path = tmp_path / "foreign.h5"
    small_fits.write(path, {"u": np.ones((1, 3, 8))}, dt=0.1, walls=True)
    with h5py.File(path, "a") as file:
        file.attrs.update({key: json.dumps(value) if isinstance(value, dict) else value
                           for key, value in attributes.items()})  # fmt: skip
    found = stated(TrajectoryFile.open(path))
    assert (found.particles, "cells" in found.scales) == (None, False)
