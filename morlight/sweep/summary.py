"""What a sweep has found, as plain values and as lines."""

import math
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from morlight.sweep.plan import Plan


def summary(plan: Plan, study: optuna.Study) -> dict[str, Any]:
    """Counts, and the best trials: one, or those of the Pareto front."""
    trials = study.get_trials(deepcopy=False)
    done = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    good = [t for t in done if t.state == TrialState.COMPLETE and all(map(math.isfinite, t.values))]
    front = study.best_trials if len(plan.objective) > 1 else [study.best_trial] if good else []
    return {
        "sweep": plan.name,
        "objective": list(plan.objective),
        "trials": len(done),
        "pruned": sum(t.state == TrialState.PRUNED for t in done),
        "diverged": sum("diverged" in t.user_attrs for t in done),
        "refused": sum("refused" in t.user_attrs for t in done),
        "best": [_told(plan, trial) for trial in front if trial in good],
    }


def _told(plan: Plan, trial: FrozenTrial) -> dict[str, Any]:
    return {
        "trial": trial.user_attrs["slot"],
        "run_id": trial.user_attrs.get("run_id"),
        "values": dict(zip(plan.objective, trial.values, strict=True)),
        "params": trial.params,
    }


def lines(found: dict[str, Any]) -> str:
    """For the person at the keyboard."""
    told = [
        f"{found['sweep']}: {found['trials']} trials, of which {found['pruned']} pruned, {found['diverged']} diverged,"
        f" {found['refused']} refused"
    ]
    for trial in found["best"]:
        values = ", ".join(f"{name} = {value:.4g}" for name, value in trial["values"].items())
        params = ", ".join(f"{key} = {_short(value)}" for key, value in trial["params"].items())
        told.append(f"best: {values} with {params}; runs:/{trial['run_id']}")
    return "\n".join(told)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
