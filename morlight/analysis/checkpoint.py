"""What a checkpoint says under 'morlight', and how those of older versions become those of this one.

Layout 2 adds to 1 `losses`, the loss of every realisation, and to the description of the data `gamma_low` and
`gamma_high`, between which the parameters γ of the training lay. What an older file does not say is None.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

LAYOUT = 2
DEFAULTS = {"terms": 1, "bases": {}, "flux": False, "order": 1, "scheme": "explicit"}  # words that came one by one


def present(path: Path, checkpoint: Any) -> dict[str, Any]:
    """A checkpoint in the layout of this version.

    Raises:
        ValueError: where it is none of morlight's, or of a version that this one does not know.
    """
    marks = checkpoint.get("morlight") if isinstance(checkpoint, Mapping) else None
    if not isinstance(marks, Mapping):
        raise ValueError(f"{path}: key 'morlight' is missing, expected a checkpoint that `morlight fit` wrote")
    layout = marks.get("layout")
    if layout != LAYOUT and layout not in MIGRATIONS:
        known = ", ".join(str(number) for number in [*MIGRATIONS, LAYOUT])
        raise ValueError(f"{path}: layout {layout} is unknown to this version, expected one of {known}")
    found = dict(checkpoint)
    while found["morlight"]["layout"] != LAYOUT:
        try:
            found = MIGRATIONS[found["morlight"]["layout"]](found)
        except KeyError as error:
            raise ValueError(
                f"{path}: key {error} is missing, expected a checkpoint that `morlight fit` wrote"
            ) from error
    return found


def _second(first: dict[str, Any]) -> dict[str, Any]:
    settings = {**DEFAULTS, **first["hyper_parameters"]}
    settings["data"] = {"gamma_low": None, "gamma_high": None, **settings["data"]}
    return {**first, "hyper_parameters": settings, "morlight": {"losses": None, **first["morlight"], "layout": 2}}


MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _second}
