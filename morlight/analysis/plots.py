"""Figures by matplotlib: what was learned, profiles, and the parts that all figures share."""

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

from morlight.data.whole_file import check_output, whole_file

START, TRUTH, LEARNED = "black", "tab:blue", "tab:orange"
TERMS = ("tab:orange", "tab:green", "tab:red", "tab:purple")
DPI = 150
LEFT, RIGHT, BOTTOM, TOP = 0.8, 0.12, 0.48, 0.34  # margins of a panel in inches, with tick labels of 8 pt
XLABEL, YLABEL = 0.26, 0.58  # distances of the labels from the axes
EDGE = 1.03  # factor by which the area of a band of wavenumbers is wider, so that a single one is visible
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


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
        if draft.suffix.lower() == ".png" and extent is None:
            figure.set_dpi(DPI)
            FigureCanvasAgg(figure).print_png(draft, pil_kwargs={"compress_level": 1})  # savefig would draw it twice
        else:
            figure.savefig(draft, dpi=DPI, bbox_inches=extent)


def panels(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, list[list[Axes]]]:
    """A figure and its panels, row by row, with fixed margins.

    Matplotlib's layout engines measure every label, which takes longer than drawing.

    Args:
        rows: number.
        columns: number.
        size: width and height of a panel with its margins, in inches.
    """
    figure = Figure(figsize=(columns * size[0], rows * size[1]))
    size_of_axes = size[0] - LEFT - RIGHT, size[1] - BOTTOM - TOP
    bottoms = [row * size[1] + BOTTOM for row in reversed(range(rows))]
    lefts = [column * size[0] + LEFT for column in range(columns)]
    return figure, [[_panel(figure, (left, bottom), size_of_axes) for left in lefts] for bottom in bottoms]


def _panel(figure: Figure, corner: tuple[float, float], size: tuple[float, float]) -> Axes:
    """Axes with their lower left corner at a place, in inches."""
    (W, H), (left, bottom), (width, height) = figure.get_size_inches(), corner, size
    axes = figure.add_axes((left / W, bottom / H, width / W, height / H))
    axes.tick_params(labelsize=8)
    axes.xaxis.set_label_coords(0.5, -XLABEL / height)
    axes.yaxis.set_label_coords(-YLABEL / width, 0.5)
    axes.set_title("", y=1.0)  # else its height is sought among the labels
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        formatter = ScalarFormatter()
        formatter.set_powerlimits((-3, 4))  # longer numbers would reach the label
        axis.set_major_formatter(formatter)
    return axes


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
    figure, rows = panels(len(readings), 2, (4.5, 3.6))
    for (left, right), reading in zip(rows, readings, strict=True):
        (_symbol if reading.steady else _generator)(left, reading)
        left.legend(title=f"{reading.field}, {counted(len(reading.symbol))}", frameon=False)
        _nonlinearity(right, reading)
    save(figure, path)


def _nonlinearity(axes: Axes, reading: Reading) -> None:
    terms = reading.h.shape[1]
    for k in range(terms):
        for r, values in enumerate(reading.h[:, k]):
            label = None if r or terms == 1 else f"term {k + 1}"
            axes.plot(reading.u, values, color=TERMS[k % len(TERMS)], lw=1, label=label)
    gauge = {1: "u", 2: "u²", 3: "u³"}.get(reading.power)
    if gauge:
        axes.plot(reading.u, reading.u**reading.power, color=START, lw=0.8, ls=":", label=f"h(u) = {gauge}")
    if gauge or terms > 1:
        axes.legend(frameon=False)
    axes.set(
        xlabel="u" if reading.field == "u" else f"u = {reading.field}",
        ylabel=f"nonlinearity h(u), scaled to h(u) ≈ {gauge}" if gauge else "nonlinearity h(u)",
    )


