"""The equation of a model whose operator is a sum of terms, so that its coefficients are known."""

from dataclasses import dataclass
from typing import Any

from morlight.analysis.equations import writing
from morlight.analysis.equations.library_term import Term
from morlight.analysis.equations.sum_of_terms import Equation
from morlight.analysis.trained_operator import TrainedOperator
from morlight.operators.polynomial import PolynomialSymbol
from morlight.operators.spectral import SpectralOperator


@dataclass(frozen=True)
class KnownForm:
    """One field of an equation.

    Attributes:
        equation: of all fields.
        field: name.
    """

    equation: Equation
    field: str

    @property
    def own(self) -> tuple[Term, ...]:
        """Terms of the field."""
        return self.equation.terms[self.equation.fields.index(self.field)]

    def text(self) -> str:
        """The equation in one line of Unicode."""
        return writing.text(self.equation.names, self.field, self.own)

    def latex(self) -> str:
        """The equation in LaTeX."""
        return writing.latex(self.equation.names, self.field, self.own)

    def sympy(self) -> dict[str, Any]:
        """The rate as an expression of functions of t, x, y, z."""
        return {"rate": writing.expression(self.equation.names, self.own)}

    def terms(self) -> list[dict[str, Any]]:
        """Derivative, powers of the fields, coefficient, standard error and p-value of every term."""
        listed: list[dict[str, Any]] = self.equation.to_json()["fields"][self.field]["terms"]
        return listed

    def to_json(self, departure: float) -> dict[str, Any]:
        """The layout of `morlight inspect --json`; coefficient and exponent are None, because there are several."""
        return {
            "equation": self.text(),
            "coefficient": None,
            "coefficient_sd": None,
            "exponent": None,
            "exponent_sd": None,
            "terms": self.terms(),
            "latex": self.latex(),
            "sympy": {key: str(value) for key, value in self.sympy().items()},
            "departure": departure,
        }


def known_equation(model: TrainedOperator) -> Equation | None:
    """The equation that is the operator; None for networks."""
    operator = model.operator
    if not isinstance(operator, SpectralOperator) or not isinstance(operator.g, PolynomialSymbol):
        return None
    symbol, terms, first = operator.g, [], 0
    for own in symbol.terms:
        numbers = zip(own, symbol.estimate[first:].tolist(), symbol.standard_error[first:].tolist(), strict=False)
        terms.append(tuple(Term(t.derivative, t.exponents, value, error, t.powers) for t, value, error in numbers))
        first += len(own)
    names, parameters = tuple(model.data.field_names), tuple(model.data.parameter_names)
    return Equation(names, tuple(terms), (0.0,) * len(terms), parameters=parameters)
