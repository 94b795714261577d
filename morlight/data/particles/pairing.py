"""Parameters γ of each file: from a list, from the names of the files, from a table, or stated with each file.

Files that a pattern matches come in natural order, run2 before run10. The pairs are shown before anything is computed
and stored in the trajectory file.
"""

import csv
import glob
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from morlight.data.particles.settings import check_name

NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
BESIDE = re.compile(r"(?P<path>.+):(?P<pairs>[^:=/]+=[^:/]+)")
KEPT = re.compile(r"\.[0-9a-f]{8}\.h5$")  # of files made from particles, which a pattern may match as well


@dataclass(frozen=True)
class Pairing:
    """Files and, for each scalar, a value for each file."""

    files: tuple[Path, ...]
    parameters: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, values in self.parameters.items():
            check_name("scalar", name)
            if len(values) != len(self.files):
                raise ValueError(
                    f"{name} has {len(values)} values, expected one for each of {len(self.files)} trajectories"
                )
            if not all(math.isfinite(value) for value in values):
                raise ValueError(f"{name} has a value that is not finite, expected numbers")

    def table(self) -> str:
        """One line a file, with its scalars."""
        width = max(len(str(path)) for path in self.files)
        return "\n".join(
            f"{path!s:{width}}  " + "  ".join(f"{name} = {values[row]:g}" for name, values in self.parameters.items())
            for row, path in enumerate(self.files)
        )

    def plain(self) -> dict[str, dict[str, float]]:
        """Scalars by the name of the file."""
        return {
            str(path): {name: values[row] for name, values in self.parameters.items()}
            for row, path in enumerate(self.files)
        }


def natural(path: str | Path) -> list[tuple[int, float, str]]:
    """Key of the natural order: numbers in a name by their value."""
    parts = re.split(r"(\d+)", str(path))
    return [(1, float(part), part) if part.isdigit() else (0, 0.0, part) for part in parts if part]


def matching(patterns: Sequence[str]) -> list[Path]:
    """Files by their names, or by patterns with * and ?, each pattern's in natural order.

    Raises:
        ValueError: where a file is there twice.
    """
    files = []
    for pattern in patterns:
        if Path(pattern).exists():
            files.append(Path(pattern))
        else:
            found = [Path(name) for name in glob.glob(pattern) if not KEPT.search(name)]
            files += sorted(found, key=natural) or [Path(pattern)]
    if twice := [path for path in files if files.count(path) > 1]:
        raise ValueError(f"{twice[0]}: is given twice, expected each file once")
    return files


def pairing(
    words: Sequence[str],
    *,
    scalars: Mapping[str, Sequence[float]] | None = None,
    name_pattern: str | None = None,
    table: str | Path | None = None,
    series: bool = False,
) -> Pairing:
    """Files and their scalars, from exactly one source.

    Args:
        words: files, patterns, or FILE:NAME=VALUE,NAME=VALUE.
        scalars: values in the order of the files.
        name_pattern: end of a path with {NAME} in place of a number, and * for what does not matter.
        table: CSV file with a column `file` and a column for each scalar.
        series: whether the files are one trajectory, which has one value of each scalar.

    Raises:
        ValueError: where two sources are given, or one lacks a file.
    """
    beside = {} if all(Path(word).exists() for word in words) else _beside(words)
    sources = {"scalars": scalars, "name_pattern": name_pattern, "table": table, "FILE:NAME=VALUE": beside}
    if len(given := [name for name, source in sources.items() if source]) > 1:
        raise ValueError(f"parameters come from {' and '.join(given)}, expected one of them")
    if beside:
        return _per_file(list(beside), list(beside.values()), "FILE:NAME=VALUE")
    files = matching(words)
    if scalars and not series:
        _check_order(files)
    if name_pattern:
        return _per_file(files, [_from_name(path, name_pattern) for path in files], "name_pattern")
    if table:
        return _per_file(files, _from_table(files, Path(table)), str(table))
    if series:
        for name, values in (scalars or {}).items():
            if len(values) != 1:
                raise ValueError(f"{name} has {len(values)} values, expected one: the files are one trajectory")
        return Pairing(tuple(files), {name: tuple(values) * len(files) for name, values in (scalars or {}).items()})
    return Pairing(tuple(files), {name: tuple(values) for name, values in (scalars or {}).items()})


