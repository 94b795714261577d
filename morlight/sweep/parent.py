"""The sweep as an MLflow run, parent of one run a trial."""

import time
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import TrialState

from morlight.sweep.plan import Plan
from morlight.tracking.provenance import provenance
from morlight.tracking.sweep_run import SweepRun

PATIENCE = 30.0  # s that a worker waits for the one that makes the run


class Parent:
    """The run of the sweep, made by the first worker.

    Args:
        plan: of the sweep.
        study: where the identity of the run is kept.
        base: whole base configuration, keys joined by dots.
    """

    def __init__(self, plan: Plan, study: optuna.Study, base: Mapping[str, Any]) -> None:
        self.plan, self.study = plan, study
        self.run = SweepRun(str(base["experiment"]), plan.name)

    def begin(self, *, new: bool) -> None:
        """Make the run, or find it."""
        deadline = time.monotonic() + PATIENCE
        while not new and "run_id" not in self.study.user_attrs and time.monotonic() < deadline:
            time.sleep(0.2)
        known = self.study.user_attrs.get("run_id")
        if known is None:
            known = self.run.create(self._params(), {"sweep.yaml": self.plan.text()}, self._tags())
            self.study.set_user_attr("run_id", known)
        self.run.open(known)

    def _tags(self) -> dict[str, str]:
        plan = self.plan
        goal = " and ".join(f"{way} {name}" for way, name in zip(plan.direction, plan.objective, strict=True))
        note = (
            f"Sweep of `{plan.config.name}` over {', '.join(f'`{d.key}`' for d in plan.space)} to {goal}.\n\n"
            f"`objective` is the best value, `trials/objective` the value of each trial."
            f" All trials: `morlight compare {self.run.experiment} --sweep {plan.name}`"
        )
        return provenance() | {"mlflow.note.content": note}

    def _params(self) -> dict[str, str]:
        plan = self.plan
        space = {f"space.{d.key}": str(d.given()) for d in plan.space}
        return space | {
            "objective": ", ".join(plan.objective), "direction": ", ".join(plan.direction),
            "sampler": plan.sampler, "pruner": plan.pruner,
            "config": plan.config.name, "seed": str(plan.seed),
        }  # fmt: skip

    def tags(self, slot: int) -> dict[str, str]:
        """Of the run of a trial."""
        return {"mlflow.parentRunId": self.run.run_id, "sweep": self.plan.name, "trial": str(slot)}

    def metrics(self, trial: optuna.Trial) -> dict[str, float]:
        """Last metrics of the run of a trial, as the store has them."""
        return self.run.metrics(trial.user_attrs["run_id"])

    def tell(self, trial: optuna.Trial, values: list[float], *, pruned: bool) -> None:
        """Keep the objective with the trial and, over the number of the trial, with the sweep."""
        names = ["objective"] if len(values) == 1 else [f"objective/{name}" for name in self.plan.objective]
        found = dict(zip(names, values, strict=True))
        tags = {"pruned": "true"} if pruned else {}
        self.run.tell(trial.user_attrs["run_id"], trial.user_attrs["slot"], found, tags)

    def mark(self, trial: optuna.Trial, word: str, why: str) -> None:
        """Tag the run of a trial that came to nothing."""
        if "run_id" in trial.user_attrs:
            self.run.mark(trial.user_attrs["run_id"], {word: why})

    def end(self) -> None:
        """Numbers, best trial; finished where all trials are."""
        trials = self.study.get_trials(deepcopy=False)
        done = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
        running = any(t.state == TrialState.RUNNING for t in trials)
        counts = {
            "trials/finished": float(len(done)),
            "trials/pruned": float(sum(t.state == TrialState.PRUNED for t in trials)),
            "trials/diverged": float(sum("diverged" in t.user_attrs for t in done)),
            "trials/refused": float(sum("refused" in t.user_attrs for t in done)),
        }
        best: dict[str, str] = {}
        if len(self.plan.objective) == 1 and any(t.state == TrialState.COMPLETE for t in trials):
            winner = self.study.best_trial
            counts["objective"] = winner.values[0]
            best = {"best.run_id": winner.user_attrs.get("run_id", ""), "best.trial": str(winner.user_attrs["slot"])}
            best |= {f"best.{key}": str(value) for key, value in winner.params.items()}
        status = "RUNNING" if running else "FINISHED" if len(done) >= self.plan.total else "KILLED"
        self.run.end(counts, best, status)
