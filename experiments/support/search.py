"""The search of Eq. 35 over Table 4, and the optimum that it leaves."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import morlight
from experiments.support import results
from experiments.support.study import Scale
from morlight.data.trajectory_file import digest
from morlight.sweep.figures import figures
from morlight.sweep.plan import Plan
from morlight.sweep.run import run
from morlight.sweep.study import DONE
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
    """

    value: float
    trials: int
    quartiles: tuple[float, float, float]
    settings: Mapping[str, Any]
    data: str

    @classmethod
    def read(cls, system: str, scale: Scale, folder: Path) -> "Optimum | None":
        """The optimum that a search has left; None where there was none."""
        path = _file(system, scale, folder)
        if not path.exists():
            return None
        plain = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**plain, "quartiles": tuple(plain["quartiles"])})

    def write(self, system: str, scale: Scale, folder: Path) -> None:
        """Keep it: at the scale of the paper with the results in the repository, else in the folder of the search."""
        path = _file(system, scale, folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


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
    study = run(plan)
    folder.mkdir(exist_ok=True)
    figures(study, folder)
    values = [trial.values[0] for trial in study.get_trials(deepcopy=False, states=DONE)]
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    settings = plan.settings(study.best_params)
    optimum = Optimum(study.best_value, len(values), (low, median, high), settings, known)
    optimum.write(system, scale, folder)
    return optimum
