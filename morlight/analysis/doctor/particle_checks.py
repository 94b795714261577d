"""Checks of files of particles."""

import itertools
import math

import numpy as np

from morlight.analysis.doctor.findings import Finding, NotApplicable, listed, several
from morlight.analysis.doctor.particle_sample import AXES, ParticleSample
from morlight.analysis.doctor.spectrum import CROWD
from morlight.analysis.doctor.statistics import drift_probability, normal_threshold

SPACING = 1e-3  # relative, of times; formats round them to six digits
BOX = 1e-6  # relative, of sides
MOMENTUM = 1e-3  # of v_thermal / √N, to which the digits of a text file conserve it
DRIFT = 0.05  # of the temperature
AXES_APART = 0.1  # of the temperature
FASTER = 1.2  # displacement over v Δt; at most 1 for a stationary system (Cauchy and Schwarz)
SMALL = 0.15  # extent of the positions in units of the box
FRAMES = 6


def frames(sample: ParticleSample, size: float) -> list[Finding]:
    """Times that are not equally spaced, and frames that repeat the one before."""
    if len(sample.moments) < 3:
        raise NotApplicable(f"{several(len(sample.moments), 'frame')}, 3 are needed")
    findings = []
    repeated = [i for i, moment in enumerate(sample.moments) if moment.repeated]
    if repeated and len(repeated) < len(sample.moments) - 1:
        message = f"{several(len(repeated), 'frame')} with the particles of the one before: frame {listed(repeated)}"
        findings.append(Finding("frames", "odd", message, float(len(repeated)), "0"))
    steps = np.diff([moment.time for moment in sample.moments])
    usual = float(np.median(steps))
    odd = np.flatnonzero(np.abs(steps - usual) > SPACING * abs(usual))
    if len(odd):
        i = int(odd[0])
        what = "doubled or out of order" if steps[i] <= 0 else "missing" if steps[i] > usual else "too close"
        message = (
            f"frames are not equally spaced: frames {i} and {i + 1} are {steps[i]:g} apart, most are {usual:g}"
            f" ({what}; {several(len(odd), 'place')})"
        )
        findings.append(Finding("frames", "refused", message, float(steps[i]), f"{usual:g}"))
    return findings


def box(sample: ParticleSample, size: float) -> list[Finding]:
    """Changes of the sides of the box."""
    sides = np.stack([moment.sides for moment in sample.moments])
    change = np.abs(sides / sides[0] - 1)
    if change.max() <= BOX:
        return []
    frame, axis = np.unravel_index(int(change.argmax()), change.shape)
    message = (
        f"the box changes: {AXES[axis]} is {sides[0, axis]:.6g} long in frame 0 and {sides[frame, axis]:.6g} in frame"
        f" {frame}"
    )
    return [Finding("box", "odd", message, float(change.max()), "0: fields of a changing box need bounds")]


def species(sample: ParticleSample, size: float) -> list[Finding]:
    """Changes of the number of particles, in total or of one type."""
    first = sample.moments[0].counts
    for frame, moment in enumerate(sample.moments):
        if moment.counts == first:
            continue
        kind = next(kind for kind in sorted({*first, *moment.counts}) if first.get(kind) != moment.counts.get(kind))
        before, after = first.get(kind, 0), moment.counts.get(kind, 0)
        total = sample.moments[0].number
        if moment.number == total:
            message = f"species change: {before} particles of type {kind} in frame 0, {after} in frame {frame}"
        else:
            message = (
                f"particle number is not conserved: {total} in frame 0, {moment.number} in frame {frame}"
                f" (type {kind}: {before} and {after})"
            )
        return [Finding("species", "odd", message, float(after - before), "0")]
    return []


def momentum(sample: ParticleSample, size: float) -> list[Finding]:
    """Drift of the mean velocity."""
    velocity, thermal = _motion(sample)
    if not sample.periodic.all():
        raise NotApplicable("walls exchange momentum")
    if len(velocity) < FRAMES:
        raise NotApplicable(f"{several(len(velocity), 'frame')}, {FRAMES} are needed")
    unit = np.sqrt(thermal.mean()) / math.sqrt(sample.moments[0].number)
    change = np.abs(velocity - velocity[0]).max(0) / (unit or 1.0)
    real = (change > MOMENTUM) & (drift_probability(velocity.T) < size / 3)
    if not real.any():
        return []
    axis = int(np.argmax(np.where(real, change, 0)))
    message = (
        f"momentum is not conserved: the mean velocity along {AXES[axis]} changes by {change[axis]:.3g} thermal speeds"
        " over √N, as with a force or a thermostat that acts on the flow"
    )
    return [Finding("momentum", "odd", message, float(change[axis]), f"below {MOMENTUM:g}")]


