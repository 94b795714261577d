"""Runs that could be made next: values of γ, numbers of seeds, frames and cells, from ranges, tables or Python."""

import csv
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from morlight.operators.description import DataDescription, ParameterStatistics

SEEDS, FRAMES, CELLS = "seeds", "frames", "cells"
LONGEST = 10  # times the frames of the data
MOST = 10_000

Choices = Mapping[str, object]  # a number, several, or a text, by name; `values` refuses everything else


@dataclass(frozen=True)
class Candidate:
    """Runs at one γ.

    Attributes:
        gamma: parameters, by name.
        seeds: number of runs, which differ only in their seed.
        frames: of each run, with the first one.
        cells: along x, and in the same ratio along the other axes; None for those of the model.
    """

    gamma: Mapping[str, float]
    seeds: int
    frames: int
    cells: int | None = None

    @property
    def cost(self) -> int:
        """Frames to simulate, whatever the cells."""
        return self.seeds * (self.frames - 1)


def candidates(
    data: DataDescription, frames: int, asked: Choices | str | Path, of_file: Sequence[int]
) -> list[Candidate]:
    """All combinations of the values of each parameter, or the rows of a table (CSV).

    Args:
        data: description of the training data.
        frames: of the runs so far; those of the candidates by default.
        asked: for each parameter γ a number, several, or a text (see `values`), and optionally for seeds, frames and
            cells; or the path of a table with a column for each of them.
        of_file: cells of the runs so far, along each axis.

    Raises:
        ValueError: naming what is not a candidate.
    """
    rows = _table(asked) if isinstance(asked, str | Path) else _product(data, asked)
    names = data.parameter_names
    found = []
    for row in rows:
        unknown = set(row) - {*names, SEEDS, FRAMES, CELLS}
        missing = [name for name in names if name not in row]
        if unknown or missing:
            raise ValueError(
                f"the candidates have {', '.join(row) or 'nothing'}, expected {', '.join(names)} and optionally"
                f" {SEEDS}, {FRAMES} and {CELLS}"
            )
        gamma = {name: row[name] for name in names}
        counts = {name: value for name, value in row.items() if name not in names}
        seeds = _count(SEEDS, counts.get(SEEDS, 1.0), 1, MOST)
        length = _count(FRAMES, counts.get(FRAMES, float(frames)), 2, LONGEST * frames)
        cells = None if CELLS not in counts else _cells(data.grid.points, of_file, counts[CELLS])
        found.append(Candidate(gamma, seeds, length, cells))
    if not found:
        raise ValueError("there are no candidates, expected at least one")
    return list({(*each.gamma.values(), each.seeds, each.frames, each.cells): each for each in found}.values())


def values(word: object, parameter: ParameterStatistics | None, name: str) -> list[float]:
    """Numbers from a number, several, or a text: `0.1,0.5` is both, `0.1:1:5` are five numbers from 0.1 to 1.

    The five numbers are equally spaced, in the logarithm of a parameter that enters the networks by its logarithm.

    Raises:
        ValueError: naming the parameter.
    """
    try:
        if not isinstance(word, str):
            found = np.atleast_1d(np.asarray(word, np.float64)).tolist()
            if np.ndim(found) > 1:
                raise ValueError("numbers in rows")
        elif ":" in word:
            low, high, count = word.split(":")
            logarithmic = parameter is not None and parameter.spread > 0
            space = np.geomspace if logarithmic else np.linspace
            found = space(float(low), float(high), max(0, int(count))).tolist()
        else:
            found = [float(part) for part in word.split(",")]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is '{word}', expected numbers such as 0.1,0.5 or a range such as 0.1:1:5") from error
    if not found:
        least = "a count of 1 or more" if isinstance(word, str) else "at least one number"
        raise ValueError(f"{name} is '{word}', expected {least}")
    if not np.isfinite(found).all():
        raise ValueError(f"{name} is '{word}', expected finite numbers")
    return [float(f"{value:.12g}") for value in found]


