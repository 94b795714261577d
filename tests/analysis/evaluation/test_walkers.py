import math

import numpy as np
import pytest
import torch

from morlight.analysis import model as prediction
from morlight.analysis.evaluation import walkers as evaluation
from morlight.data import trajectory_file as trajectories
from tests.analysis.test_model import save

GRID = trajectories.Grid((16,), (2 * math.pi,), ("PERIODIC",))


def exact_model(tmp_path, rate=1.0):
    """A checkpoint whose operator is the exact solution of ∂ₜu = rate ∇²u, in an odd gauge: h(u) = 3u."""
    model = prediction.load(save(tmp_path / "model.ckpt"))
    symbol = model.operator.g.symbol
    with torch.no_grad():
        for parameter in symbol.network.parameters():
            parameter.zero_()
        symbol.exponent.fill_(2)
        symbol.log_rate.fill_(math.log(rate * model.dt * symbol.scale**2))
    model.operator.h = Tripled()
    model.operator.g = Third(model.operator.g)
    return model


class Tripled(torch.nn.Module):
    def forward(self, u):
        return 3 * u


class Third(torch.nn.Module):
    def __init__(self, symbol):
        super().__init__()
        self.symbol = symbol

    def forward(self, kappa):
        return self.symbol(kappa) / 3


def heat(tmp_path, **attributes):
    x, times = np.arange(16) * 2 * np.pi / 16, np.arange(101) * 0.01
    u = 1 + 0.5 * np.exp(-times[:, None]) * np.sin(x) + 0.2 * np.exp(-9 * times[:, None]) * np.cos(3 * x)
    path = tmp_path / "heat.h5"
    provenance = {"generator": "test"} | attributes
    trajectories.write(path, name="heat", fields={"density": u[None]}, grid=GRID, times=times, provenance=provenance)
    return path


def test_square_wave_is_plus_minus_one_and_decays_as_its_modes():
    wave = evaluation.square_wave((256,), lambda modulus: modulus**2, 0.0)
    assert wave[64] == pytest.approx(1, abs=0.01)  # Gibbs far from the jumps: 2/(π·128)
    assert wave[192] == pytest.approx(-1, abs=0.01)
    later = evaluation.square_wave((256,), lambda modulus: modulus**2, 1.0)
    x = torch.arange(256, dtype=torch.float64) * 2 * math.pi / 256
    series = sum(4 / (math.pi * k) * math.exp(-(k**2)) * torch.sin(k * x) for k in (1, 3, 5))
    assert torch.allclose(later, series, rtol=0, atol=1e-12)


def test_square_wave_in_the_plane_is_the_product_of_two():
    line = evaluation.square_wave((64,), lambda modulus: modulus**2, 0.0)
    plane = evaluation.square_wave((64, 64), lambda modulus: modulus**2, 0.0)
    assert torch.allclose(plane, line[:, None] * line[None], rtol=0, atol=1e-12)


def test_errors_of_the_exact_operator_vanish_whatever_the_gauge(tmp_path):
    path = heat(tmp_path, generator="brownian", generator_parameters={"alpha": 2.0})
    result = evaluation.evaluate(exact_model(tmp_path), path)
    assert set(result["errors"]) == {"rollout_end", "square_wave_t1", "increment_kappa16", "generator_kappa16"}
    for error in result["errors"].values():
        assert max(error["per_realization"]) < 1e-12
    assert max(result["mass_drift"]["density"]) < 1e-14
    assert result["noise_ceiling"] is None


def test_walkers_that_drift_are_compared_with_waves_that_drift(tmp_path):
    x, times, V = np.arange(16) * 2 * np.pi / 16, np.arange(101)[:, None] * 0.01, 0.7
    u = 1 + 0.5 * np.exp(-times) * np.sin(x - V * times) + 0.2 * np.exp(-9 * times) * np.cos(3 * (x - V * times))
    path = tmp_path / "drifting.h5"
    made = {"generator": "levy", "generator_parameters": {"alpha": 2.0, "drift": [V]}}
    trajectories.write(path, name="heat", fields={"density": u[None]}, grid=GRID, times=times[:, 0], provenance=made)
    model = exact_model(tmp_path)
    still = evaluation.evaluate(model, path)["errors"]
    symbol = model.operator.g.symbol.symbol
    with torch.no_grad():  # θ = n₂ κ/κ₀ with n₂ = −V κ₀ Δt, of which the network gives ten times
        symbol.network.offsets[-1][:, 1] = -10 * V * symbol.scale * model.dt
    errors = evaluation.evaluate(model, path)["errors"]
    for name, error in errors.items():
        assert max(error["per_realization"]) < 1e-12
        assert min(still[name]["per_realization"]) > 0.05, name


def test_square_wave_drifts_as_a_whole():
    here = evaluation.square_wave((64, 32), lambda modulus: 0 * modulus, 0.0)
    moved = evaluation.square_wave((64, 32), lambda modulus: 0 * modulus, 2.0, (2 * math.pi / 64, -4 * math.pi / 32))
    assert torch.allclose(moved, here.roll((2, -4), (0, 1)), rtol=0, atol=1e-12)