def _motion(sample: ParticleSample) -> tuple[np.ndarray, np.ndarray]:
    """Mean velocity and m ⟨(v − flow)²⟩ of all frames."""
    velocity = [moment.velocity for moment in sample.moments if moment.velocity is not None]
    thermal = [moment.thermal for moment in sample.moments if moment.thermal is not None]
    if not velocity:
        raise NotApplicable("there are no velocities")
    return np.stack(velocity), np.stack(thermal)


def temperature(sample: ParticleSample, size: float) -> list[Finding]:
    """Drift, and axes of different temperature; one frame's error for all, since frames are not independent."""
    _, thermal = _motion(sample)
    moving = [axis for axis in range(3) if thermal[:, axis].min() > 0]
    if not moving:
        raise NotApplicable("the particles do not move")
    findings = []
    error = math.sqrt(2 / sample.moments[0].number)
    T = thermal[:, moving].mean(1)
    quarter = max(1, len(T) // 4)
    first, last = T[:quarter].mean(), T[-quarter:].mean()
    z = (last / first - 1) / (error * math.sqrt(2 / len(moving)))
    if len(T) >= 4 and abs(last / first - 1) > DRIFT and abs(z) > normal_threshold(size / 4, 1):
        message = (
            f"the temperature drifts from {first:.4g} to {last:.4g} (m v², first and last quarter of the frames),"
            f" {100 * (last / first - 1):.3g} %"
        )
        findings.append(Finding("temperature", "odd", message, float(last / first - 1), f"below {100 * DRIFT:g} %"))
    mean = thermal.mean(0)
    for one, other in itertools.combinations(moving, 2):
        ratio = float(mean[one] / mean[other])
        if abs(math.log(ratio)) > AXES_APART and abs(ratio - 1) > normal_threshold(size / 4, 3) * error * math.sqrt(2):
            message = f"the temperature along {AXES[one]} is {ratio:.3g} times that along {AXES[other]}"
            findings.append(Finding("temperature", "odd", message, ratio, f"1 within {100 * AXES_APART:g} %"))
            break
    return findings


def units(sample: ParticleSample, size: float) -> list[Finding]:
    """Displacements larger than the velocities allow, and positions that fill a small part of the box."""
    findings = []
    ratios = [
        now.displacement / (now.speed * (now.time - before.time))
        for before, now in itertools.pairwise(sample.moments)
        if now.displacement is not None and now.speed and now.time > before.time
    ]
    if ratios and float(np.median(ratios)) > FASTER:
        ratio = float(np.median(ratios))
        message = (
            f"units do not fit: particles move {ratio:.3g} times as far between frames as their speed times Δt; look at"
            " the unit of time, and at --timestep"
        )
        findings.append(Finding("units", "odd", message, ratio, "at most 1"))
    extent = float(np.median([moment.extent.max() for moment in sample.moments]))
    if extent < SMALL and sample.moments[0].number > 10:
        message = f"units do not fit: the positions extend over {100 * extent:.3g} % of the box along every axis"
        findings.append(Finding("units", "odd", message, extent, f"above {100 * SMALL:g} %"))
    return findings


def particles_a_cell(sample: ParticleSample, size: float) -> list[Finding]:
    """Mean number in a cell of the chosen number of cells."""
    cells = math.prod(sample.cells)
    for kind, count in sample.moments[0].counts.items():
        if count / cells < CROWD:
            shown = " × ".join(map(str, sample.cells))
            message = (
                f"{count} particles of type {kind} in {shown} cells are {count / cells:.3g} a cell, whose shot noise is"
                f" {100 * (cells / count) ** 0.5:.0f} % of the density; use fewer cells (--bins)"
            )
            return [Finding("particles a cell", "odd", message, count / cells, f"at least {CROWD:g}")]
    return []
