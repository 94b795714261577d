"""`morlight inspect`: what it shows of an operator of known symbol and nonlinearity."""

import json
from dataclasses import replace

import command
import numpy as np
import pytest
import small
import torch

from morlight.analysis import plots
from morlight.analysis.checkpoint import ModeStatistics
from morlight.analysis.equations.numbers import number
from morlight.analysis.inspection import inspect, readings
from morlight.analysis.inspection_text import summary
from morlight.cli import main as cli


def described(fields=("density",), points=(16,), boundaries="PERIODIC", **more):
    """A description of fields between 0.2 and 2."""
    target = 2.0 if "targets" in more else None
    fields = [small.field(name, 0.2, 2.0, 1.3, target=target) for name in fields]
    return small.description(fields, where=small.grid(points, boundaries=boundaries), **more)


@pytest.fixture
def redrawn(tmp_path):
    """Models of which every parameter is drawn anew, as `model.ckpt`."""

    def make(data=None, **options):
        return small.model(tmp_path / "model.ckpt", data or described(), seed=1, **options)

    return make


def linear(operator, slope):
    """Make h(u) = slope · u + 0.3 of an operator with two layers; elu is the identity for u ≥ 0."""
    with torch.no_grad():
        network = operator.h.network
        network.weights[0].fill_(1.0)
        network.offsets[0].zero_()
        network.weights[1].fill_(slope / network.weights[1].shape[-1])
        network.offsets[1].fill_(0.3)


def test_the_generator_is_that_of_the_linearized_increment(redrawn):
    model = redrawn(symbol="dissipative", depth=2)
    linear(model.operator, 1.7)
    density = inspect(model).fields["density"]
    g = model.operator.symbol()[:, 0, 0].numpy()
    expected = np.log(1 + 1.7 * g) / 0.1
    real, imag = np.array(density.generator.real), np.array(density.generator.imag)
    assert np.abs(real + 1j * imag - expected).max() < 1e-9  # the slope by least squares
    (term,) = density.terms
    assert np.allclose(np.array(term.symbol_real) + 1j * np.array(term.symbol_imag), 1.7 * g, atol=1e-9)
    inside = np.array(term.u) >= 0
    assert np.allclose(np.array(term.h)[:, inside], np.array(term.u)[inside])
    assert term.kappa == pytest.approx(range(9))
    assert density.conserved is True  # a dissipative symbol has g(0) = 0


def power_laws(symbol, exponents, log_rates):
    """Make the symbol the power laws exp(−e^b (κ/κ₀)^a) − 1, one for each realization."""
    with torch.no_grad():
        for parameter in symbol.network.parameters():
            parameter.zero_()
        symbol.exponent.copy_(torch.tensor(exponents)[:, None])
        symbol.log_rate.copy_(torch.tensor(log_rates)[:, None])
    return symbol.scale


def known(error):
    """Statistics of 16 points that give the rate of every mode with this relative standard error."""
    return ModeStatistics(rate_errors=((np.inf, *[error] * 8),))


def test_a_power_law_is_read_off_with_its_uncertainty(redrawn, tmp_path):
    model = redrawn(symbol="dissipative", depth=2, modes=known(1e-4))
    linear(model.operator, 1.0)
    R = model.realizations
    exponents = np.linspace(1.49, 1.51, R)
    scale = power_laws(model.operator.g, exponents, [np.log(0.1 * s) for s in np.ones(R)])
    inspection = inspect(model)
    density = inspection.fields["density"]
    form = density.equation.form
    assert form.exponent.value == pytest.approx(1.5, abs=1e-9)
    assert form.exponent.networks == pytest.approx(exponents.std(ddof=1), rel=0.01)
    assert form.coefficient.value == pytest.approx(np.mean(scale**-exponents), rel=1e-6)  # e^b κ₀^(−a) / Δt
    assert not form.drift
    closed = inspection.to_json()["fields"]["density"]["closed_form"]
    assert "drift" not in closed
    assert (closed["exponent"], closed["exponent_sd"]) == (form.exponent.value, form.exponent.sd)
    assert density.band == pytest.approx((1, 8))
    assert f"(−Δ)^{number(0.75, form.exponent.sd / 2)} density" in form.text()
    assert form.text() in summary(inspection)
    plots.learned(readings(model), tmp_path / "learned.png")


REASONS = {
    "bent h": "no power law",
    "no power law": "no power law",
    "unknown": "the data identify the symbol at no wavenumber",
    "one wave": "the data identify the symbol at one wavenumber only, |κ| = 1,",
}


@pytest.mark.parametrize("fault", REASONS)
def test_a_closed_form_that_is_not_justified_is_refused_with_the_reason(redrawn, fault):
    modes = known(1.0 if fault == "unknown" else 1e-4)
    if fault == "one wave":
        modes = replace(modes, rate_errors=((1.0, 1e-4, *[1.0] * 7),))
    model = redrawn(symbol="dissipative", depth=2, modes=modes)
    linear(model.operator, 1.0)
    power_laws(model.operator.g, np.full(model.realizations, 1.5), np.full(model.realizations, -2.0))
    with torch.no_grad():
        if fault == "bent h":  # 0 below the middle of the data, and straight above
            model.operator.h.network.offsets[0].fill_(-1.0)
        if fault == "no power law":  # flat below the middle of the band, and steep above
            model.operator.g.network.weights[0].fill_(4.0)
            model.operator.g.network.weights[1].fill_(3.0)
    reason = inspect(model).fields["density"].equation
    assert reason.startswith(REASONS[fault])
    shown = inspect(model).to_json()["fields"]["density"]
    assert (shown["closed_form"], shown["closed_form_refused"]) == (None, reason)
    assert f"no equation: {reason}" in summary(inspect(model))


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
    assert number(value, sd) == text


