"""Errors on walkers, whose exact solution is known, on other data, and beside the linear model of each mode."""

import dataclasses
import math

import heat
import numpy as np
import pytest
import torch

from morlight.analysis.checkpoint import LinearPart, ModeStatistics
from morlight.analysis.evaluation.evaluate import evaluate
from morlight.analysis.evaluation.over_linear import over_linear
from morlight.analysis.evaluation.result import ErrorSummary
from morlight.analysis.evaluation.walkers import square_wave
from morlight.analysis.model import load
from morlight.data import trajectory_writer
from morlight.operators.description import Grid

BROWNIAN = {"generator": "brownian", "generator_parameters": {"alpha": 2.0}}


@pytest.fixture
def model(tmp_path):
    """A freshly initialized model on the grid of `heat`."""
    return load(heat.checkpoint(tmp_path / "model.ckpt"))


def exact_model(tmp_path, rate=1.0):
    """A checkpoint whose operator is the exact solution of ∂ₜu = rate ∇²u, in an odd gauge: h(u) = 3u."""
    model = load(heat.checkpoint(tmp_path / "model.ckpt"))
    symbol = model.operator.g.symbol
    with torch.no_grad():
        for parameter in symbol.network.parameters():
            parameter.zero_()
        symbol.exponent.fill_(2)
        symbol.log_rate.fill_(math.log(rate * model.dt * symbol.scale**2))
    model.operator.h = Tripled()
    model.operator.g = Third(model.operator.g)
    return model


def with_linear_model(model, factor):
    """The model with real factors of each mode in its checkpoint."""
    part = LinearPart((0,), False, tuple(factor.tolist()), (0.0,) * len(factor))
    return dataclasses.replace(model, checkpoint=dataclasses.replace(model.checkpoint, modes=ModeStatistics((part,))))


def write(path, grid=heat.GRID, field="density", dt=heat.DT):
    """Three frames of ones."""
    fields = {field: np.ones((1, 3, *grid.points))}
    trajectory_writer.write(path, name="o", fields=fields, grid=grid, times=np.arange(3) * dt, provenance={})
    return path


class Tripled(torch.nn.Module):
    def forward(self, u, gamma):
        return 3 * u


class Third(torch.nn.Module):
    def __init__(self, symbol):
        super().__init__()
        self.symbol = symbol

    def forward(self, kappa, gamma):
        return self.symbol(kappa, gamma) / 3


def test_square_wave_is_plus_minus_one_and_decays_as_its_modes():
    wave = square_wave((256,), lambda modulus: modulus**2, 0.0)
    assert wave[64] == pytest.approx(1, abs=0.01)  # Gibbs far from the jumps: 2/(π·128)
    assert wave[192] == pytest.approx(-1, abs=0.01)
    later = square_wave((256,), lambda modulus: modulus**2, 1.0)
    x = torch.arange(256, dtype=torch.float64) * 2 * math.pi / 256
    series = sum(4 / (math.pi * k) * math.exp(-(k**2)) * torch.sin(k * x) for k in (1, 3, 5))
    assert torch.allclose(later, series, rtol=0, atol=1e-12)


def test_square_wave_in_the_plane_is_the_product_of_two():
    line = square_wave((64,), lambda modulus: modulus**2, 0.0)
    plane = square_wave((64, 64), lambda modulus: modulus**2, 0.0)
    assert torch.allclose(plane, line[:, None] * line[None], rtol=0, atol=1e-12)


def test_errors_of_the_exact_operator_vanish_whatever_the_gauge(tmp_path):
    path = heat.write(tmp_path, **BROWNIAN)
    result = evaluate(exact_model(tmp_path), path)
    assert set(result.errors) == {"rollout_end", "square_wave_t1", "increment_kappa16", "generator_kappa16"}
    for error in result.errors.values():
        assert max(error.per_realization) < 1e-12
    assert max(result.mass_drift["density"]) < 1e-14
    assert result.noise_ceiling is None


def test_the_json_of_an_evaluation_has_the_keys_of_its_contract(tmp_path):
    path = heat.write(tmp_path, **BROWNIAN)
    shown = evaluate(exact_model(tmp_path, rate=1.1), path).to_json()
    assert set(shown) == {
        "checkpoint", "data", "realizations", "dt", "errors", "mass_drift", "noise_ceiling", "baselines",
        "on_training_data",
    }  # fmt: skip
    assert (shown["checkpoint"], shown["data"]) == (str(tmp_path / "model.ckpt"), str(path))
    assert (shown["realizations"], shown["dt"], shown["noise_ceiling"]) == (2, heat.DT, None)
    assert shown["errors"]["generator_kappa16"] == {
        "per_realization": [pytest.approx(0.1)] * 2,
        "median": pytest.approx(0.1),
        "min": pytest.approx(0.1),
    }
    assert len(shown["mass_drift"]["density"]) == 2


