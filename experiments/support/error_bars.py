"""Errors over the size of the training set."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes


def error_bars(axes: Axes, sizes: Sequence[int], errors: Sequence[Sequence[float]], **style: Any) -> None:
    """Errors over the number of samples: mean of the logarithms and one standard deviation of them."""
    logs = [np.log10(values) for values in errors]
    mean, sd = np.array([log.mean() for log in logs]), np.array([log.std() for log in logs])
    middle = 10**mean
    axes.errorbar(sizes, middle, yerr=[middle - 10 ** (mean - sd), 10 ** (mean + sd) - middle], capsize=3, **style)
    axes.set(xscale="log", yscale="log", xlabel="training set size (samples)")
    axes.set_xticks(sizes, [str(size) for size in sizes], rotation=30)
    axes.minorticks_off()
