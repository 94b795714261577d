"""Section 4: operators from samples of fields and targets, at growing sizes of the training set (Fig. 2, 3)."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.study import Study
from morlight.analysis import model as prediction
from morlight.analysis.evaluation import walkers as evaluation

SIZES = {"small": (50, 100, 200), "paper": (800, 1600, 3200, 6400, 12800)}  # Table 1
HELD = {"small": 50, "paper": 1000}  # samples that no fit sees, the same for all sizes
WORDS = {"small": " --model.realizations 2 --model.iterations 40", "paper": ""}


@dataclass(frozen=True)
class Recipe:
    """A way to fit.

    Attributes:
        words: of `morlight fit`.
        title: what it is, for tables.
        curve: whether it is run at all sizes, or at the largest only.
    """

    words: str
    title: str
    curve: bool = False


def results(
    name: str, options: argparse.Namespace, recipes: Mapping[str, Recipe], points: int | None = None
) -> tuple[Study, Path, dict[str, dict[int, dict[str, Any]]]]:
    """All fits of a study; for each recipe and size the errors on the samples held out."""
    scale = options.scale
    study, sizes = Study(name, scale), SIZES[scale]
    total = sizes[-1] + HELD[scale]
    data = study.data(f"{name} --samples {total}" + (f" --points {points}" if points else ""))
    held = range(sizes[-1], total)

    def measure(model: prediction.Model) -> dict[str, Any]:
        return {"errors": evaluation.evaluate(model, data, held)["errors"]["operator"]["per_realization"]}

    found: dict[str, dict[int, dict[str, Any]]] = {}
    for key, recipe in recipes.items():
        for size in sizes if recipe.curve else sizes[-1:]:
            words = f"{recipe.words} --data.path {data} --data.trajectories {size}{WORDS[scale]}"
            found.setdefault(key, {})[size] = study.fit(f"{key}/{size}", words, measure)
    return study, data, found


def table(found: Mapping[str, Mapping[int, Mapping[str, Any]]], recipes: Mapping[str, Recipe]) -> str:
    """Relative errors of all recipes: median and range of the realisations, and seconds of the fit."""
    lines = ["| recipe | samples | median error | smallest | largest | seconds |", "|---|---|---|---|---|---|"]
    for key, sizes in found.items():
        for size, result in sizes.items():
            errors = np.array(result["errors"])
            numbers = f"{np.median(errors):.1e} | {errors.min():.1e} | {errors.max():.1e} | {result['seconds']:.0f}"
            lines.append(f"| {recipes[key].title} | {size} | {numbers} |")
    return "\n".join(lines)


def options(description: str | None, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Scale, and where the figure goes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--scale", choices=SIZES, default="small", help="small: a try in minutes; paper: all of it")
    parser.add_argument("--figure", type=Path, help="where to write the figure; into the study's folder if left out")
    return parser.parse_args(arguments)
