"""Ensembles of roll-outs with noise: shapes, seeds, files, and what is refused."""

import dataclasses

import exact
import numpy as np
import pytest
import small
import torch

from morlight.analysis import ensemble
from morlight.analysis.export.pyfunc import Served
from morlight.analysis.model import load
from morlight.cli import main as cli
from morlight.data.trajectory_file import TrajectoryFile
from morlight.operators import build
from morlight.operators.fluctuations import Fluctuations, ModeFluctuations

GRID = small.grid((16,))


def noise(count, grid=GRID) -> Fluctuations:
    """White noise of one field, twice as strong in each further realization."""
    K = build.basis(grid).energy.numel()
    sizes = 4.0 ** torch.arange(count).double().view(-1, 1, 1, 1, 1)
    part = ModeFluctuations(
        (0,), "cosine", (False,), 1e-4 * sizes.expand(-1, 1, K, 1, 1), torch.zeros(count, 1, K, 1, 1).double(),
        *exact.additive(count), torch.zeros(count, 1, K, 1).double(),
    )  # fmt: skip
    return Fluctuations((0.0,), (part,))


@pytest.fixture
def model(tmp_path):
    """A model of two realizations with noise, in a checkpoint."""
    data = small.description(where=GRID, dt=0.01)
    path = small.save(tmp_path / "model.ckpt", small.operator(data, size=0.3), data, losses=(2.0, 1.0))
    small.mark(path, fluctuations=noise(2).to_plain())
    return load(path)


def start(*lead):
    return 1 + 0.1 * np.random.default_rng(0).normal(size=(*lead, 16))


def test_members_have_an_axis_of_their_own_and_begin_where_they_are_told(model):
    frames = model.predict(start(3, 1), 4, every=2, fluctuations=5)
    assert frames.shape == (2, 5, 3, 3, 1, 16)
    assert np.array_equal(frames[:, :, :, 0], np.broadcast_to(start(3, 1), (2, 5, 3, 1, 16)))
    assert model.predict(start(), 4, fluctuations=5).shape == (2, 5, 5, 16)
    assert model.predict(start(1), 4, fluctuations=5, realizations="best").shape == (5, 5, 1, 16)


def test_each_realization_has_the_spread_of_its_own_noise(model):
    frames = model.predict(start(), 1, fluctuations=2000)
    deviation = np.sqrt(frames[:, :, 1].var(1).mean(1) * GRID.length[0] / 16)
    assert deviation == pytest.approx([1e-2, 2e-2], rel=0.02)
    mean = model.predict(start(), 1)[:, 1]
    assert np.abs(frames[:, :, 1].mean(1) - mean).max() < 5 * deviation.max() / np.sqrt(2000 * GRID.length[0] / 16)


