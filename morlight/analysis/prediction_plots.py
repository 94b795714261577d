"""Figures of predictions: with their spread over the realizations, and beside data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from morlight.analysis.plots import LEARNED, counted, label, logarithmic, panels, profiles, save, unit_behind
from morlight.operators.description import Grid

Ends = tuple[float | None, float | None]  # of the colors


@dataclass(frozen=True)
class Prediction:
    """First and last frame of a roll-out as a figure shows them.

    Attributes:
        fields: their names.
        grid: of the frames.
        times: of the first and the last frame.
        start: first frame (C, *X).
        learned: last frame of every realization (R, C, *X).
        truth: the same frame in the data (C, *X), where they contain it.
        units: of fields, axes and time, by name.
        deviation: standard deviation of realizations or members in this frame (C, *X), if `learned` is their mean.
        averaged: what these are, such as 5 realizations.
    """

    fields: Sequence[str]
    grid: Grid
    times: tuple[float, float]
    start: np.ndarray
    learned: np.ndarray
    truth: np.ndarray | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    deviation: np.ndarray | None = None
    averaged: str = ""


def prediction(shown: Prediction, path: str | Path) -> None:
    """A prediction and its spread over the realizations: profiles in one dimension, maps in two.

    Raises:
        ValueError: for fields in three dimensions.
    """
    rows, dimensions = len(shown.fields), shown.grid.dimensions
    if dimensions > 2:
        raise ValueError(f"{path}: fields in {dimensions} dimensions cannot be shown as a figure; expected no --plot")
    if dimensions == 1:
        figure = Figure(figsize=(6.4, 3.2 * rows), layout="constrained")
        for c, axes in enumerate(figure.subplots(rows, 1, squeeze=False)[:, 0]):
            _predicted_profile(axes, shown, c)
    else:
        columns = _predicted_maps(shown, 0)
        figure = Figure(figsize=(3.7 * len(columns), 3.3 * rows), layout="constrained")
        for c, row in enumerate(figure.subplots(rows, len(columns), squeeze=False)):
            for axes, (title, values) in zip(row, _predicted_maps(shown, c).items(), strict=True):
                figure.colorbar(_map(axes, values, shown.grid, shown.units), ax=axes)
                axes.set_title(title, fontsize=9)
    save(figure, path)


def _predicted_profile(axes: Axes, shown: Prediction, c: int) -> None:
    (x,) = shown.grid.coordinates
    truth = None if shown.truth is None else shown.truth[c]
    if len(shown.learned) > 1:
        low, high = shown.learned[:, c].min(0), shown.learned[:, c].max(0)
        axes.fill_between(x, low, high, color=LEARNED, alpha=0.2, lw=0)
    elif shown.deviation is not None:
        mean, sd = shown.learned[0, c], shown.deviation[c]
        axes.fill_between(x, mean - sd, mean + sd, color=LEARNED, alpha=0.2, lw=0)
    profiles(axes, x, start=shown.start[c], learned=shown.learned[:, c], truth=truth, truth_label="data")
    if shown.averaged:
        axes.lines[-1].set_label(f"prediction, mean ± standard deviation of {shown.averaged}")
    first, last = shown.times
    axes.set_title(f"initial state at t = {first:g}, prediction at t = {last:.4g}{unit_behind(shown.units, 'time')}")
    axes.set(xlabel=label("x", shown.units), ylabel=label(shown.fields[c], shown.units))
    axes.legend(frameon=False, fontsize=8)


def _predicted_maps(shown: Prediction, c: int) -> dict[str, np.ndarray]:
    """Maps of a field by their titles."""
    name, unit, (first, last) = label(shown.fields[c], shown.units), unit_behind(shown.units, "time"), shown.times
    several = len(shown.learned) > 1
    predicted = f"prediction, median of {counted(len(shown.learned))}" if several else "prediction"
    predicted = f"prediction, mean of {shown.averaged}" if shown.averaged else predicted
    maps = {f"{name}\ninitial state, t = {first:g}{unit}": shown.start[c]}
    if shown.truth is not None:
        maps[f"{name}\ndata, t = {last:.4g}{unit}"] = shown.truth[c]
    maps[f"{name}\n{predicted}, t = {last:.4g}{unit}"] = np.median(shown.learned[:, c], 0)
    if several:
        maps[f"{name}\nstandard deviation over the realizations"] = shown.learned[:, c].std(0)
    elif shown.deviation is not None:
        maps[f"{name}\nstandard deviation of {shown.averaged}"] = shown.deviation[c]
    return maps


def _map(axes: Axes, values: np.ndarray, grid: Grid, units: Mapping[str, str], ends: Ends = (None, None)) -> AxesImage:
    axes.set(xlabel=label("x", units), ylabel=label("y", units))
    extent = (0.0, grid.length[0], 0.0, grid.length[1])
    return axes.imshow(values.T, origin="lower", extent=extent, vmin=ends[0], vmax=ends[1])


def rollout(  # noqa: PLR0913 - the parts of a figure
    path: str | Path,
    grid: Grid,
    fields: Sequence[str],
    times: np.ndarray,
    *,
    learned: np.ndarray,
    truth: np.ndarray,
    units: Mapping[str, str] | None = None,
) -> None:
    """Roll-out beside data it has not seen, at some times, and its error over time, a row for each field.

    Args:
        path: of the figure.
        grid: of the data.
        fields: their names.
        times: of the frames (T,).
        learned: every realization (R, T, C, *X).
        truth: data (T, C, *X).
        units: of fields, axes and time, by name.
    """
    units = units or {}
    shown = sorted({len(times) // 4, len(times) - 1} if len(grid.points) == 1 else {len(times) - 1})
    columns = len(shown) if len(grid.points) == 1 else 2
    figure, rows = panels(len(fields), columns + 1, (3.4, 2.8))
    unit = unit_behind(units, "time")
    for c, row in enumerate(rows):
        if len(grid.points) == 1:
            for axes, t in zip(row, shown, strict=False):
                curves = {"start": truth[0, c], "learned": learned[:, t, c], "truth": truth[t, c]}
                profiles(axes, grid.coordinates[0], **curves, truth_label="data")
                margin = 0.2 * np.ptp(truth[:, c])  # values beyond are cut off
                axes.set(ylim=(truth[:, c].min() - margin, truth[:, c].max() + margin))
                axes.set(title=f"t = {times[t]:.3g}{unit}", xlabel=label("x", units), ylabel=label(fields[c], units))
            row[0].legend(frameon=False, fontsize=7)
        elif len(grid.points) == 2:
            ends = float(truth[-1, c].min()), float(truth[-1, c].max())
            for axes, values, name in ((row[0], truth[-1, c], "data"), (row[1], learned[0, -1, c], "prediction")):
                _map(axes, values, grid, units, ends)
                axes.set_title(f"{label(fields[c], units)}\n{name}, t = {times[-1]:.3g}{unit}", fontsize=9)
        _errors(row[-1], times, learned[:, :, c], truth[:, c])
        row[-1].set(xlabel=label("time", units), ylabel=f"relative error of {fields[c]}")
    save(figure, path)


def _errors(axes: Axes, times: np.ndarray, learned: np.ndarray, truth: np.ndarray) -> None:
    """Relative error of each realization over time."""
    norm = np.sqrt(np.square(truth).reshape(len(times), -1).sum(1))
    off = np.square(learned - truth).reshape(len(learned), len(times), -1).sum(2)
    for values in np.sqrt(off) / norm:
        axes.plot(times[1:], values[1:], color=LEARNED, lw=1)
    logarithmic(axes, "y")
