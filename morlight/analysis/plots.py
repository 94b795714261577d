"""Figures by matplotlib: what was learned, roll-outs, and roll-outs beside data."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure

from morlight.data.whole_file import check_output, whole_file
from morlight.operators.description import Grid

START, TRUTH, LEARNED = "black", "tab:blue", "tab:orange"


@dataclass(frozen=True)
class Reading:
    """Symbol and nonlinearity of one field, as a figure shows them.

    Attributes:
        field: name of the field.
        modulus: |κ| of every mode (K,), 1/length.
        symbol: log(1 + g h′)/Δt (R, K), 1/time, the generator; of an operator without time g itself.
        decay: −generator of the exact equation (K,), where it is known.
        u: values of the field (P,).
        h: nonlinearity of every term (R, k, P).
        power: n of the gauge h(u) ≈ uⁿ; 0 without a gauge.
        steady: whether the operator is one without time.
        band: smallest and largest |κ| that the data identify; empty where not known.
        form: closed form of the equation, where there is one.
    """

    field: str
    modulus: np.ndarray
    symbol: np.ndarray
    decay: np.ndarray | None
    u: np.ndarray
    h: np.ndarray
    power: int = 1
    steady: bool = False
    band: tuple[float, ...] = ()
    form: str = ""


def check(path: str | Path, overwrite: bool = True) -> Path:
    """The path of a figure to be written.

    Raises:
        ValueError: where the file cannot be written or may not be replaced, or the ending is not an image format.
    """
    path = Path(path)
    check_output(path, overwrite)
    known = FigureCanvasBase.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        raise ValueError(
            f"{path}: {path.suffix or 'no ending'} is not an image format, expected one of {', '.join(known)}"
        )
    return path


def save(figure: Figure, path: str | Path, extent: str | None = None) -> None:
    """Write a figure, whole or not at all; `tight` makes it as large as what is drawn."""
    with whole_file(check(path)) as draft:
        figure.savefig(draft, dpi=150, bbox_inches=extent)


def styled() -> AbstractContextManager[None]:
    """A context for drawing by others, whose changes of style end with it."""
    return rc_context()


def keep(figure: Figure, path: str | Path) -> None:
    """Write a figure of pyplot, with room for its labels, and close it."""
    from matplotlib import pyplot

    save(figure, path, "tight")
    pyplot.close(figure)


def learned(readings: Sequence[Reading], path: str | Path) -> None:
    """Generator log(1 + g)/Δt over |κ| and nonlinearity h(u) of each field, every realization (Fig. 2, 6)."""
    figure = Figure(figsize=(9, 3.6 * len(readings)), layout="constrained")
    for (left, right), reading in zip(figure.subplots(len(readings), 2, squeeze=False), readings, strict=True):
        (_symbol if reading.steady else _generator)(left, reading)
        left.legend(title=f"{len(reading.symbol)} realizations", frameon=False)
        for values in reading.h.reshape(-1, len(reading.u)):
            right.plot(reading.u, values, color=LEARNED, lw=1)
        if reading.power:
            power = {1: "u", 2: "u²", 3: "u³"}[reading.power]
            right.plot(reading.u, reading.u**reading.power, color=START, lw=0.8, ls=":", label=f"h(u) = {power}")
            right.legend(frameon=False)
        right.set(
            xlabel=reading.field if reading.field == "u" else f"{reading.field} u",
            ylabel="h(u), scaled to it" if reading.power else "h(u)",
        )
    save(figure, path)


def _generator(axes: Axes, reading: Reading) -> None:
    order = reading.modulus.argsort()
    order = order[reading.modulus[order] > 0]
    for r, values in enumerate(reading.symbol):
        axes.plot(reading.modulus[order], -values.real[order], color=LEARNED, lw=1, label=None if r else "learned")
    if reading.decay is not None:
        axes.plot(reading.modulus[order], reading.decay[order], color=START, lw=1, ls="--", label="exact")
    if reading.band:
        axes.axvspan(*reading.band, color=START, alpha=0.06, lw=0, label="identified by the data")
    if reading.form:
        axes.set_title(reading.form, fontsize=9)
    decays = bool((reading.symbol.real < 0).any())  # a logarithmic axis needs positive values
    axes.set(xlabel="wavenumber |κ| (1/length)", ylabel="−Re log(1 + g)/Δt (1/time)")
    axes.set(xscale="log", yscale="log" if decays else "linear")


def _symbol(axes: Axes, reading: Reading) -> None:
    low, high = reading.band or (0.0, np.inf)
    order = reading.modulus.argsort()
    order = order[(reading.modulus[order] >= 0.999 * low) & (reading.modulus[order] <= 1.001 * high)]
    for r, values in enumerate(reading.symbol):
        for part, color, label in ((values.real, TRUTH, "Re g"), (values.imag, LEARNED, "Im g")):
            axes.plot(reading.modulus[order], part[order], color=color, lw=1, label=None if r else label)
    axes.set(xlabel="identified wavenumbers |κ| (1/length)", ylabel="symbol g")


def profiles(
    axes: Axes, x: np.ndarray, *, start: np.ndarray, learned: np.ndarray, truth: np.ndarray | None = None
) -> None:
    """One panel of Fig. 4: the initial field, the field later, and every learned realization."""
    axes.plot(x, start, color=START, lw=1, label="start")
    if truth is not None:
        axes.plot(x, truth, color=TRUTH, lw=3, alpha=0.5, label="data or exact")
    for r, values in enumerate(learned):
        axes.plot(x, values, color=LEARNED, lw=1, alpha=0.8, label=None if r else "learned")


def prediction(
    frames: np.ndarray, times: Sequence[float], path: str | Path, *, fields: Sequence[str], grid: Grid
) -> None:
    """First and last frame of a roll-out (R, T, C, *X): profiles in one dimension, maps of one realization in two."""
    points, length = grid.points, grid.length
    if len(points) == 1:
        figure = Figure(figsize=(6, 3.2 * len(fields)), layout="constrained")
        (x,) = grid.coordinates
        for c, axes in enumerate(np.atleast_1d(figure.subplots(len(fields), 1))):
            profiles(axes, x, start=frames[0, 0, c], learned=frames[:, -1, c])
            axes.set(xlabel="x (length)", ylabel=fields[c], title=f"t = {times[0]:g} and {times[-1]:g}")
            axes.legend(frameon=False)
    elif len(points) == 2:
        figure = Figure(figsize=(8, 3.6 * len(fields)), layout="constrained")
        panels = np.atleast_2d(figure.subplots(len(fields), 2))
        for c, row in enumerate(panels):
            for axes, frame, time in zip(row, (frames[0, 0, c], frames[0, -1, c]), (times[0], times[-1]), strict=True):
                image = axes.imshow(frame.T, origin="lower", extent=(0, length[0], 0, length[1]))
                axes.set(xlabel="x (length)", ylabel="y (length)", title=f"{fields[c]}, t = {time:g}")
                figure.colorbar(image, ax=axes)
    else:
        raise ValueError(f"{path}: fields in {len(points)} dimensions cannot be shown as a figure; expected no --plot")
    save(figure, path)


def rollout(path: str | Path, grid: Grid, fields: Sequence[str], times: np.ndarray, *, learned: np.ndarray,
            truth: np.ndarray) -> None:  # fmt: skip
    """Roll-out beside data it has not seen, at some times, and its error over time, a row for each field.

    Args:
        path: of the figure.
        grid: of the data.
        fields: their names.
        times: of the frames (T,).
        learned: every realization (R, T, C, *X).
        truth: data (T, C, *X).
    """
    shown = sorted({len(times) // 4, len(times) - 1} if len(grid.points) == 1 else {len(times) - 1})
    columns = len(shown) if len(grid.points) == 1 else 2
    figure = Figure(figsize=(3.2 * (columns + 1), 2.6 * len(fields)), layout="constrained")
    for c, row in enumerate(figure.subplots(len(fields), columns + 1, squeeze=False)):
        if len(grid.points) == 1:
            for axes, t in zip(row, shown, strict=False):
                profiles(axes, grid.coordinates[0], start=truth[0, c], learned=learned[:, t, c], truth=truth[t, c])
                margin = 0.2 * np.ptp(truth[:, c])  # values beyond are cut off
                axes.set(ylim=(truth[:, c].min() - margin, truth[:, c].max() + margin))
                axes.set(title=f"t = {times[t]:.3g}", xlabel="x (length)", ylabel=fields[c])
            row[0].legend(frameon=False, fontsize=7)
        elif len(grid.points) == 2:
            span = {"vmin": truth[-1, c].min(), "vmax": truth[-1, c].max()}
            for axes, values, name in ((row[0], truth[-1, c], "data"), (row[1], learned[0, -1, c], "learned")):
                axes.imshow(values.T, origin="lower", extent=(0, grid.length[0], 0, grid.length[1]), **span)
                axes.set(title=f"{name}, {fields[c]}, t = {times[-1]:.3g}")
        norm = np.sqrt(np.square(truth[:, c]).reshape(len(times), -1).sum(1))
        off = np.square(learned[:, :, c] - truth[:, c]).reshape(len(learned), len(times), -1).sum(2)
        for values in np.sqrt(off) / norm:
            row[-1].plot(times[1:], values[1:], color=LEARNED, lw=1)
        row[-1].set(xlabel="t (time)", ylabel=f"relative error of {fields[c]}", yscale="log")
    save(figure, path)