def _check_order(files: Sequence[Path]) -> None:
    """A shell expands run*.dump alphabetically, run10 before run2: with a list of values that is a trap."""
    if list(files) == sorted(files) != sorted(files, key=natural):
        before = next(a for a, b in zip(files, sorted(files, key=natural), strict=True) if a != b)
        raise ValueError(
            f"the files are in alphabetical order, {before} before {sorted(files, key=natural)[-1]}, and the scalars"
            " are a list: expected the pattern in quotes (natural order), FILE:NAME=VALUE, a name_pattern or a table"
        )


def _beside(words: Sequence[str]) -> dict[Path, dict[str, float]]:
    """Scalars that stand beside the files; empty where none do."""
    found: dict[Path, dict[str, float]] = {}
    for word in words:
        match = None if Path(word).exists() else BESIDE.fullmatch(word)
        if match is None:
            continue
        pairs = [pair.partition("=") for pair in match["pairs"].split(",")]
        names = [name for name, _, _ in pairs]
        if len(set(names)) < len(names):
            raise ValueError(f"'{word}' has a scalar twice, expected each once")
        values = {name: _number(word, value) for name, _, value in pairs}
        for path in matching([match["path"]]):
            if path in found:
                raise ValueError(f"{path}: is given twice, expected each file once")
            found[path] = values
    if found and len(found) < len(words):
        raise ValueError("some files have scalars beside them and some do not, expected FILE:NAME=VALUE for each")
    return found


def _per_file(files: Sequence[Path], values: Sequence[Mapping[str, float]], source: str) -> Pairing:
    names = list(values[0])
    for path, mine in zip(files, values, strict=True):
        if set(mine) != set(names):
            raise ValueError(
                f"{path}: has the scalars {', '.join(mine)} from {source}, expected {', '.join(names)} for every file"
            )
    return Pairing(tuple(files), {name: tuple(mine[name] for mine in values) for name in names})


def _from_name(path: Path, pattern: str) -> dict[str, float]:
    """Numbers that stand in the name of a file."""
    pieces = re.split(r"(\{[^{}]*\}|\*)", pattern)
    names = [piece[1:-1] for piece in pieces if piece.startswith("{")]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"name_pattern is '{pattern}', expected {{NAME}} once for each scalar")
    for name in names:
        check_name("name_pattern", name)
    form = "".join(
        f"(?P<{piece[1:-1]}>{NUMBER})" if piece.startswith("{") else ".*?" if piece == "*" else re.escape(piece)
        for piece in pieces
    )
    end = "/".join(path.parts[-1 - pattern.count("/") :])  # a pattern may have folders
    match = re.fullmatch(form, end)
    if match is None:
        raise ValueError(f"{path}: the name does not match the name_pattern '{pattern}', expected numbers for {{…}}")
    return {name: float(match[name]) for name in names}


def _rows(table: Path) -> dict[str, dict[str, float]]:
    """Scalars of each file of a CSV table."""
    try:
        with open(table, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{table}: cannot be read, expected a CSV table with a column file") from error
    found: dict[str, dict[str, float]] = {}
    for number, row in enumerate(rows, 2):
        if "file" not in row or None in row or None in row.values():
            raise ValueError(f"{table}: line {number}: expected a value for each column of the first line, with file")
        name = row.pop("file")
        if name in found:
            raise ValueError(f"{table}: line {number}: {name} is there twice, expected each file once")
        found[name] = {key: _number(f"{table}: line {number}", value) for key, value in row.items()}
    return found


def _from_table(files: Sequence[Path], table: Path) -> list[dict[str, float]]:
    """The row of each file: by its path, its path from the folder of the table, or its name where that is enough."""
    rows = _rows(table)
    names = [path.name for path in files]
    values = []
    for path in files:
        keys = [str(path), os.path.relpath(path, table.parent), *([path.name] if names.count(path.name) == 1 else [])]
        found = next((rows[key] for key in keys if key in rows), None)
        if found is None:
            raise ValueError(f"{table}: has no row for the file {path}, expected one for each file")
        values.append(found)
    return values


def _number(where: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"{where}: '{text}', expected a number") from error
