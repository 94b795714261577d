"""Names and values as MLflow accepts them (limits of mlflow/utils/validation.py)."""

import posixpath
import re
from argparse import Namespace
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

NAME_LENGTH, PARAM_LENGTH, TAG_LENGTH, DIGEST_LENGTH = 250, 6000, 8000, 36


@lru_cache(4096)
def legal_name(name: str) -> str:
    """The name without the parts that MLflow refuses: special characters, and paths such as `a//b` or `../a`."""
    name = posixpath.normpath(re.sub(r"[^/\w.\- :]", "_", name)).lstrip("./")
    return name[:NAME_LENGTH].rstrip("/") or "_"


def flatten(params: Mapping[str, Any] | Namespace, prefix: str = "") -> dict[str, str]:
    """Parameters in the form that MLflow accepts: nested names joined by dots, values as text.

    Names that begin with `_` are Lightning's own (`_class_path`, `_instantiator`) and are left out.
    """
    flat: dict[str, str] = {}
    for key, value in (vars(params) if isinstance(params, Namespace) else params).items():
        if str(key).startswith("_"):
            continue
        if isinstance(value, Mapping | Namespace) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[legal_name(f"{prefix}{key}")] = str(value)[:PARAM_LENGTH]
    return flat
