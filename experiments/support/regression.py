"""Section 4: operators from samples of fields and targets, at growing sizes of the training set (Fig. 2, 3)."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from experiments.support.fits import Fit, Kept
from experiments.support.study import SCALE_HELP, SCALES, Scale, Simulation, Study
from experiments.support.tables import table
from morlight.analysis.evaluation.evaluate import evaluate
from morlight.analysis.model import Model
from morlight.data.trajectory_file import TrajectoryFile
from morlight.simulate.random_fields import Fields

SIZES: dict[Scale, tuple[int, ...]] = {"small": (50, 100, 200), "paper": (800, 1600, 3200, 6400, 12800)}  # Table 1
HELD_OUT: dict[Scale, int] = {"small": 50, "paper": 1000}  # samples that no fit sees, the same for all sizes
FEW: dict[Scale, dict[str, Any]] = {"small": {"model.realizations": 2, "model.iterations": 40}, "paper": {}}
SCALED = {  # what the paper's networks see as it is, of order one
    "model.field_scaling": True,
    "model.wavenumber_scaling": True,
    "model.complex_isotropy": False,
    "model.initial_slope": "positive",
    "model.field_weights": "rms",
}
SCHEDULE = {"model.lr": 0.01, "model.decay": True}
WIDE = {"model.width": 8, "model.activation": "tanh"}


@dataclass(frozen=True)
class Recipe:
    """A way to fit.

    Attributes:
        config: packaged configuration.
        title: what it is, for tables.
        settings: changes of the configuration.
        curve: whether it is run at all sizes, or at the largest only.
    """

    config: str
    title: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    curve: bool = False


@dataclass(frozen=True)
class OperatorErrors:
    """‖Lu − f‖ / ‖f‖ over the samples held out, of every realization."""

    errors: Sequence[float]


Curve = Mapping[int, Kept[OperatorErrors]]  # by the size of the training set


def curves(
    study: Study[OperatorErrors], recipes: Mapping[str, Recipe], simulate: Simulation, points: int
) -> tuple[Path, dict[str, Curve]]:
    """The data, and all fits of a study for each recipe and size."""
    sizes = SIZES[study.scale]
    total = sizes[-1] + HELD_OUT[study.scale]
    data = study.data(simulate, Fields(samples=total, points=points))

    def measure(model: Model) -> OperatorErrors:
        return OperatorErrors(evaluate(model, data, range(sizes[-1], total)).errors["operator"].per_realization)

    def curve(key: str, recipe: Recipe) -> Curve:
        return {
            size: study.fit(f"{key}/{size}", _fit(recipe, data, size, study.scale), measure)
            for size in (sizes if recipe.curve else sizes[-1:])
        }

    return data, {key: curve(key, recipe) for key, recipe in recipes.items()}


def _fit(recipe: Recipe, data: Path, size: int, scale: Scale) -> Fit:
    return Fit(recipe.config, str(data), {**recipe.settings, "data.trajectories": size, **FEW[scale]})


def error_table(results: Mapping[str, Curve], recipes: Mapping[str, Recipe]) -> str:
    """Relative errors of all recipes: median and range of the realizations, and seconds of the fit."""
    rows = []
    for key, curve in results.items():
        for size, kept in curve.items():
            errors = np.array(kept.measured.errors)
            numbers = (f"{np.median(errors):.1e}", f"{errors.min():.1e}", f"{errors.max():.1e}")
            rows.append((recipes[key].title, str(size), *numbers, f"{kept.seconds:.0f}"))
    return table(["recipe", "samples", "median error", "smallest", "largest", "seconds"], rows)


def last_sample(data: Path) -> tuple[TrajectoryFile, np.ndarray, np.ndarray]:
    """The file, and u and its target of the last sample, which is held out."""
    file = TrajectoryFile.open(data)
    last = slice(file.trajectories - 1, file.trajectories)
    u, target = file.read(["u", "target"], last, slice(1))[0, 0].astype(np.float64)
    return file, u, target


def options(description: str | None, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Scale, and where the figure goes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--scale", choices=SCALES, default="small", help=SCALE_HELP)
    parser.add_argument("--figure", type=Path, help="where to write the figure; into the study's folder by default")
    return parser.parse_args(arguments)
