"""How well a roll-out keeps the total of a field."""

import numpy as np


def mass_drift(start: np.ndarray, final: np.ndarray) -> tuple[float, ...]:
    """Change of the total of each realization, |mean u(t) − mean u(0)| / rms u(0), the largest over the batch."""
    axes = tuple(range(1, start.ndim))
    change = np.abs(final.mean(axis=tuple(a + 1 for a in axes)) - start.mean(axis=axes))
    return tuple((change / np.sqrt((start**2).mean(axis=axes))).max(axis=1).tolist())
