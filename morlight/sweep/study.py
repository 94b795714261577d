"""The study of a sweep: created by the first worker, joined by the others, its trials waiting in a queue."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import optuna
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


class Known(NamedTuple):
    """A trial that was made elsewhere.

    Attributes:
        value: of the objective.
        params: its values of the search space.
        seconds: its duration; None if it is not known.
    """

    value: float
    params: Mapping[str, Any]
    seconds: float | None

    @classmethod
    def of(cls, trial: FrozenTrial) -> "Known":
        """A trial that has ended."""
        return cls(trial.values[0], trial.params, duration(trial))


def duration(trial: FrozenTrial) -> float | None:
    """Seconds that a trial took; None if it was continued, diverged or was refused, or if nobody has measured it."""
    whole = "failed_trial" not in trial.system_attrs and all(map(math.isfinite, trial.values or ()))
    if trial.duration is None or not whole:
        return None
    return round(trial.duration.total_seconds(), 1) or None


def add(study: optuna.Study, plan: Plan, known: Sequence[Known]) -> None:
    """Trials that were made elsewhere, in the first places of the queue."""
    for slot, (value, params, seconds) in enumerate(known):
        fixed = FixedTrial(dict(params))
        suggest(fixed, plan.space)
        space, slots = fixed.distributions, {"slot": slot}
        trial = optuna.create_trial(value=value, params=fixed.params, distributions=space, user_attrs=slots)
        trial.datetime_complete = datetime.now()
        trial.datetime_start = trial.datetime_complete - timedelta(seconds=seconds or 0)
        study.add_trial(trial)


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
