"""The study of a sweep: created by the first worker, joined by the others, its trials waiting in a queue."""

import copy
import json
import time
from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial, FixedTrial, FrozenTrial, TrialState

from morlight.sweep.common import Common
from morlight.sweep.plan import Dimension, Plan
from morlight.sweep.storage import open_storage

JOINING = 30.0  # s that a worker gives the first one to set the study up
DONE = (TrialState.COMPLETE, TrialState.PRUNED)


def open_study(plan: Plan, common: Common) -> tuple[optuna.Study, bool]:
    """The study of this name, and whether it is new.

    Raises:
        ValueError: the storage cannot be reached, or the study is one of another search space, of other settings or
            of other data.
    """
    storage = open_storage(plan.storage, plan.name, plan.heartbeat)
    directions = [optuna.study.StudyDirection[way.upper()] for way in plan.direction]
    try:
        study = optuna.create_study(storage=storage, study_name=plan.name, directions=directions)
        return study, True
    except optuna.exceptions.DuplicatedStudyError:
        study = optuna.load_study(storage=storage, study_name=plan.name)
    deadline = time.monotonic() + JOINING
    while "plan" not in study.user_attrs and time.monotonic() < deadline:
        time.sleep(0.2)
    if "plan" not in study.user_attrs:  # the first worker has died over it
        return study, True
    known, ours = study.user_attrs["plan"], common.signature(plan)
    _compare(known, ours, plan)
    if "settings" not in known:  # of an older version
        study.set_user_attr("plan", ours)
    return study, False


def _compare(known: Mapping[str, Any], ours: Mapping[str, Any], plan: Plan) -> None:
    place = f"study '{plan.name}' in {plan.storage or 'its journal file'}"
    for part in ("objective", "direction"):
        if known[part] != ours[part]:
            raise ValueError(f"{place} has {part} {known[part]}, not {ours[part]}; choose another name or storage")
    for key in sorted(set(known["space"]) | set(ours["space"])):
        there, here = known["space"].get(key), ours["space"].get(key)
        if there != here:
            raise ValueError(
                f"{place} has another search space: {key} is {json.dumps(there)} there, {json.dumps(here)} here;"
                " choose another name or storage"
            )
    before, now = known.get("settings", {}), ours["settings"]  # an older version kept none
    for key in sorted(set(before) & set(now)):
        if before[key] != now[key]:
            raise ValueError(
                f"{place} has trials with {key} {json.dumps(before[key])}, not {json.dumps(now[key])}, which cannot be"
                " compared; choose another name or storage"
            )
    if known.get("digest", ours["digest"]) != ours["digest"]:
        raise ValueError(
            f"{place} has trials on other data than data.path contains now, which cannot be compared; choose another"
            " name or storage"
        )


def add(study: optuna.Study, plan: Plan, known: Sequence[tuple[float, Mapping[str, Any]]]) -> None:
    """Trials that were made elsewhere, by their objective and parameters, in the first places of the queue."""
    for slot, (value, params) in enumerate(known):
        trial = FixedTrial(dict(params))
        suggest(trial, plan.space)
        space, slots = trial.distributions, {"slot": slot}
        study.add_trial(optuna.create_trial(value=value, params=trial.params, distributions=space, user_attrs=slots))


def fill(study: optuna.Study, plan: Plan) -> None:
    """Queue what is missing to the number of trials, and take back what is too much."""
    points = plan.grid() if plan.sampler == "grid" else None
    taken: set[int] = set()
    for trial in study.get_trials(deepcopy=False):
        slot = trial.user_attrs["slot"]
        if trial.state == TrialState.WAITING and slot >= plan.total:
            study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        elif trial.state != TrialState.FAIL:
            taken.add(slot)
    for slot in sorted(set(range(plan.total)) - taken):
        system = {} if points is None else {"fixed_params": _internal(plan, points[slot])}
        waiting = optuna.trial.create_trial(state=TrialState.WAITING, user_attrs={"slot": slot}, system_attrs=system)
        study.add_trial(waiting)


def _internal(plan: Plan, point: Mapping[str, Any]) -> dict[str, Any]:
    of = {dimension.key: dimension for dimension in plan.space}
    return {key: _text(value) if of[key].choices else value for key, value in point.items()}


def superfluous(study: optuna.Study, trial: optuna.Trial) -> bool:
    """Whether another trial has the same place in the queue: two workers have filled it at the same time."""
    slot = trial.user_attrs["slot"]
    return any(
        other.user_attrs["slot"] == slot and other.number < trial.number and other.state != TrialState.FAIL
        for other in study.get_trials(deepcopy=False)
    )


def requeue(study: optuna.Study, number: int, retries: int) -> bool:
    """Queue a trial that failed again, to go on where it stopped; False where it has failed too often."""
    failed = study.trials[number]
    waiting = len(study.get_trials(deepcopy=False))
    optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=retries)(study, failed)
    return len(study.get_trials(deepcopy=False)) > waiting


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


class Seeded(optuna.samplers.BaseSampler):
    """A sampler whose random numbers belong to the place of a trial in the queue, whichever worker takes it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.inner: optuna.samplers.BaseSampler = optuna.samplers.RandomSampler()

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Begin anew with the numbers of this trial."""
        seed = int(np.random.SeedSequence((self.plan.seed, trial.user_attrs["slot"])).generate_state(1)[0])
        if self.plan.sampler == "gp":
            self.inner = optuna.samplers.GPSampler(seed=seed, n_startup_trials=10, warn_independent_sampling=False)
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


def suggest(trial: BaseTrial, space: tuple[Dimension, ...]) -> dict[str, Any]:
    """Values of the active dimensions."""
    values: dict[str, Any] = {}
    for dimension in space:
        if dimension.active(values):
            values[dimension.key] = _suggest(trial, dimension)
    return values


def _suggest(trial: BaseTrial, dimension: Dimension) -> Any:
    if dimension.choices:
        known = {_text(choice): choice for choice in dimension.choices}
        return known[trial.suggest_categorical(dimension.key, list(known))]
    low, high = dimension.low, dimension.high
    if dimension.whole:
        assert isinstance(low, int)
        assert isinstance(high, int)
        return trial.suggest_int(dimension.key, low, high, step=int(dimension.step or 1), log=dimension.log)
    assert low is not None
    assert high is not None
    return trial.suggest_float(dimension.key, low, high, step=dimension.step, log=dimension.log)


def _text(choice: Any) -> Any:
    """A category as Optuna keeps it: lists and mappings as JSON."""
    return choice if isinstance(choice, str | int | float | bool | None) else json.dumps(choice)
