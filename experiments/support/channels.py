"""What the studies of channels share (Sec. 6): models by their fields, errors of one γ, curves and profiles."""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.study import Study
from morlight.analysis import model as prediction
from morlight.analysis import plots
from morlight.analysis.evaluation import channels as ensemble
from morlight.analysis.evaluation import walkers as evaluation
from morlight.data import trajectory_file as trajectories

CUTOFFS = {"small": (0.2, 1.0), "paper": (0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)}  # t_c; M = 4 needs 0.1
SMALL = "--model.realizations 4 --trainer.max_epochs 20"  # a try in minutes
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
    def words(self) -> str:
        """For `morlight fit`."""
        kept = "conservation, stability" if self.conserved else "stability"
        biases = {name: kept for name in self.densities} | {name: "stability" for name in (*self.others, *self.momenta)}
        told = ", ".join(f"{name}: [{words}]" for name, words in biases.items())
        bases = ", ".join(f"{name}: sine" for name in self.momenta)
        fields = ", ".join((*self.densities, *self.others, *self.momenta))
        return f'--data.fields "[{fields}]" --model.biases "{{{told}}}" --model.bases "{{{bases}}}"'


def parser(doc: str | None, data: str) -> argparse.ArgumentParser:
    """Options of a study of channels."""
    found = argparse.ArgumentParser(description=doc)
    found.add_argument("--scale", choices=CUTOFFS, default="small", help="small: a try in minutes; paper: all of it")
    found.add_argument("--data", default=data, help=f"trajectory file or shipped set (default {data})")
    found.add_argument("--processes", type=int, default=2, help="fits at once (default 2)")
    return found


def rows(data: str, wanted: Mapping[str, float]) -> list[int]:
    """Trajectories of one γ."""
    held = trajectories.describe(data)
    return trajectories.where(held, wanted, "the study")[: held.trajectories].nonzero()[0].tolist()


def measure(model: prediction.Model, data: str, only: Mapping[str, float], names: Sequence[str]) -> dict[str, Any]:
    """Errors of every realisation at one γ, with the noise ceiling and the baselines beside them."""
    found = evaluation.evaluate(model, data, rows(data, only))
    noise = found["noise_ceiling"] or {}
    return {
        "errors": {name: rounded(found["errors"][name]["per_realization"]) for name in names},
        "noise": {name: rounded([noise[name]])[0] for name in names if name in noise},
        "baselines": {
            word: {name: rounded([told[name]])[0] for name in names} for word, told in found["baselines"].items()
        },
        "bounded": found["bounded"]["count"],
        "steps": found["bounded"]["steps"],
        "mass_drift": max(max(values) for name, values in found["mass_drift"].items() if "density" in name)
        if any("density" in name for name in found["mass_drift"])
        else None,
    }


def rounded(values: Iterable[float]) -> list[float]:
    """Numbers worth keeping."""
    return [float(f"{value:.{DIGITS}g}") for value in values]


def median(result: Mapping[str, Any], name: str) -> float:
    """Of the realisations."""
    return float(np.median(result["errors"][name]))


def least(result: Mapping[str, Any], name: str) -> float:
    """Of the realisations."""
    return float(min(result["errors"][name]))


def by_cutoff(
    study: Study, models: Mapping[str, Fields], base: str, options: argparse.Namespace, only: Mapping[str, float]
) -> dict[str, dict[str, Any]]:
    """Fits of every model for every cutoff time, on all γ (Fig. 12, 13); keys MODEL/t_c."""
    small = SMALL if options.scale == "small" else ""
    start = f"{base} --data.path {options.data} --data.held_out null"
    words = {
        f"{label}/{cutoff}": " ".join(f"{start} {fields.words} --data.cutoff {cutoff} {small}".split())
        for label, fields in models.items()
        for cutoff in CUTOFFS[options.scale]
    }

    def found(key: str, model: prediction.Model) -> dict[str, Any]:
        names = [name for name in judged(models[key.split("/")[0]])]
        return measure(model, options.data, only, names)

    return study.fits(words, found, options.processes)


def judged(fields: Fields) -> list[str]:
    """Errors that are kept: at steady state, of momentum where it evolves that alone."""
    one = fields.count == 1
    each = [""] if one else [f" {name}" for name in (*fields.densities, *fields.momenta)]
    return ["eq35", *(f"{word}{name}" for name in each for word in ("t=0.025", "t=1", "steady"))]


