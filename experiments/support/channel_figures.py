"""Figures of the studies of channels: errors over the cutoff time, and profiles over time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import morlight
from experiments.support.channels import ByCutoff, ChannelErrors, Fields, rows
from morlight.analysis import plots
from morlight.analysis.evaluation import channels as ensemble
from morlight.analysis.model import Model
from morlight.data import mirror
from morlight.data.ensembles import coarse
from morlight.data.trajectory_file import TrajectoryFile


def curves(results: ByCutoff, models: Mapping[str, Fields], names: Mapping[str, str], path: Path) -> None:
    """Figs. 12 and 13: median (left) and minimum (right) of an error over the cutoff time.

    Args:
        results: errors.
        models: fields of each model.
        names: of the error of each model that is shown.
        path: of the figure.
    """
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    picks = {"median": ChannelErrors.median, "minimum": ChannelErrors.least}
    colors = {count: f"C{place}" for place, count in enumerate(sorted({fields.count for fields in models.values()}))}
    for axes, (title, pick) in zip(panels, picks.items(), strict=True):
        for label, fields in models.items():
            values = [pick(each, names[label]) for each in results[label].values()]
            style = "-" if fields.conserved and fields.densities else "--"
            color = colors[fields.count]
            axes.plot(list(results[label]), values, style, color=color, marker="o", ms=3, label=label)
        last = list(models)[-1]
        _baselines(axes, results[last], names[last])
        axes.set(xlabel="cutoff time $t_c$ of the training data", yscale="log", title=f"{title} of the realizations")
    panels[0].set_ylabel("relative error at steady state")
    panels[0].legend(frameon=False, fontsize=7, handlelength=4)
    plots.save(figure, path)


def _baselines(axes: Axes, errors: Mapping[float, ChannelErrors], name: str) -> None:
    """The noise ceiling, and the linear model of each mode."""
    noise = list(errors.values())[-1].noise.get(name)
    if noise is not None:
        axes.axhline(noise, color=plots.START, lw=1, ls=":", label="noise ceiling")
    linear = [each.baselines["linear"][name] for each in errors.values()]
    axes.plot(list(errors), linear, color=plots.START, lw=1, ls="-.", label="linear model of each mode")


@dataclass(frozen=True)
class Column:
    """A column of Figs. 14 and 15.

    Attributes:
        title: of the column.
        field: that is shown.
        model: its label; None for the data alone.
    """

    title: str
    field: str
    model: str | None


@dataclass(frozen=True)
class Data:
    """Runs of one γ, against which models are drawn.

    Attributes:
        path: trajectory file or shipped set.
        only: γ.
        file: opened.
    """

    path: str
    only: Mapping[str, float]
    file: TrajectoryFile

    @classmethod
    def open(cls, path: str, only: Mapping[str, float]) -> "Data":
        """The runs of one γ of a file."""
        return cls(path, only, morlight.open(path))

    @property
    def rows(self) -> list[int]:
        """Trajectories."""
        return rows(self.path, self.only)

    def mean(self, name: str, model: Model) -> np.ndarray:
        """A field (T, N), mean over the runs, on the grid of a model."""
        runs = [self.file.read([name], slice(row, row + 1))[0, :, 0] for row in self.rows]
        u = np.stack(runs).mean(0)
        u = coarse(u, u.shape[-1] // model.grid.points[0], 1)
        signs = mirror.parities(self.file, [name], bool(model.data.parities))
        return mirror.symmetric(u[:, None], signs)[:, 0] if signs else u

    def rollout(self, model: Model) -> np.ndarray:
        """Roll-outs (R, T, C, *X) from rest, ten times as long as the data."""
        runs = ensemble.read(model, self.file, self.rows)
        steps = ensemble.BEYOND * (len(runs.times) - 1)
        gamma = ensemble.gamma_of(model, runs)
        frames: np.ndarray = model.predict(runs.mean[:, 0], steps, finite=False, gamma=gamma)[:, 0]
        return frames


def profiles(
    models: Mapping[str, Model], columns: Sequence[Column], data: Data, times: Sequence[float], path: Path
) -> None:
    """Figs. 14 and 15: fields over x in rows of increasing time, data and learned."""
    figure = Figure(figsize=(3.1 * len(columns), 1.9 * len(times)), layout="constrained")
    panels = figure.subplots(len(times), len(columns), sharex=True, sharey="col", squeeze=False)
    first = next(iter(models.values()))
    (x,) = first.grid.coordinates
    frames = [round(time / data.file.dt) for time in times]
    rollouts = {label: data.rollout(models[label]) for label in {column.model for column in columns} if label}
    for axes, column in zip(panels.T, columns, strict=True):
        learned = None
        if column.model is not None:
            learned = rollouts[column.model][:, :, models[column.model].data.place(column.field)]
        _column(axes, column.title, x, data.mean(column.field, first), learned, frames)
    for axes, time in zip(panels[:, 0], times, strict=True):
        axes.set_ylabel(f"t = {time:g}")
    figure.supylabel("t in units of the duration of the data, 2000 τ", fontsize=9)
    panels[0, 0].legend(frameon=False, fontsize=7)
    plots.save(figure, path)


def _column(
    panels: Sequence[Axes],
    title: str,
    x: np.ndarray,
    truth: np.ndarray,
    learned: np.ndarray | None,
    frames: Sequence[int],
) -> None:
    """One field at some frames."""
    for axes, frame in zip(panels, frames, strict=True):
        if frame < len(truth):
            axes.plot(x, truth[frame], color=plots.TRUTH, lw=3, alpha=0.5, label="LAMMPS")
        for r, values in enumerate([] if learned is None else learned[:, frame]):
            axes.plot(x, values, color=plots.LEARNED, lw=0.7, alpha=0.6, label=None if r else "learned")
    span = truth.max() - min(truth.min(), 0)
    panels[0].set(title=title, ylim=(min(truth.min(), 0) - 0.1 * span, truth.max() + 0.2 * span))
    panels[-1].set_xlabel("x (channel width)")
