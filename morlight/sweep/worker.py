"""One worker: takes trials from the queue, fits, tells the study; goes on until nothing waits and nothing runs."""

import math
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.storages._heartbeat import get_heartbeat_thread
from optuna.trial import TrialState

from morlight.analysis.model import load
from morlight.sweep import study as studies
from morlight.sweep.common import Common, other_settings
from morlight.sweep.parent import Parent
from morlight.sweep.plan import Plan
from morlight.sweep.processes import other_processes
from morlight.sweep.storage import RETRIES, QueueEmpty
from morlight.tracking.store import StoreUnavailable
from morlight.training import fit
from morlight.training.callbacks.guard import Diverged
from morlight.training.callbacks.pruning import Pruning
from morlight.training.resume import OtherData
from morlight.training.settings import from_mapping

ALL_REFUSED = 3  # trials after which a sweep ends where no trial could be fitted
PAUSE = 2.0  # s before the next trial after a failure that has nothing to do with the values tried


class Hopeless(Exception):
    """What no other trial of the sweep would do better."""


@dataclass
class Worker:
    """A process at work on a study.

    Args:
        plan: of the sweep.
        study: Optuna's.
        parent: run of the sweep.
        common: what the fits of all trials have in common.
    """

    plan: Plan
    study: optuna.Study
    parent: Parent
    common: Common
    _pruned: bool = field(default=False, init=False)

    def work(self) -> None:
        """Until the queue is empty and no trial runs elsewhere that could come back."""
        while True:
            optuna.storages.fail_stale_trials(self.study)
            try:
                trial = self.study.ask()
            except QueueEmpty:
                if not self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                    return
                time.sleep(min(PAUSE, self.plan.heartbeat / 2))
                continue
            if studies.superfluous(self.study, trial):
                self._tell(trial, state=TrialState.FAIL)
                continue
            with get_heartbeat_thread(trial._trial_id, self.study._storage):
                self._run(trial)

    def _run(self, trial: optuna.Trial) -> None:
        """One trial, whatever becomes of it."""
        started = time.monotonic()
        slot = trial.user_attrs["slot"]
        try:
            values = self._fit(trial)
        except KeyboardInterrupt as error:
            self._again(trial, "interrupted", told=False)
            raise KeyboardInterrupt from error  # without the advice for a single fit
        except Diverged as error:
            self._bad(trial, "diverged", error)
        except StoreUnavailable as error:
            self._again(trial, str(error))
        except ValueError as error:
            self._refused(trial, error)
        except Hopeless:
            self._tell(trial, state=TrialState.FAIL)
            raise
        except Exception as error:  # a full disk, memory that is used up, a driver: the next trial may well do
            self._again(trial, f"{type(error).__name__}: {error}")
        else:
            seconds = time.monotonic() - started
            if not all(abs(value) <= self.plan.limit for value in values):
                self._bad(trial, "diverged", f"{self._named(values)}, beyond {self.plan.limit:g}")
                return
            self.parent.tell(trial, values, pruned=self._pruned)
            if self._pruned:
                self._tell(trial, state=TrialState.PRUNED)
            else:
                self._tell(trial, values)
            self._say(slot, f"{self._named(values)}{', pruned' if self._pruned else ''} in {seconds:.1f} s")

    def _refused(self, trial: optuna.Trial, error: ValueError) -> None:
        """Mark values that do not go together; the sweep ends if the base configuration or the data have changed."""
        change = str(error) if isinstance(error, OtherData) else self.common.change(self.plan)
        if change is not None:
            self._tell(trial, state=TrialState.FAIL)
            raise Hopeless(change) from error
        self._bad(trial, "refused", error)
        self._all_refused(error)

    def _fit(self, trial: optuna.Trial) -> list[float]:
        """Objective values of a fit with the values that the study suggests."""
        plan, known = self.plan, trial.user_attrs
        values = studies.suggest(trial, plan.space)
        try:
            chosen = plan.settings(values, self.common.settings)
        except ValueError as error:
            raise Hopeless(str(error)) from error
        changes = plan.changes(chosen, f"{plan.name}-{known['slot']:03d}") | _checkpoint(known.get("folder"))
        settings = from_mapping(changes, plan.config)
        if (key := self.common.changed(settings.to_flat(), chosen)) is not None:
            raise Hopeless(other_settings(plan, key))
        self._pruned = False
        pruned = plan.pruner != "none"
        callbacks = [Pruning(lambda *seen: self._verdict(trial, *seen))] if pruned else []
        part = fit.Trial(
            tags=self.parent.tags(known["slot"]),
            run_id=known.get("run_id"),
            searched=[dimension.key for dimension in plan.space],
            digest=self.common.digest,
            started=lambda run_id, folder: self._started(trial, run_id, folder),
        )
        with other_processes(settings, watched=pruned):
            result = fit.run(settings, fit.Extensions(callbacks=callbacks), part)
        return [self._objective(name, result.metrics, trial) for name in plan.objective]

    @staticmethod
    def _started(trial: optuna.Trial, run_id: str, folder: Path) -> None:
        trial.set_user_attr("run_id", run_id)
        trial.set_user_attr("folder", str(folder.absolute()))

    def _verdict(self, trial: optuna.Trial, epoch: int, metrics: Mapping[str, Any]) -> bool:
        """Whether the pruner gives a trial up."""
        if self.plan.watch not in metrics:
            known = ", ".join(sorted(name for name in metrics if "/" in name))
            raise Hopeless(f"watch is {self.plan.watch}, expected a metric of each epoch: {known}")
        trial.report(float(metrics[self.plan.watch]), epoch)
        self._pruned = bool(trial.should_prune())
        return self._pruned

    def _objective(self, name: str, metrics: Mapping[str, float], trial: optuna.Trial) -> float:
        """A metric of the fit, or the median of an error over the realizations; else one of its run in the store."""
        plain = name.replace("=", "_")
        for read in (lambda: metrics, lambda: self.parent.metrics(trial)):
            known = read()
            for word in (name, f"{name}/median", plain, f"{plain}/median"):
                if word in known:
                    return known[word]
        shown = ", ".join(sorted({word.removesuffix("/median") for word in metrics if word.endswith("/median")}))
        raise Hopeless(f"objective is {name}, which the fits do not log; they log {shown}")

    def _again(self, trial: optuna.Trial, why: str, told: bool = True) -> None:
        """A failure that is not of the values' making: queue the trial again."""
        self._tell(trial, state=TrialState.FAIL)
        queued = studies.requeue(self.study, trial.number, RETRIES)
        if told:
            end = "goes on from its checkpoint later" if queued else f"is given up after {RETRIES} retries"
            self._say(trial.user_attrs["slot"], f"{why.partition(chr(10))[0]}; {end}")
            time.sleep(PAUSE)

    def _bad(self, trial: optuna.Trial, word: str, why: object) -> None:
        """A trial that cannot be compared: the worst there is, so that the sampler keeps away."""
        worst = [math.inf if way == "minimize" else -math.inf for way in self.plan.direction]
        sentence = " ".join(str(why).split())
        trial.set_user_attr(word, sentence)
        self.parent.mark(trial, word, sentence)
        self._tell(trial, worst)
        self._say(trial.user_attrs["slot"], f"{word}: {sentence}")

    def _all_refused(self, error: BaseException) -> None:
        done = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        if len(done) >= ALL_REFUSED and all("refused" in trial.user_attrs for trial in done):
            raise Hopeless(f"none of {len(done)} trials could be fitted; the last one: {' '.join(str(error).split())}")

    def _tell(self, trial: optuna.Trial, values: list[float] | None = None, state: TrialState | None = None) -> None:
        """Told once: a worker that was taken for dead finds its trial with another one."""
        with suppress(optuna.exceptions.UpdateFinishedTrialError, ValueError):
            self.study.tell(trial, values, state)

    def _named(self, values: list[float]) -> str:
        return ", ".join(f"{name} = {value:.4g}" for name, value in zip(self.plan.objective, values, strict=True))

    def _say(self, slot: int, text: str) -> None:
        done = self.study.get_trials(deepcopy=False, states=studies.DONE)
        print(f"{self.plan.name}, trial {slot}: {text} ({len(done)} of {self.plan.total})", file=sys.stderr, flush=True)


def _checkpoint(folder: str | None) -> dict[str, str]:
    """Where a trial that was begun before goes on."""
    path = Path(folder or "") / "last.ckpt"
    if folder is None or not path.is_file():
        return {}
    try:
        load(path)
    except ValueError:
        return {}
    return {"ckpt_path": str(path)}
