"""The best realization is the one whose roll-outs stay with the data that were held back."""

import numpy as np
import pytest
import small
import small_fits
import torch

import morlight
from morlight.data.windows import MemoryFrames, Windows
from morlight.training.callbacks.ranking import rollout_errors


def test_roll_outs_that_blow_up_have_the_largest_errors_and_those_without_end_infinite_ones(tmp_path):
    model = small.model(tmp_path / "m.ckpt", realizations=3, biases=[], symbol="plain", terms=2)
    with torch.no_grad():
        for parameter in model.operator.g.parameters():
            parameter[:2] *= 1e3  # two terms of each realization
            parameter[2:4] *= torch.nan
    u = torch.randn(3, 200, 1, 32, generator=torch.Generator().manual_seed(0))
    part = Windows(MemoryFrames(u), torch.arange(3), torch.zeros(3, 0))
    blown, endless, other = rollout_errors(model, part).per_realization
    assert endless == np.inf
    assert blown > 1e3 * other


def test_a_fit_ranks_its_realizations_by_roll_outs_over_all_frames_held_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    u = np.random.default_rng(0).normal(size=(12, 16)).cumsum(0)
    small_fits.write("u.h5", {"u": np.tile(u, (6, 1, 1))})  # whichever trajectory is held back
    fitted = small_fits.fit("u.h5", {"data.validation": 0.34})
    best = morlight.load(str(fitted.checkpoint.with_name("best.ckpt")))
    end = best.predict(u[0], 11)[:, -1]
    errors = np.sqrt(((end - u[-1]) ** 2).mean(1) / (u[-1] ** 2).mean())
    assert best.losses.name == "val_rollout"
    assert best.losses.per_realization == pytest.approx(tuple(errors), rel=1e-5)
    assert best.best == int(errors.argmin())
