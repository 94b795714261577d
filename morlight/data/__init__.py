"""Fields on disk and in batches; `morlight.data.open("lj")` opens a set that comes with the package."""

from pathlib import Path
from typing import TYPE_CHECKING

from morlight.data.shipped import card, names

if TYPE_CHECKING:
    from morlight.data.trajectory_file import TrajectoryFile

__all__ = ["card", "names", "open"]


def open(name: str | Path) -> "TrajectoryFile":
    """A set by its name, or any trajectory file by its path; its method `read` gives the values.

    Raises:
        ValueError: one sentence, where there is no such set or file.
    """
    from morlight.data.trajectory_file import TrajectoryFile

    return TrajectoryFile.open(name)
