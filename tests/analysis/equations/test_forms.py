"""Closed forms of operators that were written down: they are read off as what they are, and run as they did."""

import dataclasses
import json
import shlex
from pathlib import Path

import heat
import numpy as np
import pytest
import small
import sympy
import torch

from morlight.analysis import model as prediction
from morlight.analysis.checkpoint import Checkpoint, ModeStatistics
from morlight.analysis.equations import choice, forms
from morlight.analysis.equations.terms import Polynomial, Symbolic, written
from morlight.analysis.inspection import inspect
from morlight.analysis.learned import terms
from morlight.analysis.model import Model
from morlight.cli import main as cli
from morlight.operators import build

KNOWN = ModeStatistics(rate_errors=((np.inf, *[1e-3] * 8),))
RNG = np.random.default_rng(5)


class SideBySide(torch.nn.Module):
    """Symbols or nonlinearities of one realization each as those of several."""

    def __init__(self, parts):
        super().__init__()
        self.parts = torch.nn.ModuleList(parts)

    def forward(self, x, gamma=None):
        own = isinstance(self.parts[0], Polynomial) and len(x) == len(self.parts)
        return torch.cat([part(x[r : r + 1] if own else x, gamma) for r, part in enumerate(self.parts)])


def exact(form, data=None, R=3, scatter=1e-4):
    """A model whose R operators are a form with coefficients that scatter a little, as networks would."""
    data = data or heat.description()
    space = build.basis(data.grid)
    operators = []
    for _ in range(R):
        factor = 1 + scatter * RNG.standard_normal()
        one = form._replace(
            drift=[v * factor for v in form.drift], laplacian=form.laplacian * factor, fourth=form.fourth * factor,
            polynomial={n: a * (factor if n > 1 else 1) for n, a in form.polynomial.items()},
        )  # fmt: skip
        operators.append(written(one, space, None if data.steady else data.dt))
    operator = operators[0]
    operator.g, operator.h = SideBySide([o.g for o in operators]), SideBySide([o.h for o in operators])
    config = small.config(**heat.OPTIONS | {"biases": [], "realizations": R})
    checkpoint = Checkpoint(Path("made"), config, {}, data, KNOWN, None, None, None, {})
    return Model(checkpoint, operator, data.grid)


BURGERS = Symbolic(None, [-1.0], 0.0, 0.0, {2: 1.0})
SAMPLES = small.description(
    [small.field(low=-2.0, high=2.0, scale=1.3)], where=heat.GRID, dt=heat.DT, targets=("f",), band=(1.0, 8.0)
)


@pytest.mark.parametrize(
    ("form", "data", "text", "latex"),
    [
        (
            BURGERS,
            SAMPLES,
            ") ∂ₓ(density²)",
            r"\partial_x (\mathrm{density}^2)",
        ),
        (Symbolic(None, [3.0], 0, 0, {1: 1.0}), None, "∂ₜdensity = −3.", r"\partial_t \mathrm{density} = -3."),
        (Symbolic(None, [3.0], 0.5, 0, {1: 1.0}), None, "(−Δ)^1.0", r"(-\Delta)^{1.0"),
        (Symbolic(None, [], -1.0, 0.2, {1: 1.0}), None, "Δ²density", r"\Delta^2 \mathrm{density}"),
        (Symbolic(None, [], 0.5, 0, {1: 1.0, 2: 0.3}), None, "density²)", r"\mathrm{density}^2)"),
    ],
    ids=["burgers", "advection", "advection and diffusion", "fourth order", "nonlinear diffusion"],
)
def test_sums_of_powers_are_read_off(form, data, text, latex):
    model = exact(form, data)
    inspection = inspect(model)
    chosen = inspection.fields["density"].equation
    assert inspection.to_json()["fields"]["density"]["closed_form"] == chosen.form.to_json(chosen.departure)
    learned = choice.closed_form(model, 0, terms(model, 0)).symbolic()
    kappa = torch.arange(1.0, 9.0, dtype=torch.float64)[None]
    off = (learned.symbol(kappa) - form.symbol(kappa)).abs() / form.symbol(kappa).abs()
    assert float(off.max()) < 2e-3  # the scatter over a few realizations
    assert learned.polynomial == pytest.approx(form.polynomial, rel=2e-3)
    assert latex in chosen.form.latex()
    assert text in chosen.form.text()
    assert chosen.departure < 0.01


