"""Files of LAMMPS's `fix ave/chunk`: step and number of chunks, then a line for each chunk, again and again.

# Chunk-averaged data for fix profile and group fluid
# Timestep Number-of-chunks Total-count
# Chunk Coord1 Ncount v_momentum v_heat
5100 80 2359
  1 0.40625 4.5 -0.43 8.65
  …

The three lines of the header are the user's (title1, title2, title3); what follows them is not. A run that is appended
brings a header of its own, and its samples are read by it.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from morlight.data.particles.compressed import opened
from morlight.data.particles.frames import CutShort
from morlight.data.particles.lammps_dump import is_number, shown


@dataclass(frozen=True, eq=False)
class Chunks:
    """Contents of such a file.

    Attributes:
        path: the file.
        columns: names, the first being the number of the chunk; those that every header has.
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
        if self.columns.count(name) > 1:
            raise ValueError(f"{self.path}: column '{name}' is there twice, expected each column once")
        return self.values[..., self.columns.index(name)]


@dataclass(frozen=True)
class _Sample:
    columns: tuple[str, ...]
    step: int
    rows: list[tuple[int, str]]


def recognizes(first: bytes) -> bool:
    """Whether a text holds samples of fix ave/chunk: a step, a number of chunks, and chunks counted from 1."""
    lines = [line.split() for line in first.decode(errors="replace").splitlines()[:-1]]
    for line, after in itertools.pairwise(lines[1:6]):  # titles may be any words
        if len(line) in (2, 3) and all(word.isdigit() for word in line[:2]):
            return len(after) > 2 and after[0] == "1" and all(is_number(word) for word in after)
    return False


def read(path: str | Path, whole_samples: bool = False) -> Chunks:
    """All samples of a file; each must have as many chunks as the first.

    Args:
        path: text, plain or compressed.
        whole_samples: whether a sample that is cut short at the end of the file is left out instead of refused.

    Raises:
        CutShort: where the file ends within a sample.
        ValueError: naming the file, the line and what was expected there.
    """
    path = Path(path)
    samples, cut = _samples(path, _text(path))
    if cut is not None and not (whole_samples and samples):
        raise cut
    if not samples:
        raise ValueError(f"{path}: expected the names of columns, '# Chunk …', and samples, of fix ave/chunk")
    first = samples[0]
    for sample in samples:
        if len(sample.rows) != len(first.rows):
            line = sample.rows[0][0] - 1
            raise ValueError(
                f"{path}: line {line}: {len(sample.rows)} chunks, expected {len(first.rows)} in every sample"
            )
    shared = tuple(name for name in first.columns if all(name in sample.columns for sample in samples))
    values = np.stack([_values(path, sample)[:, _places(sample, first, shared)] for sample in samples])
    return Chunks(path, shared, np.array([sample.step for sample in samples]), values)


def _places(sample: _Sample, first: _Sample, shared: Sequence[str]) -> list[int]:
    """Where the shared columns are in a sample; those of a header that repeats the first by place."""
    if sample.columns == first.columns:
        return [place for place, name in enumerate(first.columns) if name in shared]
    return [sample.columns.index(name) for name in shared]


def _text(path: Path) -> str:
    pieces = []
    with opened(path) as stream:
        while data := stream.read(2**22):
            pieces.append(data)
    return b"".join(pieces).decode(errors="replace")


def _samples(path: Path, text: str) -> tuple[list[_Sample], CutShort | None]:
    """Samples with the columns of the header before them, and the error where the last one is cut short."""
    lines = text.splitlines()
    samples: list[_Sample] = []
    columns: tuple[str, ...] = ()
    place = 0
    while place < len(lines):
        start, header = place, []
        while place < len(lines) and not _is_head(lines[place]):
            header.append(lines[place])
            place += 1
        if place == len(lines):
            named = [line for line in header if line.strip() and not line.startswith("#")]
            if samples and named:
                raise _no_head(path, start, named[0])
            break
        if header := [line for line in header if line.strip()]:
            if samples and not all(line.startswith("#") for line in header):
                raise _no_head(path, start, header[0])
            columns = tuple(header[-1].lstrip("#").split())
        step, size = (int(word) for word in lines[place].split()[:2])
        if size == 0 or step >= 2**63:
            raise ValueError(f"{path}: line {place + 1}: {size} chunks at step {step}, expected some in every sample")
        rows = [(number + 1, lines[number]) for number in range(place + 1, min(place + 1 + size, len(lines)))]
        if len(rows) < size:
            missing = size - len(rows)
            return samples, CutShort(f"{path}: line {len(lines)}: the file ends {missing} lines before its last sample")
        place += 1 + size
        if place == len(lines) and not text.endswith("\n"):
            return samples, CutShort(
                f"{path}: line {place}: the last line has no end, its last number may be cut short"
            )
        samples.append(_Sample(columns, step, rows))
    return samples, None


def _no_head(path: Path, place: int, line: str) -> ValueError:
    return ValueError(
        f"{path}: line {place + 1}: '{shown(line.strip().encode())}', expected a step and a number of chunks"
    )


def _is_head(line: str) -> bool:
    words = line.split()
    return len(words) in (2, 3) and words[0].isdigit() and words[1].isdigit()


def _values(path: Path, sample: _Sample) -> Float[np.ndarray, "chunks columns"]:
    """The numbers of a sample, one for each column in every line."""
    width = len(sample.columns)
    words = [row.split() for _, row in sample.rows]
    try:
        values = np.array(words, np.float64)
    except ValueError:
        values = np.empty((0, 0))
    if values.shape != (len(sample.rows), width):
        number, row = next(
            (pair for pair, line in zip(sample.rows, words, strict=True) if not _are_numbers(line, width)),
            sample.rows[0],
        )
        raise ValueError(
            f"{path}: line {number}: '{shown(row.strip().encode())}', expected {width} numbers:"
            f" {' '.join(sample.columns)}"
        )
    odd = np.flatnonzero(values[:, 0] != np.arange(1, len(values) + 1))
    if len(odd):
        number, row = sample.rows[odd[0]]
        raise ValueError(f"{path}: line {number}: '{shown(row.strip().encode())}', expected chunk {odd[0] + 1}")
    return values


def _are_numbers(words: Sequence[str], count: int) -> bool:
    return len(words) == count and all(is_number(word) for word in words)
