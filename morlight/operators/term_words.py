"""Terms G(∇) φ(u) as short words, for configurations and checkpoints: `dxx u`, `dx u^2`, `lap u^3`, `u*v^2`, `1`.

Parameters are factors like fields: `dxx nu*u` is ν ∂²ₓu.
"""

import re
from collections.abc import Sequence

from morlight.operators.library import Candidate, Differential, Fractional, Laplacian, Partial

AXES = "xyz"
FACTOR = re.compile(r"(?P<field>.+?)(?:\^(?P<power>[1-9]\d*))?")


def written(term: Candidate, fields: Sequence[str], parameters: Sequence[str] = ()) -> str:
    """A term in words.

    Args:
        term: to write.
        fields: names of the fields.
        parameters: names of γ.
    """
    everything = zip((*parameters, *fields), (*(term.powers or (0,) * len(parameters)), *term.exponents), strict=True)
    powers = [(name, n) for name, n in everything if n]
    monomial = "*".join(name if n == 1 else f"{name}^{n}" for name, n in powers) or "1"
    return " ".join(filter(None, [_derivative(term.derivative), monomial]))


def read(words: str, fields: Sequence[str], axes: int, parameters: Sequence[str] = ()) -> Candidate:
    """The term that words stand for.

    Args:
        words: such as `dxx u`.
        fields: names of the fields.
        axes: of the grid.
        parameters: names of γ.

    Raises:
        ValueError: for words that are no term of these fields.
    """
    head, _, monomial = words.rpartition(" ")
    derivative = _differential(head, axes)
    exponents = _exponents(monomial, (*parameters, *fields))
    if derivative is None or exponents is None:
        raise ValueError(
            f"{words!r} is not a term, expected a derivative of a product of the fields {', '.join(fields)},"
            f" such as 'dxx {fields[0]}' or 'lap {fields[0]}^2'"
        )
    return Candidate(derivative, exponents[len(parameters) :], exponents[: len(parameters)])


def _derivative(derivative: Differential) -> str:
    if isinstance(derivative, Laplacian):
        return "lap" if derivative.power == 1 else f"lap^{derivative.power}"
    if isinstance(derivative, Fractional):
        return f"frac{derivative.alpha!r}"
    letters = "".join(axis * n for axis, n in zip(AXES, derivative.orders, strict=False))
    return f"d{letters}" if letters else ""


def _differential(word: str, axes: int) -> Differential | None:
    if match := re.fullmatch(r"lap(?:\^([1-9]))?", word):
        return Laplacian(int(match[1] or 1))
    if match := re.fullmatch(r"frac(\d+(?:\.\d+)?)", word):
        return Fractional(float(match[1])) if float(match[1]) > 0 else None
    if match := re.fullmatch(rf"(?:d([{AXES[:axes]}]{{1,9}}))?", word):
        return Partial(tuple((match[1] or "").count(axis) for axis in AXES[:axes]))
    return None


def _exponents(monomial: str, fields: Sequence[str]) -> tuple[int, ...] | None:
    exponents = [0] * len(fields)
    for factor in [] if monomial == "1" else monomial.split("*"):
        match = FACTOR.fullmatch(factor)
        if match is None or match["field"] not in fields:
            return None
        exponents[list(fields).index(match["field"])] += int(match["power"] or 1)
    return tuple(exponents)
