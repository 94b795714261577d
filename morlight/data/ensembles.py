"""Trajectories by their γ: ensembles that differ in their seed alone, selections, and coarser cells."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float

from morlight.data.trajectory_file import Contents

SEED = "seed"  # the scalar in which runs of the same γ differ


def ensembles(contents: Contents, rows: Iterable[int]) -> dict[tuple[float, ...], list[int]]:
    """Trajectories by their γ, all scalars but the seed, in the order of the file; each by itself without a seed."""
    names = [name for name in contents.parameters if name != SEED]
    groups: dict[tuple[float, ...], list[int]] = {}
    for row in rows:
        alone = () if SEED in contents.parameters else (float(row),)
        gamma = (float(contents.parameters[name][row]) for name in names)
        groups.setdefault((*gamma, *alone), []).append(row)
    return groups


def where(contents: Contents, wanted: Mapping[str, float], key: str) -> Bool[np.ndarray, " trajectory"]:
    """Which trajectories have these scalars.

    Raises:
        ValueError: naming the key, the scalar and the values there are, where there is none.
    """
    chosen = np.ones(contents.trajectories, bool)
    for name, value in wanted.items():
        if name not in contents.parameters:
            known = ", ".join(contents.parameters) or "none"
            raise ValueError(f"{contents.path}: {key} has {name!r}, the file has the scalars: {known}")
        chosen &= np.isclose(contents.parameters[name], value, rtol=1e-6, atol=0)  # single precision in the file
    if not chosen.any():
        known = ", ".join(f"{name}: {sorted({float(v) for v in contents.parameters[name]})}" for name in wanted)
        raise ValueError(f"{contents.path}: {key} {dict(wanted)} is no trajectory's, the file has {known}")
    return chosen


def missing(contents: Contents, fields: Sequence[str]) -> list[str]:
    """Which of some fields, or of the summands of `a+b`, a file does not have."""
    return sorted({part for name in fields for part in name.split("+")} - set(contents.fields))


def coarse(u: Float[np.ndarray, "*axes"], factor: int, dimensions: int) -> Float[np.ndarray, "*coarse"]:
    """Means over blocks of cells, a flat kernel of this width along each of the last axes (Sec. 6.3.1)."""
    for axis in range(u.ndim - dimensions, u.ndim) if factor > 1 else ():
        u = u.reshape(*u.shape[:axis], -1, factor, *u.shape[axis + 1 :]).mean(axis + 1)
    return u
