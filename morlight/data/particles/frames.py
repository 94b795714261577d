"""Trajectories of particles, frame by frame: what any reader of them gives, and which reader reads which file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Num

from morlight.data.particles import lammps_dump as dumps

AXES = "xyz"


@dataclass(frozen=True, eq=False)
class Frame:
    """Particles at one moment.

    Attributes:
        where: file and line or number of the frame, for complaints.
        time: in the unit of the file, or the time step where it tells no time.
        low: lower corner of the box.
        high: upper corner.
        periodic: whether the box is, along each axis.
        columns: x, y, z, vx, vy, vz, type, mass, … of each particle, as many as were asked for and are there.
    """

    where: str
    time: float
    low: Float[np.ndarray, "3"]
    high: Float[np.ndarray, "3"]
    periodic: tuple[bool, bool, bool]
    columns: Mapping[str, Num[np.ndarray, " P"]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def frames(path: str | Path, wanted: Sequence[str]) -> Iterator[Frame]:
    """Frames of a file, one after the other, by the reader that its name calls for.

    Text and binary dumps of LAMMPS are read here, plain or compressed (.gz, .zst); H5MD, DCD, XTC, TRR, NetCDF and
    what else it knows by MDAnalysis (the extra md).

    Args:
        path: file.
        wanted: columns that are needed.

    Raises:
        ValueError: naming the file, the place in it and what was expected there.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file, expected a trajectory of particles")
    read: Callable[[Path, Sequence[str]], Iterator[dumps.Raw]] = dumps.read if dumps.knows(path) else _foreign
    for raw in read(path, wanted):
        yield Frame(raw.where, raw.time, *_box(raw, path), _placed(raw, wanted))


def _box(raw: dumps.Raw, path: Path) -> tuple[np.ndarray, np.ndarray, tuple[bool, bool, bool]]:
    if raw.tilted:
        raise ValueError(f"{raw.where}: the box is tilted, expected one with right angles")
    low, high = np.asarray(raw.box, np.float64).T
    if not (high > low).all():
        raise ValueError(f"{raw.where}: the box is from {low.tolist()} to {high.tolist()}, expected a volume")
    return low, high, raw.periodic


def _placed(raw: dumps.Raw, wanted: Sequence[str]) -> dict[str, Num[np.ndarray, " P"]]:
    """Columns as they were asked for; positions from those that are there: x, else xu, else xs or xsu in the box."""
    found = dict(raw.columns)
    for axis, (low, high) in zip(AXES, raw.box, strict=True):
        if axis in wanted and axis not in found:
            if f"{axis}u" in found:
                found[axis] = found[f"{axis}u"]
            else:
                scaled = next((found[f"{axis}{end}"] for end in ("s", "su") if f"{axis}{end}" in found), None)
                if scaled is not None:
                    found[axis] = low + scaled * (high - low)
    for name in wanted:
        if name not in found:
            raise ValueError(f"{raw.where}: there is no column {name}; the file has {', '.join(raw.columns)}")
    for name in wanted:
        bad = np.flatnonzero(~np.isfinite(found[name]))
        if len(bad):
            raise ValueError(f"{raw.where}: column {name} of particle {bad[0] + 1} of the frame is not finite")
    return {name: found[name] for name in wanted}


def _foreign(path: Path, wanted: Sequence[str]) -> Iterator[dumps.Raw]:
    """Frames by MDAnalysis: positions and, where the format has them, velocities; no types, no masses."""
    try:
        from MDAnalysis.coordinates.core import reader
    except ImportError as error:
        raise ValueError(
            f"{path}: is no dump of LAMMPS, and MDAnalysis, which reads other formats, is not installed, expected"
            " pip install 'morlight[md]'"
        ) from error
    try:
        opened = reader(str(path), convert_units=False)
    except Exception as error:  # it raises whatever its readers raise
        raise ValueError(f"{path}: cannot be read by MDAnalysis ({' '.join(str(error).split())})") from error
    with opened:
        for number, step in enumerate(opened):
            where = f"{path}: frame {number}"
            size = step.dimensions
            if size is None or not np.allclose(size[3:], 90):
                raise ValueError(f"{where}: the box is {size}, expected one with right angles")
            columns = dict(zip(AXES, step.positions.T.astype(np.float64), strict=True))
            if step.has_velocities:
                columns |= dict(zip(("vx", "vy", "vz"), step.velocities.T.astype(np.float64), strict=True))
            box = [(0.0, float(side)) for side in size[:3]]
            yield dumps.Raw(where, float(step.time), box, False, (True, True, True), columns)
