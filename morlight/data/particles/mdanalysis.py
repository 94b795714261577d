"""XTC, TRR, DCD and AMBER NetCDF, read by MDAnalysis (the extra md), in the units of the file.

None of them states where the box begins or what is periodic. XTC, TRR and NetCDF state times; the time step of a DCD
file is in one of two units that the file does not tell apart, so that its times count as not stated.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from morlight.data.particles.cut_ends import whole_dcd_frames, whole_trr_frames, whole_xtc_frames
from morlight.data.particles.frames import AXES, Clock, CutShort, Frame, right_angled

SINGLE = 2.0**-23  # these formats store times in single precision


@dataclass(frozen=True, eq=False)
class _Raw:
    """Positions, velocities, edges of the box (3, 3) and the clock of one frame."""

    positions: Float[np.ndarray, "P 3"]
    velocities: Float[np.ndarray, "P 3"] | None
    edges: Float[np.ndarray, "3 3"]
    clock: Clock


def read_xtc(path: Path, wanted: Sequence[str]) -> Iterator[Frame]:
    """Frames of a GROMACS XTC file: positions, steps and times."""
    return _read(path, "XTC", _xtc, whole_xtc_frames)


def read_trr(path: Path, wanted: Sequence[str]) -> Iterator[Frame]:
    """Frames of a GROMACS TRR file: positions, velocities where they are written, steps and times."""
    return _read(path, "TRR", _trr, whole_trr_frames)


def read_dcd(path: Path, wanted: Sequence[str]) -> Iterator[Frame]:
    """Frames of a DCD file: positions."""
    return _read(path, "DCD", _dcd, whole_dcd_frames)


def read_netcdf(path: Path, wanted: Sequence[str]) -> Iterator[Frame]:
    """Frames of an AMBER NetCDF file: positions, velocities and times where they are written."""
    return _read(path, "AMBER NetCDF", _netcdf, None)


def _read(
    path: Path,
    kind: str,
    read: Callable[[Path], Iterator[_Raw]],
    count: Callable[[Path], tuple[int, bool]] | None,
) -> Iterator[Frame]:
    """Frames of a file, as many as are whole.

    Raises:
        CutShort: where the file ends within a frame.
        ValueError: where MDAnalysis is not installed or cannot read the file.
    """
    whole, complete = count(path) if count else (None, True)
    frames = read(path)
    number = 0
    while whole is None or number < whole:
        with _own_words(path, kind, number):
            raw = next(frames, None)
        if raw is None:
            break
        yield _frame(f"{path}: frame {number}", raw)
        number += 1
    if not complete:
        raise CutShort(f"{path}: the {kind} file is cut short after {number} whole frames")


@contextmanager
def _own_words(path: Path, kind: str, number: int) -> Iterator[None]:
    """Whatever MDAnalysis raises or warns of becomes one sentence of ours."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImportError as error:
        raise ValueError(
            f"{path}: is {kind}, which MDAnalysis reads and which is not installed, expected pip install 'morlight[md]'"
        ) from error
    except Exception as error:  # it raises whatever its readers raise
        raise ValueError(f"{path}: the {kind} file cannot be read from frame {number} on, is it damaged?") from error


def _frame(where: str, raw: _Raw) -> Frame:
    tilt = raw.edges[~np.eye(3, dtype=bool)]
    if not np.diag(raw.edges).any():
        raise ValueError(f"{where}: the file states no box, expected one")
    small = np.abs(tilt) < 1e-6 * np.diag(raw.edges).max()  # edges in single precision
    box = right_angled(where, None, np.diag(raw.edges).tolist(), tilt[~small].tolist())
    columns = dict(zip(AXES, raw.positions.T.astype(np.float64), strict=True))
    if raw.velocities is not None:
        columns |= dict(zip(("vx", "vy", "vz"), raw.velocities.T.astype(np.float64), strict=True))
    return Frame(where, raw.clock, box, columns, list(columns))


def _xtc(path: Path) -> Iterator[_Raw]:
    from MDAnalysis.lib.formats.libmdaxdr import XTCFile

    with XTCFile(str(path)) as file:
        for frame in file:
            yield _Raw(frame.x, None, frame.box, Clock(int(frame.step), float(frame.time), SINGLE))


def _trr(path: Path) -> Iterator[_Raw]:
    from MDAnalysis.lib.formats.libmdaxdr import TRRFile

    with TRRFile(str(path)) as file:
        for frame in file:
            if not frame.hasx:  # velocities or forces may be written more often
                continue
            velocities = frame.v if frame.hasv else None
            yield _Raw(frame.x, velocities, frame.box, Clock(int(frame.step), float(frame.time), SINGLE))


def _dcd(path: Path) -> Iterator[_Raw]:
    from MDAnalysis.lib.formats.libdcd import DCDFile

    with DCDFile(str(path)) as file:
        periodic = file.header["is_periodic"]
        for frame in file:
            a, gamma, b, beta, alpha, c = frame.unitcell
            edges = np.diag([a, b, c]) if periodic else np.zeros((3, 3))
            # angles are in degrees, or cosines, or edges of a symmetric box: 90 or 0 is right-angled in each
            edges[np.tril_indices(3, -1)] = [0 if abs(x - 90) < 1e-4 else x for x in (gamma, beta, alpha)]
            yield _Raw(frame.xyz, None, edges, Clock())


def _netcdf(path: Path) -> Iterator[_Raw]:
    from MDAnalysis.coordinates.TRJ import NCDFReader

    with NCDFReader(str(path), convert_units=False) as reader:
        for step in reader:
            size: Any = step.dimensions
            edges = np.zeros((3, 3)) if size is None else np.diag(size[:3]).astype(np.float64)
            if size is not None:
                edges[np.tril_indices(3, -1)] = [0 if abs(x - 90) < 1e-4 else x for x in size[3:]]
            velocities = step.velocities if step.has_velocities else None
            clock = Clock(time=float(step.time), rounding=SINGLE) if reader.has_time else Clock()
            yield _Raw(step.positions.copy(), velocities, edges, clock)
