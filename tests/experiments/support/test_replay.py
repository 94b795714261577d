"""Replays of runs: errors of fits to some of them, in files that are continued."""

import channel
import numpy as np
import pytest

from experiments.support import replay as replays
from experiments.support.replay import Replay, System
from morlight.analysis.evaluation import evaluate as evaluation

DENSITIES = (0.05, 0.1, 0.2, 0.5)


@pytest.fixture
def replay(tmp_path, monkeypatch):
    """Of four made-up fluids, with tiny fits."""
    for key, value in {"model.realizations": 5, "trainer.max_epochs": 1, "data.coarsen": 1, "model.width": 2}.items():
        monkeypatch.setitem(replays.SETTINGS, key, value)
    data = channel.write(tmp_path / "channel.h5", densities=DENSITIES, frames=10)
    return Replay(System("lj", str(data)), tmp_path / "outcomes.jsonl")


def test_errors_are_those_of_the_evaluation_on_unseen_runs_and_are_kept(replay, monkeypatch):
    models = []
    measured = replay.measured
    monkeypatch.setattr(replay, "measured", lambda model, *more: models.append(model) or measured(model, *more))
    found = replay.outcome([3, 0])
    assert found.runs == (0, 3)
    result = evaluation.evaluate(models[0], replay.system.file, [1, 3, 5, 7])
    for error, expected in zip(found.errors, result.by_parameters, strict=True):
        assert error == pytest.approx(np.median(expected.errors["eq35"]), rel=1e-3)
    assert found.error == pytest.approx(np.sqrt(np.mean(found.errors)))
    assert sorted(found.ranking) == [1, 2]
    assert found.noise == ()  # of one unseen run each
    again = Replay(replay.system, replay.path)
    monkeypatch.setattr(again, "fitted", None)
    assert again.outcome([0, 3]) == found


def test_the_noise_of_the_truth_is_that_of_the_mean_of_the_unseen_runs():
    draws = 1 + 0.1 * np.random.default_rng(0).standard_normal((2000, 5, 3, 2, 4))
    found = [replays._eq35_of_noise(runs) for runs in draws]
    assert np.mean(found) == pytest.approx(2 * 0.1**2 / 5, rel=0.02)  # two frames, five runs, fields of size 1
