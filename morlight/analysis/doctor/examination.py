"""An examination of a file before a fit: all checks that apply to it (`morlight doctor`)."""

from contextlib import suppress
from pathlib import Path

from morlight.analysis.doctor import boundaries, conservation, frames, memory, spectrum, temperature
from morlight.analysis.doctor.fields import FieldSample, load
from morlight.analysis.doctor.findings import Check, Finding, Report, carry_out, several
from morlight.analysis.doctor.particle_file import examine_particles
from morlight.data import shipped
from morlight.data.trajectory_file import TrajectoryFile

HDF5 = b"\x89HDF\r\n\x1a\n"

FIELD_CHECKS = (
    Check(
        "frames",
        "‖u(t+Δt) − u(t)‖ is 0, or its ratio to the neighbors is above 1.5 if smooth, 1.2 if noisy, at a robust z",
        frames.frames,
    ),
    Check(
        "particle number",
        "relative change of Σ density above 1e-6: any for counts, else a drift by von Neumann's ratio",
        conservation.particle_number,
    ),
    Check(
        "momentum",
        "in a periodic box, change of Σ momentum above 1e-4 of Σ |momentum| with a drift by von Neumann's ratio",
        conservation.momentum,
    ),
    Check(
        "density",
        "median of mean density over the parameter `density`: beyond a factor of 1.5",
        conservation.parameter_density,
    ),
    Check(
        "temperature",
        "last quarter over first: beyond 5 % at a z; species differ by 25 % at a z; differs from a parameter"
        " `temperature` by 25 %",
        temperature.temperature,
    ),
    Check(
        "units",
        "noise of momentum over noise of density over √T, which is √mass: outside 0.05 to 100",
        temperature.speed_units,
    ),
    Check(
        "boundary",
        "jump or kink at a periodic seam: above 3 times the largest elsewhere; value of momenta at walls: above 0.5 of"
        " the largest; slope of other fields: above 0.3 of π (max − min) / L; both at a t",
        boundaries.boundaries,
    ),
    Check(
        "nyquist",
        "energy of (−1)ʲ over that of the modes beside it: above 5 and above Fisher's ratio",
        spectrum.nyquist,
    ),
    Check("particles a cell", "mean count of a cell: below 4", spectrum.particles_a_cell),
    Check(
        "memory",
        "ln λ(2Δt) differs from 2 ln λ(Δt) by a quarter at a jackknife's t; modes 1 to 4, linear dynamics",
        memory.memory,
    ),
    Check(
        "noise",
        "shortest waves: λ(Δt)² − λ(2Δt) above 0.1 at a t, or λ above 0.1 with −ln λ ~ k^α, α below 0.5 at a t",
        memory.noise,
    ),
)


def examine(path: str | Path, cells: tuple[int, ...] = (64,)) -> Report:
    """Examine a trajectory file, a set by its name, or a file of particles.

    Args:
        path: file or name of a set.
        cells: along each axis from x on, that particles will be deposited in.

    Raises:
        ValueError: there is no such file, or it cannot be read at all.
    """
    file = shipped.located(path)
    if not file.is_file():
        raise ValueError(
            f"{path}: no such file, expected a trajectory file, a dump of particles or a set"
            f" ({', '.join(shipped.names())})"
        )
    if not _is_hdf5(file):
        return examine_particles(file, cells)
    fields = examine_fields(file, str(path))
    if fields.refused:
        with suppress(ValueError):  # particles in HDF5 (H5MD), else what keeps it from being a trajectory file
            return examine_particles(file, cells)
    return fields


def _is_hdf5(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(HDF5)) == HDF5


def examine_fields(file: Path, name: str) -> Report:
    """Check the fields of a trajectory file."""
    try:
        held = TrajectoryFile.open(file)
        sample = load(held)
    except ValueError as error:
        refusal = Finding("file", "refused", str(error), None, "a trajectory file")
        return Report(name, "fields", "not taken by `morlight fit`", [refusal])
    return carry_out(FIELD_CHECKS, sample, Report(name, "fields", _examined(sample, held.trajectories)))


def _examined(sample: FieldSample, trajectories: int) -> str:
    points = " × ".join(map(str, sample.grid.points))
    which = f"{len(sample.rows)} of {trajectories} trajectories" if len(sample.rows) < trajectories else (
        several(trajectories, "trajectory")
    )  # fmt: skip
    return f"{which}, {several(len(sample.times), 'frame')}, {points} cells, fields {', '.join(sample.fields)}"
