"""Samplers and pruners: which values a trial gets, and when it is given up."""

import copy
import math
from collections.abc import Container, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from morlight.sweep.plan import Plan

STARTS = 10  # random trials before those of a Gaussian process
CANDIDATES = 2**14  # random places, among which one of a short trial is chosen
SHORTEST = 1e-3  # s of a trial


class Logarithms(optuna.Study):
    """The same study for a Gaussian process, with log(objective) where all values of an objective are positive.

    Errors span decades. Without the logarithm, a few large ones set the scale, on which all good trials are equal.
    """

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        trials = super()._get_trials(deepcopy, states, use_cache)
        done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        values = np.array([trial.values for trial in done]).reshape(-1, len(self.directions))
        positive = (values > 0).all(axis=0)
        values[:, positive] = np.log(values[:, positive])
        shown = {trial.number: row for trial, row in zip(done, values.tolist(), strict=True)}
        return [_with_values(trial, shown[trial.number]) if trial.number in shown else trial for trial in trials]


def _with_values(trial: FrozenTrial, values: list[float]) -> FrozenTrial:
    other = copy.copy(trial)
    other.values = values
    return other


class Limited(optuna.samplers.GPSampler):
    """A Gaussian process that suggests no trial that is expected to take longer than some time.

    log(seconds) is a linear function of the options, fitted to the trials before.

    Args:
        longest: this time, s.
        options: of Optuna's sampler.
    """

    def __init__(self, longest: float, **options: Any) -> None:
        super().__init__(**options)
        self.longest = longest
        self._timed: list[tuple[FrozenTrial, float]] = []

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values of all options."""
        done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        self._timed = [(each, each.duration.total_seconds()) for each in done if each.duration is not None]
        return super().sample_relative(study, trial, search_space)

    def _optimize_acqf(self, acqf: Any, best_params: Any) -> Any:
        """The place, in the unit cube, of the largest acquisition function among those of trials that are short."""
        space = acqf.search_space
        places = space.sample_normalized_params(CANDIDATES, self._rng.rng)
        timed = space.get_normalized_params([trial for trial, _ in self._timed])
        spent = np.log([max(seconds, SHORTEST) for _, seconds in self._timed])
        known, new = (np.hstack([each, np.ones((len(each), 1))]) for each in (timed, places))
        expected = new @ np.linalg.lstsq(known, spent, rcond=None)[0]
        short = places[expected <= max(math.log(self.longest), expected.min())]
        return short[np.argmax(acqf.eval_acqf_no_grad(short))]


class Seeded(optuna.samplers.BaseSampler):
    """A sampler whose random numbers belong to the place of a trial in the queue, whichever worker takes it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.inner: optuna.samplers.BaseSampler = optuna.samplers.RandomSampler()

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Begin anew with the numbers of this trial."""
        seed = int(np.random.SeedSequence((self.plan.seed, trial.user_attrs["slot"])).generate_state(1)[0])
        if self.plan.sampler == "gp":
            options: dict[str, Any] = {"seed": seed, "n_startup_trials": STARTS, "warn_independent_sampling": False}
            longest = self.plan.longest
            self.inner = Limited(longest, **options) if longest else optuna.samplers.GPSampler(**options)
        elif self.plan.sampler == "tpe":
            self.inner = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        else:  # a grid has its values in the queue
            self.inner = optuna.samplers.RandomSampler(seed=seed)
        self.inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """That of the inner one."""
        return self.inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """By the inner one."""
        if self.plan.sampler == "gp":
            study = Logarithms(study.study_name, study._storage)
        return self.inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """By the inner one."""
        return self.inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """By the inner one."""
        self.inner.after_trial(study, trial, state, values)


def pruner(plan: Plan) -> optuna.pruners.BasePruner:
    """Optuna's, with its defaults."""
    kinds = {
        "none": optuna.pruners.NopPruner,
        "median": optuna.pruners.MedianPruner,
        "hyperband": optuna.pruners.HyperbandPruner,
        "halving": optuna.pruners.SuccessiveHalvingPruner,
    }
    return kinds[plan.pruner]()
