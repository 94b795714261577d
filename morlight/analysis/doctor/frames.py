"""Missing or repeated frames in fields whose times do not show them."""

import math

import numpy as np
from jaxtyping import Float
from scipy import stats

from morlight.analysis.doctor.fields import FieldSample
from morlight.analysis.doctor.findings import Finding, listed, several
from morlight.analysis.doctor.statistics import robust_z

FRAMES = 12
SMOOTH, ROUGH = 0.8, 0.4  # correlation of successive increments above which a trajectory is smooth, below which noise
TWICE = 1.5  # increment of a smooth trajectory over the mean of its neighbors; 2 where one frame is missing
ROOT = 1.2  # the same of noise, √2 where one frame is missing


def frames(sample: FieldSample, size: float) -> list[Finding]:
    """Increments u(t + Δt) − u(t) that are zero or twice as large as those before and after."""
    findings = [
        Finding("frames", "odd", f"{name} {_standing(field)}", 0.0, "above 0")
        for name, field in sample.fields.items()
        if len(sample.times) > 1 and not np.diff(field, axis=1).any()
    ]
    if len(findings) == len(sample.fields):
        return findings
    sample.require_frames(FRAMES)
    u = np.concatenate([_scaled(field) for field in sample.fields.values()], -1)
    increments = np.diff(u, axis=1)
    doubled = [_doubled(v, size / (2 * len(u))) for v in increments]
    if any(doubled):
        i = next(i for i, places in enumerate(doubled) if places)
        number = sum(map(len, doubled))
        message = (
            f"{several(number, 'frame')} with the same values as the one before, in trajectory {sample.rows[i]}"
            f" frame {listed(place + 1 for place in doubled[i])}"
        )
        findings.append(Finding("frames", "odd", message, float(number), "0"))
    missing = [_missing(v, size / (2 * len(u))) for v in increments]
    if any(missing):
        i = max((i for i, gap in enumerate(missing) if gap), key=lambda i: (missing[i] or (0, 0.0))[1])
        place, ratio = missing[i] or (0, 0.0)
        message = (
            f"a frame seems to be missing between frames {place} and {place + 1} of trajectory {sample.rows[i]}: the"
            f" change there is {ratio:.3g} times that before and after"
        )
        findings.append(Finding("frames", "odd", message, ratio, "about 1"))
    return findings


def _standing(u: Float[np.ndarray, "S T *X"]) -> str:
    low, high = float(u.min()), float(u.max())
    return f"is {low:g} everywhere" if low == high else "does not change from frame to frame"


def _scaled(u: Float[np.ndarray, "S T *X"]) -> Float[np.ndarray, "S T cells"]:
    """A field without a unit: divided by the root mean square of its increments."""
    scale = float(np.sqrt((np.diff(u, axis=1) ** 2).mean()))
    return u.reshape(*u.shape[:2], -1) / (scale or 1.0)


def _doubled(v: Float[np.ndarray, "t cells"], size: float) -> list[int]:
    """Increments that are zero in all cells, before the last one that is not, where chance does not make them so."""
    changed = (v != 0).sum(-1)
    moving = np.flatnonzero(changed)
    if len(moving) == 0 or len(v) * math.exp(-float(changed[moving].min())) > size:
        return []
    return [int(place) for place in np.flatnonzero(changed == 0) if place < moving[-1]]


def _missing(v: Float[np.ndarray, "t cells"], size: float) -> tuple[int, float] | None:
    """The increment that stands out most, and by which factor."""
    length = np.sqrt((v**2).sum(-1))
    length[length == 0] = np.nan
    if np.isfinite(length).sum() < FRAMES - 2:
        return None
    neighbors = (v[:-2] + v[2:]) / 2
    norm = np.sqrt((neighbors**2).sum(-1))
    along = (v[1:-1] * neighbors).sum(-1) / np.where(norm > 0, norm, np.nan)
    correlation = np.nanmedian(along / length[1:-1])
    if correlation > SMOOTH:  # the projection on the neighbors' mean is even where a wave turns round
        ratio, least = along / norm, TWICE
    elif correlation < ROUGH:
        ratio, least = length[1:-1] / np.sqrt(length[:-2] * length[2:]), ROOT
    else:
        return None
    ratio = ratio / np.nanmedian(ratio)
    z = robust_z(np.log(np.where(ratio > 0, ratio, np.nan)))
    ratio, z = ratio[1:], z[1:]  # the first increment may start from another state
    stands_out = (ratio > least) & (z > _threshold(size, len(ratio)))
    if not stands_out.any():
        return None
    place = int(np.nanargmax(np.where(stands_out, ratio, np.nan)))
    return place + 2, float(ratio[place])


def _threshold(size: float, number: int) -> float:
    """z beyond chance: Student's, since the scale is a median deviation, which knows 0.37 as much as a variance."""
    return float(stats.t.isf(size / number, 0.37 * number))
