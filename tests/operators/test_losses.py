import math

import numpy as np
import pytest
import torch

from morlight.operators import Fourier, NoiseWeighted, generator, losses, mean_square, relative_error, slopes
from morlight.operators.losses import linear_fit, residual_variance

BASIS = Fourier(16, 2 * math.pi).double()


def noisy_modes(factor, count=4000, modes=9, seed=0):
    """û_{j+1} = λ û_j + noise of variance 1 − |λ|², the law of independent walkers."""
    rng = np.random.default_rng(seed)
    shape = (count, 1, modes)
    first = (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / math.sqrt(2)
    noise = (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / math.sqrt(2)
    second = factor * first + np.sqrt(1 - np.abs(factor) ** 2) * noise
    return torch.from_numpy(first), torch.from_numpy(second)


def test_linear_fit_finds_the_factor_of_each_mode():
    factor = np.exp(-0.05 * np.arange(9) ** 2)
    error = linear_fit(BASIS, *map(BASIS.inverse, noisy_modes(factor)))[0].numpy() - factor
    assert np.all(np.abs(error) <= 5 * np.sqrt((1 - factor**2) / 4000) + 1e-12)  # 5 σ/√n


def test_residual_variance_is_that_of_the_noise():
    factor = np.exp(-0.05 * np.arange(1, 10) ** 2)
    first, second = map(BASIS.inverse, noisy_modes(factor))
    known = torch.from_numpy(factor).to(torch.complex128)[None]
    variance = residual_variance(BASIS, known, first, second, 1)[0].numpy()
    real = np.array([0.5, *[1] * 7, 0.5])  # the mean and the Nyquist mode of a real field are real
    assert variance == pytest.approx(real * (1 - factor**2), rel=5 * math.sqrt(2 / 4000))


def test_windows_that_are_transformed_in_parts_give_the_same(monkeypatch):
    factor = np.exp(-0.05 * np.arange(1, 10) ** 2)
    u, v = map(BASIS.inverse, noisy_modes(factor))
    whole = linear_fit(BASIS, u, v), residual_variance(BASIS, linear_fit(BASIS, u, v), u, v, 2)
    monkeypatch.setattr(losses, "BLOCK", 1000 * 16)
    parts = linear_fit(BASIS, u, v), residual_variance(BASIS, whole[0], u, v, 2)
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=0)  # the order of 4000 summands


def test_noise_weighted_loss_of_the_true_operator_is_one():
    basis = BASIS
    factor = torch.from_numpy(np.exp(-0.05 * np.arange(1, 10) ** 2))
    first, second = noisy_modes(factor.numpy())
    target, prediction = (basis.inverse(c) for c in (second, factor * first))
    variance = residual_variance(basis, factor.to(first.dtype)[None], basis.inverse(first), target, 1)
    interior = NoiseWeighted(basis, variance)
    c = basis.forward((prediction - target)[None])[..., 1:-1].abs().square() * interior.weight[..., 1:-1]
    assert c.mean().item() == pytest.approx(1, rel=1e-12)


def test_mean_square_is_taken_for_each_realization():
    prediction = torch.tensor([[0.0, 1.0], [3.0, 3.0]]).view(2, 1, 1, 2)
    assert mean_square(prediction, torch.zeros(1, 1, 1, 2)).tolist() == [0.5, 9.0]


def test_relative_error_of_twice_the_truth_is_one():
    truth = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(relative_error(2 * truth, truth), torch.ones(3))


def test_generator_inverts_the_exact_increment_and_is_undefined_where_the_state_changes_sign():
    rate = torch.tensor([0.5, 40.0, 900.0], dtype=torch.float64)
    increment = torch.expm1(-rate * 1e-3).to(torch.complex128).view(1, 1, 1, -1)
    assert torch.allclose(generator(increment, 1e-3).real.flatten(), -rate, rtol=1e-12)
    assert generator(torch.full((1, 1, 1, 1), -1.5 + 0j), 1e-3).real.isnan().all()


def test_slopes_scale_with_h_and_leave_the_operator_alone(make_operator):
    operator = make_operator(biases=["reflection"])
    values = torch.linspace(-2, 2, 101, dtype=torch.float64)
    before = slopes(operator, values)
    with torch.no_grad():
        operator.h.nonlinearity.network.weights[-1].mul_(3)
        operator.h.nonlinearity.network.offsets[-1].mul_(3)
    assert torch.allclose(slopes(operator, values), 3 * before)


def test_a_field_of_small_noise_keeps_its_own_floor_beside_one_of_large_noise():
    variance = torch.tensor([[1e-9, 1e-12, 1e-20], [1.0, 2.0, 1e-9]], dtype=torch.float64)
    weight = 1 / NoiseWeighted(Fourier(4, 1.0).double(), variance).weight
    expected = torch.tensor([[1e-9, 1e-12, 1e-13], [1.0, 2.0, 2e-4]], dtype=torch.float64)  # 1e-4 of the largest
    assert torch.allclose(weight, expected, rtol=1e-12, atol=0)
