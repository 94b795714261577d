"""Text dumps of LAMMPS (and SPARTA), frame by frame.

    ITEM: UNITS                      (dump_modify units yes, in the first frame only)
    lj
    ITEM: TIME                       (dump_modify time yes)
    5.0
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

Every frame is read by its own header. At most one frame, and what was read ahead, is in memory.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Shaped
from pyarrow import csv

from morlight.data.particles.compressed import Stream, opened
from morlight.data.particles.frames import (
    Box,
    Clock,
    CutShort,
    Frame,
    position_columns,
    right_angled,
    with_positions,
)

FIRST = b"ITEM: TIMESTEP"
ATOMS = b"ITEM: ATOMS"
AHEAD = 2**22  # bytes read at a time
BEFORE = 200  # bytes that units and time of a frame may take before its ITEM: TIMESTEP
LETTERS = {"p": True, "f": False, "s": False, "m": False, "r": False}  # periodic, fixed, shrink-wrapped, reflecting


def read(path: Path, wanted: Sequence[str]) -> Iterator[Frame]:
    """Frames of a text dump.

    Raises:
        CutShort: where the file ends within a frame.
        ValueError: naming the file, the line and what was expected there.
    """
    with opened(path) as file:
        line, before, units = 1, b"", None
        blocks = _blocks(file)
        for block in blocks:
            if not block.startswith(FIRST):  # what stands before the first ITEM: TIMESTEP
                before = block
                continue
            at = block.find(ATOMS)
            # units and time of the next frame; to look for them in the whole block would cost a quarter of the time
            end = block.find(b"\nITEM: ", max(at, len(block) - BEFORE)) + 1 if at >= 0 else 0
            try:
                frame, lines = _parsed(path, before, block[:end] if end else block, line, wanted)
            except CutShort as error:
                if end or next(blocks, None) is not None:  # there are frames after it: not a cut end
                    raise ValueError(str(error)) from error
                raise
            units = frame.units or units
            yield replace(frame, units=units)
            line += lines
            before = block[end:] if end else b""
    if line == 1:
        raise ValueError(f"{path}: line 1: '{shown(before)}', expected a frame with '{FIRST.decode()}'")
    if before.strip():
        raise CutShort(f"{path}: line {line}: the file ends within the header of a frame")


def shown(text: bytes, size: int = 40) -> str:
    """The first line of some bytes, short and printable."""
    first = text.split(b"\n", 1)[0][:size].decode(errors="replace").rstrip()
    return "".join(letter if letter.isprintable() else "?" for letter in first)


def _blocks(file: Stream) -> Iterator[bytes]:
    """Pieces that each begin with `ITEM: TIMESTEP`, after what stands before the first of them."""
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


def _parsed(path: Path, before: bytes, block: bytes, line: int, wanted: Sequence[str]) -> tuple[Frame, int]:
    """One frame, and the number of its lines."""
    at = block.find(ATOMS)
    where = f"{path}: line {line}"
    end = block.find(b"\n", at)
    if at < 0 or end < 0:
        raise CutShort(f"{where}: '{shown(block)}', expected a frame with '{ATOMS.decode()}', is the file cut short?")
    head = (before + block[:at]).decode(errors="replace").splitlines()
    step, count, time, units, box = _header(where, head)
    columns = block[at:end].decode(errors="replace").split()[2:]
    if not columns:
        raise ValueError(f"{where}: '{ATOMS.decode()}' names no columns, expected names such as id type x y z")
    body = block[end + 1 :]
    table = (
        _table(path, body, columns, position_columns(wanted), line + len(head) + 1)
        if body and not body.isspace()
        else {}
    )
    got = len(next(iter(table.values()))) if table else 0
    if got != count:
        raise CutShort(f"{where}: the frame of step {step} has {got} of its {count} atoms, is the file cut short?")
    if not block.endswith(b"\n"):
        last = line + len(head) + count
        raise CutShort(f"{path}: line {last}: the last line has no end, its last number may be cut short")
    if not table:
        table = {name: np.empty(0) for name in columns}
    return (
        Frame(where, Clock(step, time), box, with_positions(table, box, wanted), columns, units),
        len(head) + 1 + count,
    )


def _header(where: str, head: Sequence[str]) -> tuple[int, int, float | None, str | None, Box]:
    """Step, number of atoms, time, units and box."""
    items: dict[str, list[str]] = {}
    values: list[str] = []
    for text in head:
        if text.startswith("ITEM: "):
            items[text[6:].strip()] = values = []
        else:
            values.append(text.strip())
    bounds = next((key for key in items if key.startswith("BOX BOUNDS")), "")
    try:
        step, count = int(items["TIMESTEP"][0]), int(items["NUMBER OF ATOMS"][0])
        time = float(items["TIME"][0]) if "TIME" in items else None
        rows = np.array([[float(word) for word in text.split()] for text in items[bounds][:3]])
    except (KeyError, IndexError, ValueError) as error:
        raise ValueError(
            f"{where}: expected a frame with a step, a number of atoms and the bounds of the box"
        ) from error
    units = items["UNITS"][0] if items.get("UNITS") else None
    return step, count, time, units, _box(where, bounds.split()[2:], rows)


def _box(where: str, words: Sequence[str], rows: np.ndarray) -> Box:
    """The box of the three lines that follow `ITEM: BOX BOUNDS`, whose words say what is periodic."""
    if words[:2] == ["abc", "origin"] and rows.shape == (3, 4):  # general triclinic, LAMMPS since 2024
        box = right_angled(where, rows[:, 3].tolist(), np.diag(rows[:, :3]).tolist(), _off_diagonal(rows[:, :3]))
    elif rows.shape in ((3, 2), (3, 3)):
        tilt = rows[:, 2].tolist() if rows.shape == (3, 3) else []
        box = right_angled(where, rows[:, 0].tolist(), (rows[:, 1] - rows[:, 0]).tolist(), tilt)
    else:
        raise ValueError(f"{where}: expected a frame with a step, a number of atoms and the bounds of the box")
    ends = [word for word in words if word not in ("xy", "xz", "yz", "abc", "origin")]
    if not ends:
        return box
    if len(ends) != 3 or not all(len(word) <= 2 and word.isalpha() for word in ends):
        raise ValueError(
            f"{where}: BOX BOUNDS has the words '{' '.join(ends)}', expected one for each axis, such as pp"
        )
    x, y, z = (_periodic(word) for word in ends)
    return replace(box, periodic=(x, y, z))


def _off_diagonal(rows: np.ndarray) -> list[float]:
    return rows[~np.eye(3, dtype=bool)].tolist()


def _periodic(word: str) -> bool | None:
    """Whether an axis is periodic; None for words that mean neither periodic nor a wall, such as SPARTA's outflow."""
    known = {LETTERS.get(letter) for letter in word}
    return known.pop() if len(known) == 1 else None


