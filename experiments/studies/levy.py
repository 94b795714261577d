"""Figs. 7 to 10: flights in the plane, with and without isotropy; `python -m experiments.levy --scale small|paper`."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments import levy_figures as figures
from experiments.study import Study
from morlight.analysis import inspection
from morlight.analysis import model as prediction
from morlight.analysis.evaluation import walkers as evaluation
from morlight.data import trajectory_file as trajectories

SCALES = {
    "small": ("--walkers 100_000 --steps 100 --bins 32", (1, 2, 4)),
    "paper": ("", (1, 2, 5, 10, 20, 50, 100)),  # Sec. 5.2.3
}
MODELS = {"isotropic": "", "anisotropic": ' --model.biases "[conservation, reflection]"'}
ANISOTROPIES = (0.0, 0.1, 1.0)  # β of the initial densities, Fig. 10
DEPOSITS = ("histogram", "linear", "fourier")
EXPONENTS = {"alpha_1.2": "--alpha 1.2", "alpha_1.8": "--alpha 1.8", "drift": "--drift 1 -0.5"}  # off the paper's path


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit everything that is not there yet, draw Figs. 7 to 10 and that of the deposits, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", choices=SCALES, default="small", help="small: a try in minutes; paper: all of it")
    parser.add_argument("--sets", type=int, help="largest training set; the paper has 100 sets")
    options = parser.parse_args(arguments)
    words, sizes = SCALES[options.scale]
    sizes = tuple(size for size in sizes if options.sets is None or size <= options.sets)
    study = Study("levy", options.scale)
    held = study.data(f"levy {words} --sets 1 --seed 1 --deposit fourier", "held_out")
    trial = Trial(held)
    found: dict[str, dict[str, Any]] = {}
    models: dict[str, prediction.Model] = {}

    def fit(key: str, data: Path, size: int, more: str = "") -> None:
        line = f"--config configs/levy.yaml --data.path {data} --data.validation 0 --data.test 0{more}"
        made = trajectories.describe(data).attributes["generator_parameters"]
        found[key] = study.fit(
            key, f"{line} --data.trajectories {size}", lambda model: trial.measure(model, made["alpha"], made["drift"])
        )
        models[key] = prediction.load(found[key]["checkpoint"])

    for beta in ANISOTROPIES:
        command = f"levy {words} --sets {max(sizes)} --anisotropy {beta} --deposit fourier"
        data = study.data(command, f"beta_{beta}")
        for size in sizes:
            for name, more in MODELS.items():
                fit(f"{name}/{beta}/{size}", data, size, more)
    few = min(10, max(sizes))
    for deposit in DEPOSITS[:2]:
        data = study.data(f"levy {words} --sets {few} --deposit {deposit}", deposit)
        for name, more in MODELS.items():
            fit(f"{name}/{deposit}", data, few, more)
    for name, more in MODELS.items():
        fit(f"{name}/fourier", study.folder / "beta_0.0.h5", few, more)
    for label, more in EXPONENTS.items():
        path = study.data(f"levy {words} --sets {few} --deposit fourier {more}", label)
        fit(f"anisotropic/{label}", path, few, MODELS["anisotropic"])
    paths = {name: study.folder / f"levy_{name}.png" for name in ("fig7", "fig8", "fig9", "fig10", "deposits")}
    largest = {name: models[f"{name}/0.0/{max(sizes)}"] for name in MODELS}
    figures.spreading(largest["isotropic"], study.folder / "beta_0.0.h5", trial, paths["fig7"])
    figures.points(largest, trial, paths["fig8"])
    figures.contours(models, paths["fig9"])
    figures.errors(found, sizes, ANISOTROPIES, paths["fig10"])
    figures.deposits({deposit: models[f"isotropic/{deposit}"] for deposit in DEPOSITS}, trial.alpha, paths["deposits"])
    study.publish("\n\n".join([equations(found, models), ratios(found, sizes), claims(found, sizes)]), *paths.values())


class Trial:
    """What every model is tried on: flights it has not seen, with β = 0, and a Dirac impulse (Eq. 26)."""

    def __init__(self, held: Path) -> None:
        described = trajectories.describe(held)
        self.alpha = float(described.attributes["generator_parameters"]["alpha"])
        self.points, self.dt = described.grid.points, described.dt
        self.steps = round(1 / described.dt)
        self.frames = trajectories.read(held, ["density"])[0].astype(np.float64)

    def decayed(self, start: np.ndarray, time: float) -> np.ndarray:
        """Exact solution at a time, every mode times exp(−|κ|^α t)."""
        axes = [np.fft.fftfreq(n, 1 / n) for n in self.points]
        modulus = np.sqrt(sum(k**2 for k in np.meshgrid(*axes, indexing="ij")))
        return np.fft.ifft2(np.fft.fft2(start) * np.exp(-(modulus**self.alpha) * time)).real

    @property
    def impulse(self) -> np.ndarray:
        """A density of mean 1, all of it in the middle cell; modes at the Nyquist wavenumber left out."""
        u = np.zeros(self.points)
        u[self.points[0] // 2, self.points[1] // 2] = u.size
        c = np.fft.fft2(u)
        c[self.points[0] // 2], c[:, self.points[1] // 2] = 0, 0
        return np.fft.ifft2(c).real

    def measure(self, model: prediction.Model, alpha: float, drift: Sequence[float]) -> dict[str, Any]:
        """Errors of one step, of the symbol, and of the impulse after a quarter of the unit of time.

        Args:
            model: the operator.
            alpha: α of the flights that it learned from, for the error of its symbol.
            drift: their mean velocity.
        """
        first, second = self.frames[:-1:10], self.frames[1::10]
        step = model.apply(first) + first
        moved = np.sqrt(((step - second) ** 2).mean((1, 2, 3, 4)))
        kappa = model.spectral.basis.wavenumbers.double()
        modulus = kappa.square().sum(0).sqrt()
        band = (modulus > 0) & (modulus <= evaluation.KAPPA)
        turning = sum(v * k for v, k in zip(drift, kappa, strict=True))
        exact = torch.expm1(-(modulus**alpha + 1j * turning)[band] * model.dt)
        g = evaluation.gauged_symbol(model)[:, band]
        symbol = ((g - exact).abs().square().mean(1) / exact.abs().square().mean()).sqrt()
        quarter = self.steps // 4
        later = model.predict(self.impulse, quarter, every=quarter, finite=False)[:, -1]
        truth = self.decayed(self.impulse, 0.25)
        impulse = np.sqrt(((later - truth) ** 2).mean((1, 2)) / (truth**2).mean())
        return {"step": moved.tolist(), "symbol": symbol.tolist(), "impulse": impulse.tolist()}


def equations(found: Mapping[str, Mapping[str, Any]], models: Mapping[str, prediction.Model]) -> str:
    """Closed forms of what was learned from each deposit and of each exponent."""
    lines = ["| learned from | equation read off | exponent | error of g, κ ≤ 16 | seconds |", "|---|---|---|---|---|"]
    for key, model in models.items():
        if key.count("/") == 2:
            continue
        form = inspection.inspect(model)["fields"]["density"]["closed_form"]
        told = form["equation"] if form else "none is justified"
        exponent = f"{form['exponent']:.4f} ± {form['exponent_sd']:.4f}" if form else "–"
        error = float(np.median(found[key]["symbol"]))
        lines.append(f"| {key} | {told} | {exponent} | {error:.1%} | {found[key]['seconds']:.0f} |")
    return "\n".join(lines)


def ratios(found: Mapping[str, Mapping[str, Any]], sizes: Sequence[int]) -> str:
    """Fig. 10 in numbers: median errors without and with isotropy, and their ratio."""
    lines = [
        "| β | sets | g without / with isotropy | ratio | impulse without / with | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for beta in ANISOTROPIES:
        for size in sizes:
            cells = []
            for what in ("symbol", "impulse"):
                without, having = (float(np.median(found[f"{name}/{beta}/{size}"][what])) for name in reversed(MODELS))
                cells.append(f"{without:.2g} / {having:.2g} | {without / having:.1f}")
            lines.append(f"| {beta} | {size} | {' | '.join(cells)} |")
    return "\n".join(lines)


def claims(found: Mapping[str, Mapping[str, Any]], sizes: Sequence[int]) -> str:
    """What the text of Sec. 5.2.3 says about isotropy (Fig. 10), against the medians of the errors."""
    betas = ", ".join(f"{beta:g}" for beta in ANISOTROPIES)
    lines = [f"| claim of Sec. 5.2.3 | error of | β = {betas} | holds |", "|---|---|---|---|"]
    for label, what in (("g", "symbol"), ("the impulse", "impulse")):
        with_bias, ratios = {}, {}
        for beta in ANISOTROPIES:
            having, without = (
                np.array([np.median(found[f"{name}/{beta}/{size}"][what]) for size in sizes]) for name in MODELS
            )
            with_bias[beta], ratios[beta] = having, without / having
        least, most = ([float(f(ratio)) for ratio in ratios.values()] for f in (np.min, np.max))
        last = with_bias[ANISOTROPIES[-1]]
        spans = ", ".join(f"{low:.1f}…{high:.1f}" for low, high in zip(least, most, strict=True))
        rows = [
            ("isotropy is better at every β and size (error without / with)", spans, min(least) > 1),
            ("by orders of magnitude (over 100 at some size)", ", ".join(f"{r:.1f}" for r in most), min(most) > 100),
            (
                f"with isotropy, no marked gain from data at β = {ANISOTROPIES[-1]:g} (error at {sizes[0]} over that at"
                f" {sizes[-1]} sets below 2)",
                f"{last[0] / last[-1]:.1f}",
                last[0] / last[-1] < 2,
            ),
        ]
        lines += [f"| {claim} | {label} | {values} | {'yes' if holds else 'no'} |" for claim, values, holds in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
