"""The search of Eq. 35 over Table 4, and what it leaves: from there, it goes on in another checkout."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna

import morlight
from experiments.support import results
from experiments.support.study import Scale
from morlight.data.trajectory_file import digest
from morlight.sweep.figures import figures
from morlight.sweep.plan import Plan
from morlight.sweep.run import run
from morlight.sweep.study import DONE, Known
from morlight.tracking.store import connect
from morlight.training.configurations import located


@dataclass(frozen=True)
class Optimum:
    """The best trial of a search, and how good the others are.

    Attributes:
        value: of the objective.
        trials: that were made.
        quartiles: of the objective over all trials.
        settings: of the best trial, for `morlight.fit`.
        data: digest of the data.
        ceiling: the objective that the exact equation would have, since the held-out averages are noisy; None if it
            is not known.
        each: every trial, in the order of the queue; empty where they were not kept.
    """

    value: float
    trials: int
    quartiles: tuple[float, float, float]
    settings: Mapping[str, Any]
    data: str
    ceiling: float | None = None
    each: tuple[Known, ...] = ()

    @classmethod
    def of(cls, plan: Plan, study: optuna.Study, data: str) -> "Optimum":
        """That of a study so far."""
        done = sorted(study.get_trials(deepcopy=False, states=DONE), key=lambda trial: trial.user_attrs["slot"])
        each = tuple(map(Known.of, done))
        low, median, high = np.quantile([trial.value for trial in each], (0.25, 0.5, 0.75)).tolist()
        settings = plan.settings(study.best_params)
        return cls(study.best_value, len(done), (low, median, high), settings, data, each=each)

    @classmethod
    def read(cls, system: str, scale: Scale, folder: Path) -> "Optimum | None":
        """The optimum that a search has left; None where there was none."""
        path = _file(system, scale, folder)
        if not path.exists():
            return None
        plain = json.loads(path.read_text(encoding="utf-8"))
        each = tuple(Known(*trial) for trial in plain["each"])
        return cls(**{**plain, "quartiles": tuple(plain["quartiles"]), "each": each})

    def write(self, system: str, scale: Scale, folder: Path) -> None:
        """Keep it: at the scale of the paper with the results in the repository, else in the folder of the search."""
        path = _file(system, scale, folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(self), separators=(",", ":"))
        path.write_text(text.replace("],[", "],\n[") + "\n", encoding="utf-8")


def ceiling(study: optuna.Study) -> float | None:
    """Noise ceiling of the objective, as the runs of the study have logged it; None if no run is here."""
    runs = [trial.user_attrs["run_id"] for trial in study.get_trials(states=DONE) if "run_id" in trial.user_attrs]
    logged = (connect().get_run(run).data.metrics.get("noise_ceiling/eq35") for run in runs)
    return next((value for value in logged if value is not None), None)


def _file(system: str, scale: Scale, folder: Path) -> Path:
    return results.FOLDER / f"search_{system}.json" if scale == "paper" else folder / "optimum.json"


def search(system: str, data: str, trials: int, scale: Scale, folder: Path) -> Optimum:
    """Search, and leave the optimum and the figures of Optuna in a folder.

    Args:
        system: lj or colloid, whose plan is the packaged configuration sweeps/SYSTEM.
        data: trajectory file or shipped set.
        trials: number of fits.
        scale: at the small one, a few epochs each.
        folder: of the results.

    The search goes on from the trials that were kept for the same data.
    """
    known = digest(morlight.open(data).path)  # the values of trials on other data cannot be compared
    plan = Plan.read(located(f"sweeps/{system}"), name=f"{system}_{scale}_{known}", trials=trials)
    plan = dataclasses.replace(plan, set={**plan.set, "data.path": data})
    if scale == "small":
        few = [
            dataclasses.replace(each, low=2, high=10) if each.key == "trainer.max_epochs" else each
            for each in plan.space
        ]
        plan = dataclasses.replace(plan, space=tuple(few))
    before = Optimum.read(system, scale, folder)
    before = before if before is not None and before.data == known else None
    study = run(plan, () if before is None else before.each)
    folder.mkdir(exist_ok=True)
    figures(study, folder)
    noise = ceiling(study)
    noise = before.ceiling if noise is None and before is not None else noise
    optimum = dataclasses.replace(Optimum.of(plan, study, known), ceiling=noise)
    optimum.write(system, scale, folder)
    return optimum