def test_the_seed_chooses_the_noise(model):
    one, same, other = (model.predict(start(), 3, fluctuations=2, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.isclose(one[:, :, 1:], other[:, :, 1:]).any()


def test_chosen_realizations_have_the_members_that_they_have_alone(model):
    assert np.array_equal(model.predict(start(), 2, fluctuations=3, realizations="best"),
                          model.only([1]).predict(start(), 2, fluctuations=3)[0])  # fmt: skip


def test_the_command_writes_one_trajectory_for_each_member(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("u.npy", start(2, 1))
    words = ["predict", "model.ckpt", "--initial", "u.npy", "--trajectory", "all", "--steps", "4", "-o", "out.h5"]
    cli.main([*words, "--fluctuations", "3", "--seed", "7", "--plot", "out.png"])
    file = TrajectoryFile.open("out.h5")
    expected = model.predict(start(2, 1), 4, fluctuations=3, seed=7)
    assert file.read(["density"])[:, :, 0] == pytest.approx(expected.reshape(12, 5, 16), abs=1e-6)
    assert file.parameters["member"].tolist() == [0, 0, 1, 1, 2, 2] * 2
    assert file.parameters["realization"].tolist() == [0] * 6 + [1] * 6
    assert file.parameters["initial"].tolist() == [0, 1] * 6
    assert file.attributes["fluctuations"] == 3
    assert file.attributes["seed"] == 7


def test_what_no_ensemble_can_be_made_of_is_refused(model):
    without = dataclasses.replace(model, checkpoint=dataclasses.replace(model.checkpoint, fluctuations=None))
    for who, options, sentence in (
        (without, {}, "was not learned, expected the checkpoint"),
        (model, {"realizations": "mean"}, "each realization has an ensemble of its own"),
        (model.on(32), {}, r"was learned on \[16\] points, not on \[32\]"),
    ):
        with pytest.raises(ValueError, match=sentence):
            who.predict(start(), 1, fluctuations=2, **options)


@pytest.mark.parametrize(
    ("name", "value"),
    [*[("fluctuations", value) for value in (2.5, True, "5", -1)], *[("seed", value) for value in (None, -1, 2**70)]],
)
def test_numbers_of_members_and_seeds_that_are_not_whole_numbers_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"^{name} is {value!r}, expected a whole number from 0"):
        ensemble.check_numbers(**{"fluctuations": 2, "seed": 0, name: value})


def test_a_forecast_checks_its_seed(model):
    with pytest.raises(ValueError, match=r"^seed is -1, expected a whole number from 0 to 2\^63 - 1"):
        model.predict(start(), 1, fluctuations=2, seed=-1)


@pytest.mark.parametrize("words", [["predict", "--initial", "u.npy", "--steps", "1", "-o", "out.h5"],
                                   ["evaluate", "--data", "u.h5"]])  # fmt: skip
def test_a_seed_without_noise_is_refused(words, capsys):
    with pytest.raises(SystemExit):
        cli.main([words[0], "model.ckpt", *words[1:], "--fluctuations", "0", "--seed", "3"])
    assert "--seed is 3 without noise, expected --fluctuations MEMBERS" in capsys.readouterr().err


def test_arrays_with_names_have_an_axis_of_members(model):
    xarray = pytest.importorskip("xarray")
    dims = ("member", "run", "time", "x")
    found = model.predict(xarray.DataArray(start(2), dims=("run", "x")), 4, fluctuations=3, seed=1, realizations="best")
    assert found.dims == dims
    expected = model.predict(start(2, 1), 4, fluctuations=3, seed=1, realizations="best")
    assert np.array_equal(found.values, expected[:, :, :, 0])
    assert (found.attrs["fluctuations"], found.attrs["seed"]) == (3, 1)
    whole = model.predict(xarray.Dataset({"density": ("x", start())}), 1, fluctuations=2)
    assert whole["density"].dims == ("realization", "member", "time", "x")


def test_a_state_that_grows_without_bound_is_named(tmp_path):
    model = exact.model(GRID, lambda kappa: torch.full_like(kappa[0], 1e200))
    model = dataclasses.replace(model, checkpoint=dataclasses.replace(model.checkpoint, fluctuations=noise(1)))
    with pytest.raises(FloatingPointError, match=r"realization\(s\) \[0\] are not finite after 2 steps"):
        model.predict(start(), 4, fluctuations=2)


def test_a_served_ensemble_is_that_of_predict(model):
    asked = {"steps": 4, "every": 2, "fluctuations": 3, "seed": 1}
    served = Served(model).predict({"density": start(2)}, asked)["density"]
    assert np.array_equal(served, model.predict(start(2, 1), **asked)[:, :, :, :, 0].transpose(2, 0, 1, 3, 4))


def test_ratios_are_taken_in_every_member(tmp_path):
    data = small.description(("density", "momentum"), where=GRID, dt=0.01)
    path = small.save(tmp_path / "model.ckpt", small.operator(data, size=0.1), data)
    one = noise(2).parts[0]
    parts = tuple(dataclasses.replace(one, places=(place,)) for place in (0, 1))
    small.mark(path, fluctuations=Fluctuations((0.0,), parts).to_plain())
    model = load(path).with_ratios({"velocity": "momentum/density"})
    frames = model.predict(np.stack([start(), start()]), 2, fluctuations=3)
    assert frames.shape == (2, 3, 3, 3, 16)
    assert np.array_equal(frames[..., 2, :], frames[..., 1, :] / frames[..., 0, :])