def _generator(axes: Axes, reading: Reading) -> None:
    order = reading.modulus.argsort()
    order = order[reading.modulus[order] > 0]
    shared = len(np.unique(reading.modulus)) < len(reading.modulus)  # modes of other directions have the same |κ|
    style = {"ls": "none", "marker": ".", "ms": 2} if shared else {"lw": 1}
    for r, values in enumerate(reading.symbol):
        label = None if r else "learned"
        axes.plot(reading.modulus[order], -values.real[order], color=LEARNED, label=label, **style)
    if reading.decay is not None:
        axes.plot(reading.modulus[order], reading.decay[order], color=START, lw=1, ls="--", label="exact")
    if reading.band:
        low, high = reading.band[0] / EDGE, reading.band[1] * EDGE
        axes.axvspan(low, high, color=START, alpha=0.06, lw=0, label="identified by the data")
    if reading.form:
        axes.set_title(reading.form, fontsize=9)
    axes.set(xlabel="wavenumber |κ| (1/length)", ylabel="decay rate −Re log(1 + g)/Δt (1/time)")
    logarithmic(axes, "x")
    if (reading.symbol.real[:, order] < 0).any():  # a logarithmic axis needs positive values
        logarithmic(axes, "y")


def _symbol(axes: Axes, reading: Reading) -> None:
    low, high = reading.band or (0.0, np.inf)
    order = reading.modulus.argsort()
    order = order[(reading.modulus[order] >= 0.999 * low) & (reading.modulus[order] <= 1.001 * high)]
    for r, values in enumerate(reading.symbol):
        for part, color, label in ((values.real, TRUTH, "Re g"), (values.imag, LEARNED, "Im g")):
            axes.plot(reading.modulus[order], part[order], color=color, lw=1, label=None if r else label)
    known = ", where the data identify it" if reading.band else ""
    axes.set(xlabel=f"wavenumber |κ| (1/length){known}", ylabel="symbol g")


def logarithmic(axes: Axes, name: Literal["x", "y"]) -> None:
    """A logarithmic scale with labels that do not overlap; a linear one if the values differ by a factor below 5."""
    axis, set_scale = (axes.xaxis, axes.set_xscale) if name == "x" else (axes.yaxis, axes.set_yscale)
    set_scale("log")
    low, high = axis.get_view_interval()
    if high < 5 * low:
        set_scale("linear")
    elif high < 100 * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if axis.get_scale() == "log":
        axis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))  # all nine take as long as everything else on the axis
    axis.set_minor_formatter(NullFormatter())


def profiles(
    axes: Axes,
    x: np.ndarray,
    *,
    start: np.ndarray,
    learned: np.ndarray,
    truth: np.ndarray | None = None,
    truth_label: str = "exact",
) -> None:
    """One panel of Fig. 4: the initial field, the field later, and every learned realization with their median."""
    axes.plot(x, start, color=START, lw=1, ls="--", label="initial state")
    if truth is not None:
        axes.plot(x, truth, color=TRUTH, lw=3, alpha=0.5, label=truth_label)
    for r, values in enumerate(learned):
        label = None if r else f"prediction, {counted(len(learned))}"
        axes.plot(x, values, color=LEARNED, lw=1, alpha=0.8, label=label)


def counted(realizations: int) -> str:
    return "1 realization" if realizations == 1 else f"{realizations} realizations"


def label(name: str, units: Mapping[str, str]) -> str:
    """Name and unit of a field or an axis."""
    return f"{name} ({_pretty(units[name])})" if units.get(name) else name


def unit_behind(units: Mapping[str, str], name: str) -> str:
    """Unit behind a number, with a space in between; empty if it is not known."""
    return f" {_pretty(units[name])}" if units.get(name, name) not in ("", name) else ""


def _pretty(unit: str) -> str:
    """sigma-3 as σ⁻³."""
    for word, letter in (("sigma", "σ"), ("epsilon", "ε"), ("tau", "τ"), ("angstrom", "Å")):
        unit = unit.replace(word, letter)
    return re.sub(r"(?<=\w)-?\d+", lambda match: match[0].translate(SUPERSCRIPTS), unit)
