"""Sets of data that come with the package, by name: channels of particles simulated by LAMMPS (Sec. 6).

Each is a trajectory file with a data card beside it, sets/NAME.h5 and sets/NAME.md.
"""

from pathlib import Path

FOLDER = Path(__file__).with_name("sets")


def names() -> list[str]:
    """Names of the sets."""
    return sorted(file.stem for file in FOLDER.glob("*.h5"))


def located(path: str | Path) -> Path:
    """The file at a path; where there is none and the path is the name of a set, the file of that set."""
    path = Path(path)
    return path if path.exists() or str(path) not in names() else FOLDER / f"{path}.h5"


def card(name: str) -> str:
    """What a set holds, how it was made, and what it is like.

    Raises:
        ValueError: naming the sets that there are.
    """
    if name not in names():
        raise ValueError(f"there is no set '{name}', expected one of {', '.join(names())}")
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")
