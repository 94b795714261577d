"""Binary dumps of LAMMPS, as written since 2020: every frame names its columns."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from morlight.data.particles.compressed import Stream, opened
from morlight.data.particles.frames import Box, Clock, CutShort, Frame, position_columns, right_angled, with_positions


class _Cursor:
    """Reads numbers one after the other and knows where it is."""

    def __init__(self, path: Path, file: Stream) -> None:
        self.path, self.file, self.place = path, file, 0

    def bytes(self, size: int) -> bytes:
        """The requested number of bytes.

        Raises:
            CutShort: where the file ends before.
        """
        data = b""
        while len(data) < size and (more := self.file.read(size - len(data))):
            data += more
        if len(data) < size:
            raise CutShort(f"{self.path}: byte {self.place}: the file ends within a frame, is it cut short?")
        self.place += size
        return data

    def take(self, form: str) -> tuple[Any, ...]:
        """The next values of a `struct`."""
        return struct.unpack(f"<{form}", self.bytes(struct.calcsize(f"<{form}")))

    def words(self) -> list[str]:
        """Words with their length before them."""
        return self.bytes(self.take("i")[0]).decode(errors="replace").split()


def recognizes(first: bytes) -> bool:
    """Whether a file begins as these dumps do: the negative length of a word that begins with DUMP."""
    return len(first) >= 12 and 0 < -struct.unpack("<q", first[:8])[0] <= 64 and first[8:12] == b"DUMP"


def read(path: Path, wanted: Sequence[str]) -> Iterator[Frame]:
    """Frames of a binary dump.

    Raises:
        CutShort: where the file ends within a frame.
        ValueError: naming the file, the byte and what was expected there.
    """
    units: str | None = None
    with opened(path) as file:
        cursor = _Cursor(path, file)
        while start := file.read(8):
            cursor.place += len(start)
            frame = _frame(path, cursor, start, wanted)
            units = frame.units or units  # written in the first frame only
            yield replace(frame, units=units)
        if cursor.place == 0:
            raise ValueError(f"{path}: is empty or cut short, expected a binary dump")


def _frame(path: Path, cursor: _Cursor, start: bytes, wanted: Sequence[str]) -> Frame:
    where = f"{path}: byte {cursor.place - len(start)}"
    if len(start) < 8:
        raise CutShort(f"{where}: the file ends within a frame, is it cut short?")
    mark = -struct.unpack("<q", start)[0]
    known = 0 < mark <= 64 and cursor.bytes(mark).startswith(b"DUMP")
    endian, revision = cursor.take("ii") if known else (0, 0)
    if not (known and endian == 1 and revision > 1):
        raise ValueError(f"{where}: expected a frame of a binary dump that names its columns (LAMMPS since 2020)")
    step, count, triclinic, *kinds = cursor.take("qqi6i")
    box = _box(where, cursor, triclinic, kinds)
    (width,) = cursor.take("i")
    units = " ".join(cursor.words())
    time = cursor.take("d")[0] if cursor.take("c")[0] != b"\0" else None
    names = cursor.words()
    pieces = [cursor.bytes(8 * cursor.take("i")[0]) for _ in range(cursor.take("i")[0])]
    table = np.frombuffer(b"".join(pieces), "<f8").reshape(-1, width)
    if len(table) != count or len(names) != width:
        raise ValueError(f"{where}: the frame of step {step} has {len(table)} of its {count} atoms")
    keep = position_columns(wanted)
    if twice := [name for name in names if names.count(name) > 1 and name in keep]:
        raise ValueError(f"{where}: column {twice[0]} is there twice, expected each column once")
    columns = {name: column for name, column in zip(names, table.T, strict=True) if name in keep}
    columns = columns or {names[0]: table[:, 0]}
    return Frame(where, Clock(step, time), box, with_positions(columns, box, wanted), names, units or None)


def _box(where: str, cursor: _Cursor, triclinic: int, kinds: Sequence[int]) -> Box:
    """The box and, from two numbers for each axis (0: periodic), what is periodic."""
    if triclinic == 2:  # general: three edge vectors and the origin
        numbers = np.array(cursor.take("12d"))
        edges = numbers[:9].reshape(3, 3)
        off = edges[~np.eye(3, dtype=bool)].tolist()
        box = right_angled(where, numbers[9:].tolist(), np.diag(edges).tolist(), off)
    else:
        bounds = np.array(cursor.take("6d")).reshape(3, 2)
        tilt = cursor.take("3d") if triclinic else ()
        box = right_angled(where, bounds[:, 0].tolist(), (bounds[:, 1] - bounds[:, 0]).tolist(), tilt)
    return replace(box, periodic=(kinds[0] == 0, kinds[2] == 0, kinds[4] == 0))
