"""Statistics with a known law where nothing is odd, so that a threshold is a rate of false alarms."""

import math

import numpy as np
from jaxtyping import Float, Inexact
from scipy import stats


def drift_probability(series: Float[np.ndarray, "*lead T"]) -> Float[np.ndarray, "*lead"]:
    """Probability that independent numbers show as little change from one to the next as these do.

    von Neumann's ratio η = Σ (Nₜ₊₁ − Nₜ)² / Σ (Nₜ − N̄)² has the mean 2 and the variance 4 (T − 2) / (T² − 1) for
    independent normal numbers; a drift or a step makes it small. A constant series has the probability 1.
    """
    T = series.shape[-1]
    centered = series - series.mean(-1, keepdims=True)
    total = (centered**2).sum(-1)
    ratio = np.where(total > 0, (np.diff(series, axis=-1) ** 2).sum(-1) / np.where(total > 0, total, 1), 2)
    z = (ratio - 2) / math.sqrt(4 * (T - 2) / (T**2 - 1))
    return np.where(total > 0, stats.norm.cdf(z), 1.0)


def noise(series: Float[np.ndarray, "*lead T"]) -> Float[np.ndarray, "*lead"]:
    """Standard deviation of independent noise on a slow change, from second differences: E (Δ²)² = 6 σ²."""
    return np.sqrt((np.diff(series, 2, axis=-1) ** 2).mean(-1) / 6)


def robust_z(values: Float[np.ndarray, "*lead T"]) -> Float[np.ndarray, "*lead T"]:
    """Distance from the median along the last axis, in standard deviations taken from the median deviation."""
    centered = values - np.nanmedian(values, -1, keepdims=True)
    scale = 1.4826 * np.nanmedian(np.abs(centered), -1, keepdims=True)
    return centered / np.maximum(scale, 1e-3)


def normal_threshold(size: float, tests: int) -> float:
    """z that one of so many normal numbers exceeds with this probability at most (Bonferroni, one side)."""
    return float(stats.norm.isf(size / max(1, tests)))


def jackknife(leave_one_out: Inexact[np.ndarray, "S *rest"]) -> Float[np.ndarray, "*rest"]:
    """Standard error from the estimates that leave out one of S independent parts each."""
    S = len(leave_one_out)
    return np.sqrt((S - 1) / S * (np.abs(leave_one_out - leave_one_out.mean(0)) ** 2).sum(0))
