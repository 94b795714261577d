"""Configurations that come with the package, by name."""

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "configs"


def located(name_or_path: str) -> Path:
    path = Path(name_or_path)
    return path if path.exists() else FOLDER / f"{name_or_path}.yaml"
