"""Equations are written as a physicist writes them, and SymPy's form means the same."""

import dataclasses
import math

import pytest
import sympy
import torch

from morlight.analysis.equations.library_term import Term
from morlight.analysis.equations.sum_of_terms import Equation
from morlight.analysis.equations.writing import number
from morlight.operators.bases import Fourier
from morlight.operators.library import Fractional, Laplacian, Partial

KDV = Equation(("u",), ((Term(Partial((3,)), (1,), -1.0, 0.002), Term(Partial((1,)), (2,), -3.0, 0.01)),))


def test_text_and_latex_of_the_korteweg_de_vries_equation():
    assert KDV.text == "∂ₜu = −1.000(2) ∂³ₓu − 3.000(10) ∂ₓ(u²)"
    assert KDV.latex == r"\partial_t u = -1.000(2)\,\partial_x^{3} u - 3.000(10)\,\partial_x \left(u^{2}\right)"


def test_text_of_two_fields_with_constants_and_products():
    one = (Term(Laplacian(2), (1, 0), 0.2, 0.01), Term(Partial((0, 0)), (1, 2), -1.0, 0.1))
    other = (Term(Partial((0, 0)), (0, 0), 0.5, 0.1), Term(Fractional(1.5), (0, 1), 2.0, 0.1))
    equation = Equation(("u", "v"), (one, other))
    assert equation.text == "∂ₜu = 0.200(10) Δ²u − 1.00(10) u v²\n∂ₜv = 0.50(10) + 2.00(10) (−(−Δ)^0.75) v"
    assert equation.latex.count("&=") == 2


def test_sympy_expression_of_a_travelling_soliton_is_its_time_derivative():
    """u = ½ sech²((x − t)/2) solves ∂ₜu = −∂³ₓu − 3∂ₓu²."""
    (right,) = KDV.sympy().values()
    t, x = sympy.symbols("t x", real=True)
    soliton = sympy.sech((x - t) / 2) ** 2 / 2
    rest = (right.subs(sympy.Function("u")(t, x), soliton).doit() - sympy.diff(soliton, t)).subs({t: 0.3, x: 0.9})
    assert abs(float(rest)) < 1e-12


def test_prediction_of_the_soliton_travels_with_its_speed():
    basis = Fourier(128, 60.0).double()
    x = basis.coordinates[0] - 20
    u = 0.5 / torch.cosh(x / 2) ** 2
    found = KDV.predict(u[None, None], torch.tensor([0.0, 3.0, 10.0], dtype=torch.float64), basis, substeps=400)
    assert torch.allclose(
        found[0, -1, 0], 0.5 / torch.cosh((x - 10) / 2) ** 2, atol=1e-5
    )  # its tail at the seam is 1e-8


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [(0.75, 0.005, "0.750(5)"), (0.75, 0.0123, "0.750(12)"), (1234.5, 3.0, "1234(3)"), (2.0, 0.0, "2")],
)
def test_numbers_carry_the_error_of_their_last_digits(value, error, text):
    assert number(value, error) == text


def test_p_value_is_that_of_the_normal_distribution():
    assert Term(Partial((1,)), (1,), 1.96, 1.0).p_value == pytest.approx(0.05, abs=1e-4)
    assert math.isclose(Term(Partial((1,)), (1,), 0.0, 1.0).p_value, 1.0)


def test_plain_values_and_summary_of_every_kind_of_term():
    one = (Term(Laplacian(1), (1, 0), 0.5, 0.01), Term(Laplacian(2), (1, 0), 0.2, 0.01))
    other = (Term(Partial((0, 1)), (1, 2), -1.0, 0.1), Term(Fractional(1.5), (0, 1), 2.0, 0.1))
    equation = Equation(("u", "v"), (one, other), (0.1, 0.2))
    plain = equation.to_json()["fields"]
    # {"power": α} is (−Δ)^(α/2): Δ = −(−Δ), Δ² = (−Δ)²
    listed = [
        (term["derivative"], term["of"], term["coefficient"]) for term in plain["u"]["terms"] + plain["v"]["terms"]
    ]
    assert listed == [
        ({"power": 2.0}, {"u": 1}, -0.5),
        ({"power": 4.0}, {"u": 1}, 0.2),
        ([0, 1], {"u": 1, "v": 2}, -1.0),
        ({"power": 1.5}, {"v": 1}, -2.0),
    ]
    assert (plain["v"]["noise"], plain["v"]["equation"]) == (0.2, equation.text.splitlines()[1])
    summary = equation.summary()
    assert summary.startswith(equation.text)
    assert summary.endswith("noise (standard deviation): u 0.1, v 0.2")
    none = Equation(("u",), ((),), (0.1,))
    assert (none.text, none.latex) == ("u: no equation: no term of the library is justified by the data", "")
    doubtful = dataclasses.replace(equation, unexplained=0.5).summary()
    assert "left unexplained: 50 %" in doubtful
    assert "\nwarning: this equation does not describe these data; try" in doubtful
    assert doubtful.endswith("for counts of particles, whose noise is not white, fit networks (`morlight fit FILE`)")
    assert none.summary() == "no equation: no term of the library is justified by the data"
    assert none.to_json() == {
        "latex": None,
        "fields": {"u": {"equation": None, "terms": [], "noise": 0.1}},
        "unexplained": None,
    }