def gammas(data: DataDescription, asked: Choices) -> list[dict[str, float]]:
    """All combinations of the values of each parameter γ.

    Raises:
        ValueError: if they are not those of the model.
    """
    if set(asked) != set(data.parameter_names):
        raise ValueError(
            f"γ of interest has {', '.join(asked) or 'no parameters'}, expected {', '.join(data.parameter_names)}"
        )
    return [{name: row[name] for name in data.parameter_names} for row in _product(data, asked)]


def places(data: DataDescription, gamma: Float[np.ndarray, "n P"]) -> Float[np.ndarray, "n P"]:
    """γ in units in which distances are comparable: by its logarithm where it enters the networks so."""
    columns = [
        np.log(column / parameter.scale) / parameter.spread if parameter.spread > 0 else column / parameter.scale
        for column, parameter in zip(gamma.T, data.parameters, strict=True)
    ]
    return np.stack(columns, 1)


def _product(data: DataDescription, asked: Choices) -> Iterable[dict[str, float]]:
    known = {parameter.name: parameter for parameter in data.parameters}
    columns = [values(word, known.get(name), name) for name, word in asked.items()]
    if np.prod([len(column) for column in columns]) > MOST:
        raise ValueError(f"there are more than {MOST} candidates, expected fewer values")
    return (dict(zip(asked, row, strict=True)) for row in itertools.product(*columns))


def _table(path: str | Path) -> list[dict[str, float]]:
    path = Path(path)
    if not path.is_file():
        raise ValueError(
            f"{path}: no such file, expected a table (CSV) with a column for each parameter, or NAME=VALUES"
        )
    try:
        lines = path.read_bytes().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}: line {line} is not UTF-8, expected a table (CSV) in UTF-8") from error
    reader = csv.reader(lines, skipinitialspace=True)
    names = [name.strip() for name in next(reader, [])]
    separators = [word for mark, word in ((";", "semicolons"), ("\t", "tabs")) if mark in "".join(names)]
    if separators:
        raise ValueError(f"{path}: line 1 is separated by {separators[0]}, expected commas")
    if len(set(names)) != len(names):
        raise ValueError(f"{path}: line 1 has a name twice, expected each once: {', '.join(names)}")
    return [_row(f"{path}: line {reader.line_num}", names, cells) for cells in reader if cells]


def _row(where: str, names: Sequence[str], cells: Sequence[str]) -> dict[str, float]:
    """Numbers of a line by name.

    Raises:
        ValueError: naming the line.
    """
    if len(cells) != len(names):
        raise ValueError(f"{where} has {len(cells)} cells, expected {len(names)}: {', '.join(names)}")
    found = {}
    for name, cell in zip(names, cells, strict=True):
        try:
            found[name] = float(cell)
        except ValueError as error:
            raise ValueError(f"{where}: {name} is '{cell.strip()}', expected a number") from error
        if not np.isfinite(found[name]):
            raise ValueError(f"{where}: {name} is '{cell.strip()}', expected a finite number")
    return found


def _cells(points: Sequence[int], of_file: Sequence[int], value: float) -> int:
    """A number of cells whose fields follow from those of the runs so far, as means over neighboring cells."""
    cells = _count(CELLS, value, 2, MOST)
    fewer = points[0] % cells == 0 and all(N % (points[0] // cells) == 0 for N in points)
    finer = [cells * N // points[0] for N in points]
    more = cells % points[0] == 0 and all(F % N == 0 for F, N in zip(of_file, finer, strict=True))
    if not (fewer or more):
        raise ValueError(
            f"cells are {cells}, expected a divisor of the {points[0]} cells of the model, or a multiple of them that"
            f" divides the {of_file[0]} cells of the runs so far, which do not tell what more cells would show"
        )
    return cells


def _count(name: str, value: float, least: int, most: int) -> int:
    if value != int(value) or not least <= value <= most:
        raise ValueError(f"{name} is {value:g}, expected a whole number from {least} to {most}")
    return int(value)
