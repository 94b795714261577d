"""How well a roll-out keeps the total of a field."""

import numpy as np


def mass_drift(start: np.ndarray, final: np.ndarray) -> tuple[float, ...]:
    """Change of the total of each realization, |mean u(t) − mean u(0)| / rms u(0), the largest over the batch.

    A field that is 0 at first is measured in units of rms u(t).
    """
    axes = tuple(range(1, start.ndim))
    later = tuple(a + 1 for a in axes)
    change = np.abs(final.mean(axis=later) - start.mean(axis=axes))
    size, end = _rms(start, axes), _rms(final, later)
    unit = np.where(size > 0, size, np.where(end > 0, end, 1.0))
    return tuple((change / unit).max(axis=1).tolist())


def _rms(u: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Root mean square, of values whose squares overflow as well."""
    largest = np.maximum(np.abs(u).max(axis=axes, keepdims=True), np.finfo(u.dtype).tiny)
    size: np.ndarray = largest.squeeze(axes) * np.sqrt(((u / largest) ** 2).mean(axis=axes))
    return size
