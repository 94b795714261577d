"""What killed processes leave behind: drafts of files, parts of simulations, locks, signs of life, unsent metrics."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from morlight.data.whole_file import has_ended

QUIET = 3600.0  # s without a change after which nothing works on a file whose process is not known


@dataclass(frozen=True)
class Kind:
    """Files of one kind, known by their names.

    Attributes:
        name: of the file or folder.
        meaning: what it is.
        continued_by: what goes on from it, if anything does.
    """

    name: re.Pattern[str]
    meaning: str
    continued_by: str | None = None


KINDS = (
    Kind(re.compile(r"\..+\.[0-9a-f]{8}\.parts"), "trajectories of an interrupted simulation",
         "the same `morlight simulate` goes on from them"),
    Kind(re.compile(r"unsent_metrics\.jsonl"), "metrics that the tracking store did not take",
         "the same `morlight fit` with --ckpt_path last sends them"),
    Kind(re.compile(r"\..+\.part(\..+)?"), "a file that was not completed"),
    Kind(re.compile(r"\.mlflow-.+"), "a tracking database that was not completed"),
    Kind(re.compile(r".+\.journal\.lock"), "the lock of a worker that died"),
    Kind(re.compile(r".+\.alive"), "signs of life of workers of a sweep"),
)  # fmt: skip


@dataclass(frozen=True)
class Leftover:
    """A file or folder that nothing works on any more.

    Attributes:
        path: of it.
        meaning: what it is.
        size: bytes, with all that a folder contains.
        age: s since the last change.
        continued_by: what goes on from it, if anything does.
    """

    path: Path
    meaning: str
    size: int
    age: float
    continued_by: str | None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"path": str(self.path)}


def find(folder: Path) -> list[Leftover]:
    """Leftovers among the files of a folder, and everywhere below its `mlruns`; no link is followed."""
    places = [folder, *(Path(place) for place, _, _ in os.walk(folder / "mlruns"))]
    return [each for place in places for path in sorted(place.iterdir()) for each in _leftover(path)]


def remove(leftover: Leftover) -> None:
    """Remove it with all that it contains."""
    if leftover.path.is_dir() and not leftover.path.is_symlink():
        shutil.rmtree(leftover.path)
    else:
        leftover.path.unlink(missing_ok=True)


def _leftover(path: Path) -> Iterator[Leftover]:
    kind = next((kind for kind in KINDS if kind.name.fullmatch(path.name)), None)
    if kind is None or path.is_symlink():
        return
    try:
        files = [path.lstat(), *(each.lstat() for each in (path.rglob("*") if path.is_dir() else ()))]
    except FileNotFoundError:  # its process has just completed it
        return
    size = sum(about.st_size for about in files)
    age = max(0.0, time.time() - max(about.st_mtime for about in files))
    ended = has_ended(path)
    if age > QUIET if ended is None else ended:
        yield Leftover(path, kind.meaning, size, age, kind.continued_by)
