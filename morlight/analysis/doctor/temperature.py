"""Temperature over time and between species, and the units of speeds beside it."""

import itertools
import math

import numpy as np
from jaxtyping import Float

from morlight.analysis.doctor.fields import Field, FieldSample
from morlight.analysis.doctor.findings import Finding, NotApplicable
from morlight.analysis.doctor.statistics import noise, normal_threshold

DRIFT = 0.05  # relative, between the first and the last quarter
DIFFERENCE = 0.25  # relative, between species or from the parameter
FRAMES = 12  # so that a quarter has three
SLOWEST, FASTEST = 0.05, 100.0  # √(mass) of what moves, in units in which one particle has about the mass 1


def temperature(sample: FieldSample, size: float) -> list[Finding]:
    """Drift, species of different temperature, and the parameter `temperature`."""
    temperatures = sample.temperatures
    if not temperatures:
        raise NotApplicable("there is no field density_temperature beside a field density")
    findings = [_negative(name, T) for name, T in temperatures.items() if np.nanmin(T) <= 0]
    if findings:
        return findings
    for name, T in temperatures.items():
        findings += _drift(name, T, size / (3 * len(temperatures)))
        findings += _stated(name, T, sample)
    for pair in itertools.combinations(temperatures.items(), 2):
        findings += _apart(*pair, size / 3)
    return findings


def _negative(name: str, T: Float[np.ndarray, "S T"]) -> Finding:
    lowest = float(np.nanmin(T))
    return Finding("temperature", "odd", f"the temperature of {name} is {lowest:.3g}", lowest, "above 0")


def _drift(name: str, T: Float[np.ndarray, "S T"], size: float) -> list[Finding]:
    """z of (last quarter − first quarter), all trajectories together; the first frame may be another state."""
    if T.shape[1] < FRAMES or np.isnan(T).any():
        return []
    quarter = T.shape[1] // 4
    first, last = T[:, 1 : quarter + 1].mean(-1), T[:, -quarter:].mean(-1)
    relative = last / first - 1
    error = noise(T[:, 1:]) * math.sqrt(2 / quarter)
    z = float(((last - first) / np.maximum(error, 1e-6 * np.abs(first))).sum() / math.sqrt(len(T)))
    middle = float(np.median(relative))
    if abs(middle) < DRIFT or abs(z) < normal_threshold(size / 2, 1):
        return []
    message = (
        f"the temperature of {name} drifts by {100 * middle:.3g} % from the first quarter of the frames to the last,"
        f" {first.mean():.4g} to {last.mean():.4g}"
    )
    return [Finding("temperature", "odd", message, middle, f"below {100 * DRIFT:g} %")]


def _stated(name: str, T: Float[np.ndarray, "S T"], sample: FieldSample) -> list[Finding]:
    stated = sample.parameters.get("temperature")
    if stated is None:
        return []
    ratio = float(np.nanmedian(np.nanmean(T, -1) / stated))
    if abs(ratio - 1) < DIFFERENCE:
        return []
    message = f"the temperature of {name} is {ratio:.3g} times the parameter temperature"
    return [Finding("temperature", "odd", message, ratio, f"1 ± {DIFFERENCE:g}")]


def _apart(
    one: tuple[str, Float[np.ndarray, "S T"]], other: tuple[str, Float[np.ndarray, "S T"]], size: float
) -> list[Finding]:
    """Equipartition: all species have one temperature."""
    means = [np.nanmean(T, -1) for _, T in (one, other)]
    ratio = np.log(means[0] / means[1])
    middle = float(np.median(ratio))
    errors = [noise(T) / np.abs(mean) for (_, T), mean in zip((one, other), means, strict=True)]
    z = ratio.sum() / max(1e-12, math.sqrt(float((errors[0] ** 2 + errors[1] ** 2).sum())))
    if abs(middle) < math.log(1 + DIFFERENCE) or not abs(z) > normal_threshold(size / 2, 1):
        return []
    message = f"{one[0]} and {other[0]} have different temperatures, in the ratio {math.exp(middle):.3g}"
    return [Finding("temperature", "odd", message, math.exp(middle), f"1 within {100 * DIFFERENCE:g} %")]


def speed_units(sample: FieldSample, size: float) -> list[Finding]:
    """Noise of momentum over noise of density, √(mT) for independent particles, against √T."""
    findings = []
    tested = False
    for name, T in sample.temperatures.items():
        for momentum, p in sample.momentum_of(name).items():
            if len(sample.times) < FRAMES or sample.grid.points[0] < 8:
                continue
            scatter = [_scatter(u) for u in (p, sample.fields[name])]
            usable = (scatter[0] > 0) & (scatter[1] > 0) & (np.nanmean(T, -1) > 0)
            if not usable.any():
                continue
            tested = True
            ratio = float(np.median((scatter[0] / scatter[1] / np.sqrt(np.nanmean(T, -1)))[usable]))
            if not SLOWEST < ratio < FASTEST:
                message = (
                    f"units do not fit: the speed of the particles from the noise of {momentum} is {ratio:.3g} times"
                    f" the √T from the temperature of {name}"
                )
                expected = f"√mass, between {SLOWEST:g} and {FASTEST:g}"
                findings.append(Finding("units", "odd", message, ratio, expected))
    if not tested:
        raise NotApplicable("there are no fields density, momentum and density_temperature with noise")
    return findings


def _scatter(u: Field) -> Float[np.ndarray, " S"]:
    """Root mean square of what changes from frame to frame and from cell to cell, where the mean flow does not."""
    late = u[:, u.shape[1] // 4 :]
    rough = np.diff(np.diff(late, 2, axis=2), 2, axis=1)
    value: Float[np.ndarray, " S"] = np.sqrt((rough**2).mean(tuple(range(1, u.ndim))))
    return value
