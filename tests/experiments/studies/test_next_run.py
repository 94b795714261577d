"""The study of the next runs: strategies, and the numbers that it prints, of outcomes that are known."""

import channel
import numpy as np
import pytest

from experiments.studies import next_run as study
from experiments.support.replay import Outcome, Replay, System

DENSITIES = (0.05, 0.1, 0.2, 0.5)


def outcomes(count, ranking):
    """Errors that are 1/n for n runs."""
    return lambda runs: Outcome(tuple(sorted(runs)), (1 / len(runs) ** 2,), (0.0,), ranking(runs, count), ())


def test_strategies_add_the_runs_that_they_should(tmp_path, monkeypatch):
    data = channel.write(tmp_path / "channel.h5", densities=DENSITIES, seeds=1, frames=3)
    replay = Replay(System("lj", str(data)), tmp_path / "outcomes.jsonl")

    def rest(runs, count):
        return tuple(run for run in reversed(range(count)) if run not in runs)

    monkeypatch.setattr(replay, "outcome", outcomes(4, rest))
    start = replay.outcome((0, 3))
    assert study.by_ranking(start) == 2
    assert study.evenly(replay)(start) == 2  # ln 0.2 is farther from ln 0.5 than ln 0.1 from ln 0.05
    assert study.evenly(replay)(replay.outcome((2, 3))) == 0
    assert {study.randomly(seed)(start) for seed in range(20)} == {1, 2}
    assert study.path(replay, (0, 1), study.by_ranking, 4) == pytest.approx([1 / 2, 1 / 3, 1 / 4])


def test_savings_are_those_of_the_numbers_of_runs():
    found = {
        "next": study.Curve(np.array([[3.0, 1.0, 1.0], [3.0, 1.0, 1.0]])),
        "random": study.Curve(np.array([[3.0, 1.0, 1.0], [3.0, 3.0, 3.0], [3.0, 3.0, 1.0], [3.0, 3.0, 1.0]])),
    }
    assert found["random"].runs_to(2.0).tolist() == [3, 5, 4, 4]
    assert study.saving(found, "random", 2.0) == pytest.approx((0.25, 0.0))


def test_calibration_compares_errors_beyond_that_of_all_runs(tmp_path):
    data = channel.write(tmp_path / "channel.h5", densities=DENSITIES, seeds=1, frames=3)
    replay = Replay(System("lj", str(data)), tmp_path / "outcomes.jsonl")
    for runs, errors, expected, ranking, drops in (
        ((0, 3), (1.0, 5.0, 9.0, 1.0), (0.0, 1.0, 2.0, 0.0), (2, 1), (0.8, 0.1)),
        ((0, 2, 3), (1.0, 2.0, 1.0, 1.0), (0.0, 4.0, 0.0, 0.0), (1,), (1.0,)),
        ((0, 1, 2, 3), (1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 0.0), (), ()),
    ):
        replay.known[runs] = Outcome(runs, errors, expected, ranking, drops)
    printed = study.calibration(replay)
    assert "| between the runs | 2 | 2 | 2 | 2 to 2 |" in printed  # √(4/1) and √(8/2)
    assert "| between the runs | 3 | 1 | 0.5 | 0.5 to 0.5 |" in printed
    assert "| 75 to 90 % | 1 | 92 % | 92 % to 92 % |" in printed  # 12 became 1
    assert "| 90 to 100 % | 1 | 100 % | 100 % to 100 % |" in printed


def test_figure_shows_each_system(tmp_path):
    curve = study.Curve(np.array([[3.0, 1.0], [2.0, 1.5]]))
    known, unknown = study.Replayed({"next": curve}, 0.9, 0.5), study.Replayed({"next": curve}, 0.8, np.nan)
    study.figure({"lj": known, "colloid": unknown}, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000
    assert (known.plain["noise of the unseen runs"], "noise of the unseen runs" in unknown.plain) == (0.5, False)


def test_errors_of_known_truths_are_compared_with_the_expected_ones(tmp_path):
    data = channel.write(tmp_path / "channel.h5", densities=DENSITIES, seeds=1, frames=3)
    replay = Replay(System("lj", str(data)), tmp_path / "outcomes.jsonl")
    for runs, errors, expected in (((0, 1), (3.0, 5.0), (1.0, 1.0)), ((0, 1, 2), (1.0, 1.0), (3.0, 5.0))):
        replay.known[runs] = Outcome(runs, errors, expected, (), ())
    printed = study.expected_errors([replay])
    assert "| 2 | 1 | 2 | 2 to 2 |" in printed
    assert "| 3 | 1 | 0.5 | 0.5 to 0.5 |" in printed


def test_pooled_curves_keep_starts_and_orders_beside_each_other():
    one, two = ({"next": study.Curve(np.full((2, 3), size))} for size in (1.0, 2.0))
    assert study.pooled([one, two])["next"].errors[:, 0].tolist() == [1, 1, 2, 2]
