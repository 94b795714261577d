"""Figs. 4 to 6: Brownian walkers with and without biases.

`python -m experiments.studies.brownian --scale small|paper`
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from experiments.studies import brownian_figures as figures
from experiments.studies.brownian_trial import LOW, Trial, WaveErrors
from experiments.support.fits import Fit, Kept
from experiments.support.study import SCALE_HELP, SCALES, Scale, Study
from experiments.support.tables import table
from morlight.simulate.walkers import Walkers, brownian

SIZES: dict[Scale, Walkers] = {"small": Walkers(sets=20, walkers=20_000), "paper": Walkers()}  # Sec. 5.2.1
LEVELS: dict[str, list[str]] = {
    "none": [],
    "conservation": ["conservation"],
    "conservation and reflection": ["conservation", "reflection"],
}  # the columns of Fig. 4 and 6
RECIPES: dict[str, tuple[str, dict[str, Any]]] = {
    # a dissipative symbol conserves by itself: g is a plain network in all three columns
    "default": ("brownian", {"model.symbol": "plain"}),
    "paper": ("brownian_paper", {}),
}
COLUMNS: dict[str, Callable[[WaveErrors], Sequence[float]]] = {
    "square wave, t = 1": lambda errors: errors.square,
    "walkers, t = 1": lambda errors: errors.sample,
    "change of the total": lambda errors: errors.drift,
    "h for u < 0": lambda errors: errors.h_below,
    f"generator, κ ≤ {LOW}": lambda errors: errors.symbol,
}
Results = Mapping[str, Mapping[str, WaveErrors]]  # by recipe and level of bias


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit everything that is not there yet, draw Figs. 4 to 6 for both recipes, answer the claims of Sec. 5.2."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", choices=SCALES, default="small", help=SCALE_HELP)
    options = parser.parse_args(arguments)
    study = Study("brownian", options.scale, WaveErrors)
    data = study.data(brownian, SIZES[study.scale])
    trial = Trial(data)
    fits = {recipe: _fits(study, recipe, str(data), trial) for recipe in RECIPES}
    paths = []
    for recipe, levels in fits.items():
        models = {level: kept.model for level, kept in levels.items()}
        for figure, draw in (("fig4", figures.profiles), ("fig5", figures.totals), ("fig6", figures.networks)):
            paths.append(study.folder / f"brownian_{figure}_{recipe}.png")
            draw(models, trial, paths[-1])
    results = {recipe: {level: kept.measured for level, kept in levels.items()} for recipe, levels in fits.items()}
    study.publish(f"{error_table(results)}\n\n{claims(results)}", *paths)


def _fits(study: Study[WaveErrors], recipe: str, data: str, trial: Trial) -> dict[str, Kept[WaveErrors]]:
    """One recipe at all levels of bias."""
    config, settings = RECIPES[recipe]
    return {
        level: study.fit(f"{recipe}/{level}", Fit(config, data, {**settings, "model.biases": biases}), trial.measure)
        for level, biases in LEVELS.items()
    }


def error_table(results: Results) -> str:
    """Median and range of the realizations, for both recipes and all levels of bias."""
    rows = []
    for recipe, levels in results.items():
        for level, errors in levels.items():
            columns = [column(errors) for column in COLUMNS.values()]
            cells = [f"{np.median(values):.2g} ({min(values):.2g}…{max(values):.2g})" for values in columns]
            rows.append((recipe, level, *cells))
    return table(["recipe", "biases", *COLUMNS], rows)


def claims(results: Results) -> str:
    """What the text of Sec. 5.2.2 says, against the paper's recipe and ours."""
    none, kept, odd = LEVELS

    def medians(pick: Callable[[WaveErrors], Sequence[float]]) -> dict[str, dict[str, float]]:
        return {recipe: {level: float(np.median(pick(each))) for level, each in levels.items()}
                for recipe, levels in results.items()}  # fmt: skip

    drift, below, square, symbol = (
        medians(pick) for pick in (lambda e: e.drift, lambda e: e.h_below, lambda e: e.square, lambda e: e.symbol)
    )

    def row(claim: str, values: dict[str, dict[str, float]], levels: Sequence[str],
            holds: Callable[[dict[str, float]], bool]) -> tuple[str, str, str]:  # fmt: skip
        numbers = "; ".join(f"{r}: {' → '.join(f'{v[level]:.2g}' for level in levels)}" for r, v in values.items())
        return claim, numbers, "; ".join(f"{r}: {'yes' if holds(v) else 'no'}" for r, v in values.items())

    rows = [
        row("without biases the total drifts (over 1 % of rms u within t = 1)",
            drift, [none], lambda v: v[none] > 0.01),
        row("conservation removes the drift (to rounding, where u stays bounded)",
            drift, [none, kept], lambda v: v[kept] < 1e-12),
        row("reflection corrects h for u < 0 (at least tenfold)",
            below, [kept, odd], lambda v: v[odd] < 0.1 * v[kept]),
        row("and therefore the square wave (at least twofold)",
            square, [kept, odd], lambda v: v[odd] < 0.5 * v[kept]),
        row(f"g is good at κ ≤ {LOW} with any biases (generator within 10 %)",
            symbol, [none, kept, odd], lambda v: max(v.values()) < 0.1),
    ]  # fmt: skip
    return table(["claim of Sec. 5.2", "medians", "holds"], rows)


if __name__ == "__main__":
    main()
