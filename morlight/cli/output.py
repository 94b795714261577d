"""What commands print: JSON on standard output; warnings, and which files were written, on standard error."""

import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from morlight.cli.parsing import without_nonfinite

if TYPE_CHECKING:
    from morlight.data.trajectory_file import TrajectoryFile


def print_json(value: Any) -> None:
    """Print one JSON object; infinite and undefined numbers become null."""
    print(json.dumps(without_nonfinite(value), allow_nan=False))


def say_written(path: str | Path, *others: str | Path | None) -> None:
    """Name a trajectory file that was written, with its size, fields and Δt, and the figures beside it."""
    from morlight.data.trajectory_file import TrajectoryFile

    file = TrajectoryFile.open(path)
    count = "1 trajectory" if file.trajectories == 1 else f"{file.trajectories} trajectories"
    size = f"{count} × {len(file.times)} frames × {' × '.join(map(str, file.grid.points))} cells"
    print(f"morlight: wrote {path}: {', '.join([size, *file.fields, *spacing(file)])}", file=sys.stderr)
    for other in others:
        if other is not None:
            print(f"morlight: wrote {other}", file=sys.stderr)


def spacing(file: "TrajectoryFile") -> list[str]:
    """Time between the frames with its unit; empty for one frame, or for frames at unequal times."""
    if len(file.times) < 2 or not file.equally_spaced:
        return []
    unit = file.units.get("time", "")
    return [f"Δt = {file.dt:g}{f' {unit}' if unit not in ('', 'time') else ''}"]


@contextmanager
def pointing_to_doctor(files: Sequence[str]) -> Iterator[None]:
    """Where a command refuses a data file for what is in it, name the command that looks at the whole file."""
    try:
        yield
    except ValueError as error:
        refused = next((file for file in files if str(error).startswith(f"{file}: ") and Path(file).is_file()), None)
        if refused is None:
            raise
        raise ValueError(f"{error}; `morlight doctor {refused}` says what else is odd") from error


@contextmanager
def warnings_as_sentences(category: type[Warning]) -> Iterator[None]:
    """Print each different warning of a category once, as a sentence on standard error."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", category)
        show_others = warnings.showwarning
        printed: set[str] = set()

        def show(message: Any, kind: Any, *where: Any, **more: Any) -> None:
            if not issubclass(kind, category):
                show_others(message, kind, *where, **more)
            elif str(message) not in printed:
                printed.add(str(message))
                print(f"morlight: warning: {message}", file=sys.stderr)

        warnings.showwarning = show  # type: ignore[assignment]
        yield
