"""Animated roll-outs: GIF by Pillow, which comes with matplotlib, and MP4 by ffmpeg, if it is installed."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.animation import AbstractMovieWriter, FFMpegWriter, PillowWriter
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from morlight.analysis.plots import LEARNED, START
from morlight.data.whole_file import check_output, whole_file
from morlight.operators.description import Grid

ENDINGS = (".gif", ".mp4")
FRAMES = 150  # at most; longer roll-outs are thinned out evenly
RATE = 15  # frames a second
DPI = 80
Draw = Callable[[int], None]


def check(path: str | Path, overwrite: bool = True) -> Path:
    """The path of a film to be written.

    Raises:
        ValueError: where the file cannot be written or may not be replaced, the ending is neither gif nor mp4, or
            ffmpeg is missing for mp4.
    """
    path = Path(path)
    check_output(path, overwrite)
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"{path}: {path.suffix or 'no ending'} is not a film format, expected {' or '.join(ENDINGS)}")
    if path.suffix.lower() == ".mp4" and ffmpeg() is None:
        raise ValueError(f"{path}: there is no ffmpeg to write it; run `pip install imageio-ffmpeg`, or write a .gif")
    return path


def ffmpeg() -> str | None:
    """Path of the ffmpeg of the system, or of imageio-ffmpeg; None without either."""
    installed = shutil.which("ffmpeg")
    if installed:
        return installed
    try:
        import imageio_ffmpeg
    except ImportError:
        return None
    try:
        program: str = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError:  # a wheel without the program
        return None
    return program


def film(frames: np.ndarray, times: Sequence[float], path: str | Path, *, fields: Sequence[str], grid: Grid) -> None:
    """A roll-out (R, T, C, *X) over time: profiles of all realizations on a line, maps of the first in the plane."""
    path = check(path)
    if len(grid.points) > 2:
        raise ValueError(
            f"{path}: fields in {len(grid.points)} dimensions cannot be shown as a film; expected no --animate"
        )
    figure = Figure(figsize=(6, 3.2 * len(fields)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = np.atleast_1d(figure.subplots(len(fields), 1))
    draw = _profiles if len(grid.points) == 1 else _maps
    drawn = [draw(axes, frames[:, :, c], fields[c], grid) for c, axes in enumerate(panels)]
    shown = np.unique(np.linspace(0, len(times) - 1, min(FRAMES, len(times))).round().astype(int))
    writer = _writer(path)
    with (
        whole_file(path) as draft,
        matplotlib.rc_context({"animation.ffmpeg_path": ffmpeg() or "ffmpeg"}),
        writer.saving(figure, str(draft), DPI),
    ):
        for at in shown.tolist():
            for update in drawn:
                update(at)
            panels[0].set_title(f"t = {times[at]:.4g}")
            writer.grab_frame()


def _writer(path: Path) -> AbstractMovieWriter:
    if path.suffix.lower() == ".gif":
        return PillowWriter(fps=RATE)
    return FFMpegWriter(
        fps=RATE, codec="h264", extra_args=["-pix_fmt", "yuv420p", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2"]
    )


def _profiles(axes: Axes, frames: np.ndarray, field: str, grid: Grid) -> Draw:
    (x,) = grid.coordinates
    low, high = float(frames.min()), float(frames.max())
    margin = 0.05 * (high - low) or 0.05
    axes.plot(x, frames[0, 0], color=START, lw=1, alpha=0.5, label="initial state")
    lines = [axes.plot(x, values[0], color=LEARNED, lw=1, alpha=0.8)[0] for values in frames]
    axes.set(xlabel="x", ylabel=field, xlim=(0, grid.length[0]), ylim=(low - margin, high + margin))
    axes.legend(frameon=False, loc="upper right")

    def draw(at: int) -> None:
        for line, values in zip(lines, frames, strict=True):
            line.set_ydata(values[at])

    return draw


def _maps(axes: Axes, frames: np.ndarray, field: str, grid: Grid) -> Draw:
    shown = frames[0]
    image = axes.imshow(
        shown[0].T, origin="lower", extent=(0, grid.length[0], 0, grid.length[1]), vmin=shown.min(), vmax=shown.max()
    )
    axes.set(xlabel="x", ylabel="y")
    axes.figure.colorbar(image, ax=axes, label=field)
    return lambda at: image.set_data(shown[at].T)
