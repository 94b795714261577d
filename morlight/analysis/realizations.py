"""Selection of realizations of a checkpoint: all, the best one, or some by number."""

from collections.abc import Sequence

import numpy as np

from morlight.analysis.checkpoint import Checkpoint

Choice = str | int | Sequence[int]


def chosen(checkpoint: Checkpoint, realizations: Choice) -> list[int]:
    """Numbers of the chosen realizations.

    Raises:
        ValueError: if one of them does not exist.
    """
    count = checkpoint.config.realizations
    if realizations in ("all", "mean", "data"):
        return list(range(count))
    if realizations == "best":
        return [best(checkpoint)]
    asked = [realizations] if isinstance(realizations, int) else list(realizations)
    if not asked or not all(isinstance(r, int) and 0 <= r < count for r in asked):
        raise ValueError(
            f"{checkpoint.path}: realizations are {realizations!r}, expected all, best, mean, data, or numbers from 0"
            f" to {count - 1}"
        )
    return [r for r in asked if isinstance(r, int)]


def best(checkpoint: Checkpoint) -> int:
    """The realization with the smallest error or loss; of an equation the first one, which is the estimate.

    Raises:
        ValueError: if the checkpoint does not contain the losses.
    """
    if checkpoint.config.realizations == 1 or checkpoint.config.equation is not None:
        return 0
    if checkpoint.losses is None:
        raise ValueError(
            f"{checkpoint.path}: does not hold the losses of its realizations, expected a checkpoint of this version,"
            " or a number in place of best"
        )
    each = checkpoint.losses.per_realization
    return min(range(len(each)), key=lambda r: each[r] if np.isfinite(each[r]) else np.inf)
