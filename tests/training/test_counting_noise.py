"""Walkers counted in cells diffuse as they do, however they were deposited."""

import numpy as np
import pytest
import small_fits

from morlight.cli import main as cli


@pytest.mark.parametrize("deposit", ["histogram", "fourier"])
def test_the_noise_of_counting_is_that_of_the_deposit(tmp_path, monkeypatch, deposit):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    words = "simulate brownian --sets 60 --walkers 1000 --steps 60 --bins 24 --dt 0.01 -o walkers.h5"
    cli.main([*words.split(), "--deposit", deposit])
    least_squares = {
        "model.optimizer": "moments", "model.iterations": 60, "model.terms": 1, "model.loss": "noise",
        "model.biases": ["conservation", "reflection"], "model.symbol": "dissipative", "data.particles": "file",
    }  # fmt: skip
    found = small_fits.fit("walkers.h5", least_squares)
    generator = small_fits.told("inspect", found.checkpoint)["fields"]["density"]["generator"]
    kappa = np.array(generator["kappa"], float).reshape(-1)
    band = (kappa > 0.5) & (kappa < 6.5)
    rate = -np.array(generator["real"], float)[:, band]
    # corrected as a histogram, a Fourier deposit seems to diffuse much slower: its own aliases are a hundredth
    assert abs(np.median(rate / kappa[band] ** 2) - 1) < 0.05
