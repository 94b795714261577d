"""The search of Eq. 35 over Table 4, and the optimum that it leaves."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import morlight
from experiments.support.study import Scale
from morlight.data.trajectory_file import digest
from morlight.sweep.figures import figures
from morlight.sweep.plan import Plan
from morlight.sweep.run import run
from morlight.sweep.study import DONE
from morlight.training.configurations import located


@dataclass(frozen=True)
class Optimum:
    """The best trial of a search.

    Attributes:
        value: of the objective.
        trials: that were made.
        settings: of the trial, for `morlight.fit`.
    """

    value: float
    trials: int
    settings: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> "Optimum | None":
        """The optimum that a search left in its folder; None where there was none."""
        path = folder / "optimum.json"
        return cls(**json.loads(path.read_text())) if path.exists() else None

    def write(self, folder: Path) -> None:
        """Leave it in the folder of the search."""
        (folder / "optimum.json").write_text(json.dumps(asdict(self), indent=1))


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
    done = study.get_trials(deepcopy=False, states=DONE)
    optimum = Optimum(study.best_value, len(done), plan.settings(study.best_params))
    optimum.write(folder)
    return optimum