def test_conserved_is_what_the_operator_does_not_what_was_said(redrawn):
    assert inspect(redrawn()).fields["density"].conserved is False
    assert inspect(redrawn(biases=["conservation"])).fields["density"].conserved is True


def test_systems_show_every_field_with_its_basis_and_terms(redrawn):
    data = described(("density", "momentum"), boundaries="WALL")
    options = {"bases": {"momentum": "sine"}, "biases": {"density": ["conservation"]}, "terms": 2, "flux": True}
    shown = inspect(redrawn(data, **options)).fields
    density, momentum = shown["density"], shown["momentum"]
    assert (density.basis, momentum.basis) == ("Cosine", "Sine")
    assert (density.conserved, momentum.conserved) == (True, False)
    assert [term.derivative_of for term in density.terms] == [None, None, "Sine", "Sine"]
    assert [term.derivative_of for term in momentum.terms] == [None, None, "Cosine", "Cosine"]
    listed = [term.get("derivative_of") for term in density.to_json()["terms"]]
    assert listed == [None, None, "Sine", "Sine"]
    assert density.terms[0].kappa[0] == 0
    assert momentum.terms[0].kappa[0] > 0


def test_isotropic_symbols_are_shown_once_for_each_modulus(redrawn):
    (term,) = inspect(redrawn(described(points=(8, 8)), biases=["isotropy"])).fields["density"].terms
    squares = {a * a + b * b for a in range(5) for b in range(5)}
    assert np.allclose(np.square(term.kappa), sorted(squares))
    assert np.array(term.symbol_real).shape == (2, len(squares))
    (term,) = inspect(redrawn(described(points=(8, 8)))).fields["density"].terms
    assert np.array(term.kappa).shape == (8 * 5, 2)


def test_operators_without_time_have_a_symbol_and_no_generator(redrawn):
    inspection = inspect(redrawn(described(targets=("slope",), band=(1.0, 5.0))))
    shown = inspection.to_json()
    density = shown["fields"]["density"]
    assert (shown["dt"], density["generator"], density["identifiable_band"]) == (None, None, [1.0, 5.0])
    assert inspection.fields["density"].terms[0].power in (1, 2, 3)
    assert "symbol g" in summary(inspection)


def test_values_at_walls_are_shown(redrawn):
    walls = {"density": [0.5, 2]}
    inspection = inspect(redrawn(described(boundaries="WALL"), bases={"density": "sine"}, walls=walls))
    assert inspection.to_json()["fields"]["density"]["walls"] == [0.5, 2]
    assert "values at the walls: 0.5 and 2" in summary(inspection)
    assert "given at the walls" in str(inspection.fields["density"].equation)


def test_slip_lengths_of_all_realizations_are_shown(redrawn):
    model = redrawn(
        described(boundaries="WALL"), bases={"density": "robin"}, slip_lengths={"density": [0.25, "learned"]}
    )
    inspection = inspect(model)
    (b, c), (d, e) = inspection.to_json()["fields"]["density"]["slip_lengths"]
    assert (b, d) == (0.25, 0.25)
    assert [c, e] == pytest.approx(model.operator.basis.slip[:, 1].tolist())
    assert f"slip lengths at the walls: 0.25 ± 0 and {(c + e) / 2:.4g} ± {abs(c - e) / 2**0.5:.2g}" in summary(
        inspection
    )
    assert "the field slips at the walls" in str(inspection.fields["density"].equation)


def test_rates_of_a_pair_state_are_shown_and_the_fields_themselves_have_no_term(redrawn):
    shown = inspect(redrawn(described(("u", "rate")), order=2)).fields
    assert shown["u"].terms == ()
    assert len(shown["rate"].terms) == 1


@pytest.mark.parametrize("options", [{}, {"terms": 2}, {"biases": ["isotropy"]}])
def test_command_writes_json_table_and_figure(redrawn, tmp_path, capsys, options):
    path = str(redrawn(described(points=(8, 8)), symbol="dissipative", **options).path)
    cli.main(["inspect", path, "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert {"dt", "fields", "growth"} <= set(shown)
    assert set(shown["fields"]["density"]) == {
        "basis", "conserved", "terms", "generator", "identifiable_band", "closed_form", "closed_form_refused"
    }  # fmt: skip
    term = shown["fields"]["density"]["terms"][0]
    assert {"kappa", "symbol_real", "symbol_imag", "nonlinearity"} <= set(term)
    assert set(term["nonlinearity"]) == {"u", "h"}
    assert set(shown["fields"]["density"]["generator"]) == {"kappa", "real", "imag", "real_sd", "imag_sd"}
    cli.main(["inspect", path, "--plot", str(tmp_path / "learned.png")])
    assert "generator" in capsys.readouterr().out
    assert (tmp_path / "learned.png").stat().st_size > 10_000


def test_a_figure_that_cannot_be_is_refused_before_anything(redrawn, tmp_path, capsys):
    path = str(redrawn().path)
    sentence = command.refused(f"inspect {path} --plot {tmp_path / 'learned.doc'}", capsys)
    assert "is not an image format" in sentence