def test_error_of_a_wrong_rate_is_the_one_of_the_exact_solutions(tmp_path):
    path = heat(tmp_path, generator="brownian", generator_parameters={"alpha": 2.0})
    errors = evaluation.evaluate(exact_model(tmp_path, rate=1.1), path)["errors"]
    assert errors["generator_kappa16"]["median"] == pytest.approx(0.1, rel=1e-9)
    k = np.array([1, 3, 5, 7])
    truth, wrong = (np.exp(-rate * k**2) / k for rate in (1.0, 1.1))
    expected = np.linalg.norm(wrong - truth) / np.linalg.norm(truth)
    assert errors["square_wave_t1"]["median"] == pytest.approx(expected, rel=1e-9)


def test_files_that_are_not_of_walkers_have_no_exact_solution(tmp_path):
    result = evaluation.evaluate(exact_model(tmp_path), heat(tmp_path))
    assert set(result["errors"]) == {"rollout_end"}


def test_median_and_minimum_count_undefined_values_as_infinite():
    assert evaluation.summary([0.3, math.nan, 0.1]) == {
        "per_realization": [0.3, math.inf, 0.1],
        "median": 0.3,
        "min": 0.1,
    }


@pytest.mark.parametrize(
    ("grid", "named"),
    [
        (trajectories.Grid((32,), (2 * math.pi,), ("PERIODIC",)), "grid points"),
        (trajectories.Grid((16,), (1.0,), ("PERIODIC",)), "domain length"),
        (trajectories.Grid((16,), (2 * math.pi,), ("WALL",)), "boundaries"),
    ],
)
def test_data_on_another_grid_are_refused(tmp_path, grid, named):
    path = tmp_path / "other.h5"
    u = np.ones((1, 3, *grid.points))
    trajectories.write(path, name="o", fields={"density": u}, grid=grid, times=np.arange(3) * 0.01, provenance={})
    with pytest.raises(ValueError, match=f"other\\.h5: {named}"):
        evaluation.evaluate(prediction.load(save(tmp_path / "model.ckpt")), path)


def test_data_with_frames_between_the_steps_are_refused(tmp_path):
    path = tmp_path / "other.h5"
    times = np.arange(3) * 0.015
    trajectories.write(path, name="o", fields={"density": np.ones((1, 3, 16))}, grid=GRID, times=times, provenance={})
    with pytest.raises(ValueError, match=r"expected a multiple of Δt = 0\.01"):
        evaluation.evaluate(prediction.load(save(tmp_path / "model.ckpt")), path)


def test_data_without_the_field_are_refused(tmp_path):
    path = tmp_path / "other.h5"
    times = np.arange(3) * 0.01
    trajectories.write(path, name="o", fields={"mass": np.ones((1, 3, 16))}, grid=GRID, times=times, provenance={})
    with pytest.raises(ValueError, match="field density is missing"):
        evaluation.evaluate(prediction.load(save(tmp_path / "model.ckpt")), path)


def test_linear_model_of_a_checkpoint_is_a_baseline_beside_the_networks(tmp_path):
    model = exact_model(tmp_path, rate=1.1)
    path = heat(tmp_path, generator="brownian", generator_parameters={"alpha": 2.0})
    assert evaluation.evaluate(model, path)["baselines"] == {}  # a checkpoint from before there was one
    rate = torch.arange(9, dtype=torch.float64) ** 2
    model.data["linear"] = [{"fields": [0], "real": torch.exp(-rate * model.dt).tolist(), "imag": [0.0] * 9}]
    told = evaluation.evaluate(model, path)["baselines"]["linear"]
    assert told["rollout_end"] < 1e-12
    assert told["square_wave_t1"] < 1e-12


def test_errors_over_the_linear_model_are_one_for_its_equal_and_more_for_a_wrong_rate(tmp_path):
    decay = torch.exp(-(torch.arange(9, dtype=torch.float64) ** 2) * 0.01)
    generator = torch.Generator().manual_seed(0)
    u = torch.randn(40, 1, 16, generator=generator, dtype=torch.float64)
    noise = 0.1 * torch.randn(40, 1, 16, generator=generator, dtype=torch.float64)
    later = torch.fft.irfft(decay**4 * torch.fft.rfft(u), n=16) + noise
    trajectory = torch.arange(40) // 10
    found = []
    for rate in (1.0, 1.5):
        model = exact_model(tmp_path, rate)
        model.data["linear"] = [{"fields": [0], "real": decay.tolist(), "imag": [0.0] * 9}]
        found.append(evaluation.over_linear(model, torch.stack([u, later]), torch.zeros(40, 0), 4, trajectory))
    same, wrong = found
    assert same["median"] == pytest.approx(1, abs=1e-9)
    assert wrong["median"] > 1 + 2 * wrong["standard_error"] > 1
