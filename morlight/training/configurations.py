"""Configurations that come with the package, by name: `--config brownian`, `--config sweeps/brownian`.

They are the files of `configs/` at the top of the repository, to which `morlight/configs` is a link.
"""

from pathlib import Path
from typing import Any

import yaml

import morlight

LARGEST = 2**20  # bytes
FOLDER = Path(morlight.__file__).with_name("configs")


def names() -> list[str]:
    """Names of the packaged configurations of `morlight fit`, then those of `morlight sweep`, sweeps/NAME."""
    return [
        path.relative_to(FOLDER).with_suffix("").as_posix()
        for pattern in ("*.yaml", "sweeps/*.yaml")
        for path in sorted(FOLDER.glob(pattern))
    ]


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases: nine lines of aliases of aliases stand for 10⁹ values."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"has the alias *{self.peek_event().anchor}, expected values written out")
        return super().compose_node(parent, index)


def read_yaml(path: Path) -> Any:
    """Plain values of a YAML file; nothing in it is executed, imported, or repeated.

    Raises:
        ValueError: naming the file and what is wrong with it.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"{path}: has {path.stat().st_size} bytes, expected a configuration of at most {LARGEST}")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error
    try:
        return yaml.load(text, _PlainLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ValueError(f"{path}: is not valid YAML ({' '.join(str(error).split())[:200]})") from error


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
