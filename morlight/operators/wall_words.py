"""Values and slopes at walls as short words: numbers, parameters γ and products of them, `0.5*speed*density`."""

import math
from typing import NamedTuple


class Product(NamedTuple):
    """A number times parameters.

    Attributes:
        number: the factor.
        parameters: their names, one for each power.
    """

    number: float
    parameters: tuple[str, ...] = ()


def read(words: float | int | str) -> Product:
    """The product that words stand for: `2`, `speed`, `-0.5*speed*density`.

    Raises:
        ValueError: for anything else.
    """
    number, names = 1.0, []
    text = str(words).replace(" ", "")
    if text.startswith("-"):
        number, text = -1.0, text[1:]
    for factor in text.split("*"):
        if factor.isidentifier():
            names.append(factor)
        else:
            number *= _number(factor)
    if not math.isfinite(number):
        raise ValueError(
            f"{words!r} is not a product of numbers and parameters, expected one such as 2, speed or 0.5*speed"
        )
    return Product(number, tuple(names))


def _number(text: str) -> float:
    """A number without a sign; NaN for other words."""
    try:
        return float(text) if text[:1].isdigit() or text[:1] == "." else math.nan
    except ValueError:
        return math.nan
