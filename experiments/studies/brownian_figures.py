"""The figures of Brownian walkers: Figs. 4 to 6."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.studies.brownian_trial import Trial
from experiments.support import gauged
from morlight.analysis import inspection, plots
from morlight.analysis.evaluation.walkers import linearized_symbol
from morlight.analysis.model import Model

SHOWN = 40  # κ up to which Fig. 6 shows the symbol


def profiles(models: Mapping[str, Model], trial: Trial, path: Path) -> None:
    """Fig. 4: a set of walkers (top) and the square wave (bottom), the levels of bias from left to right."""
    figure = Figure(figsize=(12, 6), layout="constrained")
    rows = figure.subplots(2, 3, sharex=True, sharey="row")
    for (top, bottom), (level, model) in zip(rows.T, models.items(), strict=True):
        for axes, start, truth in ((top, trial.sample[0], trial.sample[-1]), (bottom, *trial.square)):
            learned = model.predict(start, trial.steps, every=trial.steps, finite=False)[:, -1]
            plots.profiles(axes, trial.x, start=start, truth=truth, learned=bounded(learned))
            reach = max(np.abs(start).max(), 1.0)
            axes.set_ylim(-0.3 * reach if axes is top else -2 * reach, 1.3 * reach if axes is top else 2 * reach)
        top.set_title(f"biases: {level}")
        bottom.set_xlabel("x")
    rows[0, 0].set_ylabel("density u (mean 1), walkers")
    rows[1, 0].set_ylabel("u, square wave (Eq. 23)")
    rows[0, 0].legend(frameon=False)
    plots.save(figure, path)


def totals(models: Mapping[str, Model], trial: Trial, path: Path) -> None:
    """Fig. 5: change of the total over time, walkers (left) and square wave (right), by the level of bias."""
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    every = trial.steps // 100
    time = np.linspace(0, 1, 101)
    colors = dict(zip(models, ("tab:red", plots.LEARNED, plots.TRUTH), strict=True))
    starts = {"walkers": trial.sample[0], "square wave": trial.square[0]}
    for axes, (title, start) in zip(figure.subplots(1, 2), starts.items(), strict=True):
        for level, model in models.items():
            frames = bounded(model.predict(start, trial.steps, every=every, finite=False))
            change = (frames.mean(2) - start.mean()) / np.sqrt((start**2).mean())
            for r, values in enumerate(change):
                axes.plot(time, values, color=colors[level], lw=1, label=None if r else f"biases: {level}")
        axes.set(xlabel="t (time)", title=title, ylim=(-0.5, 0.5), ylabel="change of the mean of u, in rms of u(0)")
    axes.legend(frameon=False, fontsize=8)
    plots.save(figure, path)


def networks(models: Mapping[str, Model], trial: Trial, path: Path) -> None:
    """Fig. 6: h(u) (top) and the increment's symbol g(κ)/Δt (bottom), learned and exact."""
    figure = Figure(figsize=(12, 6.4), layout="constrained")
    rows = figure.subplots(2, 3, sharey="row")
    for (top, bottom), (level, model) in zip(rows.T, models.items(), strict=True):
        _nonlinearity(top, model, level)
        _symbol(bottom, model)
    rows[0, 0].set_ylabel("h(u), h(0) = 0 and slope 1")
    rows[1, 0].set_ylabel("Re g(κ)/Δt (1/time)")
    for axes in rows[:, 0]:
        axes.legend(frameon=False)
    plots.save(figure, path)


def _nonlinearity(axes: Axes, model: Model, level: str) -> None:
    field = model.data.fields[0]
    u = torch.linspace(-field.high, field.high, 400, dtype=torch.float64)
    axes.plot(u, u, color=plots.TRUTH, lw=3, alpha=0.5, label="exact, u")
    for r, h in enumerate(gauged.nonlinearity(model, u)):
        axes.plot(u, h, color=plots.LEARNED, lw=1, label=None if r else "learned")
    axes.axvspan(field.low, field.high, color=plots.START, alpha=0.06, lw=0, label="values of the data")
    axes.set(xlabel="u", title=f"biases: {level}", ylim=(-1.5 * field.high, 1.5 * field.high))


def _symbol(axes: Axes, model: Model) -> None:
    kappa = model.spectral.basis.wavenumbers[0].double()
    seen = kappa <= SHOWN
    exact = torch.expm1(-(kappa[seen] ** 2) * model.dt) / model.dt
    axes.plot(kappa[seen], exact, color=plots.TRUTH, lw=3, alpha=0.5, label="exact, (exp(−κ²Δt) − 1)/Δt")
    for r, g in enumerate(linearized_symbol(model)[:, seen].real / model.dt):
        axes.plot(kappa[seen], g, color=plots.LEARNED, lw=1, label=None if r else "learned")
    (reading,) = inspection.readings(model)
    if reading.band:
        low, high = reading.band
        axes.axvspan(low, min(high, SHOWN), color=plots.START, alpha=0.06, lw=0, label="identified by the data")
    axes.set(xlabel="wavenumber κ (1/length)", ylim=(-1 / model.dt, 0.2 / model.dt))


def bounded(frames: np.ndarray) -> np.ndarray:
    """Values that can be drawn: those of operators that grow without end leave the picture, not the program."""
    return np.clip(np.nan_to_num(frames, nan=1e6, posinf=1e6, neginf=-1e6), -1e6, 1e6)
