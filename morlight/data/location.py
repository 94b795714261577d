"""What the path of a configuration stands for: a trajectory file, the name of a set, or files of particles."""

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from morlight.data import shipped as sets

PAIRED = ("scalars", "name_pattern", "table")


def located(path: str, deposit: Mapping[str, Any] | None = None) -> Path:
    """The trajectory file; made of files of particles, and kept beside them, where it is told how to.

    Args:
        path: trajectory file or name of a set; with `deposit`, files of particles or of averages, with * and ? for
            several, each a trajectory in the natural order of their names: run2 before run10.
        deposit: settings of `morlight.data.particles.settings.Deposit`, and the parameters γ of each file: `scalars`
            with a value for each, `name_pattern` or `table`, as `morlight.data.particles.pairing.pairing` takes them.

    Raises:
        ValueError: naming the file or the setting, and what was expected.
    """
    if deposit is None:
        return sets.located(path)
    from morlight.data.particles.pairing import Pairing, pairing

    sources = {key: deposit[key] for key in PAIRED if deposit.get(key)}
    if "scalars" in sources:
        sources["scalars"] = {name: [float(value) for value in values] for name, values in sources["scalars"].items()}
    paired: Pairing = pairing([path], **sources)
    kept = _kept(paired, deposit)
    if not kept.exists():
        _make(paired, {key: value for key, value in deposit.items() if key not in PAIRED}, kept)
    return kept


def _kept(paired: Any, deposit: Mapping[str, Any]) -> Path:
    """Beside the first file; another name where a file or a setting has changed."""
    try:
        states = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in paired.files]
    except OSError as error:
        raise ValueError(f"{error.filename}: no such file, expected files of particles at data.path") from error
    identity = [version("morlight"), states, dict(deposit), paired.plain()]
    mark = hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()[:8]
    first: Path = paired.files[0]
    return first.with_name(f"{first.name}.{mark}.h5")


def _make(paired: Any, settings: Mapping[str, Any], kept: Path) -> None:
    from morlight.data.particles.convert import convert
    from morlight.data.particles.settings import Deposit

    known = Deposit.__dataclass_fields__
    if unknown := [key for key in settings if key not in known]:
        expected = ", ".join((*PAIRED, *known))
        raise ValueError(f"data.deposit has {', '.join(unknown)}, expected any of {expected}")
    convert(paired, kept, Deposit(**_checked(settings, known)))


WORDS = {bool: "true or false", int: "a whole number", str: "a word"}


def _checked(settings: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as YAML has them, with whole numbers as numbers, each of the kind of its default.

    Raises:
        ValueError: naming a setting of another kind.
    """
    plain = dict(settings)
    for key, value in settings.items():
        kind = type(known[key].default)
        if kind in WORDS and type(value) is not kind:
            raise ValueError(f"data.deposit: {key} is {value!r}, expected {WORDS[kind]}")
    try:
        for key, value in settings.items():
            plain[key] = _number_like(key, value)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"data.deposit: {key} is {value!r}, expected numbers") from error
    return plain


def _number_like(key: str, value: Any) -> Any:
    """Numbers of a setting as such."""
    if value is None or value == "center":
        return value
    if key == "masses":
        return {kind: float(mass) for kind, mass in value.items()}
    if key == "bounds":
        return [[float(end) for end in pair] for pair in value]
    if key == "box_origin":
        return [float(low) for low in value]
    return float(value) if key in ("timestep", "frame_spacing") else value
