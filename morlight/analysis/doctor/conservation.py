"""Particle number, species and momentum over time, and what the parameters say about them."""

import math

import numpy as np
from jaxtyping import Float

from morlight.analysis.doctor.fields import Field, FieldSample
from morlight.analysis.doctor.findings import Finding, NotApplicable, listed
from morlight.analysis.doctor.statistics import drift_probability

ROUNDING = 1e-6  # relative change of a total in single precision, with a margin of ten
MOMENTUM = 1e-4  # of Σ |p|: single precision and the digits of a text file, with a margin of ten
FRAMES = 6  # below, von Neumann's ratio says nothing
COUNTABLE = 1e4  # particles in a cell; above, single precision does not show that they are whole numbers
NORMALIZED = 1e-3  # deviation of a mean from 1 at which a density counts as normalized
FACTOR = 1.5  # between a mean density and the parameter of that name


def quantum(u: Field) -> float | None:
    """What one particle adds to a field of counts; None where the values are not multiples of one number."""
    values = np.unique(u[: max(1, 2**20 // max(1, u[0].size))])
    positive = values[values > 0]
    if values[0] < 0 or not len(positive) or positive[-1] > COUNTABLE * positive[0]:
        return None
    steps = np.diff(values)
    unit = float(steps[steps > 1e-3 * positive[0]].min(initial=positive[0]))
    counts = positive / unit
    return unit if np.abs(counts - counts.round()).max() < 0.02 and len(positive) > 2 else None


def particle_number(sample: FieldSample, size: float) -> list[Finding]:
    """Totals of densities: exactly constant for counts, without drift otherwise."""
    densities = sample.densities
    if not densities:
        raise NotApplicable("there is no field density")
    sample.require_frames(2)
    totals = {name: _total(u) for name, u in densities.items()}
    changing = {name: _change(densities[name], totals[name], size / len(totals)) for name in totals}
    odd = {name: change for name, change in changing.items() if change is not None}
    together = sum(totals.values())
    if len(odd) > 1 and _relative(np.asarray(together)).max() < max(map(abs, odd.values())) / 10:
        name, value = max(odd.items(), key=lambda item: abs(item[1]))
        message = f"species change into each other: {listed(odd)} change, {name} by {value:.3g}, their sum does not"
        return [Finding("particle number", "odd", message, value, f"constant to {ROUNDING:g}")]
    return [
        Finding("particle number", "odd", _lost(name, value, totals[name], sample), value, f"constant to {ROUNDING:g}")
        for name, value in odd.items()
    ]


def _total(u: Field) -> Float[np.ndarray, "S T"]:
    return u.mean(tuple(range(2, u.ndim)))


def _relative(total: Float[np.ndarray, "S T"]) -> Float[np.ndarray, "S T"]:
    """Change of a total since the first frame, in units of its largest value."""
    largest = np.abs(total).max(-1, keepdims=True)
    return np.abs(total - total[:, :1]) / np.where(largest > 0, largest, 1)


def _change(u: Field, total: Float[np.ndarray, "S T"], size: float) -> float | None:
    """Largest relative change of the total where it is not noise; None where it is conserved."""
    change = _relative(total)
    real = change.max(-1) > ROUNDING
    if quantum(u) is None:
        if total.shape[1] < FRAMES:
            return None
        real &= drift_probability(total) < size / len(total)
    return float(change[real].max()) if real.any() else None


def _lost(name: str, value: float, total: Float[np.ndarray, "S T"], sample: FieldSample) -> str:
    row, frame = np.unravel_index(np.argmax(_relative(total)), total.shape)
    return (
        f"the total of {name} is not conserved: it changes by {value:.3g} of its value in trajectory"
        f" {sample.rows[row]}, up to frame {frame}"
    )


def momentum(sample: FieldSample, size: float) -> list[Finding]:
    """Total momentum in a periodic box, without drift: only an external force changes it."""
    names = [name for name in sample.fields if name.startswith("momentum")]
    if not names:
        raise NotApplicable("there is no field momentum")
    if "WALL" in sample.grid.boundaries:
        raise NotApplicable("walls exchange momentum")
    sample.require_frames(FRAMES)
    species = [sample.fields[name] for name in names if _is_alike(name, names[0])]
    total = np.asarray(sum(_total(p) for p in species))
    typical = np.asarray(sum(_total(np.abs(p)).mean(-1) for p in species))
    change = np.abs(total - total[:, :1]).max(-1) / np.where(typical > 0, typical, 1)
    real = (change > MOMENTUM) & (drift_probability(total) < size / len(total))
    if not real.any():
        return []
    row = int(np.argmax(np.where(real, change, 0)))
    message = (
        f"momentum is not conserved: its mean changes by {change[row]:.3g} of its mean modulus in trajectory"
        f" {sample.rows[row]}, as with an external force or a thermostat that acts on the flow"
    )
    return [Finding("momentum", "odd", message, float(change[row]), f"constant to {MOMENTUM:g} in a periodic box")]


def _is_alike(name: str, first: str) -> bool:
    """Whether two momenta are those of two species along one direction, whose sum is conserved."""
    direction = [word for word in first.split("_")[1:] if word in ("x", "y", "z")]
    return [word for word in name.split("_")[1:] if word in ("x", "y", "z")] == direction


def parameter_density(sample: FieldSample, size: float) -> list[Finding]:
    """Mean density against the parameter `density`, N/V."""
    stated, densities = sample.parameters.get("density"), sample.densities
    if stated is None or not densities or not (stated > 0).all():
        raise NotApplicable("there is no parameter density beside a field density")
    mean = np.asarray(sum(_total(u).mean(-1) for u in densities.values()))
    if np.abs(mean - 1).max() < NORMALIZED:
        raise NotApplicable("the density is normalized to the mean 1")
    ratio = float(np.median(mean / stated))
    if ratio > 0 and abs(math.log(ratio)) < math.log(FACTOR):
        return []
    message = (
        f"the mean density does not fit the parameter density: {mean[0]:.4g} for {stated[0]:.4g} in trajectory"
        f" {sample.rows[0]}, a factor of {ratio:.3g} in half of them"
    )
    return [Finding("density", "odd", message, ratio, f"N/V, within a factor of {FACTOR:g}")]
