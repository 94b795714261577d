"""`morlight inspect`: what an exact operator of known symbol and nonlinearity is told to be."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from test_checking import described, redrawn, saved

from morlight.analysis import inspection, plots
from morlight.analysis.equations import forms
from morlight.cli import main as cli


def linear(operator, slope):
    """Make h(u) = slope · u + 0.3 of an operator with two layers; elu is the identity for u ≥ 0."""
    with torch.no_grad():
        network = operator.h.network
        network.weights[0].fill_(1.0)
        network.offsets[0].zero_()
        network.weights[1].fill_(slope / network.weights[1].shape[-1])
        network.offsets[1].fill_(0.3)


def test_the_generator_is_that_of_the_linearised_increment():
    model = redrawn(symbol="dissipative", depth=2)
    linear(model.operator, 1.7)
    told = inspection.inspect(model)["fields"]["density"]
    g = model.operator.symbol()[:, 0, 0].numpy()
    expected = np.log(1 + 1.7 * g) / 0.1
    real, imag = (np.array(told["generator"][part]) for part in ("real", "imag"))
    assert np.abs(real + 1j * imag - expected).max() < 1e-9  # the slope by least squares of 11 values
    (term,) = told["terms"]
    assert np.allclose(np.array(term["symbol_real"]) + 1j * np.array(term["symbol_imag"]), 1.7 * g, atol=1e-9)
    inside = np.array(term["nonlinearity"]["u"]) >= 0
    assert np.allclose(np.array(term["nonlinearity"]["h"])[:, inside], np.array(term["nonlinearity"]["u"])[inside])
    assert term["kappa"] == pytest.approx(range(9))
    assert told["conserved"] is True  # a dissipative symbol has g(0) = 0


def power_laws(symbol, exponents, log_rates):
    """Make the symbol the power laws exp(−e^b (κ/κ₀)^a) − 1, one for each realisation."""
    with torch.no_grad():
        for parameter in symbol.network.parameters():
            parameter.zero_()
        symbol.exponent.copy_(torch.tensor(exponents)[:, None])
        symbol.log_rate.copy_(torch.tensor(log_rates)[:, None])
    return symbol.scale


def known(model, error):
    """The model, with data that tell the rate of every mode with this relative standard error."""
    count = model.operator.basis.points[0] // 2 + 1
    return dataclasses.replace(model, data=model.data | {"rate_errors": [[np.inf] + [error] * (count - 1)]})


def test_a_power_law_is_read_off_with_its_uncertainty(capsys, tmp_path):
    model = known(redrawn(symbol="dissipative", depth=2), 1e-4)
    linear(model.operator, 1.0)
    R = model.realizations
    exponents = np.linspace(1.49, 1.51, R)
    scale = power_laws(model.operator.g, exponents, [np.log(0.1 * s) for s in np.ones(R)])
    told = inspection.inspect(model)["fields"]["density"]
    form = told["closed_form"]
    assert form["exponent"] == pytest.approx(1.5, abs=1e-9)
    assert form["exponent_sd"] == pytest.approx(exponents.std(ddof=1), rel=0.01)
    assert form["coefficient"] == pytest.approx(np.mean(scale**-exponents), rel=1e-6)  # e^b κ₀^(−a) / Δt
    assert "drift" not in form
    assert told["identifiable_band"] == pytest.approx([1, 8])
    assert f"(−Δ)^{forms.number(0.75, form['exponent_sd'] / 2)} density" in form["equation"]
    assert form["equation"] in inspection.summary(inspection.inspect(model))
    plots.learned(inspection.readings(model), tmp_path / "learned.png")


@pytest.mark.parametrize("fault", ["bent h", "no power law", "unknown"])
def test_a_closed_form_that_is_not_justified_is_not_told(fault):
    model = known(redrawn(symbol="dissipative", depth=2), 1e-4 if fault != "unknown" else 1.0)
    linear(model.operator, 1.0)
    power_laws(model.operator.g, np.full(model.realizations, 1.5), np.full(model.realizations, -2.0))
    with torch.no_grad():
        if fault == "bent h":  # 0 below the middle of the data, and straight above
            model.operator.h.network.offsets[0].fill_(-1.0)
        if fault == "no power law":  # flat below the middle of the band, and steep above
            model.operator.g.network.weights[0].fill_(4.0)
            model.operator.g.network.weights[1].fill_(3.0)
    assert inspection.inspect(model)["fields"]["density"]["closed_form"] is None


@pytest.mark.parametrize(
    ("value", "sd", "text"),
    [
        (0.75012, 0.0049, "0.750(5)"),
        (-1.0, 0.013, "−1.000(13)"),
        (1.0, 0.0099, "1.000(10)"),
        (123.4, 30.0, "123(30)"),
        (2.0, 0.0, "2"),
    ],
)
def test_numbers_carry_the_uncertainty_of_their_last_digits(value, sd, text):
    assert forms.number(value, sd) == text


def test_conserved_is_what_the_operator_does_not_what_was_said():
    assert inspection.inspect(redrawn())["fields"]["density"]["conserved"] is False
    assert inspection.inspect(redrawn(biases=["conservation"]))["fields"]["density"]["conserved"] is True


def test_systems_tell_every_field_with_its_basis_and_terms():
    data = described(("density", "momentum"), boundary="WALL")
    words = {"bases": {"momentum": "sine"}, "biases": {"density": ["conservation"]}, "terms": 2, "flux": True}
    told = inspection.inspect(redrawn(data, **words))["fields"]
    density, momentum = told["density"], told["momentum"]
    assert (density["basis"], momentum["basis"]) == ("Cosine", "Sine")
    assert (density["conserved"], momentum["conserved"]) == (True, False)
    assert [term.get("derivative_of") for term in density["terms"]] == [None, None, "Sine", "Sine"]
    assert [term.get("derivative_of") for term in momentum["terms"]] == [None, None, "Cosine", "Cosine"]
    assert density["terms"][0]["kappa"][0] == 0
    assert momentum["terms"][0]["kappa"][0] > 0


def test_isotropic_symbols_are_told_once_for_each_modulus():
    told = inspection.inspect(redrawn(described(points=(8, 8)), biases=["isotropy"]))["fields"]["density"]
    kappa = np.array(told["terms"][0]["kappa"])
    squares = {a * a + b * b for a in range(5) for b in range(5)}
    assert np.allclose(kappa**2, sorted(squares))
    assert np.array(told["terms"][0]["symbol_real"]).shape == (2, len(squares))
    vectors = inspection.inspect(redrawn(described(points=(8, 8))))["fields"]["density"]["terms"][0]["kappa"]
    assert np.array(vectors).shape == (8 * 5, 2)


def test_operators_without_time_have_a_symbol_and_no_generator():
    data = described(targets=["slope"], unit=[2.0], band=[1.0, 5.0])
    found = inspection.inspect(redrawn(data))
    told = found["fields"]["density"]
    assert (found["dt"], told["generator"], told["identifiable_band"]) == (None, None, [1.0, 5.0])
    assert told["terms"][0]["power"] in (1, 2, 3)
    assert "symbol g" in inspection.summary(found)


def test_rates_of_a_pair_state_are_told_and_the_fields_themselves_have_no_term():
    told = inspection.inspect(redrawn(described(("u", "rate")), order=2))["fields"]
    assert told["u"]["terms"] == []
    assert len(told["rate"]["terms"]) == 1


@pytest.mark.parametrize("words", [{}, {"terms": 2}, {"biases": ["isotropy"]}])
def test_command_writes_json_table_and_figure(tmp_path, capsys, words):
    path = saved(tmp_path / "model.ckpt", redrawn(described(points=(8, 8)), symbol="dissipative", **words))
    cli.main(["inspect", path, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert {"dt", "fields", "growth"} <= set(found)
    assert set(found["fields"]["density"]) == {
        "basis", "conserved", "terms", "generator", "identifiable_band", "closed_form"
    }  # fmt: skip
    cli.main(["inspect", path, "--plot", str(tmp_path / "learned.png")])
    assert "generator" in capsys.readouterr().out
    assert (tmp_path / "learned.png").stat().st_size > 10_000


def test_a_figure_that_cannot_be_is_refused_before_anything(tmp_path, capsys):
    path = saved(tmp_path / "model.ckpt", redrawn())
    with pytest.raises(SystemExit) as ended:
        cli.main(["inspect", path, "--plot", str(tmp_path / "learned.doc")])
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert "no image format" in captured.err
    assert captured.out == ""
