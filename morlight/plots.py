"""Everything that knows matplotlib: the figures that people look at first."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure

from morlight.data.trajectories import Grid

START, TRUTH, LEARNED = "black", "tab:blue", "tab:orange"


@dataclass(frozen=True)
class Reading:
    """What there is to see of a learned operator with one field.

    Attributes:
        field: name of the field.
        modulus: |κ| of every mode (K,), 1/length.
        generator: log(1 + g)/Δt (R, K), 1/time, in the gauge in which h has slope 1.
        decay: −generator of the exact equation (K,), where it is known.
        u: values of the field (P,).
        h: nonlinearity (R, P) in the same gauge.
    """

    field: str
    modulus: np.ndarray
    generator: np.ndarray
    decay: np.ndarray | None
    u: np.ndarray
    h: np.ndarray


def check(path: str | Path) -> Path:
    """The path of a figure to be written.

    Raises:
        ValueError: where the folder is missing or the ending is no image format.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ValueError(f"{path}: the folder {path.parent} does not exist")
    known = FigureCanvasBase.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        raise ValueError(f"{path}: {path.suffix or 'no ending'} is no image format, expected one of {', '.join(known)}")
    return path


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure, whole or not at all."""
    path = check(path)
    temporary = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        figure.savefig(temporary, dpi=150)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def learned(reading: Reading, path: str | Path) -> None:
    """Generator log(1 + g)/Δt over |κ| and nonlinearity h(u), every realisation (Fig. 6)."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    order = reading.modulus.argsort()[1:]
    for r, values in enumerate(reading.generator):
        label = None if r else "learned"
        left.plot(reading.modulus[order], -values.real[order], color=LEARNED, lw=1, label=label)
    if reading.decay is not None:
        left.plot(reading.modulus[order], reading.decay[order], color=START, lw=1, ls="--", label="exact")
    left.set(xscale="log", yscale="log", xlabel="wavenumber |κ| (1/length)", ylabel="−Re log(1 + g)/Δt (1/time)")
    left.legend(title=f"{len(reading.generator)} realisations", frameon=False)
    for values in reading.h:
        right.plot(reading.u, values, color=LEARNED, lw=1)
    right.plot(reading.u, reading.u, color=START, lw=0.8, ls=":", label="h(u) = u")
    right.set(xlabel=f"{reading.field} u", ylabel="h(u), slope 1 where the data are")
    right.legend(frameon=False)
    save(figure, path)


def profiles(
    axes: Axes, x: np.ndarray, *, start: np.ndarray, learned: np.ndarray, truth: np.ndarray | None = None
) -> None:
    """One panel of Fig. 4: the initial field, the field later, and every learned realisation."""
    axes.plot(x, start, color=START, lw=1, label="start")
    if truth is not None:
        axes.plot(x, truth, color=TRUTH, lw=3, alpha=0.5, label="data or exact")
    for r, values in enumerate(learned):
        axes.plot(x, values, color=LEARNED, lw=1, alpha=0.8, label=None if r else "learned")


def prediction(
    frames: np.ndarray, times: Sequence[float], path: str | Path, *, fields: Sequence[str], grid: Grid
) -> None:
    """First and last frame of a roll-out (R, T, C, *X): profiles in one dimension, maps of one realisation in two."""
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
        raise ValueError(f"{path}: fields in {len(points)} dimensions have no figure, leave --plot out")
    save(figure, path)
