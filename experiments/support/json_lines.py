"""Results that are kept line by line, so that a study can be interrupted at any time and continued."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read(path: Path) -> list[dict[str, Any]]:
    """All lines of a file; a last one that was cut when the program was stopped is removed from the file."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
        draft = path.with_suffix(".part")
        draft.write_text("".join(lines), encoding="utf-8")
        draft.replace(path)
    return [json.loads(line) for line in lines]


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Add a line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
