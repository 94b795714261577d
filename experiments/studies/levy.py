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
SIZES: dict[Scale, tuple[int, ...]] = {"small": (1, 2, 4), "paper": (1, 2, 5, 10, 20, 50, 100)}  # Sec. 5.2.3
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

    def by_size(self, sizes: Sequence[int]) -> dict[Case, Kept[FlightErrors]]:
        """Fig. 10: both models, every β and every number of sets."""
        return {
            Case(model, beta, size): self.fit(f"{model}/{beta}/{size}", data, size, model)
            for beta in ANISOTROPIES
            for data in [self.data(f"beta_{beta}", max(sizes), anisotropy=beta)]
            for size in sizes
            for model in MODELS
        }

    def by_deposit(self, sets: int, fourier: Path) -> dict[str, Kept[FlightErrors]]:
        """Both models from every deposit, keys MODEL/DEPOSIT."""
        files = {deposit: self.data(deposit, sets, deposit=deposit) for deposit in DEPOSITS[:2]} | {"fourier": fourier}
        fits = {
            f"{model}/{UNCORRECTED}": self.fit(
                f"{model}/{UNCORRECTED}", files["histogram"], sets, model, particles=None
            )
            for model in MODELS
        }
        keys = [(f"{model}/{deposit}", deposit, model) for deposit in DEPOSITS for model in MODELS]
        return fits | {key: self.fit(key, files[deposit], sets, model) for key, deposit, model in keys}

    def by_exponent(self, sets: int) -> dict[str, Kept[FlightErrors]]:
        """The anisotropic model of other exponents and of a drift."""
        files = {label: self.data(label, sets, **changes) for label, changes in EXPONENTS.items()}
        return {f"anisotropic/{label}": self.fit(f"anisotropic/{label}", path, sets, "anisotropic")
                for label, path in files.items()}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit everything that is not there yet, draw Figs. 7 to 10 and that of the deposits, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", choices=SCALES, default="small", help=SCALE_HELP)
    parser.add_argument("--sets", type=int, help="largest training set; the paper has 100 sets")
    options = parser.parse_args(arguments)
    study = Study("levy", options.scale, FlightErrors)
    sizes = [size for size in SIZES[study.scale] if options.sets is None or size <= options.sets]
    setting = SETTINGS[study.scale]
    trial = Trial(study.data(levy, replace(setting, sets=1, deposit="fourier"), name="held_out", seed=1))
    fits = Fits(study, setting, trial)
    by_size = fits.by_size(sizes)
    isotropic_data = study.folder / "beta_0.0.h5"
    few = min(10, max(sizes))
    others = fits.by_deposit(few, isotropic_data) | fits.by_exponent(few)
    paths = {name: study.folder / f"levy_{name}.png" for name in ("fig7", "fig8", "fig9", "fig10", "deposits")}
    largest = {name: by_size[Case(name, 0.0, max(sizes))].model for name in MODELS}
    models = {key: kept.model for key, kept in others.items()}
    errors = {case: kept.measured for case, kept in by_size.items()}
    figures.spreading(largest["isotropic"], isotropic_data, trial, paths["fig7"])
    figures.points(largest, trial, paths["fig8"])
    figures.contours(models, (UNCORRECTED, "fourier"), paths["fig9"])
    figures.errors(errors, sizes, paths["fig10"])
    by_deposit = {deposit: models[f"isotropic/{deposit}"] for deposit in (UNCORRECTED, *DEPOSITS)}
    figures.deposits(by_deposit, trial.alpha, paths["deposits"])
    study.publish("\n\n".join([equations(others, models), ratios(errors, sizes), claims(errors, sizes)]),
                  *paths.values())  # fmt: skip


def equations(fits: Mapping[str, Kept[FlightErrors]], models: Mapping[str, Model]) -> str:
    """Closed forms of what was learned from each deposit and of each exponent."""
    rows = []
    for key, model in models.items():
        chosen = choose(model, 0)
        text, exponent = "none is justified", "–"
        if not isinstance(chosen, str) and isinstance(chosen.form, Form):
            text, alpha = chosen.form.text(), chosen.form.exponent
            exponent = f"{alpha.value:.4f} ± {alpha.sd:.4f}"
        error = float(np.median(fits[key].measured.symbol))
        rows.append((key, text, exponent, f"{error:.1%}", f"{fits[key].seconds:.0f}"))
    return table(["learned from", "equation read off", "exponent", "error of g, κ ≤ 16", "seconds"], rows)


def _medians(errors: Errors, quantity: str, model: str, beta: float, sizes: Sequence[int]) -> np.ndarray:
    """Median over the realizations for each number of sets."""
    pick = QUANTITIES[quantity]
    return np.array([np.median(pick(errors[Case(model, beta, size)])) for size in sizes])


def ratios(errors: Errors, sizes: Sequence[int]) -> str:
    """Fig. 10 in numbers: median errors without and with isotropy, and their ratio."""
    rows = []
    for beta in ANISOTROPIES:
        cells: dict[int, list[str]] = {size: [] for size in sizes}
        for quantity in QUANTITIES:
            isotropic, free = (_medians(errors, quantity, name, beta, sizes) for name in MODELS)
            for size, a, b in zip(sizes, isotropic, free, strict=True):
                cells[size] += [f"{b:.2g} / {a:.2g}", f"{b / a:.1f}"]
        rows += [(f"{beta}", str(size), *cells[size]) for size in sizes]
    return table(["β", "sets", "g without / with isotropy", "ratio", "impulse without / with", "ratio"], rows)


def claims(errors: Errors, sizes: Sequence[int]) -> str:
    """What the text of Sec. 5.2.3 says about isotropy (Fig. 10), against the medians of the errors."""
    rows = []
    for quantity in QUANTITIES:
        isotropic = {beta: _medians(errors, quantity, "isotropic", beta, sizes) for beta in ANISOTROPIES}
        gain = [_medians(errors, quantity, "anisotropic", beta, sizes) / isotropic[beta] for beta in ANISOTROPIES]
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
