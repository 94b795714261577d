"""The equation of a trained model: its closed forms, field by field, or the reason why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from morlight.analysis.equations.choice import Chosen, choose
from morlight.analysis.trained_operator import TrainedOperator


@dataclass(frozen=True)
class LearnedEquation:
    """∂ₜu = G(∇) P(u) with standard errors.

    Attributes:
        fields: the closed form of each field, or one sentence that says why there is none.
    """

    fields: Mapping[str, Chosen | str]

    @property
    def justified(self) -> bool:
        """Whether there is a closed form of every field."""
        return not any(isinstance(each, str) for each in self.fields.values())

    @property
    def text(self) -> str:
        """One line of Unicode for each field."""
        return "\n".join(
            f"{name}: no equation: {each}" if isinstance(each, str) else each.form.text()
            for name, each in self.fields.items()
        )

    @property
    def latex(self) -> str:
        """One line of LaTeX for each field that has a closed form."""
        return "\n".join(each.form.latex() for each in self.fields.values() if not isinstance(each, str))

    @property
    def sympy(self) -> dict[str, dict[str, Any]]:
        """G as an expression of kx, ky, … and P as one of u, of every field that has a closed form."""
        return {name: each.form.sympy() for name, each in self.fields.items() if not isinstance(each, str)}

    @property
    def terms(self) -> dict[str, list[dict[str, Any]]]:
        """Derivative, polynomial, coefficient and standard error of every term, by field."""
        return {name: each.form.terms() for name, each in self.fields.items() if not isinstance(each, str)}


def equation(model: TrainedOperator) -> LearnedEquation:
    """The equation of every field of a model."""
    return LearnedEquation({name: choose(model, place) for place, name in enumerate(model.data.field_names)})
