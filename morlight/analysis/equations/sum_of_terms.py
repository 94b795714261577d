"""The equation ∂ₜu_c = Σ_a θ_a G_a(∇) φ_a(u) that was found, with standard errors: as text and for predictions."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.analysis.equations import writing
from morlight.analysis.equations.library_term import Term
from morlight.operators.bases import Basis
from morlight.operators.library import Fractional, Partial
from morlight.operators.sum_of_terms import SumOfTerms, enough_substeps

NONE = "no equation: no term of the library is justified by the data"
DOUBTFUL = 0.1  # share of the change that an equation may leave before it is doubted
TOLERANCE = 1e-6  # of a sub-step, relative to the change over an interval


@dataclass(frozen=True)
class Equation:
    """The equation ∂ₜu_c = Σ_a θ_a G_a(∇) φ_a(u), one sum of terms for each field.

    Attributes:
        fields: names of the fields.
        terms: terms of each field.
        noise: estimated standard deviation of the noise of each field.
        unexplained: share of the change over short roll-outs that the equation does not explain, if it was measured.
        parameters: names of the parameters γ that the terms may have as factors.
        covariance: covariance of all coefficients, one field after the other, if it is known.
    """

    fields: tuple[str, ...]
    terms: tuple[tuple[Term, ...], ...]
    noise: tuple[float, ...] = ()
    unexplained: float | None = None
    parameters: tuple[str, ...] = ()
    covariance: Float[Tensor, "P P"] | None = dataclasses.field(default=None, compare=False, repr=False)

    @cached_property
    def text(self) -> str:
        """The equations in Unicode, one line for each field."""
        return "\n".join(
            writing.text(self.names, field, own) if own else f"{field}: {NONE}"
            for field, own in zip(self.fields, self.terms, strict=True)
        )

    @cached_property
    def latex(self) -> str:
        """The equations in LaTeX, aligned if there are several; fields without an equation are omitted."""
        lines = [
            writing.latex(self.names, field, own) for field, own in zip(self.fields, self.terms, strict=True) if own
        ]
        if len(lines) < 2:
            return "".join(lines)
        body = " \\\\\n".join(line.replace(" = ", " &= ", 1) for line in lines)
        return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"

    def summary(self) -> str:
        """The equation, and a table of the coefficients with standard errors and p-values."""
        if not any(self.terms):
            return NONE
        lines = [self.text, "", f"{'field':<12} {'term':<24} {'coefficient':>14} {'± sd':>10} {'p':>9}"]
        for field, own in zip(self.fields, self.terms, strict=True):
            for term in own:
                name = writing.name(self.names, term)
                row = f"{field:<12} {name:<24} {term.coefficient:>14.7g} {term.standard_error:>10.2g}"
                lines.append(f"{row} {term.p_value:>9.1g}")
        noise = ", ".join(f"{field} {sigma:.2g}" for field, sigma in zip(self.fields, self.noise, strict=True))
        lines.append(f"noise (standard deviation): {noise}")
        if self.unexplained is not None:
            lines.append(f"change over short roll-outs that is left unexplained: {100 * self.unexplained:.2g} %")
            if self.unexplained > DOUBTFUL:
                lines.append(
                    "warning: this equation does not describe these data; try another degree, order, or fractional;"
                    " for counts of particles, whose noise is not white, fit networks (`morlight fit FILE`)"
                )
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """The output of `morlight discover --json`; `terms` are as in the closed forms of `morlight inspect`."""
        found = {
            field: {
                "equation": writing.text(self.names, field, own) if own else None,
                "terms": [_plain(self.names, term) for term in own],
                "noise": sigma,
            }
            for field, own, sigma in zip(self.fields, self.terms, self.noise, strict=True)
        }
        return {"latex": self.latex or None, "fields": found, "unexplained": self.unexplained}

    def sympy(self) -> dict[str, Any]:
        """Right-hand side of each field as a SymPy expression; fields are functions of t, x, y, z.

        Powers of Δ are written out along the axes; fractional ones are left as a function of the field.
        """
        return {field: writing.expression(self.names, own) for field, own in zip(self.fields, self.terms, strict=True)}

    @property
    def names(self) -> writing.Names:
        """Names of the fields and the parameters."""
        return writing.Names(self.fields, self.parameters)

    def right_hand_side(
        self, basis: Basis, gamma: Float[Tensor, "b P"] | None = None
    ) -> tuple[SumOfTerms, Float[Tensor, "1 A"]]:
        """The terms as an operator on a grid, and the coefficients θ.

        Args:
            basis: Π of the grid.
            gamma: γ of each field of a batch, if the terms depend on it.

        Raises:
            ValueError: for another number of parameters.
        """
        given = 0 if gamma is None else gamma.shape[1]
        if given != len(self.parameters):
            expected = ", ".join(self.parameters) or "none"
            raise ValueError(f"{given} parameters are given, expected values of {expected}")
        system = SumOfTerms(basis, [[term.candidate for term in own] for own in self.terms])
        system = system if gamma is None else system.at(gamma)
        theta = [term.coefficient for own in self.terms for term in own]
        return system, torch.tensor([theta], dtype=torch.float64).reshape(1, -1)

    def predict(
        self, u: Float[Tensor, "B C *X"], times: Float[Tensor, " T"], basis: Basis, *,
        gamma: Float[Tensor, "B P"] | None = None, substeps: int | None = None,
    ) -> Float[Tensor, "B T C *X"]:  # fmt: skip
        """Fields at the times, of which the first is that of u, by exponential Runge–Kutta steps of fourth order.

        Args:
            u: fields at the first time.
            times: increasing, with any intervals.
            basis: Π of the grid of u.
            gamma: γ of each field of the batch, in the order of `parameters`; for equations with parameters.
            substeps: in each interval; by default as many as an error of 1e-6 of the change over the longest one needs.

        Raises:
            ValueError: if the equation grows without bound from u, or for another number of parameters.
        """
        basis, u, times = basis.double(), u.double(), times.double()
        system, theta = self.right_hand_side(basis, gamma)
        intervals = times.diff().tolist()
        with torch.no_grad():
            c = basis.forward(u)[None]
            if substeps is None:
                substeps = enough_substeps(system, theta, c, max(intervals), TOLERANCE)
            states = basis.inverse(system.flow(theta, c, intervals=intervals, substeps=substeps)[0])
        if not bool(states.isfinite().all()):
            raise ValueError(
                f"the equation grows without bound before time {float(times[-1]):g}, with {substeps} sub-steps"
            )
        return torch.cat([u[:, None], states], 1)


def _plain(names: writing.Names, term: Term) -> dict[str, Any]:
    """A term as in `morlight inspect --json`: {"power": α} is (−Δ)^(α/2), so that Δ has the coefficient −1."""
    derivative, sign = term.derivative, 1
    if isinstance(derivative, Partial):
        operator: Any = list(derivative.orders)
    else:
        operator = {"power": float(derivative.order)}
        if isinstance(derivative, Fractional) and derivative.standard_error:
            operator["power_sd"] = derivative.standard_error
        sign = -1 if isinstance(derivative, Fractional) else (-1) ** derivative.power
    powers = {field: n for field, n in zip(names.fields, term.exponents, strict=True) if n}
    factors = {name: m for name, m in zip(names.parameters, term.powers, strict=False) if m}
    return {
        "derivative": operator,
        "of": powers,
        **({"times": factors} if names.parameters else {}),
        "coefficient": sign * term.coefficient,
        "sd": term.standard_error,
        "p": term.p_value,
    }
