"""Fits that learn the noise of their steps, through the command line."""

import exact
import numpy as np
import pytest
import small_fits
import torch

from morlight.operators.fluctuations import Fluctuations, ModeFluctuations
from morlight.training.callbacks.report import cautions
from morlight.training.fit import built
from morlight.training.settings import from_mapping


def test_a_fit_stores_the_noise_of_each_realization(tmp_path, monkeypatch):
    """Of an operator that is not trained, the residuals are known from the data and the checkpoint."""
    monkeypatch.chdir(tmp_path)
    u = np.random.default_rng(0).normal(size=(12, 30, 8)).cumsum(1).astype(np.float32)
    path = small_fits.write("walk.h5", {"u": u})
    found = small_fits.fit(path, {"model.fluctuations": True, "model.terms": 1})
    noise = found.model.checkpoint.fluctuations
    (part,) = noise.parts
    before = found.model.predict(u[:, :-1].reshape(-1, 1, 8), 1)[:, :, 1, 0]
    residual = np.fft.rfft(u[:, 1:].reshape(-1, 8) - before)
    windows = np.arange(12 * 29).reshape(12, 29)[:, :27].ravel()  # which two further frames follow
    expected = (np.abs(residual[:, windows]) ** 2).mean(1) / 8 * (1 / 8)
    assert part.process[:, 0, :, 0, 0].numpy() == pytest.approx(expected, rel=1e-4)
    ensemble = found.model.predict(u[0, 0], 1, fluctuations=500, seed=2)
    assert ensemble[:, :, 1].std() > 0.5


def test_noise_that_cannot_be_learned_stops_the_fit_before_it_begins(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fields = {"u": np.random.default_rng(0).normal(size=(4, 5, 8))}
    path = small_fits.write("two.h5", fields, parameters={"one": range(1, 5), "two": range(2, 6)})
    changes = {"model.fluctuations": True, "data.parameters": ["one", "two"]}
    with pytest.raises(SystemExit):
        small_fits.fit(path, changes)
    assert "with the parameters one, two, expected at most one" in capsys.readouterr().err
    assert not list(tmp_path.glob("mlruns/fits/*/*/last.ckpt"))


@pytest.mark.parametrize(
    ("changes", "given", "expected"),
    [
        ({}, "data.ensemble mean and data.mirror true", "--data.ensemble all --data.mirror false"),
        ({"data.ensemble": "all"}, "data.mirror true", "--data.mirror false"),
        ({"data.mirror": False}, "data.ensemble mean", "--data.ensemble all"),
    ],
)
def test_means_over_runs_and_mirror_images_are_refused_in_one_sentence(changes, given, expected):
    settings = from_mapping({"model.fluctuations": True, **changes}, "lj", "lj")
    with pytest.raises(ValueError, match=f"with {given}, whose means fluctuate less than a run; expected {expected}$"):
        built(settings)


@pytest.mark.parametrize(
    ("lags", "measured", "words"),
    [
        ((), False, ["which needs three frames"]),
        (((0.001, 0.002), (0.0, 0.002)), False, []),
        (((-0.3, 0.002), (0.001, 0.002)), True, ["part of the noise is that of the measurement"]),
        (((-0.3, 0.002), (-0.25, 0.002)), False, ["residuals one step apart", "residuals two steps apart"]),
        (((0.0532, 0.0012), (0.0, 0.002)), False, ["have the correlation 0.0532 ± 0.0012: the operator leaves"]),
    ],
)
def test_a_fit_says_what_the_correlation_of_its_residuals_shows(lags, measured, words):
    spectrum = torch.ones(1, 1, 3, 1, 1).double()
    part = ModeFluctuations(
        (0,), "cosine", (False,), spectrum, measured * spectrum, *exact.additive(), spectrum[..., 0]
    )
    said = cautions(Fluctuations((0.0,), (part,), lags), "model.terms 2")
    assert all("try model.terms 2" in sentence for sentence in said if "leaves part" in sentence)
    assert len(said) == len(words)
    assert all(word in sentence for word, sentence in zip(words, said, strict=True))
