"""The figures of flights in the plane: Figs. 7 to 10, and what each deposit does to the learned symbol."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.ticker import FormatStrFormatter, LogLocator

from experiments.studies.levy_trial import Case, Errors, Trial
from experiments.support.error_bars import error_bars
from morlight.analysis import inspection, plots
from morlight.analysis.evaluation.walkers import linearized_symbol, square_wave
from morlight.analysis.model import Model
from morlight.data.trajectory_file import TrajectoryFile
from morlight.operators import generator

TIMES = (0.0, 0.25, 0.5, 1.0)
LEVELS = (-60, -40, -20, -10, -3)
COLORS = {"isotropic": plots.LEARNED, "anisotropic": plots.TRUTH}


def spreading(model: Model, data: Path, trial: Trial, path: Path) -> None:
    """Fig. 7: flights, what was learned from the same start; a square wave, exact and learned (Eq. 25)."""
    frames = TrajectoryFile.open(data).read(["density"], slice(1))[0, :, 0].astype(np.float64)
    times = [t for t in TIMES if round(t / trial.dt) < len(frames)]
    times = times if len(times) > 2 else [f * (len(frames) - 1) * trial.dt for f in (0, 0.25, 0.5, 1)]
    at = [round(t / trial.dt) for t in times]
    wave = square_wave(trial.points, lambda modulus: modulus**trial.alpha, 0.0).numpy()
    rows = {
        "flights": [frames[step] for step in at],
        "learned": _learned(model, frames[0], at),
        "square wave, exact": [trial.decayed(wave, t) for t in times],
        "square wave, learned": _learned(model, wave, at),
    }
    _maps(rows, times, path)


def points(models: Mapping[str, Model], trial: Trial, path: Path) -> None:
    """Fig. 8: a Dirac impulse, exact, learned without and with isotropy (Eq. 26)."""
    times = (0.01, 0.05, 0.1, 0.25)
    at = [round(t / trial.dt) for t in times]
    rows = {"exact": [trial.decayed(trial.impulse, t) for t in times]}
    rows |= {f"learned, {name}": _learned(models[name], trial.impulse, at) for name in ("anisotropic", "isotropic")}
    _maps(rows, times, path)


def _learned(model: Model, start: np.ndarray, at: Sequence[int]) -> list[np.ndarray]:
    """Frames of the realization in the middle, by its last value."""
    later = model.predict(start, max(at), finite=False)
    order = np.argsort(later[:, -1].std((1, 2)))
    return [later[order[len(order) // 2], step] for step in at]


def _maps(rows: Mapping[str, Sequence[np.ndarray]], times: Sequence[float], path: Path) -> None:
    figure = Figure(figsize=(2.6 * len(times) + 1, 2.5 * len(rows)), layout="compressed")
    panels = figure.subplots(len(rows), len(times), sharex=True, sharey=True)
    names = list(rows)
    for line, name in zip(panels, names, strict=True):
        for axes, frame, time, column in zip(line, rows[name], times, range(len(times)), strict=True):
            pair = [rows[other][column] for other in names if _pair(other) == _pair(name)]
            low, high = min(f.min() for f in pair), max(f.max() for f in pair)
            image = axes.imshow(frame.T, origin="lower", extent=(0, 2 * np.pi) * 2, vmin=low, vmax=high)
            figure.colorbar(image, ax=axes, shrink=0.8)
            if axes in panels[0]:
                axes.set_title(f"t = {time:.3g}")
        line[0].set_ylabel(f"{name}\ny (length)", fontsize=8)
    for axes in panels[-1]:
        axes.set_xlabel("x")
    plots.save(figure, path)


def _pair(name: str) -> bool:
    """Rows that share their colors."""
    return name.startswith("square")


def contours(models: Mapping[str, Model], deposits: tuple[str, str], path: Path) -> None:
    """Fig. 9: isocontours of Re g/Δt, theory, without and with isotropy, from two deposits."""
    figure = Figure(figsize=(11, 5.6), layout="compressed")
    for axes, deposit in zip(figure.subplots(1, 2), deposits, strict=True):
        handles = []
        for name, width in (("anisotropic", 4), ("isotropic", 1.5)):
            model = models[f"{name}/{deposit}"]
            g = linearized_symbol(model).real.median(0).values / model.dt
            kappa = model.spectral.basis.wavenumbers
            _contour(axes, kappa, g, colors=COLORS[name], linewidths=width, linestyles="-", alpha=0.8)
            handles.append(Line2D([], [], color=COLORS[name], lw=width, label=f"{name}, median"))
        exact = torch.expm1(-(kappa.square().sum(0).sqrt() ** 1.5) * model.dt) / model.dt
        _contour(axes, kappa, exact, colors="black", linewidths=1, linestyles="--")
        handles.append(Line2D([], [], color="black", ls="--", label="exact, (exp(−|κ|^1.5 Δt) − 1)/Δt"))
        handles += _edge_of_band(axes, models[f"isotropic/{deposit}"])
        axes.legend(handles=handles, fontsize=8, loc="upper right")
        axes.set(xlim=(-16, 16), ylim=(-16, 16), box_aspect=1, xlabel="κ_x (1/length)", ylabel="κ_y (1/length)")
        axes.set_title(f"{deposit}, Re g/Δt = {', '.join(map(str, LEVELS))}", fontsize=10)
    plots.save(figure, path)


def _edge_of_band(axes: Axes, model: Model) -> list[Line2D]:
    """The largest |κ| that the data identify, as a circle if it lies within the panel."""
    (reading,) = inspection.readings(model)
    if reading.band is None:
        return []
    style: dict[str, Any] = {"color": plots.START, "ls": ":", "lw": 1.5}
    axes.add_patch(Circle((0, 0), reading.band[1], fill=False, **style))
    return [Line2D([], [], label=f"identified, |κ| ≤ {reading.band[1]:.3g}", **style)]


def _contour(axes: Axes, kappa: torch.Tensor, values: torch.Tensor, **style: Any) -> None:
    order = kappa[0, :, 0].argsort()
    half = kappa.shape[2] - 1  # the last column is the Nyquist wavenumber
    kx, ky, z = kappa[0][order][:, :half], kappa[1][order][:, :half], values[order][:, :half]
    for sign in (1, -1):  # Re g(−κ) = Re g(κ)
        axes.contour(sign * kx, sign * ky, z, LEVELS, **style)


def errors(results: Errors, path: Path) -> None:
    """Fig. 10: errors over the number of sets, by anisotropy of the initial densities."""
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    panels = {
        "rms of one step, held out (noise included)": lambda errors: errors.step,
        "relative error of g, |κ| ≤ 16": lambda errors: errors.symbol,
        "relative error of the impulse, t = 0.25": lambda errors: errors.impulse,
    }
    lines = list(dict.fromkeys((case.model, case.anisotropy) for case in results))
    anisotropies = list(dict.fromkeys(beta for _, beta in lines))
    styles = dict(zip(anisotropies, (("o", "-"), ("s", "--"), ("v", ":")), strict=False))
    for axes, (title, pick) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        for name, beta in lines:
            sizes = [case.sets for case in results if (case.model, case.anisotropy) == (name, beta)]
            values = [pick(results[Case(name, beta, size)]) for size in sizes]
            style = {"color": COLORS[name], "marker": styles[beta][0], "ls": styles[beta][1], "ms": 4}
            error_bars(axes, sizes, values, label=f"{name}, β = {beta:g}", **style)
        counts = sorted({case.sets for case in results})
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.set(title=title, xlabel="sets of walkers")
        axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        axes.yaxis.set_minor_formatter(FormatStrFormatter("%g"))
        if title.startswith("rms"):
            axes.set_yscale("linear")  # almost all of it is noise
            axes.yaxis.set_major_formatter(FormatStrFormatter("%.7f"))
    axes.legend(frameon=False, fontsize=8)
    plots.save(figure, path)


def deposits(models: Mapping[str, Model], alpha: float, path: Path) -> None:
    """The learned generator over the exact one, by the deposit that the walkers were counted with."""
    figure = Figure(figsize=(6.5, 4.4), layout="constrained")
    axes = figure.subplots()
    colors = dict(zip(models, ("tab:red", "tab:blue", "tab:green", plots.LEARNED), strict=True))
    for deposit, model in models.items():
        modulus = model.spectral.basis.wavenumbers.double().square().sum(0).sqrt().flatten()
        chosen = (modulus > 0) & (modulus <= 24)
        order = modulus[chosen].argsort()
        g = linearized_symbol(model).flatten(1)[:, chosen][:, order]
        rate = generator(g[:, None, None], model.dt)[:, 0, 0].real
        kappa = modulus[chosen][order]
        for r, values in enumerate(-rate / kappa**alpha):
            axes.plot(kappa, values, color=colors[deposit], lw=1, label=None if r else deposit)
    axes.axhline(1, color=plots.START, ls="--", lw=1, label="exact")
    (reading,) = inspection.readings(model)  # of the last deposit
    if reading.band:
        low, high = reading.band
        axes.axvspan(low, min(high, 24), color=plots.START, alpha=0.06, lw=0, label=f"identified by the {deposit} data")
    axes.set(xlabel="|κ| (1/length)", ylabel="learned rate / |κ|^α", ylim=(0.5, 2.5), xscale="log")
    axes.legend(frameon=False)
    plots.save(figure, path)
