"""Figures of a study as Optuna draws them: history, importances, slices, or the Pareto front."""

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState
from optuna.visualization import matplotlib as drawing

from morlight.analysis import plots


def figures(study: optuna.Study, folder: Path) -> list[Path]:
    """Draw what the finite trials of a study allow; the files."""
    known = _finite(study)
    if len(known.trials) < 2:
        return []
    with warnings.catch_warnings(), plots.styled():
        warnings.simplefilter("ignore")  # of matplotlib, about axes on which all trials have one value
        return _drawn(known, ", ".join(study.user_attrs["plan"]["objective"]), folder)


def _drawn(known: optuna.Study, objective: str, folder: Path) -> list[Path]:
    if len(known.directions) > 1:
        axes: dict[str, Any] = {"pareto": drawing.plot_pareto_front(known)}
    else:
        axes = {
            "history": drawing.plot_optimization_history(known, target_name=objective),
            "slices": drawing.plot_slice(known, target_name=objective),
        }
        if any(len({trial.params.get(key) for trial in known.trials}) > 1 for key in known.trials[0].params):
            axes["importances"] = drawing.plot_param_importances(known, target_name=objective)
    values = [trial.values[0] for trial in known.trials]
    paths = []
    for name, drawn in axes.items():
        first = np.ravel(np.asarray(drawn, dtype=object))[0]
        if name in ("history", "slices") and min(values) > 0 and max(values) > 100 * min(values):
            first.set_yscale("log")  # else some that diverged hide all others
        paths.append(folder / f"{name}.png")
        plots.keep(first.figure, paths[-1])
    return paths


def _finite(study: optuna.Study) -> optuna.Study:
    """A copy without the trials that came to nothing."""
    copy = optuna.create_study(directions=study.directions)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        if all(map(math.isfinite, trial.values)):
            copy.add_trial(trial)
    return copy
