"""What a fit minimizes and what it reports, computed again in NumPy from the data and the checkpoint."""

import math

import numpy as np
import pytest
import pytorch_lightning as lightning
import small_fits

from morlight.operators import symbol_growth


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def two_different_trajectories():
    """Long waves around a positive value and short ones around a negative one: no realization is the best for both."""
    x, sizes = np.arange(12) / 12 * 2 * np.pi, np.random.default_rng(0).normal(size=(2, 8, 1))
    return np.array([1.0, -2.0])[:, None, None] + sizes * np.stack([np.cos(x), np.cos(6 * x)])[:, None]


@pytest.mark.parametrize(("share", "judge"), [(0.5, "val_loss"), (0.0, "train_loss")])
def test_the_best_realization_has_the_smallest_validation_loss_or_else_training_loss(folder, share, judge):
    path = small_fits.write("u.h5", {"u": two_different_trajectories()})
    found = small_fits.fit(path, {"model.realizations": 12, "data.validation": share, "model.horizons": [1]})
    best = int(np.argmin(found.per_realization(judge)))
    if share:
        assert best != np.argmin(found.per_realization("train_loss"))
    start = np.random.default_rng(1).normal(size=12)
    everything, one = found.model.predict(start, 3), found.model.predict(start, 3, realizations="best")
    assert np.allclose(one, everything[best], rtol=0, atol=1e-12)
    assert np.abs(everything - everything[best]).max((1, 2))[np.arange(12) != best].min() > 1e-6


def test_the_certificate_of_stability_holds_from_the_smallest_to_the_largest_value(folder):
    u = 0.3 * np.random.default_rng(0).normal(size=(3, 20, 32))
    u[1, 5, 7], u[2, 3, 9] = 40.0, -25.0  # too rare for any quantile
    one_term = {"model.terms": 1, "model.horizons": [1], "model.activation": "tanh"}
    found = small_fits.fit(small_fits.write("u.h5", {"u": u}), one_term)
    growth = small_fits.told("inspect", found.checkpoint)["growth"]
    whole, middle = (symbol_growth(found.model.operator, *ends).numpy() for ends in ((-25.0, 40.0), (-1.0, 1.0)))
    assert (growth["low"], growth["high"]) == (-25.0, 40.0)
    assert np.allclose(growth["per_realization"], whole, rtol=1e-9)
    assert not np.allclose(whole, middle, rtol=1e-3)


def test_the_preference_for_smooth_functions_falls_with_the_learning_rate(folder, monkeypatch):
    totals = {}

    def look(self, trainer, module, loss):
        totals[trainer.global_step] = float(loss.detach())

    monkeypatch.setattr(lightning.Callback, "on_before_backward", look)
    u = 1 + 0.3 * np.random.default_rng(0).normal(size=(2, 9, 16))
    smooth = {"model.terms": 1, "model.smoothness": 10.0, "trainer.max_epochs": 10, "model.symbol": "dissipative"}
    found = small_fits.fit(small_fits.write("u.h5", {"u": u}), smooth)
    penalty = np.array([totals[step] for step in range(10)]) - found.per_realization("train_loss").sum()
    assert penalty[0] > 1e-3
    rate = 0.01 + 0.99 * (1 + np.cos(math.pi * np.arange(10) / 10)) / 2  # half a cosine to 1 %
    assert np.allclose(penalty / penalty[0], rate, rtol=1e-6)


def test_modes_count_in_the_unit_of_their_noise_over_as_many_steps_as_the_window_has(folder):
    rng = np.random.default_rng(3)
    decay = np.exp(-0.05 * np.arange(9) ** 2)  # of each mode in a step
    modes = np.fft.rfft(rng.normal(size=(4, 30, 16)))
    for j in range(1, 30):
        modes[:, j] = decay * modes[:, j - 1] + np.sqrt(1 - decay**2) * modes[:, j]
    u = np.fft.irfft(modes, n=16)
    path = small_fits.write("u.h5", {"u": u})
    stages = {"model.loss": "noise", "model.horizons": [1, 4], "trainer.max_epochs": 2}
    found = small_fits.fit(path, stages)
    for epoch, m in enumerate((1, 4)):
        first, after_one, last = (u[:, k : 30 - m + k].reshape(-1, 16) for k in (0, 1, m))
        a, b, c = (np.fft.rfft(frames) for frames in (first, after_one, last))
        factor = (b * a.conj()).sum(0) / np.square(np.abs(a)).sum(0)
        noise = np.square(np.abs(c - factor**m * a)).mean(0)
        noise = np.maximum(noise, 1e-4 * noise.max())
        walk = found.model.predict(first[:, None], m, every=m)[:, :, -1, 0]
        expected = (np.square(np.abs(np.fft.rfft(walk - last))) / noise).mean((1, 2))
        logged = small_fits.history(found.run_id, "train_loss/median")[1][epoch]
        assert np.isclose(logged, np.median(expected), rtol=1e-8), m
