"""Particles counted in equal cells: by fast-histogram on a CPU, by torch on other devices."""

import math
from collections.abc import Sequence

import fast_histogram
import numpy as np
import torch
from jaxtyping import Float, Num
from torch import Tensor


def cell_sums(
    positions: Num[Tensor, "D particles"],
    points: Sequence[int],
    ranges: Sequence[tuple[float, float]],
    weights: Float[Tensor, " particles"] | None = None,
) -> Float[Tensor, "*X"]:
    """Number of particles in each of N equal cells along each axis, or the sum of their weights, in float64.

    Particles outside [low, high) of any axis are left out.

    Raises:
        MemoryError: for so many cells.
    """
    if not positions.is_cpu:
        return cell_sums_by_torch(positions, points, ranges, weights)
    x = positions.detach().numpy()
    w = None if weights is None else weights.detach().numpy()
    if not _within_rounding(points, ranges, positions.is_floating_point()):
        x, ranges = _limited(x, points, ranges), [(0.0, float(N)) for N in points]
    try:
        if len(points) == 1:
            return torch.from_numpy(fast_histogram.histogram1d(x[0], points[0], ranges[0], w))
        if len(points) == 2:  # nearly three times as fast as the function for any number of axes
            return torch.from_numpy(fast_histogram.histogram2d(x[0], x[1], points, ranges, w))
        return torch.from_numpy(fast_histogram.histogramdd(tuple(x), points, ranges, w))
    except RuntimeError as error:  # the library's word where it gets no memory
        raise MemoryError(f"for {math.prod(points)} cells") from error


def _within_rounding(points: Sequence[int], ranges: Sequence[tuple[float, float]], continuous: bool) -> bool:
    """Whether rounding leads no position beyond the last cell, where fast-histogram would write without noticing."""
    for N, (low, high) in zip(points, ranges, strict=True):
        last = math.nextafter(high, low) if continuous else high - 1
        if (last - low) * (N / (high - low)) >= N:
            return False
    return True


def _limited(
    x: Num[np.ndarray, "D particles"], points: Sequence[int], ranges: Sequence[tuple[float, float]]
) -> Float[np.ndarray, "D particles"]:
    """Positions in units of the cells, those inside never beyond the last one."""
    rows = []
    for row, N, (low, high) in zip(x.astype(np.float64), points, ranges, strict=True):
        cell = np.minimum((row - low) * (N / (high - low)), math.nextafter(N, 0))
        rows.append(np.where(row < high, cell, np.inf))
    return np.stack(rows)


def cell_sums_by_torch(
    positions: Num[Tensor, "D particles"],
    points: Sequence[int],
    ranges: Sequence[tuple[float, float]],
    weights: Float[Tensor, " particles"] | None = None,
) -> Float[Tensor, "*X"]:
    """What `cell_sums` does, on any device."""
    cell = torch.zeros((), dtype=torch.long, device=positions.device)
    inside = torch.ones((), dtype=torch.bool, device=positions.device)
    for x, N, (low, high) in zip(positions, points, ranges, strict=True):
        inside = inside & (x >= low) & (x < high)
        cell = cell * N + ((x.double() - low) * (N / (high - low))).long().clamp(0, N - 1)
    chosen = None if weights is None else weights[inside].double()
    return torch.bincount(cell[inside], chosen, math.prod(points)).reshape(*points).double()