def test_walkers_that_drift_are_compared_with_waves_that_drift(tmp_path):
    x, times, V = np.arange(16) * 2 * np.pi / 16, np.arange(101)[:, None] * 0.01, 0.7
    u = 1 + 0.5 * np.exp(-times) * np.sin(x - V * times) + 0.2 * np.exp(-9 * times) * np.cos(3 * (x - V * times))
    path = tmp_path / "drifting.h5"
    made = {"generator": "levy", "generator_parameters": {"alpha": 2.0, "drift": [V]}}
    fields = {"density": u[None]}
    trajectory_writer.write(path, name="heat", fields=fields, grid=heat.GRID, times=times[:, 0], provenance=made)
    model = exact_model(tmp_path)
    still = evaluate(model, path).errors
    symbol = model.operator.g.symbol.symbol
    with torch.no_grad():  # θ = n₂ κ/κ₀ with n₂ = −V κ₀ Δt, of which the network gives ten times
        symbol.network.offsets[-1][:, 1] = -10 * V * symbol.scale * model.dt
    errors = evaluate(model, path).errors
    for name, error in errors.items():
        assert max(error.per_realization) < 1e-12
        assert min(still[name].per_realization) > 0.05, name


def test_square_wave_drifts_as_a_whole():
    here = square_wave((64, 32), lambda modulus: 0 * modulus, 0.0)
    moved = square_wave((64, 32), lambda modulus: 0 * modulus, 2.0, (2 * math.pi / 64, -4 * math.pi / 32))
    assert torch.allclose(moved, here.roll((2, -4), (0, 1)), rtol=0, atol=1e-12)


def test_error_of_a_wrong_rate_is_the_one_of_the_exact_solutions(tmp_path):
    path = heat.write(tmp_path, **BROWNIAN)
    errors = evaluate(exact_model(tmp_path, rate=1.1), path).errors
    assert errors["generator_kappa16"].median == pytest.approx(0.1, rel=1e-9)
    k = np.array([1, 3, 5, 7])
    truth, wrong = (np.exp(-rate * k**2) / k for rate in (1.0, 1.1))
    expected = np.linalg.norm(wrong - truth) / np.linalg.norm(truth)
    assert errors["square_wave_t1"].median == pytest.approx(expected, rel=1e-9)


def test_files_that_are_not_of_walkers_have_no_exact_solution(tmp_path):
    assert set(evaluate(exact_model(tmp_path), heat.write(tmp_path)).errors) == {"rollout_end"}


def test_median_and_minimum_count_undefined_values_as_infinite():
    assert ErrorSummary.of([0.3, math.nan, 0.1]) == ErrorSummary((0.3, math.inf, 0.1), 0.3, 0.1)


@pytest.mark.parametrize(
    ("grid", "named"),
    [
        (Grid((32,), (2 * math.pi,), ("PERIODIC",)), "grid points"),
        (Grid((16,), (1.0,), ("PERIODIC",)), "domain length"),
        (Grid((16,), (2 * math.pi,), ("WALL",)), "boundaries"),
    ],
)
def test_data_on_another_grid_are_refused(tmp_path, model, grid, named):
    with pytest.raises(ValueError, match=f"other\\.h5: {named}"):
        evaluate(model, write(tmp_path / "other.h5", grid))


def test_data_with_frames_between_the_steps_are_refused(tmp_path, model):
    with pytest.raises(ValueError, match=r"expected a multiple of Δt = 0\.01"):
        evaluate(model, write(tmp_path / "other.h5", dt=0.015))


def test_data_without_the_field_are_refused(tmp_path, model):
    with pytest.raises(ValueError, match="field density is missing"):
        evaluate(model, write(tmp_path / "other.h5", field="mass"))


def test_linear_model_of_a_checkpoint_is_a_baseline_beside_the_networks(tmp_path):
    model = exact_model(tmp_path, rate=1.1)
    path = heat.write(tmp_path, **BROWNIAN)
    assert evaluate(model, path).baselines == {}  # a checkpoint from before there was one
    rate = torch.arange(9, dtype=torch.float64) ** 2
    linear = evaluate(with_linear_model(model, torch.exp(-rate * model.dt)), path).baselines["linear"]
    assert linear["rollout_end"] < 1e-12
    assert linear["square_wave_t1"] < 1e-12


def test_errors_over_the_linear_model_are_one_for_its_equal_and_more_for_a_wrong_rate(tmp_path):
    decay = torch.exp(-(torch.arange(9, dtype=torch.float64) ** 2) * 0.01)
    generator = torch.Generator().manual_seed(0)
    u = torch.randn(40, 1, 16, generator=generator, dtype=torch.float64)
    noise = 0.1 * torch.randn(40, 1, 16, generator=generator, dtype=torch.float64)
    later = torch.fft.irfft(decay**4 * torch.fft.rfft(u), n=16) + noise
    trajectory = torch.arange(40) // 10
    same, wrong = (
        over_linear(
            with_linear_model(exact_model(tmp_path, rate), decay),
            torch.stack([u, later]), torch.zeros(40, 0), 4, trajectory,
        )
        for rate in (1.0, 1.5)
    )  # fmt: skip
    assert same.ratio.median == pytest.approx(1, abs=1e-9)
    assert wrong.ratio.median > 1 + 2 * wrong.standard_error > 1
    assert (same.worse, wrong.worse) == (False, True)


@pytest.mark.parametrize("points", [6, 10])
def test_a_square_wave_has_no_mode_at_the_end_of_the_band(points):
    """Where N/2 is odd, the Nyquist mode would be one of its own, and not a real function."""
    modes = torch.fft.fft(square_wave((points,), lambda kappa: 0 * kappa, 0.0))
    assert modes[points // 2].abs() < 1e-12
    assert modes[1].imag == pytest.approx(-2 * points / np.pi)
