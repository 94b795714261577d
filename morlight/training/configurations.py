"""Configurations that come with the package, by name: `--config brownian`, `--config sweeps/brownian`.

They are the files of `configs/` at the top of the repository, to which `morlight/configs` is a link.
"""

from pathlib import Path

import morlight

FOLDER = Path(morlight.__file__).with_name("configs")


def names() -> list[str]:
    """Names of the packaged configurations of `morlight fit`, then those of `morlight sweep`, sweeps/NAME."""
    return [
        path.relative_to(FOLDER).with_suffix("").as_posix()
        for pattern in ("*.yaml", "sweeps/*.yaml")
        for path in sorted(FOLDER.glob(pattern))
    ]


def located(name_or_path: str | Path) -> Path:
    """The file at a path; if there is none, the packaged configuration of that name.

    Raises:
        ValueError: listing the packaged configurations, if there is neither.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    known = names()
    if str(name_or_path) not in known:
        raise ValueError(
            f"{name_or_path}: no such file, expected a configuration file or one of the packaged configurations"
            f" {', '.join(known)}"
        )
    return FOLDER / f"{name_or_path}.yaml"
