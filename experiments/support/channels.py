"""What the studies of channels share (Sec. 6): models by their fields, errors at one γ, fits by cutoff time."""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import morlight
from experiments.support.fits import Fit, Kept
from experiments.support.study import SCALE_HELP, SCALES, Scale, Study
from experiments.support.tables import table
from morlight.analysis.evaluation.evaluate import evaluate
from morlight.analysis.model import Model
from morlight.data.ensembles import where

CUTOFFS: dict[Scale, tuple[float, ...]] = {
    "small": (0.2, 1.0),
    "paper": (0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0),
}  # t_c; M = 4 needs 0.1
FEW: dict[Scale, dict[str, Any]] = {
    "small": {"model.realizations": 4, "trainer.max_epochs": 20},
    "paper": {},
}
DIGITS = 4  # of the numbers that are kept


@dataclass(frozen=True)
class Fields:
    """Fields that a model evolves, and whether the bias of conservation is on the densities.

    Attributes:
        densities: of particles.
        momenta: no value at the walls.
        others: neither, such as ρT.
        conserved: whether densities have the bias.
    """

    densities: tuple[str, ...]
    momenta: tuple[str, ...]
    others: tuple[str, ...] = ()
    conserved: bool = True

    @property
    def count(self) -> int:
        """Number of fields."""
        return len(self.densities) + len(self.momenta) + len(self.others)

    @property
    def settings(self) -> dict[str, Any]:
        """For `morlight.fit`."""
        kept = ["conservation", "stability"] if self.conserved else ["stability"]
        return {
            "data.fields": [*self.densities, *self.others, *self.momenta],
            "model.biases": {name: kept for name in self.densities}
            | {name: ["stability"] for name in (*self.others, *self.momenta)},
            "model.bases": {name: "sine" for name in self.momenta},
        }

    @property
    def measured(self) -> list[str]:
        """Names of the errors that are kept: of densities and momenta, and of all fields together."""
        each = [""] if self.count == 1 else [f" {name}" for name in (*self.densities, *self.momenta)]
        return ["eq35", *(f"{time}{name}" for name in each for time in ("t=0.025", "t=1", "steady"))]


@dataclass(frozen=True)
class ChannelErrors:
    """Errors at one γ, with the noise ceiling and the baselines beside them.

    Attributes:
        errors: of every realization, by name.
        noise: error that the exact equation would have, by name; empty where there is one run alone.
        baselines: errors of models without networks, by model and name.
        bounded: number of realizations that stay near the data in a long roll-out.
        steps: length of that roll-out.
        mass_drift: largest change of the total of a density; None without densities.
    """

    errors: Mapping[str, Sequence[float]]
    noise: Mapping[str, float]
    baselines: Mapping[str, Mapping[str, float]]
    bounded: int
    steps: int
    mass_drift: float | None = None

    @property
    def realizations(self) -> int:
        """R."""
        return len(next(iter(self.errors.values())))

    def median(self, name: str) -> float:
        """Of the realizations."""
        return float(np.median(self.errors[name]))

    def least(self, name: str) -> float:
        """Of the realizations."""
        return float(min(self.errors[name]))

    def cell(self, name: str) -> str:
        """Median and minimum in units of their own, and of the noise where it is known."""
        median, least, noise = self.median(name), self.least(name), self.noise.get(name)
        own = f"{median:.2g} / {least:.2g}"
        return own if not noise else f"{own} ({_times(median / noise)} / {_times(least / noise)})"


def _times(ratio: float) -> str:
    return f"{ratio:.1f}×" if ratio < 1e3 else f"{ratio:.0e}×"


ByCutoff = Mapping[str, Mapping[float, ChannelErrors]]  # by model and cutoff time


def parser(description: str | None, data: str) -> argparse.ArgumentParser:
    """Options of a study of channels."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--scale", choices=SCALES, default="small", help=SCALE_HELP)
    options.add_argument("--data", default=data, help=f"trajectory file or shipped set (default {data})")
    options.add_argument("--processes", type=int, default=2, help="fits at once (default 2)")
    return options


def rows(data: str, wanted: Mapping[str, float]) -> list[int]:
    """Trajectories of one γ."""
    chosen: list[int] = where(morlight.open(data), wanted, "the study").nonzero()[0].tolist()
    return chosen


def measure(model: Model, data: str, names: Sequence[str], only: Mapping[str, float] | None = None) -> ChannelErrors:
    """Errors of every realization, at one γ or at all of them."""
    result = evaluate(model, data, None if only is None else rows(data, only))
    assert result.bounded is not None
    noise = result.noise_ceiling or {}
    drifts = [max(values) for name, values in result.mass_drift.items() if "density" in name]
    return ChannelErrors(
        errors={name: rounded(result.errors[name].per_realization) for name in names},
        noise={name: rounded([noise[name]])[0] for name in names if name in noise},
        baselines={
            other: {name: rounded([errors[name]])[0] for name in names} for other, errors in result.baselines.items()
        },
        bounded=result.bounded.count,
        steps=result.bounded.steps,
        mass_drift=max(drifts) if drifts else None,
    )


def rounded(values: Iterable[float]) -> list[float]:
    """Numbers worth keeping."""
    return [float(f"{value:.{DIGITS}g}") for value in values]


def fit_by_cutoff(
    study: Study[ChannelErrors],
    models: Mapping[str, Fields],
    config: str,
    options: argparse.Namespace,
    only: Mapping[str, float],
) -> dict[str, Kept[ChannelErrors]]:
    """Fits of every model for every cutoff time, on all γ (Fig. 12, 13); keys MODEL/t_c."""
    fits = {
        f"{label}/{cutoff}": Fit(
            config,
            options.data,
            {"data.held_out": None, **fields.settings, "data.cutoff": cutoff, **FEW[study.scale]},
        )
        for label, fields in models.items()
        for cutoff in CUTOFFS[study.scale]
    }

    def measured(key: str, model: Model) -> ChannelErrors:
        return measure(model, options.data, models[key.split("/")[0]].measured, only)

    return study.fits(fits, measured, options.processes)


def by_cutoff(fits: Mapping[str, Kept[ChannelErrors]]) -> ByCutoff:
    """Errors by model and cutoff time, in increasing order."""
    errors: dict[str, dict[float, ChannelErrors]] = {}
    for key, kept in fits.items():
        label, cutoff = key.split("/")
        errors.setdefault(label, {})[float(cutoff)] = kept.measured
    return {label: dict(sorted(times.items())) for label, times in errors.items()}


def error_table(results: ByCutoff, names: Mapping[str, str]) -> str:
    """Median and minimum for every model and cutoff, beside the noise and the baselines.

    Args:
        results: errors.
        names: of the error of each model that is shown.
    """
    cells = {
        label: [f"{each.median(name):.2g} / {each.least(name):.2g}" for each in results[label].values()]
        for label, name in names.items()
    }
    label, name = list(names.items())[-1]
    last = list(results[label].values())
    for title, model in (("linear model of each mode", "linear"), ("persistence", "persistence")):
        cells[title] = [f"{each.baselines[model][name]:.2g}" for each in last]
    noise = last[-1].noise.get(name)
    cells["noise ceiling"] = [f"{noise:.2g}" if noise else "one run alone", *[""] * (len(last) - 1)]
    head = ["model", *(f"t_c = {cutoff:g}" for cutoff in results[label])]
    return table(head, [(title, *values) for title, values in cells.items()])
