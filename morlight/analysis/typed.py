"""Check of values from a file against the types of the dataclasses that they fill."""

import dataclasses
import math
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def check_types(place: str, whole: Any, *, finite: bool = False) -> None:
    """Check every field of a dataclass, and of those in it, against its type hint.

    Args:
        place: where it stands, for the sentence.
        whole: the dataclass.
        finite: whether numbers must be finite.

    Raises:
        ValueError: naming the field, what it is and what was expected.
    """
    hints = get_type_hints(type(whole))
    for field in dataclasses.fields(whole):
        value = getattr(whole, field.name)
        if not _is(value, hints[field.name], finite):
            expected = str(hints[field.name]).replace("typing.", "").replace("<class '", "").replace("'>", "")
            raise ValueError(f"{place}.{field.name} is {str(value)[:60]!r}, expected {expected}")
        for inner in value if isinstance(value, tuple) else (value,):
            if dataclasses.is_dataclass(inner):
                check_types(f"{place}.{field.name}", inner, finite=finite)


def _is(value: Any, hint: Any, finite: bool) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(_is(value, one, finite) for one in inner)
    if origin is Literal:
        return value in inner and type(value) in {type(one) for one in inner}
    if origin is tuple and inner[-1] is not ...:
        fits = isinstance(value, tuple) and len(value) == len(inner)
        return fits and all(_is(one, kind, finite) for one, kind in zip(value, inner, strict=True))
    if origin in (list, tuple, Sequence):
        return isinstance(value, list | tuple) and all(_is(one, inner[0], finite) for one in value)
    if origin in (dict, Mapping):
        return isinstance(value, Mapping) and all(_is(one, inner[1], finite) for one in value.values())
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and (not finite or math.isfinite(value))
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
