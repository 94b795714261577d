"""Profiles at the boundaries that a basis of sines, cosines or exponentials cannot represent.

Periodic axes need no jump at the seam. Between walls, scalars are expanded in cosines, which have no slope there, and
momenta in sines, which have no value there.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from morlight.analysis.doctor.fields import AXES, FieldSample
from morlight.analysis.doctor.findings import Finding, NotApplicable

SEAM = 3.0  # times the largest jump or kink elsewhere
VALUE = 0.5  # at a wall, of the largest modulus of the profile
SLOPE = 0.3  # at a wall, of π (max − min) / L, that of the slowest cosine
CELLS = 16  # at least, so that a wall has a neighborhood
STRETCH = 5  # cells of that neighborhood at least


class AtWall(NamedTuple):
    """Value and slope of a profile at a wall, with their standard errors."""

    value: Float[np.ndarray, " S"]
    value_error: Float[np.ndarray, " S"]
    slope: Float[np.ndarray, " S"]
    slope_error: Float[np.ndarray, " S"]
    freedom: int


def boundaries(sample: FieldSample, size: float) -> list[Finding]:
    """Each field along each axis by the boundary that the file states."""
    if max(sample.grid.points) < CELLS:
        raise NotApplicable(f"{max(sample.grid.points)} cells along an axis, {CELLS} are needed")
    findings = []
    for name, u in sample.fields.items():
        for axis, (N, boundary) in enumerate(zip(sample.grid.points, sample.grid.boundaries, strict=True)):
            if N < CELLS:
                continue
            profile = sample.along(u, axis).mean(1)
            check = _seam if boundary == "PERIODIC" else _sine if name.startswith("momentum") else _cosine
            finding = check(f"{name} along {AXES[axis]}", profile, size / (2 * len(sample.fields)))
            findings += [finding] if finding else []
    return findings


def _seam(name: str, profile: Float[np.ndarray, "S N"], size: float) -> Finding | None:
    """Root mean square over the trajectories of the jump and the kink at each face between cells, by the seam's."""
    before, after = np.roll(profile, 1, -1), np.roll(profile, -1, -1)
    further = np.roll(profile, -2, -1)
    measures: dict[str, Float[np.ndarray, "S N"]] = {
        "jump": 1.5 * (after - profile) - 0.5 * (further - before),  # of lines through two cells on each side
        "kink": (further - after) - (profile - before),
    }
    for word, face in measures.items():
        typical = np.sqrt((face**2).mean(0))  # face j lies between cells j and j + 1, the last one is the seam
        others = typical[2:-3]  # those next to the seam see it as well
        ratio = float(typical[-1] / max(others.max(), 1e-6 * np.abs(profile).max(), 1e-300))
        if ratio > SEAM:
            message = (
                f"{name} is periodic in the file and has a {word} at the seam, {ratio:.3g} times the largest elsewhere"
            )
            return Finding("boundary", "odd", message, ratio, f"below {SEAM:g}")
    return None


def at_wall(profile: Float[np.ndarray, "S N"]) -> AtWall:
    """Least squares of a parabola in the first cells of a profile over a length of 1, extrapolated to the wall."""
    N = profile.shape[-1]
    count = max(STRETCH, N // 8)
    x = (np.arange(count) + 0.5) / N
    powers = x[:, None] ** np.arange(3)
    inverse = np.linalg.inv(powers.T @ powers)
    fit = profile[:, :count] @ powers @ inverse
    left = profile[:, :count] - fit @ powers.T
    scatter = np.sqrt((left**2).sum(-1) / (count - 3))
    return AtWall(fit[:, 0], scatter * inverse[0, 0] ** 0.5, fit[:, 1], scatter * inverse[1, 1] ** 0.5, count - 3)


def _sine(name: str, profile: Float[np.ndarray, "S N"], size: float) -> Finding | None:
    largest = np.abs(profile).max(-1)

    def value(wall: AtWall) -> tuple[np.ndarray, np.ndarray]:
        return wall.value / largest, wall.value_error / largest

    ratio = _worst(profile[largest > 0], value, VALUE, size) if (largest > 0).all() else None
    if ratio is None:
        return None
    message = (
        f"{name} does not vanish at a wall, as a basis of sines does: it is {ratio:.3g} of its largest value there"
    )
    return Finding("boundary", "odd", message, ratio, f"below {VALUE:g}, a basis of cosines, or model.walls")


def _cosine(name: str, profile: Float[np.ndarray, "S N"], size: float) -> Finding | None:
    slowest = np.pi * np.ptp(profile, axis=-1)

    def slope(wall: AtWall) -> tuple[np.ndarray, np.ndarray]:
        return wall.slope / slowest, wall.slope_error / slowest

    ratio = _worst(profile, slope, SLOPE, size) if (slowest > 0).all() else None
    if ratio is None:
        return None
    message = (
        f"{name} has a slope at a wall, where a basis of cosines has none: {ratio:.3g} times that of a half wave as"
        " high as the profile"
    )
    return Finding("boundary", "odd", message, ratio, f"below {SLOPE:g}, a basis of sines, or model.walls")


def _worst(
    profile: Float[np.ndarray, "S N"],
    measure: Callable[[AtWall], tuple[np.ndarray, np.ndarray]],
    least: float,
    size: float,
) -> float | None:
    """The larger of both walls, where it is large and beyond the scatter of the cells in half of the trajectories."""
    worst = None
    for side in (profile, profile[:, ::-1]):
        wall = at_wall(side)
        value, error = (np.abs(part) for part in measure(wall))
        middle, t = float(np.median(value)), float(np.median(value / np.maximum(error, 1e-12)))
        if middle > max(least, worst or 0) and t > stats.t.isf(size / (4 * len(profile)), wall.freedom):
            worst = middle
    return worst
