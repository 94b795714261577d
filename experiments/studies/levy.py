"""Figs. 7 to 10: flights in the plane, with and without isotropy.

`python -m experiments.studies.levy --scale small|paper`
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.studies import levy_figures as figures
from experiments.studies.levy_trial import Case, Errors, FlightErrors, Trial
from experiments.support.fits import Fit, Kept
from experiments.support.study import SCALE_HELP, SCALES, Scale, Study
from experiments.support.tables import table
from morlight.analysis.equations.choice import choose
from morlight.analysis.equations.forms import Form
from morlight.analysis.evaluation.walkers import Walkers as Equation
from morlight.analysis.model import Model
from morlight.data.trajectory_file import TrajectoryFile
from morlight.simulate.walkers import PLANE, Walkers, levy

SETTINGS: dict[Scale, Walkers] = {"small": replace(PLANE, walkers=100_000, steps=100, bins=32), "paper": PLANE}
SIZES: dict[Scale, tuple[int, ...]] = {"small": (1, 2, 4), "paper": (1, 3, 10, 30, 100)}
MODELS: dict[str, dict[str, Any]] = {
    "isotropic": {},
    "anisotropic": {"model.biases": ["conservation", "reflection"]},
}
ANISOTROPIES = (0.0, 0.1, 1.0)  # β of the initial densities, Fig. 10
DEPOSITS = ("histogram", "linear", "fourier")
UNCORRECTED = "histogram, uncorrected"  # as in the paper: its shot noise is taken for decay
EXPONENTS: dict[str, dict[str, Any]] = {  # off the paper's path
    "alpha_1.2": {"alpha": 1.2},
    "alpha_1.8": {"alpha": 1.8},
    "drift": {"drift": (1.0, -0.5)},
}
FEW = 3  # sets of deposits and exponents whose data are not those of Fig. 10
ALL = {"data.validation": 0.0, "data.test": 0.0}  # every set is trained on


QUANTITIES: dict[str, Callable[[FlightErrors], Sequence[float]]] = {
    "g": lambda errors: errors.symbol,
    "the impulse": lambda errors: errors.impulse,
}


@dataclass(frozen=True)
class Fits:
    """The fits of the study, made where they are not there yet.

    Attributes:
        study: that keeps them.
        setting: of the flights.
        trial: what the models are tried on.
    """

    study: Study[FlightErrors]
    setting: Walkers
    trial: Trial

    def fit(self, key: str, data: Path, sets: int, model: str, **changes: Any) -> Kept[FlightErrors]:
        """A model of some sets of a file, with changes of the options of the data."""
        equation = Equation.of(TrajectoryFile.open(data))
        assert equation is not None
        more = {f"data.{name}": value for name, value in changes.items()}
        fit = Fit("levy", str(data), {**ALL, **MODELS[model], "data.trajectories": sets, **more})
        return self.study.fit(key, fit, lambda made: self.trial.measure(made, equation))

    def data(self, name: str, sets: int, **changes: Any) -> Path:
        """A file of flights."""
        return self.study.data(levy, replace(self.setting, sets=sets, **{"deposit": "fourier", **changes}), name=name)

    def by_size(self, sizes: Mapping[float, Sequence[int]]) -> dict[Case, Kept[FlightErrors]]:
        """Fig. 10: both models for every β, and every number of sets of it."""
        return {
            Case(model, beta, size): self.fit(f"{model}/{beta}/{size}", data, size, model)
            for beta, own in sizes.items()
            for data in [self.data(f"beta_{beta}", max(own), anisotropy=beta)]
            for size in own
            for model in MODELS
        }

    def by_deposit(self, sets: int) -> dict[str, Kept[FlightErrors]]:
        """Both models from a histogram without and with correction, and from linear clouds, keys MODEL/DEPOSIT."""
        few = min(FEW, sets)
        histogram = self.data("histogram", sets, deposit="histogram")
        linear = self.data("linear", few, deposit="linear")
        fits = {}
        for model in MODELS:
            uncorrected = f"{model}/{UNCORRECTED}"
            fits[uncorrected] = self.fit(uncorrected, histogram, few, model, particles=None)
            for deposit, data, count in (("histogram", histogram, sets), ("linear", linear, few)):
                fits[f"{model}/{deposit}"] = self.fit(f"{model}/{deposit}", data, count, model)
        return fits

    def by_exponent(self) -> dict[str, Kept[FlightErrors]]:
        """The anisotropic model of other exponents and of a drift."""
        files = {label: self.data(label, FEW, **changes) for label, changes in EXPONENTS.items()}
        return {f"anisotropic/{label}": self.fit(f"anisotropic/{label}", path, FEW, "anisotropic")
                for label, path in files.items()}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit everything that is not there yet, draw Figs. 7 to 10 and that of the deposits, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", choices=SCALES, default="small", help=SCALE_HELP)
    parser.add_argument("--sets", type=int, help="largest training set; the paper has 100 sets")
    parser.add_argument("--anisotropic-sets", type=int, help="the same for β > 0; by default as many")
    options = parser.parse_args(arguments)
    study = Study("levy", options.scale, FlightErrors)
    setting = SETTINGS[study.scale]
    trial = Trial(study.data(levy, replace(setting, sets=1, deposit="fourier"), name="held_out", seed=1))
    fits = Fits(study, setting, trial)
    most = options.sets or max(SIZES[study.scale])
    by_size = fits.by_size({beta: sizes(study.scale, (beta and options.anisotropic_sets) or most)
                            for beta in ANISOTROPIES})  # fmt: skip
    fourier = {f"{model}/fourier": by_size[Case(model, 0.0, most)] for model in MODELS}
    others = fits.by_deposit(most) | fourier | fits.by_exponent()
    paths = {name: study.folder / f"levy_{name}.png" for name in ("fig7", "fig8", "fig9", "fig10", "deposits")}
    models = {key: kept.model for key, kept in others.items()}
    errors = {case: kept.measured for case, kept in by_size.items()}
    figures.spreading(models["isotropic/fourier"], study.folder / "beta_0.0.h5", trial, paths["fig7"])
    figures.points({model: models[f"{model}/fourier"] for model in MODELS}, trial, paths["fig8"])
    figures.contours(models, (UNCORRECTED, "fourier"), paths["fig9"])
    figures.errors(errors, paths["fig10"])
    by_deposit = {deposit: models[f"isotropic/{deposit}"] for deposit in (UNCORRECTED, *DEPOSITS)}
    figures.deposits(by_deposit, trial.alpha, paths["deposits"])
    study.publish("\n\n".join([equations(others, models), ratios(errors), claims(errors)]), *paths.values())


def sizes(scale: Scale, largest: int) -> list[int]:
    """Numbers of sets that are trained on, up to the largest."""
    return [*(size for size in SIZES[scale] if size < largest), largest]


def equations(fits: Mapping[str, Kept[FlightErrors]], models: Mapping[str, Model]) -> str:
    """Closed forms of what was learned from each deposit and of each exponent."""
    rows = []
    for key, model in models.items():
        chosen = choose(model, 0)
        text, exponent, parts = "none is justified", "–", "–"
        if not isinstance(chosen, str) and isinstance(chosen.form, Form):
            text, alpha = chosen.form.text(), chosen.form.exponent
            exponent = f"{alpha.value:.5f} ± {alpha.sd:.5f}"
            parts = f"{alpha.data:.5f}, {alpha.networks:.5f}"
        kept = fits[key]
        error = float(np.median(kept.measured.symbol))
        sets = str(kept.fit.settings["data.trajectories"])
        rows.append((key, sets, text, exponent, parts, f"{error:.2%}", f"{kept.seconds:.0f}"))
    head = ["learned from", "sets", "equation read off", "exponent", "data, networks", "error of g, κ ≤ 16", "seconds"]
    return table(head, rows)


def sizes_of(errors: Errors, beta: float) -> list[int]:
    """Numbers of sets that were fitted for one β."""
    return sorted({case.sets for case in errors if case.anisotropy == beta})


def _medians(errors: Errors, quantity: str, model: str, beta: float) -> np.ndarray:
    """Median over the realizations for each number of sets."""
    pick = QUANTITIES[quantity]
    return np.array([np.median(pick(errors[Case(model, beta, size)])) for size in sizes_of(errors, beta)])


def ratios(errors: Errors) -> str:
    """Fig. 10 in numbers: median errors without and with isotropy, and their ratio."""
    rows = []
    for beta in ANISOTROPIES:
        sizes = sizes_of(errors, beta)
        cells: dict[int, list[str]] = {size: [] for size in sizes}
        for quantity in QUANTITIES:
            isotropic, free = (_medians(errors, quantity, name, beta) for name in MODELS)
            for size, a, b in zip(sizes, isotropic, free, strict=True):
                cells[size] += [f"{b:.2g} / {a:.2g}", f"{b / a:.1f}"]
        rows += [(f"{beta}", str(size), *cells[size]) for size in sizes]
    return table(["β", "sets", "g without / with isotropy", "ratio", "impulse without / with", "ratio"], rows)


def claims(errors: Errors) -> str:
    """What the text of Sec. 5.2.3 says about isotropy (Fig. 10), against the medians of the errors."""
    rows = []
    sizes = sizes_of(errors, ANISOTROPIES[-1])
    for quantity in QUANTITIES:
        isotropic = {beta: _medians(errors, quantity, "isotropic", beta) for beta in ANISOTROPIES}
        gain = [_medians(errors, quantity, "anisotropic", beta) / isotropic[beta] for beta in ANISOTROPIES]
        least, most = ([float(f(each)) for each in gain] for f in (np.min, np.max))
        last = isotropic[ANISOTROPIES[-1]]
        spans = ", ".join(f"{low:.1f}…{high:.1f}" for low, high in zip(least, most, strict=True))
        verdicts = [
            ("isotropy is better at every β and size (error without / with)", spans, min(least) > 1),
            ("by orders of magnitude (over 100 at some size)", ", ".join(f"{r:.1f}" for r in most), min(most) > 100),
            (
                f"with isotropy, no marked gain from data at β = {ANISOTROPIES[-1]:g} (error at {sizes[0]} over that at"
                f" {sizes[-1]} sets below 2)",
                f"{last[0] / last[-1]:.1f}",
                last[0] / last[-1] < 2,
            ),
        ]
        rows += [(claim, quantity, values, "yes" if holds else "no") for claim, values, holds in verdicts]
    betas = ", ".join(f"{beta:g}" for beta in ANISOTROPIES)
    return table(["claim of Sec. 5.2.3", "error of", f"β = {betas}", "holds"], rows)


if __name__ == "__main__":
    main()
