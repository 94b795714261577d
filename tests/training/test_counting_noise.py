"""Walkers counted in cells move as they do, however they were deposited and scaled."""

import numpy as np
import pytest
import small_fits
import torch

import morlight
from morlight.cli import main as cli
from morlight.data.trajectory_file import TrajectoryFile

LEAST_SQUARES = {
    "model.optimizer": "moments", "model.iterations": 60, "model.terms": 1, "model.loss": "noise",
    "model.horizons": [1], "model.biases": ["conservation", "reflection"], "model.symbol": "dissipative",
}  # fmt: skip


@pytest.fixture(scope="module", params=["histogram", "linear", "fourier"])
def walkers(request, tmp_path_factory):
    """Flights whose waves as short as two cells lose 8 % in a step, so that aliases stay."""
    path = tmp_path_factory.mktemp("walkers") / f"{request.param}.h5"
    words = "simulate levy --dimensions 1 --sets 40 --walkers 1000 --steps 60 --bins 24 --dt 0.002"
    cli.main([*words.split(), "-o", str(path), "--deposit", request.param])
    return path


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def rate_over_law(path, **changes):
    """Median of −Re generator over |κ|^α where shot noise and mean density both count."""
    found = small_fits.fit(str(path), {**LEAST_SQUARES, **changes})
    generator = small_fits.told("inspect", found.checkpoint)["fields"]["density"]["generator"]
    kappa = np.array(generator["kappa"], float).reshape(-1)
    band = (kappa > 2.5) & (kappa < 10.5)
    return np.median(-np.array(generator["real"], float)[:, band] / kappa[band] ** 1.5)


@pytest.mark.parametrize("walkers", ["histogram"], indirect=True)
def test_the_same_fit_has_the_same_weights(walkers):
    fits = (small_fits.fit(str(walkers), LEAST_SQUARES, name=name) for name in ("first", "second"))
    first, second = (torch.load(each.checkpoint, weights_only=True)["state_dict"] for each in fits)
    assert all(torch.equal(first[name], second[name]) for name in first.keys() | second.keys())


def test_flights_are_learned_behind_the_aliases_of_every_deposit(walkers):
    assert abs(rate_over_law(walkers) - 1) < 0.05  # noise of the data


@pytest.mark.parametrize("walkers", ["histogram"], indirect=True)
def test_aliases_that_are_not_subtracted_look_like_decay(walkers):
    assert rate_over_law(walkers, **{"data.particles": None}) > 1.5


@pytest.mark.parametrize("walkers", ["histogram"], indirect=True)
def test_number_densities_need_the_number_of_particles_and_nothing_else(walkers, capsys):
    u = TrajectoryFile.open(walkers).read(["density"])[:, :, 0] * 7.0
    morlight.write("number.h5", {"density": u}, dt=0.002, length=2 * np.pi, boundaries="periodic")
    assert abs(rate_over_law("number.h5", **{"data.particles": 1000}) - 1) < 0.05  # as for the mean 1
    with pytest.raises(SystemExit) as ended:
        rate_over_law("number.h5", **{"data.particles": 3000})
    assert ended.value.code == 2
    assert "number.h5: data.particles is 3000, but" in capsys.readouterr().err
