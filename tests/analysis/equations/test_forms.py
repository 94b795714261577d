"""Closed forms of operators that were written down: they are read off as what they are, and run as they did."""

import dataclasses
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import sympy
import torch

from morlight.analysis import inspection
from morlight.analysis import model as prediction
from morlight.analysis.equations import forms
from morlight.analysis.equations.terms import Polynomial, Symbolic, written
from morlight.cli import main as cli
from tests.analysis.test_model import DATA, SETTINGS, save

KNOWN = {"rate_errors": [[np.inf] + [1e-3] * 8]}
RNG = np.random.default_rng(5)


class SideBySide(torch.nn.Module):
    """Symbols or nonlinearities of one realisation each as those of several."""

    def __init__(self, parts):
        super().__init__()
        self.parts = torch.nn.ModuleList(parts)

    def forward(self, x, gamma=None):
        own = isinstance(self.parts[0], Polynomial) and len(x) == len(self.parts)
        return torch.cat([part(x[r : r + 1] if own else x, gamma) for r, part in enumerate(self.parts)])


def exact(form, R=3, scatter=1e-4, **described):
    """A model whose R operators are a form with coefficients that scatter a little, as networks would."""
    data = DATA | {"values": [np.linspace(0.1, 2, 11).tolist()], "parameters": [], **KNOWN} | described
    steady = bool(data.get("targets"))
    basis = prediction.build.basis(data["points"], data["length"], data["boundaries"])

    operators = []
    for _ in range(R):
        factor = 1 + scatter * RNG.standard_normal()
        one = form._replace(
            drift=[v * factor for v in form.drift], laplacian=form.laplacian * factor, fourth=form.fourth * factor,
            polynomial={n: a * (factor if n > 1 else 1) for n, a in form.polynomial.items()},
        )  # fmt: skip
        operators.append(written(one, basis, None if steady else data["dt"]))
    operator = operators[0]
    operator.g, operator.h = SideBySide([o.g for o in operators]), SideBySide([o.h for o in operators])
    return prediction.Model(Path("made"), operator, SETTINGS | {"biases": [], "realizations": R}, data, None)


BURGERS = Symbolic(None, [-1.0], 0.0, 0.0, {2: 1.0})
SAMPLES = {"targets": ["f"], "band": [1.0, 8.0], "low": [-2.0], "high": [2.0]}


@pytest.mark.parametrize(
    ("form", "described", "text", "latex"),
    [
        (
            BURGERS,
            SAMPLES | {"values": [np.linspace(-2, 2, 11).tolist()]},
            ") ∂ₓ(density²)",
            r"\partial_x (\mathrm{density}^2)",
        ),
        (Symbolic(None, [3.0], 0, 0, {1: 1.0}), {}, "∂ₜdensity = −3.", r"\partial_t \mathrm{density} = -3."),
        (Symbolic(None, [3.0], 0.5, 0, {1: 1.0}), {}, "(−Δ)^1.0", r"(-\Delta)^{1.0"),
        (Symbolic(None, [], -1.0, 0.2, {1: 1.0}), {}, "Δ²density", r"\Delta^2 \mathrm{density}"),
        (Symbolic(None, [], 0.5, 0, {1: 1.0, 2: 0.3}), {}, "density²)", r"\mathrm{density}^2)"),
    ],
    ids=["burgers", "advection", "advection and diffusion", "fourth order", "nonlinear diffusion"],
)
def test_sums_of_powers_are_read_off(form, described, text, latex):
    model = exact(form, **described)
    told = inspection.inspect(model)["fields"]["density"]["closed_form"]
    found = inspection.form(model, 0, list(inspection._terms(model, 0)))
    learned = found.symbolic()
    kappa = torch.arange(1.0, 9.0, dtype=torch.float64)[None]
    off = (learned.symbol(kappa) - form.symbol(kappa)).abs() / form.symbol(kappa).abs()
    assert float(off.max()) < 2e-3  # the scatter over a few realisations
    assert learned.polynomial == pytest.approx(form.polynomial, rel=2e-3)
    assert latex in told["latex"]
    assert text in told["equation"]
    assert told["departure"] < 0.01


def test_the_expressions_of_sympy_are_the_symbol_of_the_twin():
    model = exact(Symbolic(None, [], -1.0, 0.2, {1: 1.0}))
    told = inspection.inspect(model)["fields"]["density"]["closed_form"]["sympy"]
    symbol = sympy.lambdify(sympy.Symbol("k"), sympy.sympify(told["symbol"]), "numpy")
    twin = inspection.twin(model)
    kappa = np.arange(9.0)
    expected = np.exp(symbol(kappa) * model.dt) - 1
    assert np.allclose(twin.operator.symbol()[0, 0, 0].numpy(), expected, rtol=0, atol=1e-12)
    assert sympy.sympify(told["nonlinearity"]) == sympy.Symbol("u") * 1.0


@pytest.mark.filterwarnings("ignore::morlight.analysis.model.Extrapolation")
def test_the_twin_predicts_the_exact_solution_on_any_grid():
    twin = inspection.twin(exact(Symbolic(None, [], 0.5, 0.1, {1: 1.0}), scatter=0.0))
    for points in (16, 40):
        x = (np.arange(points) + 0.5) * 2 * np.pi / points
        later = twin.on(points).predict(1 + np.sin(2 * x), 30, every=30)[0, -1]
        # −D κ² − K κ⁴ at κ = 2 over t = 0.3
        assert np.allclose(later, 1 + np.sin(2 * x) * np.exp(-(0.5 * 4 + 0.1 * 16) * 0.3), rtol=0, atol=1e-9)


def test_realizations_that_do_not_agree_justify_no_coefficient():
    assert inspection.inspect(exact(BURGERS, scatter=1.0, **SAMPLES))["fields"]["density"]["closed_form"] is None


def test_a_form_whose_roll_outs_depart_is_not_told(monkeypatch):
    model = exact(Symbolic(None, [], -1.0, 0.2, {1: 1.0}))
    monkeypatch.setattr(forms, "departure", lambda *_: 0.06)
    assert inspection.inspect(model)["fields"]["density"]["closed_form"] is None
    assert inspection.twin(model) is None


def test_the_command_says_how_much_worse_the_equation_predicts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    from tests.analysis.evaluation.test_walkers import heat

    heat(tmp_path)
    path = save(tmp_path / "model.ckpt")
    model = dataclasses.replace(exact(Symbolic(None, [], -1.0, 0.2, {1: 1.0})), path=path)
    monkeypatch.setattr(prediction, "load", lambda _: model)
    cli.main(shlex.split("inspect model.ckpt --data heat.h5 --json"))
    told = json.loads(capsys.readouterr().out)["fields"]["density"]["closed_form"]["twin"]["rollout_end"]
    assert told["ratio"] == pytest.approx(told["twin"] / told["networks"])
    assert told["ratio"] == pytest.approx(1, abs=0.05)
    cli.main(shlex.split("inspect model.ckpt --data heat.h5"))
    printed = capsys.readouterr().out
    assert "LaTeX" in printed
    assert "rollout_end: " in printed
