"""Files of LAMMPS's `fix ave/chunk`: step and number of chunks, then a line for each chunk, again and again.

# Chunk-averaged data for fix profile and group fluid
# Timestep Number-of-chunks Total-count
# Chunk Coord1 Ncount v_momentum v_heat
5100 80 2359
  1 0.40625 4.5 -0.43 8.65
  …
"""

import gzip
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

FIRST = b"# Chunk-averaged data"
HEADING = ("Chunk", "Row")  # first word of the line that names the columns; Row in fix ave/time


@dataclass(frozen=True, eq=False)
class Chunks:
    """What such a file holds.

    Attributes:
        path: the file.
        columns: names, the first being the number of the chunk.
        steps: time step of each sample.
        values: of all columns.
    """

    path: Path
    columns: tuple[str, ...]
    steps: Int[np.ndarray, " samples"]
    values: Float[np.ndarray, "samples chunks columns"]

    def column(self, name: str) -> Float[np.ndarray, "samples chunks"]:
        """One column of all samples.

        Raises:
            ValueError: naming the columns that there are.
        """
        if name not in self.columns:
            raise ValueError(f"{self.path}: there is no column '{name}'; the file has {', '.join(self.columns)}")
        return self.values[..., self.columns.index(name)]


def knows(path: Path) -> bool:
    """Whether a file begins as these do."""
    with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
        return file.read(len(FIRST)) == FIRST


def read(path: str | Path) -> Chunks:
    """All samples of a file, plain or gzipped; each must have as many chunks as the first.

    Raises:
        ValueError: naming the file, the line and what was expected there.
    """
    path = Path(path)
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read as the output of fix ave/chunk ({error})") from error
    lines = text.splitlines()
    columns = next((tuple(line[1:].split()) for line in lines if line[1:].split()[:1] in [[w] for w in HEADING]), ())
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line and not line.startswith("#")]
    if not columns or not numbered:
        raise ValueError(f"{path}: line 3: expected the names of columns, '# Chunk …', and samples, of fix ave/chunk")
    heads = _heads(path, numbered)
    size = int(numbered[0][1].split()[1])
    rows = [line for place, (_, line) in enumerate(numbered) if place % (size + 1)]
    try:
        table = np.loadtxt(io.StringIO("\n".join(rows)), ndmin=2)
    except ValueError as error:
        raise ValueError(f"{path}: {_culprit(numbered, size, len(columns))} ({error})") from error
    if table.shape[1] != len(columns):
        raise ValueError(f"{path}: {_culprit(numbered, size, len(columns))}")
    return Chunks(path, columns, np.array(heads), table.reshape(len(heads), size, len(columns)))


def _heads(path: Path, numbered: list[tuple[int, str]]) -> list[int]:
    """Steps of the samples, each of which must be whole."""
    size: int | None = None
    steps, place = [], 0
    while place < len(numbered):
        number, line = numbered[place]
        words = line.split()
        if not (len(words) in (2, 3) and words[0].isdigit() and words[1].isdigit()):
            raise ValueError(f"{path}: line {number}: '{line.strip()[:40]}', expected a step and a number of chunks")
        size = int(words[1]) if size is None else size
        if int(words[1]) != size or size == 0:
            raise ValueError(f"{path}: line {number}: {words[1]} chunks, expected {size or 'some'} in every sample")
        if place + size >= len(numbered):
            missing = place + size + 1 - len(numbered)
            raise ValueError(f"{path}: line {numbered[-1][0]}: the file ends {missing} lines before its last sample")
        steps.append(int(words[0]))
        place += size + 1
    return steps


def _culprit(numbered: list[tuple[int, str]], size: int, columns: int) -> str:
    """The first line without as many numbers as there are columns."""
    for place, (number, line) in enumerate(numbered):
        if place % (size + 1) and not _numbers(line, columns):
            return f"line {number}: '{line.strip()[:40]}', expected {columns} numbers"
    return f"expected {columns} numbers a line"


def _numbers(line: str, count: int) -> bool:
    try:
        return len([float(word) for word in line.split()]) == count
    except ValueError:
        return False
