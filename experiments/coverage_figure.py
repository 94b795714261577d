"""Figure of the coverage: fractions of 95 % intervals that contain the truth, and biases in standard errors."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

TARGET = (0.92, 0.98)  # of 95 % intervals
LARGEST_BIAS = 0.3  # in standard errors


def draw(path: Path, found: Sequence[tuple[str, str, Mapping[str, float]]]) -> None:
    """Write the figure.

    Args:
        path: of the figure.
        found: case, number, and its summary.
    """
    names = list(dict.fromkeys(name for _, name, _ in found))
    cases = list(dict.fromkeys(case for case, _, _ in found))
    figure = Figure(figsize=(8, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for place, case in enumerate(cases):
        own = [(names.index(name), values) for each, name, values in found if each == case]
        x = np.array([at for at, _ in own]) + 0.14 * (place - (len(cases) - 1) / 2)
        n = np.array([values["sets"] for _, values in own])
        share = np.array([values["coverage_0.95"] for _, values in own])
        bias = np.array([values["bias"] for _, values in own])
        style = {"fmt": "o", "ms": 3, "lw": 1}
        above.errorbar(x, 100 * share, 100 * np.sqrt(0.95 * 0.05 / n), label=case, **style)
        below.errorbar(x, bias, 1 / np.sqrt(n), **style)
    above.axhspan(*(100 * share for share in TARGET), color="0.9", zorder=0)
    below.axhspan(-LARGEST_BIAS, LARGEST_BIAS, color="0.9", zorder=0)
    above.set_ylabel("truth in 95 % interval (%)")
    below.set_ylabel("bias (standard errors)")
    below.set_xticks(range(len(names)), names, rotation=45)
    above.legend(ncols=len(cases), fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    figure.savefig(path, dpi=150)
