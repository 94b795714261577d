"""Figs. 4 to 6: Brownian walkers with and without biases; `python -m experiments.brownian --scale small|paper`."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from experiments.study import Study
from morlight.analysis import inspection, plots
from morlight.analysis import model as prediction
from morlight.analysis.evaluation import walkers as evaluation
from morlight.data import trajectory_file as trajectories
from morlight.operators import fix, generator

SIZES = {"small": "--sets 20 --walkers 20_000", "paper": "--sets 100 --walkers 51_200"}  # Sec. 5.2.1
LEVELS = {
    "none": "[]",
    "conservation": "[conservation]",
    "conservation and reflection": "[conservation, reflection]",
}  # the columns of Fig. 4 and 6
RECIPES = {
    # a dissipative symbol conserves by itself: g is a plain network in all three columns
    "default": "--config configs/brownian.yaml --model.symbol plain",
    "paper": "--config configs/brownian_paper.yaml",
}
LOW = 8  # κ up to which Fig. 6 shows the symbol well, whatever the biases
SHOWN = 40  # κ up to which Fig. 6 shows it at all


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit everything that is not there yet, draw Figs. 4 to 6 for both recipes, answer the claims of Sec. 5.2."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", choices=SIZES, default="small", help="small: a try in minutes; paper: all of it")
    options = parser.parse_args(arguments)
    study = Study("brownian", options.scale)
    data = study.data(f"brownian {SIZES[options.scale]}")
    wave, decay = Wave(data), evaluation.walkers_decay(trajectories.describe(data))
    assert decay is not None
    found: dict[str, dict[str, Any]] = {}
    paths = []
    for recipe, config in RECIPES.items():
        models = {}
        for level, biases in LEVELS.items():
            words = f'{config} --model.biases "{biases}" --data.path {data}'
            key = f"{recipe}/{level}"
            found[key] = study.fit(key, words, lambda model: measure(model, wave, decay))
            models[level] = prediction.load(found[key]["checkpoint"])
        for figure, draw in (("fig4", profiles), ("fig5", totals), ("fig6", networks)):
            paths.append(study.folder / f"brownian_{figure}_{recipe}.png")
            draw(models, wave, paths[-1])
    study.publish(f"{table(found)}\n\n{claims(found)}", *paths)


class Wave:
    """What the operators are tried on: a set of walkers, and the square wave of Eq. 23, at t = 0 and t = 1."""

    def __init__(self, data: Path) -> None:
        described = trajectories.describe(data)
        decay = evaluation.walkers_decay(described)
        assert decay is not None
        self.steps = round(1 / described.dt)
        (self.x,) = described.grid.coordinates
        self.sample = trajectories.read(data, ["density"], slice(1))[0, :, 0].astype(np.float64)
        points = described.grid.points
        self.square = [evaluation.square_wave(points, decay, t).numpy() for t in (0.0, 1.0)]


def measure(model: prediction.Model, wave: Wave, decay: Callable[..., Any]) -> dict[str, Any]:
    """The numbers behind the claims, each realisation."""
    starts = np.stack([wave.sample[0], wave.square[0]])
    later = model.predict(starts[:, None], wave.steps, every=wave.steps, finite=False)[:, :, -1, 0]
    truth = np.stack([wave.sample[-1], wave.square[1]])
    size = np.sqrt((starts**2).mean(1))
    error = np.sqrt(((later - truth) ** 2).mean(2) / (truth**2).mean(1))
    drift = np.nan_to_num(np.abs(later.mean(2) - starts.mean(1)) / size, nan=np.inf)
    u = torch.linspace(model.data["low"][0], model.data["high"][0], 401, dtype=torch.float64)
    positive, negative = u[u > 0], -u[u > 0]
    h = {
        name: fix_at(model, values) / values - 1
        for name, values in (("above", positive), ("below", negative))
    }  # fmt: skip
    kappa = model.spectral.basis.wavenumbers[0].double()
    low = (kappa > 0) & (kappa <= LOW)
    continuum = generator(evaluation.gauged_symbol(model)[:, None, None], model.dt)[:, 0, 0]
    rate = decay(kappa[low])
    symbol = ((continuum[:, low] + rate).abs() / rate).amax(1)
    return {
        "sample": error[:, 0].tolist(),
        "square": error[:, 1].tolist(),
        "drift": drift.max(1).tolist(),
        "h_above": h["above"].square().mean(1).sqrt().tolist(),
        "h_below": h["below"].square().mean(1).sqrt().tolist(),
        "symbol": symbol.tolist(),
    }


def fix_at(model: prediction.Model, values: torch.Tensor) -> torch.Tensor:
    """(h(u) − h(0))/c in the gauge of the training data, at other values."""
    seen = fix(model.spectral, torch.tensor(model.data["values"][0], dtype=torch.float64))
    here = fix(model.spectral, values)
    return here.nonlinearity * (here.factor / seen.factor)[:, None]


def profiles(models: Mapping[str, prediction.Model], wave: Wave, path: Path) -> None:
    """Fig. 4: a set of walkers (top) and the square wave (bottom), the levels of bias from left to right."""
    figure = Figure(figsize=(12, 6), layout="constrained")
    rows = figure.subplots(2, 3, sharex=True, sharey="row")
    for (top, bottom), (level, model) in zip(rows.T, models.items(), strict=True):
        for axes, start, truth in ((top, wave.sample[0], wave.sample[-1]), (bottom, *wave.square)):
            learned = model.predict(start, wave.steps, every=wave.steps, finite=False)[:, -1]
            plots.profiles(axes, wave.x, start=start, truth=truth, learned=bounded(learned))
            reach = max(np.abs(start).max(), 1.0)
            axes.set_ylim(-0.3 * reach if axes is top else -2 * reach, 1.3 * reach if axes is top else 2 * reach)
        top.set_title(f"biases: {level}")
        bottom.set_xlabel("x (length)")
    rows[0, 0].set_ylabel("density u (mean 1), walkers")
    rows[1, 0].set_ylabel("u, square wave (Eq. 23)")
    rows[0, 0].legend(frameon=False)
    plots.save(figure, path)


def totals(models: Mapping[str, prediction.Model], wave: Wave, path: Path) -> None:
    """Fig. 5: change of the total over time, walkers (left) and square wave (right), by the level of bias."""
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    every = wave.steps // 100
    time = np.linspace(0, 1, 101)
    colors = dict(zip(models, ("tab:red", plots.LEARNED, plots.TRUTH), strict=True))
    for axes, start, title in zip(
        figure.subplots(1, 2), (wave.sample[0], wave.square[0]), ("walkers", "square wave"), strict=True
    ):
        for level, model in models.items():
            frames = bounded(model.predict(start, wave.steps, every=every, finite=False))
            change = (frames.mean(2) - start.mean()) / np.sqrt((start**2).mean())
            for r, values in enumerate(change):
                axes.plot(time, values, color=colors[level], lw=1, label=None if r else f"biases: {level}")
        axes.set(xlabel="t (time)", title=title, ylim=(-0.5, 0.5), ylabel="change of the mean of u, in rms of u(0)")
    axes.legend(frameon=False, fontsize=8)
    plots.save(figure, path)


def networks(models: Mapping[str, prediction.Model], wave: Wave, path: Path) -> None:
    """Fig. 6: h(u) (top) and the increment's symbol g(κ)/Δt (bottom), learned and exact."""
    figure = Figure(figsize=(12, 6.4), layout="constrained")
    rows = figure.subplots(2, 3, sharey="row")
    for (top, bottom), (level, model) in zip(rows.T, models.items(), strict=True):
        reach = model.data["high"][0]
        u = torch.linspace(-reach, reach, 400, dtype=torch.float64)
        top.plot(u, u, color=plots.TRUTH, lw=3, alpha=0.5, label="exact, u")
        for r, h in enumerate(fix_at(model, u)):
            top.plot(u, h, color=plots.LEARNED, lw=1, label=None if r else "learned")
        top.axvspan(model.data["low"][0], reach, color=plots.START, alpha=0.06, lw=0, label="values of the data")
        top.set(xlabel="u", title=f"biases: {level}", ylim=(-1.5 * reach, 1.5 * reach))
        kappa = model.spectral.basis.wavenumbers[0].double()
        seen = kappa <= SHOWN
        bottom.plot(
            kappa[seen], torch.expm1(-(kappa[seen] ** 2) * model.dt) / model.dt, color=plots.TRUTH, lw=3, alpha=0.5,
            label="exact, (exp(−κ²Δt) − 1)/Δt",
        )  # fmt: skip
        for r, g in enumerate(evaluation.gauged_symbol(model)[:, seen].real / model.dt):
            bottom.plot(kappa[seen], g, color=plots.LEARNED, lw=1, label=None if r else "learned")
        (reading,) = inspection.readings(model)
        if reading.band:
            low, high = reading.band
            bottom.axvspan(low, min(high, SHOWN), color=plots.START, alpha=0.06, lw=0, label="told by the data")
        bottom.set(xlabel="wavenumber κ (1/length)", ylim=(-1 / model.dt, 0.2 / model.dt))
    rows[0, 0].set_ylabel("h(u), h(0) = 0 and slope 1")
    rows[1, 0].set_ylabel("Re g(κ)/Δt (1/time)")
    for axes in rows[:, 0]:
        axes.legend(frameon=False)
    plots.save(figure, path)


