"""Energy of single modes: the shortest wave that a grid holds, and the shot noise of few particles."""

import numpy as np
from jaxtyping import Float
from scipy import fft, stats

from morlight.analysis.doctor.conservation import quantum
from morlight.analysis.doctor.fields import AXES, Field, FieldSample
from morlight.analysis.doctor.findings import Finding, NotApplicable

POINTS = 12  # cells along an axis, so that there are modes beside the shortest
EXCESS = 5.0  # times the energy of a mode of the highest quarter
FRACTION = 1e-6  # of the energy of the field; below lies the rounding of single precision
CROWD = 4.0  # particles in a mean cell: shot noise of one half of the density


def nyquist(sample: FieldSample, size: float) -> list[Finding]:
    """Energy of the mode (−1)ʲ over the mean of the highest quarter of the modes, by the law of Fisher's ratio."""
    if max(sample.grid.points) < POINTS:
        raise NotApplicable(f"{max(sample.grid.points)} cells along an axis, {POINTS} are needed")
    findings = []
    for name, u in sample.fields.items():
        for axis, N in enumerate(sample.grid.points):
            if N < POINTS:
                continue
            excess = _excess(u, axis, size / len(sample.fields))
            if excess is not None:
                message = (
                    f"{name} has energy in the shortest wave along {AXES[axis]}, up and down from cell to cell:"
                    f" {excess:.3g} times that of the modes next to it"
                )
                findings.append(Finding("nyquist", "odd", message, excess, f"below {EXCESS:g}"))
    return findings


def _excess(u: Field, axis: int, size: float) -> float | None:
    lines = np.moveaxis(u, axis + 2, -1)
    lines = lines.reshape(*lines.shape[:2], -1, lines.shape[-1])
    window = np.sin(np.pi * (np.arange(lines.shape[-1]) + 0.5) / lines.shape[-1]) ** 2
    energy = np.abs(fft.rfft((lines - lines.mean(-1, keepdims=True)) * window)) ** 2  # no leakage from the ends
    mean = energy.mean((1, 2))
    N = lines.shape[-1]
    top = 2 if N % 2 == 0 else 1  # the window spreads a mode over its neighbors
    beside = mean[:, N // 2 - max(4, N // 8) - top : N // 2 - top].mean(-1)
    alone = mean[:, -1] / (2 if N % 2 == 0 else 1)  # one real number where other modes have two
    if not (alone > FRACTION * mean.sum(-1)).any():
        return None
    ratio = float(alone.mean() / max(float(beside.mean()), 1e-300))
    freedom = len(u)  # frames are not independent, trajectories are
    return ratio if ratio > EXCESS and ratio > stats.f.isf(size, freedom, 4 * freedom) else None


def particles_a_cell(sample: FieldSample, size: float) -> list[Finding]:
    """Mean count of a cell, of densities that are counts."""
    counts = {name: _mean_count(u) for name, u in sample.densities.items()}
    known = {name: count for name, count in counts.items() if count is not None}
    if not known:
        raise NotApplicable("there is no density that is made of counts")
    return [
        Finding(
            "particles a cell",
            "odd",
            f"{name} has {count:.3g} particles in a mean cell, whose shot noise is {100 * count**-0.5:.0f} % of the"
            " density; use fewer cells or more particles",
            count,
            f"at least {CROWD:g}",
        )
        for name, count in known.items()
        if 0 < count < CROWD
    ]


def _mean_count(u: Float[np.ndarray, "S T *X"]) -> float | None:
    unit = quantum(u)
    return None if unit is None else float(u.mean() / unit)
