"""Samplers and pruners: which values a trial gets, and when it is given up."""

import copy
import math
from collections.abc import Container, Sequence
from typing import Any

import numpy as np
import optuna
from jaxtyping import Bool, Float
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from morlight.sweep.plan import Plan
from morlight.sweep.study import duration

STARTS = 10  # random trials before those of a Gaussian process
CANDIDATES = 2**14  # random ones, among which that of a short trial is chosen
AT_ONCE = 2**11  # candidates whose acquisition function is evaluated together, for the memory of two objectives


class Logarithms(optuna.Study):
    """The same study for a Gaussian process, with log(objective) if all values of an objective are positive.

    Errors span decades. Without the logarithm, a few large ones set the scale, on which all good trials look the same.
    Trials that diverged or were refused count as the worst of the others.
    """

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        trials = super()._get_trials(deepcopy, states, use_cache)
        done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        columns = [_modeled(np.array([trial.values[i] for trial in done])) for i in range(len(self.directions))]
        shown = {trial.number: row for trial, row in zip(done, np.stack(columns, 1).tolist(), strict=True)}
        return [_with_values(trial, shown[trial.number]) if trial.number in shown else trial for trial in trials]


def _modeled(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.zeros_like(values)
    values = np.clip(values, finite.min(), finite.max())
    return np.log(values) if finite.min() > 0 else values


def _with_values(trial: FrozenTrial, values: list[float]) -> FrozenTrial:
    other = copy.copy(trial)
    other.values = values
    return other


class Limited(optuna.samplers.GPSampler):
    """A Gaussian process restricted to trials with a predicted duration of at most `longest`.

    log(duration) is fitted as a linear function of the options, to the trials that ran from their start to their end.
    If no candidate is short enough, the shortest is taken. Options under a condition are not restricted.

    Args:
        longest: largest predicted duration of a trial, s.
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
        self._timed = [(each, seconds) for each in done if (seconds := duration(each)) is not None]
        return super().sample_relative(study, trial, search_space)

    def _optimize_acqf(self, acqf: Any, best_params: Any) -> Any:
        """The candidate, in the unit cube, of the largest acquisition function among those that are short."""
        space = acqf.search_space
        candidates = space.sample_normalized_params(CANDIDATES, self._rng.rng)
        if self._timed:
            timed = space.get_normalized_params([trial for trial, _ in self._timed])
            logarithms = np.log([seconds for _, seconds in self._timed])
            choices = [np.unique(each)[1:] for each in candidates.T[space.is_categorical]]
            known, new = (_columns(places, space.is_categorical, choices) for places in (timed, candidates))
            predicted = new @ np.linalg.lstsq(known, logarithms, rcond=None)[0]
            candidates = candidates[predicted <= max(math.log(self.longest), predicted.min())]
        parts = [candidates[start : start + AT_ONCE] for start in range(0, len(candidates), AT_ONCE)]
        return candidates[np.argmax(np.concatenate([acqf.eval_acqf_no_grad(part) for part in parts]))]


def _columns(
    places: Float[np.ndarray, "n d"], categorical: Bool[np.ndarray, " d"], choices: Sequence[np.ndarray]
) -> Float[np.ndarray, "n c"]:
    """What log(duration) is linear in: 1, each number, and for each choice but the first of a category 1 or 0."""
    each = [axis[:, None] == values for axis, values in zip(places.T[categorical], choices, strict=True)]
    return np.hstack([np.ones((len(places), 1)), places[:, ~categorical], *each])


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