def bounded(frames: np.ndarray) -> np.ndarray:
    """Values that can be drawn: those of operators that grow without end leave the picture, not the program."""
    return np.clip(np.nan_to_num(frames, nan=1e6, posinf=1e6, neginf=-1e6), -1e6, 1e6)


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Median and range of the realisations, for both recipes and all levels of bias."""
    columns = {
        "square wave, t = 1": "square",
        "walkers, t = 1": "sample",
        "change of the total": "drift",
        "h for u < 0": "h_below",
        f"generator, κ ≤ {LOW}": "symbol",
    }
    lines = [f"| recipe | biases | {' | '.join(columns)} |", "|---|---|" + "---|" * len(columns)]
    for key, result in found.items():
        recipe, level = key.split("/")
        cells = [f"{np.median(result[c]):.2g} ({min(result[c]):.2g}…{max(result[c]):.2g})" for c in columns.values()]
        lines.append(f"| {recipe} | {level} | {' | '.join(cells)} |")
    return "\n".join(lines)


def claims(found: Mapping[str, Mapping[str, Any]]) -> str:
    """What the text of Sec. 5.2.2 says, against the paper's recipe and ours."""
    none, kept, odd = LEVELS

    def median(recipe: str, level: str, what: str) -> float:
        return float(np.median(found[f"{recipe}/{level}"][what]))

    def verdict(holds: Callable[[str], bool]) -> str:
        return "; ".join(f"{recipe}: {'yes' if holds(recipe) else 'no'}" for recipe in RECIPES)

    def numbers(what: str, *levels: str) -> str:
        return "; ".join(f"{r}: {' → '.join(f'{median(r, level, what):.2g}' for level in levels)}" for r in RECIPES)

    rows = [
        (
            "without biases the total drifts (over 1 % of rms u within t = 1)",
            numbers("drift", none),
            verdict(lambda r: median(r, none, "drift") > 0.01),
        ),
        (
            "conservation removes the drift (to rounding, where u stays bounded)",
            numbers("drift", none, kept),
            verdict(lambda r: median(r, kept, "drift") < 1e-12),
        ),
        (
            "reflection mends h where u < 0 (at least tenfold)",
            numbers("h_below", kept, odd),
            verdict(lambda r: median(r, odd, "h_below") < 0.1 * median(r, kept, "h_below")),
        ),
        (
            "and with it the square wave (at least twofold)",
            numbers("square", kept, odd),
            verdict(lambda r: median(r, odd, "square") < 0.5 * median(r, kept, "square")),
        ),
        (
            f"g is good at κ ≤ {LOW} whatever the biases (generator within 10 %)",
            numbers("symbol", none, kept, odd),
            verdict(lambda r: all(median(r, level, "symbol") < 0.1 for level in LEVELS)),
        ),
    ]
    lines = ["| claim of Sec. 5.2 | medians | holds |", "|---|---|---|"]
    return "\n".join(lines + [f"| {claim} | {values} | {holds} |" for claim, values, holds in rows])


if __name__ == "__main__":
    main()
