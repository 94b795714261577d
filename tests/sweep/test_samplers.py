"""What a sampler sees of the trials before it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from morlight.sweep import samplers
from morlight.sweep.plan import Dimension, Plan

PLAN = Plan("search", Path("base.yaml"), (Dimension.read("x", {"low": 0.0, "high": 1.0}),), ("error",), sampler="gp")
PLACES = np.linspace(0, 1, 12)
DECADES = 12 * (PLACES - 0.3) ** 2 - 2  # log₁₀ of errors from 0.01 to 8000
LINE = FloatDistribution(0.0, 1.0)


def suggested(values, plan=PLAN, seconds=None, places=PLACES, axis=LINE):
    """Where the sampler would go after some trials at places with these values and durations."""
    study = optuna.create_study(sampler=samplers.Seeded(plan), directions=plan.direction)
    seconds = np.ones(len(places)) if seconds is None else seconds
    each = np.reshape(values, (len(places), -1)).tolist()
    for place, value, duration in zip(list(places), each, seconds.tolist(), strict=True):
        trial = optuna.create_trial(values=value, params={"x": place}, distributions={"x": axis})
        trial.datetime_start = trial.datetime_complete - timedelta(seconds=duration)
        study.add_trial(trial)
    slot = {"slot": len(places)}
    study.add_trial(optuna.create_trial(state=optuna.trial.TrialState.WAITING, user_attrs=slot))
    return study.ask()._suggest("x", axis)


@pytest.mark.parametrize("way", ["minimize", "maximize"])
def test_a_gaussian_process_models_the_logarithm_of_a_positive_objective(way):
    plan, logarithms = replace(PLAN, direction=(way,)), DECADES if way == "minimize" else -DECADES
    assert suggested(np.exp(logarithms), plan) == pytest.approx(suggested(logarithms, plan), abs=1e-3)


def test_with_errors_over_decades_the_next_trial_is_near_the_optimum():
    assert suggested(10**DECADES) == pytest.approx(0.3, abs=0.05)


def test_an_objective_that_is_not_always_positive_is_modeled_as_it_is():
    values = np.append(10 ** DECADES[1:], 0.0)
    raw = replace(PLAN, direction=("maximize",))
    assert suggested(values) == pytest.approx(suggested(-values, raw), abs=1e-3)


def test_each_of_two_objectives_is_modeled_by_itself():
    plan = replace(PLAN, objective=("error", "score"), direction=("minimize", "minimize"))
    score = (PLACES - 0.8) ** 2 - 1
    both, logarithms = np.stack([np.exp(DECADES), score], 1), np.stack([DECADES, score], 1)
    assert suggested(both, plan) == pytest.approx(suggested(logarithms, plan), abs=1e-3)


@pytest.mark.parametrize(("longest", "place"), [(1000.0, 0.75), (1.0, 0.25), (1e-9, 0.0)])
def test_trials_that_are_expected_to_take_longer_are_not_suggested(longest, place):
    values = 2 - 0.01 * PLACES + 1600 * (PLACES - 0.25) ** 2 * (PLACES - 0.75) ** 2
    plan, seconds = replace(PLAN, longest=longest), np.exp(8 * (PLACES - 0.5))
    assert suggested(values, plan, seconds) == pytest.approx(place, abs=0.1)


def test_choices_with_long_trials_are_not_suggested():
    plan, places = replace(PLAN, longest=10.0), ["quick", "slow", "short"] * 4
    values = np.array([3.0, 1.0, 2.0] * 4) + 0.01 * PLACES
    seconds = np.array([1.0, 1000.0, 2.0] * 4)
    axis = CategoricalDistribution(["quick", "slow", "short"])
    assert suggested(values, plan, seconds, places, axis) == "short"
    assert suggested(values, PLAN, seconds, places, axis) == "slow"


def test_trials_that_came_to_nothing_do_not_count():
    plan, seconds = replace(PLAN, longest=1.0), np.exp(8 * (PLACES - 0.5))
    values, bad = 10**DECADES, PLACES > 0.8
    values[bad], seconds[bad] = np.inf, 0.01  # refused at once, although such trials take long
    assert suggested(values, plan, seconds) == pytest.approx(0.3, abs=0.05)
    best = replace(PLAN, direction=("maximize",))
    values = np.where(bad, -np.inf, 10 ** (2 - DECADES))
    logarithms = np.where(bad, -np.inf, 2 - DECADES)
    assert suggested(values, best) == pytest.approx(suggested(logarithms, best), abs=0.01)
