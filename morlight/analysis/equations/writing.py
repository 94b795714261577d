"""Sums of terms as text, LaTeX and SymPy."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from morlight.analysis.equations.library_term import Term
from morlight.operators.library import Differential, Exponents, Fractional, Laplacian

AXES = "xyz"
SUPERSCRIPTS = str.maketrans("0123456789.−-", "⁰¹²³⁴⁵⁶⁷⁸⁹·⁻⁻")
SUBSCRIPTS = {"x": "ₓ", "y": "ᵧ", "z": "_z"}


@dataclass(frozen=True)
class Names:
    """Names in equations.

    Attributes:
        fields: u_c.
        parameters: γ_p.
    """

    fields: tuple[str, ...]
    parameters: tuple[str, ...] = ()


def text(names: Names, field: str, terms: Sequence[Term]) -> str:
    """The equation ∂ₜu = … in one line of Unicode."""
    summands = [(term.coefficient < 0, f"{_size(term)} {_without_coefficient(names, term)}".strip()) for term in terms]
    return f"∂ₜ{field} = {_joined(summands, '−')}"


def name(names: Names, term: Term) -> str:
    """A term without its coefficient."""
    return _without_coefficient(names, term) or "1"


def latex(names: Names, field: str, terms: Sequence[Term]) -> str:
    """The equation in LaTeX, with SymPy's names of the fields and parameters."""
    import sympy

    def monomial(letters: Sequence[str], exponents: Exponents) -> str:
        symbols = [sympy.Symbol(name) for name in letters]
        return str(sympy.latex(sympy.Mul(*[s**n for s, n in zip(symbols, exponents, strict=False)])))

    summands = []
    for term in terms:
        alone = not any(term.exponents)
        operator = _latex_operator(term.derivative)
        inside = "" if alone else monomial(names.fields, term.exponents)
        inside = rf"\left({inside}\right)" if operator and sum(term.exponents) > 1 else inside
        factor = monomial(names.parameters, term.powers) + r"\, " if any(term.powers) else ""
        line = rf"{_size(term)}\,{factor}{operator} {inside}".strip().removesuffix(r"\,")
        summands.append((term.coefficient < 0, line))
    return rf"\partial_t {sympy.latex(sympy.Symbol(field))} = {_joined(summands, '-')}"


def expression(names: Names, terms: Sequence[Term]) -> Any:
    """Σ θ γ^m G φ as a SymPy expression."""
    import sympy

    axes = max((len(getattr(term.derivative, "orders", ())) for term in terms), default=1) or 1
    places = [sympy.Symbol(axis, real=True) for axis in AXES[:axes]]
    t = sympy.Symbol("t", real=True)
    functions = [sympy.Function(name)(t, *places) for name in names.fields]
    parameters = [sympy.Symbol(name, real=True) for name in names.parameters]
    total = sympy.Integer(0)
    for term in terms:
        inside = sympy.Mul(*[f**n for f, n in zip(functions, term.exponents, strict=True)])
        factors = [p**m for p, m in zip(parameters, term.powers, strict=False)]
        total += sympy.Float(term.coefficient) * sympy.Mul(*factors) * _applied(term.derivative, inside, places)
    return total


def number(value: float, error: float) -> str:
    """A positive value with its standard error in units of the last digit, 0.7500(5)."""
    if not error > 0 or not math.isfinite(error):
        return f"{value:.10g}"
    if error < 1e-12 * abs(value):
        return f"{value:.12g}"
    leading = math.floor(math.log10(error))
    digits = -leading + (error / 10.0**leading < 1.95)
    if digits <= 0:
        return f"{value:.0f}({error:.0f})"
    return f"{value:.{digits}f}({round(error * 10**digits)})"


def _applied(derivative: Differential, inside: Any, places: Sequence[Any]) -> Any:
    import sympy

    if isinstance(derivative, Fractional):
        return -sympy.Function(f"FractionalLaplacian_{derivative.alpha / 2:g}")(inside)
    if isinstance(derivative, Laplacian):
        for _ in range(derivative.power):
            inside = sum(sympy.Derivative(inside, (place, 2)) for place in places)
        return inside
    for place, order in zip(places, derivative.orders, strict=True):
        inside = sympy.Derivative(inside, (place, order)) if order else inside
    return inside


def _size(term: Term) -> str:
    return number(abs(term.coefficient), term.standard_error)


def _joined(summands: Sequence[tuple[bool, str]], minus: str) -> str:
    if not summands:
        return "0"
    (negative, first), *others = summands
    rest = [f" {minus if below else '+'} {summand}" for below, summand in others]
    return "".join([minus if negative else "", first, *rest])


def _without_coefficient(names: Names, term: Term) -> str:
    factor = _monomial(names.parameters, term.powers)
    return f"{factor} {_unicode(term.derivative, _monomial(names.fields, term.exponents))}".strip()


def _monomial(fields: Sequence[str], exponents: Exponents) -> str:
    powers = [(name, n) for name, n in zip(fields, exponents, strict=False) if n]
    return " ".join(name + (str(n).translate(SUPERSCRIPTS) if n > 1 else "") for name, n in powers)


def _unicode(derivative: Differential, inside: str) -> str:
    bracketed = f"({inside})" if len(inside) > 1 else inside
    if isinstance(derivative, Fractional):
        return f"(−(−Δ)^{_power(derivative)}) {bracketed}"
    if isinstance(derivative, Laplacian):
        return f"Δ{str(derivative.power).translate(SUPERSCRIPTS) if derivative.power > 1 else ''}{bracketed}"
    signs = [
        "∂" + (str(n).translate(SUPERSCRIPTS) if n > 1 else "") + SUBSCRIPTS[axis]
        for axis, n in zip(AXES, derivative.orders, strict=False) if n
    ]  # fmt: skip
    return "".join(signs) + (bracketed if signs else inside)


def _power(derivative: Fractional) -> str:
    """α/2, with its standard error if it was estimated."""
    if not derivative.standard_error:
        return f"{derivative.alpha / 2:g}"
    return number(derivative.alpha / 2, derivative.standard_error / 2)


def _latex_operator(derivative: Differential) -> str:
    if isinstance(derivative, Fractional):
        return rf"\left(-(-\Delta)^{{{_power(derivative)}}}\right)"
    if isinstance(derivative, Laplacian):
        return r"\Delta" + (f"^{{{derivative.power}}}" if derivative.power > 1 else "")
    return "".join(
        rf"\partial_{axis}" + (f"^{{{n}}}" if n > 1 else "")
        for axis, n in zip(AXES, derivative.orders, strict=False) if n
    )  # fmt: skip