def curves(
    found: Mapping[str, Mapping[str, Any]], models: Mapping[str, Fields], name: Callable[[Fields], str], path: Path
) -> None:
    """Figs. 12 and 13: median (left) and minimum (right) of an error over the cutoff time."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    colors = {count: f"C{place}" for place, count in enumerate(sorted({fields.count for fields in models.values()}))}
    for axes, word, pick in zip(panels, ("median", "minimum"), (median, least), strict=True):
        for label, fields in models.items():
            mine = {float(key.split("/")[1]): told for key, told in found.items() if key.split("/")[0] == label}
            times = sorted(mine)
            values = [pick(mine[t], name(fields)) for t in times]
            style = "-" if fields.conserved and fields.densities else "--"
            axes.plot(times, values, style, color=colors[fields.count], marker="o", ms=3, label=label)
        told = mine[times[-1]]
        noise = told["noise"].get(name(fields))
        if noise is not None:
            axes.axhline(noise, color=plots.START, lw=1, ls=":", label="noise ceiling")
        linear = [mine[t]["baselines"]["linear"][name(fields)] for t in times]
        axes.plot(times, linear, color=plots.START, lw=1, ls="-.", label="linear model of each mode")
        axes.set(xlabel="cutoff time $t_c$ of the training data", yscale="log", title=f"{word} of the realisations")
    panels[0].set_ylabel("relative error at steady state")
    panels[0].legend(frameon=False, fontsize=7, handlelength=4)
    plots.save(figure, path)


def profiles(
    models: Mapping[str, prediction.Model],
    columns: Mapping[str, tuple[str | None, str]],
    data: str,
    only: Mapping[str, float],
    times: Sequence[float],
    path: Path,
) -> None:
    """Figs. 14 and 15: fields over x in rows of increasing time, data and learned.

    Args:
        columns: title of each column, with the model that it is drawn from (None for the data alone) and its field.
    """
    held = trajectories.describe(data)
    figure = Figure(figsize=(3.1 * len(columns), 1.9 * len(times)), layout="constrained")
    panels = figure.subplots(len(times), len(columns), sharex=True, sharey="col", squeeze=False)
    any_model = next(iter(models.values()))
    walks = {label: _walk(model, held, only, data) for label, model in models.items()}
    for column, (title, (label, name)) in zip(panels.T, columns.items(), strict=True):
        truth = _field(held, name, rows(data, only), any_model)
        (x,) = trajectories.Grid(tuple(any_model.data["points"]), held.grid.length, held.grid.boundaries).coordinates
        for axes, time in zip(column, times, strict=True):
            frame = round(time / held.dt)
            if frame < len(truth):
                axes.plot(x, truth[frame], color=plots.TRUTH, lw=3, alpha=0.5, label="LAMMPS")
            if label is not None:
                place = models[label].data["fields"].index(name)
                for r, values in enumerate(walks[label][:, frame, place]):
                    axes.plot(x, values, color=plots.LEARNED, lw=0.7, alpha=0.6, label=None if r else "learned")
        span = truth.max() - min(truth.min(), 0)
        column[0].set(title=title, ylim=(min(truth.min(), 0) - 0.1 * span, truth.max() + 0.2 * span))
        column[-1].set_xlabel("x (channel width)")
    for axes, time in zip(panels[:, 0], times, strict=True):
        axes.set_ylabel(f"t = {time:g}")
    figure.supylabel("t in units of the length of the data, 2000 τ in the sets lj and colloid", fontsize=9)
    panels[0, 0].legend(frameon=False, fontsize=7)
    plots.save(figure, path)


def _walk(model: prediction.Model, held: trajectories.Trajectories, only: Mapping[str, float], data: str) -> np.ndarray:
    """Roll-outs (R, T, C, *X) ten times as long as the data."""
    mean = ensemble.read(model, held, rows(data, only))
    gamma = np.array([[mean.gammas[0][name] for name in model.data["parameters"]]])
    steps = ensemble.BEYOND * (len(mean.times) - 1)
    found: np.ndarray = model.predict(mean.mean[:1, 0], steps, finite=False, gamma=gamma)[:, 0]
    return found


def _field(held: trajectories.Trajectories, name: str, members: Sequence[int], model: prediction.Model) -> np.ndarray:
    """A field of the data, mean over the runs of one γ, on the grid of a model."""
    u = np.stack([trajectories.read(held.path, [name], slice(row, row + 1))[0, :, 0] for row in members]).mean(0)
    return trajectories.coarse(u, u.shape[-1] // model.data["points"][0], 1)


def settled(axes: Axes, x: np.ndarray, truth: np.ndarray, learned: np.ndarray) -> None:
    """One panel of steady profiles, the best realisation."""
    axes.plot(x, truth, color=plots.TRUTH, lw=3, alpha=0.5, label="LAMMPS")
    axes.plot(x, learned, color=plots.LEARNED, lw=1.2, ls="--", label="learned")


def cell(result: Mapping[str, Any], name: str) -> str:
    """Median and minimum in units of their own, and of the noise where it is known."""
    told = f"{median(result, name):.2g} / {least(result, name):.2g}"
    noise = result["noise"].get(name)
    return told if not noise else f"{told} ({median(result, name) / noise:.1f}× / {least(result, name) / noise:.1f}×)"
