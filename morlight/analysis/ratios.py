"""Ratios of predicted fields: velocity = momentum/density, temperature = density_temperature/density.

A ratio is taken in every realization before any statistics, so that its standard deviation and its standard error
include the correlation of the two fields.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

SUFFIXES = ("_sd", "_error")  # of the scatter over the realizations, and of the standard error due to the data
Ratios = Mapping[str, tuple[int, int]]  # places of the two fields


def places(ratios: Mapping[str, str], fields: Sequence[str]) -> Ratios:
    """Places of the fields in ratios such as {"velocity": "momentum/density"}.

    Raises:
        ValueError: naming the ratio, where it is not one of two fields, or its name is that of a field or no name.
    """
    if not isinstance(ratios, Mapping):
        raise ValueError(f'ratios are {ratios!r}, expected names and ratios such as {{"velocity": "momentum/density"}}')
    found = {}
    for name, ratio in ratios.items():
        over, _, under = ratio.partition("/") if isinstance(ratio, str) else ("", "", "")
        if not {over, under} <= set(fields):
            raise ValueError(f"ratio {name} is '{ratio}', expected FIELD/FIELD of {', '.join(fields)}")
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"ratio '{name}' = {ratio}: expected a name of letters, digits and _, such as velocity")
        if name.endswith(SUFFIXES):
            raise ValueError(
                f"ratio '{name}' = {ratio}: names with the endings {' and '.join(SUFFIXES)} are those of standard"
                " deviations and errors, expected another name"
            )
        if name in fields:
            raise ValueError(f"ratio '{name}' has the name of a field, expected another name")
        found[name] = (fields.index(over), fields.index(under))
    return found


def append(ratios: Ratios, frames: Float[np.ndarray, "*lead C X"], dimensions: int) -> Float[np.ndarray, "*lead c X"]:
    """Fields (…, C, *X) followed by the ratios of some of them; not a number where both fields are 0."""
    axis = -1 - dimensions
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = [np.take(frames, over, axis) / np.take(frames, under, axis) for over, under in ratios.values()]
    return np.concatenate([frames, *(np.expand_dims(part, axis) for part in parts)], axis) if parts else frames
