"""Dumps of LAMMPS, frame by frame: text, plain or compressed with gzip or zstd, and binary.

    ITEM: TIMESTEP
    1000
    ITEM: NUMBER OF ATOMS
    20965
    ITEM: BOX BOUNDS ff pp pp
    -0.95 65.95
    0.0 25.4
    0.0 25.4
    ITEM: ATOMS id type x y z vx vy vz
    2049 1 1.09844 0.488431 0.488431 -0.815916 1.58982 -0.884118
    …

Never more than one frame of a text, and what was read ahead, is in the memory.
"""

import gzip
import io
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import zstandard
from jaxtyping import Num
from pyarrow import csv

FIRST = b"ITEM: TIMESTEP"
AHEAD = 2**22  # bytes read at a time
TEXT = (".dump", ".lammpstrj", ".lammpsdump", ".txt")
BINARY = (".bin", ".lammpsbin")
COMPRESSED = (".gz", ".zst")
POSITIONS = {f"{axis}{end}" for axis in "xyz" for end in ("u", "s", "su")}  # that stand for x, y and z


@runtime_checkable
class Stream(Protocol):
    """Bytes, one piece after the other."""

    def read(self, size: int, /) -> bytes:
        """So many, or fewer at the end."""


@dataclass(frozen=True, eq=False)
class Raw:
    """A frame as it stands in its file: box of lower and upper ends, periodic or not along each axis."""

    where: str
    time: float
    box: Sequence[tuple[float, float]]
    tilted: bool
    periodic: tuple[bool, bool, bool]
    columns: Mapping[str, Num[np.ndarray, " P"]]


def knows(path: Path) -> bool:
    """Whether a file is a dump of LAMMPS, by its name or else by how it begins."""
    name = path.name.removesuffix(path.suffix) if path.suffix in COMPRESSED else path.name
    if Path(name).suffix in (*TEXT, *BINARY) or name.startswith("dump."):
        return True
    with _opened(path) as file:
        return file.read(len(FIRST)) == FIRST


def read(path: Path, wanted: Sequence[str]) -> Iterator[Raw]:
    """Frames of a dump.

    Raises:
        ValueError: naming the file, the line (of a text) or the byte, and what was expected there.
    """
    name = path.name.removesuffix(path.suffix) if path.suffix in COMPRESSED else path.name
    with _opened(path) as file:
        try:
            yield from (_binary if Path(name).suffix in BINARY else _text)(path, file, wanted)
        except (EOFError, zstandard.ZstdError, gzip.BadGzipFile, OSError) as error:
            raise ValueError(f"{path}: is damaged or cut short ({error})") from error


@contextmanager
def _opened(path: Path) -> Iterator[Stream]:
    """The file, decompressed as it is read."""
    with open(path, "rb") as raw:
        if path.suffix == ".gz":
            yield gzip.GzipFile(fileobj=raw)
        elif path.suffix == ".zst":
            yield zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True, closefd=False)
        else:
            yield raw


def _text(path: Path, file: Stream, wanted: Sequence[str]) -> Iterator[Raw]:
    line = 1
    for block in _blocks(file):
        if not block.strip():
            continue
        frame, lines = _parsed(path, block, line, wanted)
        yield frame
        line += lines
    if line == 1:
        raise ValueError(f"{path}: is empty or cut short, expected '{FIRST.decode()}' in line 1")


def _blocks(file: Stream) -> Iterator[bytes]:
    """What lies from one `ITEM: TIMESTEP` to the next."""
    pieces: list[bytes] = []
    rest = b""
    while True:
        more = file.read(AHEAD)
        rest += more
        found = rest.find(FIRST, 0 if pieces else 1)
        while found >= 0:
            yield b"".join([*pieces, rest[:found]])
            pieces, rest = [], rest[found:]
            found = rest.find(FIRST, 1)
        if not more:
            yield b"".join([*pieces, rest])
            return
        if len(rest) > len(FIRST):  # the words may lie across two pieces
            pieces.append(rest[: -len(FIRST)])
            rest = rest[-len(FIRST) :]


def _parsed(path: Path, block: bytes, line: int, wanted: Sequence[str]) -> tuple[Raw, int]:
    """One frame of a text, and how many lines it has."""
    at = block.find(b"ITEM: ATOMS")
    head = block[: at if at >= 0 else len(block)].decode(errors="replace").splitlines()
    if at < 0 or not head[0].startswith(FIRST.decode()):
        expected = FIRST.decode() if not head[0].startswith(FIRST.decode()) else "ITEM: ATOMS"
        raise ValueError(f"{path}: line {line}: '{head[0][:40]}', expected a frame with '{expected}'")
    items: dict[str, list[str]] = {}
    for text in head:
        if text.startswith("ITEM: "):
            items[text[6:]] = held = []
        else:
            held.append(text)
    where = f"{path}: line {line}"
    bounds = next((key for key in items if key.startswith("BOX BOUNDS")), None)
    try:
        step, count = int(items["TIMESTEP"][0]), int(items["NUMBER OF ATOMS"][0])
        assert bounds is not None
        sides = [tuple(float(word) for word in text.split()) for text in items[bounds]]
        time = float(items["TIME"][0]) if "TIME" in items else float(step)
        assert len(sides) == 3
        assert {len(side) for side in sides} <= {2, 3}
    except (KeyError, IndexError, ValueError, AssertionError) as error:
        raise ValueError(
            f"{where}: expected a frame with a step, a number of atoms and the bounds of the box"
        ) from error
    words = bounds.split()[2:]
    periodic = [word == "pp" for word in words if len(word) == 2 and set(word) <= set("psfm")]
    tilted = len(sides[0]) == 3
    end = block.index(b"\n", at) if b"\n" in block[at:] else len(block)
    columns = block[at:end].decode(errors="replace").split()[2:]
    table = _table(path, block[end + 1 :], columns, wanted, line + len(head) + 1)
    got = len(next(iter(table.values()))) if table else 0
    if got != count:
        raise ValueError(f"{where}: the frame of step {step} has {got} of its {count} atoms, is the file cut short?")
    box = [(side[0], side[1]) for side in sides]
    axes = (periodic + [True] * 3)[:3] if periodic else [True] * 3
    frame = Raw(where, time, box, tilted, (axes[0], axes[1], axes[2]), table)
    return frame, len(head) + 1 + count