def _table(
    path: Path, body: bytes, columns: Sequence[str], wanted: Sequence[str], line: int
) -> dict[str, Shaped[np.ndarray, " P"]]:
    """The wanted columns: numbers, and words where types are named."""
    chosen = [name for name in dict.fromkeys(columns) if name in wanted] or list(columns[:1])
    if twice := [name for name in chosen if columns.count(name) > 1]:
        raise ValueError(f"{path}: line {line - 1}: column {twice[0]} is there twice, expected each column once")
    first = body[: body.find(b"\n")] if b"\n" in body else body
    spare = ["", " "][first.endswith((b" ", b" \r"))]  # some versions end every line with a space
    words = _columns_of_words(first.decode(errors="replace").split(), columns, chosen)
    unique = [name if columns.index(name) == place else f"{name}:{place}" for place, name in enumerate(columns)]
    try:
        read = csv.read_csv(
            pa.BufferReader(body),
            csv.ReadOptions(use_threads=False, column_names=[*unique, *spare], block_size=max(len(body), 1)),
            csv.ParseOptions(delimiter=" "),
            csv.ConvertOptions(
                column_types={name: pa.string() if name in words else pa.float64() for name in chosen},
                include_columns=chosen,
            ),
        )
    except pa.ArrowInvalid:
        return _slow_table(path, body, columns, chosen, words, line)
    return {
        name: read.column(name).to_numpy().astype(str) if name in words else read.column(name).to_numpy()
        for name in chosen
    }


def _columns_of_words(first: Sequence[str], columns: Sequence[str], chosen: Sequence[str]) -> set[str]:
    """Columns of type names: elements, and types where the first particle has a label (never a number, in LAMMPS)."""
    words = {"element", "typelabel"} & set(chosen)
    place = list(columns).index("type") if "type" in chosen else len(first)
    return words | ({"type"} if place < len(first) and not is_number(first[place]) else set())


def _slow_table(
    path: Path, body: bytes, columns: Sequence[str], chosen: Sequence[str], words: set[str], line: int
) -> dict[str, Shaped[np.ndarray, " P"]]:
    """Other spaces than LAMMPS writes; or else the line that is wrong."""
    lines = body.splitlines()
    places = [list(columns).index(name) for name in chosen]
    for number, raw in enumerate(lines):
        values = raw.decode(errors="replace").split()
        good = len(values) == len(columns)
        if not good or not all(name in words or is_number(values[at]) for name, at in zip(chosen, places, strict=True)):
            last = number == len(lines) - 1 and len(values) < len(columns)
            raise (CutShort if last else ValueError)(
                f"{path}: line {line + number}: '{shown(' '.join(values).encode(), 60)}', expected {len(columns)}"
                f" values: {' '.join(columns)}"
            )
    kinds = [(name, "U32" if name in words else "f8") for name in chosen]
    table = np.loadtxt(io.BytesIO(body), usecols=places, dtype=kinds, ndmin=1, comments=None)
    return {name: table[name] for name in chosen}


def is_number(word: str) -> bool:
    """Whether a word of a text file is a number."""
    try:
        float(word)
    except ValueError:
        return False
    return True
