"""Selection of a reader by the first bytes of a file; the name is not used.

Formats that are not read are refused by their own name, with the way on.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from morlight.data.particles import compressed, h5md, hoomd_gsd, lammps_average, lammps_binary, lammps_dump, mdanalysis
from morlight.data.particles.frames import CutShort, Frame

HDF5 = b"\x89HDF\r\n\x1a\n"
Reader = Callable[[Path, Sequence[str]], Iterator[Frame]]


@dataclass(frozen=True)
class Format:
    """A format that is read.

    Attributes:
        name: as its users call it.
        recognizes: by the first bytes, decompressed.
        asked: what the file does not state and an option must.
        holds: columns it can have.
        read: frames of particles; None for averages over cells.
        packed: whether it is read compressed as well.
    """

    name: str
    recognizes: Callable[[bytes], bool]
    holds: str
    asked: str
    read: Reader | None = None
    packed: bool = False


def _starts(*marks: bytes) -> Callable[[bytes], bool]:
    return lambda first: first.startswith(marks)


def _is_text_dump(first: bytes) -> bool:
    return first.startswith((b"ITEM: TIMESTEP", b"ITEM: UNITS", b"ITEM: TIME\n", b"ITEM: TIME\r"))


ORIGIN_AND_WALLS = "`--box-origin` or `--bounds`, `--walls`"
AVERAGES = Format(
    "LAMMPS `fix ave/chunk`",
    lammps_average.recognizes,
    "averages over cells along one axis",
    "`--walls`; `--bounds` of a periodic box or of `units reduced`; `--units`; `--mass all=` for momentum",
    packed=True,
)
FORMATS = (
    Format(
        "LAMMPS dump, text", _is_text_dump, "positions, velocities, types, masses, time or step",
        "`--timestep` without `ITEM: TIME`, `--units` for temperature", lammps_dump.read, packed=True,
    ),
    Format(
        "LAMMPS dump, binary", lammps_binary.recognizes, "the same", "the same", lammps_binary.read, packed=True,
    ),
    AVERAGES,
    Format(
        "H5MD", _starts(HDF5), "positions, velocities, species, masses, time or step",
        "`--box-origin` or `--bounds`, `--group` of several, `--walls` without `boundary`, `--timestep` without `time`",
    ),
    Format(
        "GSD (HOOMD-blue)", _starts(b"\xdf\x65" * 4),
        "positions, velocities, types, masses, step", "`--timestep`", hoomd_gsd.read,
    ),
    Format(
        "XTC", _starts(b"\x00\x00\x07\xcb", b"\x00\x00\x07\xe7"), "positions, time and step", ORIGIN_AND_WALLS,
        mdanalysis.read_xtc,
    ),
    Format(
        "TRR", _starts(b"\x00\x00\x07\xc9"), "positions, velocities, time and step",
        ORIGIN_AND_WALLS + ", `--mass all=`",
        mdanalysis.read_trr,
    ),
    Format(
        "DCD", lambda first: first[4:8] == b"CORD", "positions", ORIGIN_AND_WALLS + ", `--frame-spacing`",
        mdanalysis.read_dcd,
    ),
    Format(
        "AMBER NetCDF", _starts(b"CDF\x01", b"CDF\x02", b"CDF\x05"), "positions, velocities, time where written",
        ORIGIN_AND_WALLS + ", `--frame-spacing` without times", mdanalysis.read_netcdf,
    ),
)  # fmt: skip

ADVICE = "expected a format that is read, such as dump style custom"
REFUSED: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("LAMMPS dump style yaml", lambda first: first.startswith(b"---") and b"creator: LAMMPS" in first[:200]),
    ("LAMMPS dump style local", lambda first: _is_text_dump(first) and b"\nITEM: NUMBER OF ENTRIES" in first),
    ("LAMMPS dump style grid", lambda first: _is_text_dump(first) and b"\nITEM: GRID" in first),
    ("LAMMPS dump style cfg", _starts(b"Number of particles")),
    ("LAMMPS dump style vtk", lambda first: first.startswith(b"# vtk DataFile") or b"<VTKFile" in first[:200]),
    ("the output of LAMMPS fix ave/time", _starts(b"# Time-averaged data", b"# TimeStep Number-of-rows")),
    ("the output of LAMMPS fix ave/histo", _starts(b"# Histogrammed data")),
    ("the output of LAMMPS fix ave/correlate", _starts(b"# Time-correlated data")),
    ("a LAMMPS data file", lambda first: re.search(rb"^\s*\d+ +atoms\s*$", first[:1000], re.MULTILINE) is not None),
    ("a LAMMPS log file", _starts(b"LAMMPS (")),
    ("a LAMMPS restart file", _starts(b"LammpS RestartT")),
    ("extended XYZ", lambda first: _is_xyz(first) and (b"Lattice=" in first or b"Properties=" in first)),
    ("XYZ, which has no box", lambda first: _is_xyz(first)),
    ("PDB", _starts(b"CRYST1", b"HEADER", b"ATOM  ", b"HETATM", b"REMARK", b"MODEL ", b"TITLE ")),
    ("an image", _starts(b"\x89PNG", b"\xff\xd8\xff", b"P6\n", b"GIF8")),
    ("a zip archive (.npz, .zip)", _starts(b"PK\x03\x04")),
    ("a NumPy array (.npy)", _starts(b"\x93NUMPY")),
)


def _is_xyz(first: bytes) -> bool:
    return re.match(rb"\s*\d+\r?\n[^\n]*\n\s*[A-Za-z0-9]+\s+[-+.\d]", first) is not None


def recognized(path: Path) -> Format:
    """The format of a file.

    Raises:
        ValueError: where there is no such file, or it is of a format that is not read.
    """
    if path.is_dir():
        raise ValueError(f"{path}: is a directory, expected a file of particles or of averages")
    if not path.is_file():
        raise ValueError(f"{path}: no such file, expected a trajectory of particles or the output of fix ave/chunk")
    first = compressed.first_bytes(path)
    if not first:
        raise ValueError(f"{path}: is empty or cut short, expected a trajectory of particles")
    for name, recognizes in REFUSED:
        if recognizes(first):
            raise ValueError(f"{path}: is {name}, which is not read, {ADVICE}")
    for known in FORMATS:
        if known.recognizes(first):
            if compressed.is_compressed(path) and not known.packed:
                raise ValueError(f"{path}: is compressed {known.name}, expected it decompressed")
            return known
    names = ", ".join(known.name.replace("`", "") for known in FORMATS)
    raise ValueError(f"{path}: line 1: '{lammps_dump.shown(first)}', the format is not recognized, expected {names}")


def frames(
    path: str | Path, wanted: Sequence[str], group: str | None = None, whole_frames: bool = False
) -> Iterator[Frame]:
    """Frames of a file, one after the other, by the reader that its first bytes call for.

    Args:
        path: file.
        wanted: columns to read where the file has them.
        group: group of particles of an H5MD file.
        whole_frames: whether a file that is cut short ends with its last whole frame, instead of being refused.

    Raises:
        ValueError: naming the file, the place in it and what was expected there.
    """
    path = Path(path)
    kind = recognized(path)
    if group is not None and kind.name != "H5MD":
        raise ValueError(f"{path}: is {kind.name}, which has no groups, expected no group")
    if kind is AVERAGES:
        raise ValueError(f"{path}: holds averages over cells, expected particles as in the other files")
    number = 0
    try:
        for frame in kind.read(path, wanted) if kind.read else h5md.read(path, wanted, group):
            yield frame
            number += 1
    except CutShort as error:
        if whole_frames and number:
            return
        advice = f"; --whole-frames takes the {number} before it" if number else ""
        raise ValueError(f"{error}{advice}") from error
