"""Files of particles, frame by frame: what the checks need to know of each frame."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from morlight.analysis.doctor import particle_checks as checks
from morlight.analysis.doctor.findings import Check, Finding, Report, carry_out, several
from morlight.analysis.doctor.particle_sample import AXES, Moment, ParticleSample
from morlight.data.particles.formats import frames

VELOCITIES = ("vx", "vy", "vz")
WANTED = ("x", "y", "z", *VELOCITIES, "type", "id", "mass")
SLABS = 16  # along an axis, whose mean velocities are the flow
SLAB_CROWD = 20  # particles in a slab at least

PARTICLE_CHECKS = (
    Check("frames", "time between frames differs from its median by more than 1e-3; repeated frames", checks.frames),
    Check("box", "length of a side over its first value: differs from 1 by more than 1e-6", checks.box),
    Check("species", "number of particles of each type differs from the first frame", checks.species),
    Check(
        "momentum",
        "where all axes are periodic, drift of the mean velocity by von Neumann's ratio, above 1e-3 of v_thermal/√N",
        checks.momentum,
    ),
    Check(
        "temperature",
        "last quarter over first: beyond 5 % and z; axes differ by 10 % and z, with √(2/N) the error of T",
        checks.temperature,
    ),
    Check(
        "units",
        "root mean square displacement over v Δt: above 1.2; extent of the positions over the box: below 0.15",
        checks.units,
    ),
    Check("particles a cell", "particles over cells: below 4", checks.particles_a_cell),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One frame as this package uses it."""

    time: float
    low: Float[np.ndarray, "3"]
    sides: Float[np.ndarray, "3"]
    periodic: Bool[np.ndarray, "3"]
    columns: Mapping[str, np.ndarray]


def snapshots(path: Path) -> Iterator[Snapshot]:
    """Frames of a file with all columns that the checks can use."""
    first: list[str] = []
    for number, frame in enumerate(frames(path, WANTED)):
        stated = (frame.clock.time, frame.clock.step, number)
        time = float(next(value for value in stated if value is not None))
        columns = {name: frame.column(name) for name in WANTED if name in frame.columns or name in AXES}
        first = first or list(columns)
        if list(columns) != first:
            raise ValueError(
                f"{path}: frame {number} has the columns {', '.join(columns)}, expected {', '.join(first)} as before"
            )
        low = np.zeros(3) if frame.box.low is None else frame.box.low
        yield Snapshot(time, low, frame.box.sides, np.array(frame.box.periodic, bool), _whole(columns))


def _whole(columns: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Velocities along all three axes, or none."""
    partial = [name for name in VELOCITIES if name in columns] if not all(v in columns for v in VELOCITIES) else []
    return {name: values for name, values in columns.items() if name not in partial}


def examine_particles(file: Path, cells: tuple[int, ...]) -> Report:
    """Check the frames of a file of particles.

    Raises:
        ValueError: the file has no frame that can be read.
    """
    moments: list[Moment] = []
    report = Report(str(file), "particles", "")
    before: Snapshot | None = None
    try:
        for snapshot in snapshots(file):
            moments.append(_moment(snapshot, before))
            before = snapshot
    except ValueError as error:
        if before is None:
            raise
        report.findings.append(Finding("file", "refused", str(error), None, "whole frames with the same columns"))
    if before is None:
        raise ValueError(f"{file}: there are no frames in it, expected particles")
    sample = ParticleSample(moments, before.periodic, cells)
    names = ", ".join(before.columns)
    report.examined = f"{several(len(moments), 'frame')}, {several(moments[0].number, 'particle')}, columns {names}"
    return carry_out(PARTICLE_CHECKS, sample, report)


def _moment(now: Snapshot, before: Snapshot | None) -> Moment:
    columns = now.columns
    x = np.stack([columns[axis] for axis in AXES])
    kinds, counts = np.unique(columns["type"], return_counts=True) if "type" in columns else (["all"], [x.shape[1]])
    mass = np.asarray(columns.get("mass", np.ones(x.shape[1])), np.float64)
    velocity = thermal = None
    if "vx" in columns:
        v = np.stack([columns[f"v{axis}"] for axis in AXES])
        velocity = (v * mass).sum(1) / mass.sum()
        thermal = _thermal(v, mass, (x - now.low[:, None]) / now.sides[:, None])
    displacement, speed = _motion(now, before)
    return Moment(
        now.time,
        now.sides,
        {_label(kind): int(count) for kind, count in zip(kinds, counts, strict=True)},
        velocity,
        thermal,
        np.ptp(x, axis=1) / now.sides,
        displacement,
        speed,
        before is not None and _is_same(now, before),
    )


def _label(kind: object) -> str:
    """A type as the file has it: readers give numbers as floats."""
    return f"{kind:g}" if isinstance(kind, float) else str(kind)


def _is_same(now: Snapshot, before: Snapshot) -> bool:
    return all(np.array_equal(now.columns[name], before.columns[name]) for name in now.columns)


def _thermal(v: Float[np.ndarray, "3 P"], mass: Float[np.ndarray, " P"], place: Float[np.ndarray, "3 P"]) -> np.ndarray:
    """m ⟨(v − flow)²⟩ along each axis, with the flow of slabs across the axis that leaves least of it."""
    return min((_thermal_of_slabs(v, mass, along) for along in place), key=lambda thermal: float(thermal.sum()))


def _thermal_of_slabs(
    v: Float[np.ndarray, "3 P"], mass: Float[np.ndarray, " P"], along: Float[np.ndarray, " P"]
) -> Float[np.ndarray, "3"]:
    """m ⟨(v − flow)²⟩ with the mean velocity of each slab as flow, without the degrees of freedom that it takes."""
    slabs = min(SLABS, max(1, len(along) // SLAB_CROWD))
    slab = (np.floor(along * slabs) % slabs).astype(np.int64)
    weight = np.bincount(slab, mass, slabs)
    flow = np.stack([np.bincount(slab, mass * line, slabs) / np.where(weight > 0, weight, 1) for line in v])
    free = max(1, len(along) - int((weight > 0).sum()))
    thermal: np.ndarray = (mass * (v - flow[:, slab]) ** 2).sum(1) / free
    return thermal


def _motion(now: Snapshot, before: Snapshot | None) -> tuple[float | None, float | None]:
    """Root mean square displacement of the same particles since the frame before, and their speed, where known."""
    needed = ("id", "vx")
    if before is None or not all(name in frame.columns for frame in (now, before) for name in needed):
        return None, None
    _, here, there = np.intersect1d(now.columns["id"], before.columns["id"], return_indices=True)
    if not len(here):
        return None, None
    path = np.stack([now.columns[axis][here] - before.columns[axis][there] for axis in AXES])
    path -= np.where(now.periodic, now.sides, 0.0)[:, None] * np.round(path / now.sides[:, None])  # the nearest image
    if (np.sqrt((path**2).mean(1)) > 0.2 * now.sides)[now.periodic].any():
        return None, None  # too far for the nearest image
    speed = np.sqrt(max(_square(now, here), _square(before, there)))
    return float(np.sqrt((path**2).sum(0).mean())), float(speed)


def _square(frame: Snapshot, rows: np.ndarray) -> float:
    return float(sum((frame.columns[f"v{axis}"][rows] ** 2).mean() for axis in AXES))
