"""What the path of a configuration stands for: a trajectory file, the name of a set, or files of particles."""

import glob
import hashlib
import json
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from morlight.data import shipped as sets

KEPT = re.compile(r"\.[0-9a-f]{8}\.h5$")  # of names made here, which a pattern may match as well


def located(path: str, deposit: Mapping[str, Any] | None = None) -> Path:
    """The trajectory file; made of files of particles, and kept beside them, where it is told how to.

    Args:
        path: trajectory file or name of a set; with `deposit`, files of particles or of averages, with * and ? for
            several, each a trajectory in the order of their names.
        deposit: settings of `morlight.data.particles.convert.Deposit`, and `scalars`, parameters γ with
            a value for each file.

    Raises:
        ValueError: naming the file or the setting, and what was expected.
    """
    if deposit is None:
        return sets.located(path)
    files = sorted(Path(name) for name in glob.glob(path) if not KEPT.search(name)) or [Path(path)]
    kept = _kept(files, deposit)
    if not kept.exists():
        _make(files, deposit, kept)
    return kept


def _kept(files: list[Path], deposit: Mapping[str, Any]) -> Path:
    """Beside the first file; another name where a file or a setting has changed."""
    try:
        states = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    except OSError as error:
        raise ValueError(f"{error.filename}: no such file, expected files of particles at data.path") from error
    said = json.dumps([version("morlight"), states, dict(deposit)], sort_keys=True, default=str)
    mark = hashlib.sha256(said.encode()).hexdigest()[:8]
    return files[0].with_name(f"{files[0].name}.{mark}.h5")


def _make(files: list[Path], deposit: Mapping[str, Any], kept: Path) -> None:
    from morlight.data.particles.convert import Deposit, convert

    settings = dict(deposit)
    scalars = {name: list(map(float, values)) for name, values in (settings.pop("scalars", None) or {}).items()}
    known = Deposit.__dataclass_fields__
    if unknown := [key for key in settings if key not in known]:
        raise ValueError(f"data.deposit has {', '.join(unknown)}, expected scalars or any of {', '.join(known)}")
    try:
        how = Deposit(**settings)
    except TypeError as error:
        raise ValueError(f"data.deposit: {error}, expected values as `morlight deposit --help` has them") from error
    convert(files, kept, how, parameters=scalars)