def _table(
    path: Path, body: bytes, columns: Sequence[str], wanted: Sequence[str], line: int
) -> dict[str, Num[np.ndarray, " P"]]:
    """The wanted columns, and all that positions can be had from, as numbers."""
    if not body.strip():
        return {name: np.empty(0) for name in columns}
    first = body[: body.find(b"\n")] if b"\n" in body else body
    spare = ["", " "][first.endswith(b" ")]  # some versions end every line with a space
    chosen = [name for name in columns if name in wanted or name in POSITIONS] or list(columns[:1])
    try:
        read = csv.read_csv(
            pa.BufferReader(body),
            csv.ReadOptions(use_threads=False, column_names=[*columns, *spare], block_size=max(len(body), 1)),
            csv.ParseOptions(delimiter=" "),
            csv.ConvertOptions(column_types={name: pa.float64() for name in chosen}, include_columns=chosen),
        )
    except pa.ArrowInvalid as error:
        place = _bad_line(body, columns, chosen)
        if place is None:  # other spaces than LAMMPS writes
            try:
                table = np.loadtxt(io.BytesIO(body), usecols=[list(columns).index(name) for name in chosen], ndmin=2)
            except ValueError as wrong:
                raise ValueError(f"{path}: line {line}: {wrong}") from error
            return dict(zip(chosen, table.T, strict=True))
        number, text = place
        raise ValueError(
            f"{path}: line {line + number}: '{text[:60]}', expected {len(columns)} values: {' '.join(columns)}"
        ) from error
    return {name: read.column(name).to_numpy() for name in chosen}


def _bad_line(body: bytes, columns: Sequence[str], chosen: Sequence[str]) -> tuple[int, str] | None:
    """The first line of a frame that has not a value for each column, or no number where one is wanted."""
    places = [list(columns).index(name) for name in chosen]
    for number, raw in enumerate(body.splitlines()):
        words = raw.decode(errors="replace").split()
        try:
            _ = [float(words[place]) for place in places]
        except (ValueError, IndexError):
            return number, " ".join(words)
        if len(words) != len(columns):
            return number, " ".join(words)
    return None


class _Cursor:
    """Reads numbers one after the other and knows where it is."""

    def __init__(self, path: Path, file: Stream) -> None:
        self.path, self.file, self.place = path, file, 0

    def bytes(self, size: int) -> bytes:
        """The next so many.

        Raises:
            ValueError: where the file ends before.
        """
        data = b""
        while len(data) < size and (more := self.file.read(size - len(data))):
            data += more
        if len(data) < size:
            raise ValueError(f"{self.path}: byte {self.place}: the file ends within a frame, is it cut short?")
        self.place += size
        return data

    def take(self, form: str) -> tuple[Any, ...]:
        """The next values of a `struct`."""
        return struct.unpack(f"<{form}", self.bytes(struct.calcsize(f"<{form}")))

    def words(self) -> list[str]:
        """Words with their length before them."""
        return self.bytes(self.take("i")[0]).decode(errors="replace").split()


def _binary(path: Path, file: Stream, wanted: Sequence[str]) -> Iterator[Raw]:
    """Frames of a binary dump, as of LAMMPS since 2020, whose frames name their columns."""
    cursor = _Cursor(path, file)
    while start := file.read(8):
        where = f"{path}: byte {cursor.place}"
        cursor.place += len(start)
        mark = -struct.unpack("<q", start.ljust(8, b"\0"))[0]
        known = 0 < mark <= 64 and cursor.bytes(mark).startswith(b"DUMP")
        endian, revision = cursor.take("ii") if known else (0, 0)
        if not (known and endian == 1 and revision > 1):
            raise ValueError(f"{where}: expected a frame of a binary dump that names its columns (LAMMPS since 2020)")
        step, count, tilted, *kinds = cursor.take("qqi6i")
        bounds = cursor.take("9d" if tilted else "6d")
        (width,) = cursor.take("i")
        cursor.words()  # the units
        time = cursor.take("d")[0] if cursor.take("c")[0] != b"\0" else step
        names = cursor.words()
        pieces = [cursor.bytes(8 * cursor.take("i")[0]) for _ in range(cursor.take("i")[0])]
        table = np.frombuffer(b"".join(pieces), "<f8").reshape(-1, width)
        if len(table) != count:
            raise ValueError(f"{where}: the frame of step {step} has {len(table)} of its {count} atoms")
        box = [(bounds[2 * axis], bounds[2 * axis + 1]) for axis in range(3)]
        periodic = kinds[0] == 0, kinds[2] == 0, kinds[4] == 0
        kept = {
            name: column for name, column in zip(names, table.T, strict=True) if name in wanted or name in POSITIONS
        }
        yield Raw(where, float(time), box, bool(tilted), periodic, kept or {names[0]: table[:, 0]})
    if cursor.place == 0:
        raise ValueError(f"{path}: is empty or cut short, expected a binary dump")