def test_the_expressions_of_sympy_are_the_symbol_of_the_twin():
    model = exact(Symbolic(None, [], -1.0, 0.2, {1: 1.0}))
    shown = inspect(model).to_json()["fields"]["density"]["closed_form"]["sympy"]
    symbol = sympy.lambdify(sympy.Symbol("k"), sympy.sympify(shown["symbol"]), "numpy")
    twin = choice.twin(model)
    kappa = np.arange(9.0)
    expected = np.exp(symbol(kappa) * model.dt) - 1
    assert np.allclose(twin.operator.symbol()[0, 0, 0].numpy(), expected, rtol=0, atol=1e-12)
    assert sympy.sympify(shown["nonlinearity"]) == sympy.Symbol("u") * 1.0


@pytest.mark.filterwarnings("ignore::morlight.analysis.extrapolation.Extrapolation")
def test_the_twin_predicts_the_exact_solution_on_any_grid():
    twin = choice.twin(exact(Symbolic(None, [], 0.5, 0.1, {1: 1.0}), scatter=0.0))
    for points in (16, 40):
        x = (np.arange(points) + 0.5) * 2 * np.pi / points
        later = twin.on(points).predict(1 + np.sin(2 * x), 30, every=30)[0, -1]
        # −D κ² − K κ⁴ at κ = 2 over t = 0.3
        assert np.allclose(later, 1 + np.sin(2 * x) * np.exp(-(0.5 * 4 + 0.1 * 16) * 0.3), rtol=0, atol=1e-9)


def test_realizations_that_do_not_agree_justify_no_coefficient():
    assert choice.choose(exact(BURGERS, SAMPLES, scatter=1.0), 0).startswith("no power law")


def test_a_form_whose_roll_outs_depart_is_refused(monkeypatch):
    model = exact(Symbolic(None, [], -1.0, 0.2, {1: 1.0}))
    monkeypatch.setattr(forms, "departure", lambda *_: 0.06)
    reason = choice.choose(model, 0)
    assert "would depart from the networks by 6 % of the change" in reason
    shown = inspect(model).to_json()["fields"]["density"]
    assert (shown["closed_form"], shown["closed_form_refused"]) == (None, reason)
    assert choice.twin(model) is None


def test_the_equation_of_a_model_is_its_closed_form_or_the_reason_why_there_is_none():
    equation = exact(Symbolic(None, [], 0.5, 0, {1: 1.0, 2: 0.3})).equation()
    assert equation.justified
    chosen = equation.fields["density"]
    assert (equation.text, equation.latex) == (chosen.form.text(), chosen.form.latex())
    (term,) = equation.terms["density"]
    assert term["derivative"] == {"power": 2.0}  # of −Δ
    assert (term["coefficient"], term["of"]["2"]) == (pytest.approx(-0.5, rel=2e-3), pytest.approx(0.3, rel=2e-3))
    assert set(equation.sympy["density"]) == {"symbol", "nonlinearity"}
    vague = exact(BURGERS, SAMPLES, scatter=1.0).equation()
    assert not vague.justified
    assert vague.text.startswith("density: no equation: no power law")
    assert (vague.latex, vague.sympy, vague.terms) == ("", {}, {})


def test_the_command_says_how_much_worse_the_equation_predicts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    heat.write(tmp_path)
    model = exact(Symbolic(None, [], -1.0, 0.2, {1: 1.0}))
    path = heat.checkpoint(tmp_path / "model.ckpt")
    model = dataclasses.replace(model, checkpoint=dataclasses.replace(model.checkpoint, path=path))
    monkeypatch.setattr(prediction, "load", lambda _: model)
    cli.main(shlex.split("inspect model.ckpt --data heat.h5 --json"))
    shown = json.loads(capsys.readouterr().out)["fields"]["density"]["closed_form"]["twin"]["rollout_end"]
    assert shown["ratio"] == pytest.approx(shown["twin"] / shown["networks"])
    assert shown["ratio"] == pytest.approx(1, abs=0.05)
    cli.main(shlex.split("inspect model.ckpt --data heat.h5"))
    printed = capsys.readouterr().out
    assert "LaTeX" in printed
    assert "rollout_end: " in printed
