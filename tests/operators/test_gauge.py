"""Gauge fixing on operators whose g and h are known in closed form."""

import math

import pytest
import torch
from torch import nn

from morlight.operators import Fourier, SpectralOperator, fix, generator, nearest_power, slopes
from morlight.operators.lstsq import lstsq

A, B, C = 0.7, -0.4, 1.9


class Polynomial(nn.Module):
    """h(u) = Σ a_n uⁿ of two realizations, the second one three times as steep."""

    def __init__(self, *coefficients):
        super().__init__()
        self.coefficients = coefficients

    def forward(self, u, gamma):
        h = sum(a * u**n for n, a in enumerate(self.coefficients)).expand(2, *u.shape[1:])
        return h * torch.tensor([1.0, 3.0], dtype=u.dtype).view(2, *[1] * (u.ndim - 1))


class Given(nn.Module):
    """g(κ) = 2 + κ + iκ²."""

    def forward(self, kappa, gamma):
        return torch.complex(2 + kappa[0], kappa[0] ** 2).view(1, 1, 1, -1).expand(2, -1, -1, -1)


def operator(*coefficients):
    return SpectralOperator(Fourier(16, math.tau), Given(), Polynomial(*coefficients)).double()


def values(low=-2.0, high=3.0):
    return torch.linspace(low, high, 51, dtype=torch.float64)


@pytest.mark.parametrize("literal", [False, True])
def test_quadratic_h_is_scaled_to_u_squared_and_its_straight_part_is_told(literal):
    gauged = fix(operator(C, B, A), values(), power=2, literal=literal)
    assert torch.allclose(gauged.factor, torch.tensor([A, 3 * A], dtype=torch.float64), rtol=1e-12)
    u = values()
    assert (gauged.nonlinearity - (u**2 + B / A * u)).abs().max() < 1e-12
    if not literal:  # one derivative does not tell
        assert torch.allclose(gauged.linear, torch.full((2,), B / A, dtype=torch.float64), rtol=1e-12)
    kappa = torch.arange(9, dtype=torch.float64)
    factor = torch.tensor([[A], [3 * A]], dtype=torch.float64)
    assert (gauged.symbol - factor * torch.complex(2 + kappa, kappa**2)).abs().max() < 1e-12 * 100


def test_the_gauge_and_its_constant_are_the_same_operator():
    whole = operator(C, B, A)
    u = torch.randn(1, 3, 1, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gauged = fix(whole, u.flatten(), power=2)
    h = gauged.nonlinearity.view(2, 3, 1, 16)
    rebuilt = whole.basis.inverse(gauged.symbol[:, None, None] * whole.basis.forward(h))
    assert (rebuilt + gauged.constant.view(2, 1, 1, 1) - whole(u)).abs().max() < 1e-12 * 1000
    assert torch.allclose(gauged.constant, torch.tensor([2 * C, 6 * C], dtype=torch.float64))


def test_straight_h_has_slope_one_afterwards():
    gauged = fix(operator(C, B), values())
    assert (gauged.nonlinearity - values()).abs().max() < 1e-12
    assert torch.equal(gauged.linear, torch.zeros(2, dtype=torch.float64))


def test_least_squares_do_not_hang_on_one_point_as_the_literal_scale_does():
    class Kinked(Polynomial):
        def forward(self, u, gamma):
            return torch.where(u.abs() < 0.01, 5 * u**2, u**2 + 4e-4).expand(2, *u.shape[1:])

    kinked = SpectralOperator(Fourier(16, math.tau), Given(), Kinked()).double()
    assert fix(kinked, values(), power=2).factor[0] == pytest.approx(1, abs=1e-3)
    assert fix(kinked, values(), power=2, literal=True).factor[0] == pytest.approx(5)


@pytest.mark.parametrize("power", [1, 2, 3])
def test_nearest_power_is_that_of_h(power):
    coefficients = [0.3, 0.0, 0.0, 0.0]
    coefficients[power] = -1.2
    assert nearest_power(operator(*coefficients), values(-2.0, 2.5)) == power


def test_slope_is_that_of_the_straight_line_through_h():
    assert torch.allclose(slopes(operator(C, B), values()), torch.tensor([[B], [3 * B]], dtype=torch.float64))
    u = values()
    expected = lstsq(torch.stack([u, torch.ones_like(u)], 1), (A * u**2)[:, None])[0, 0]
    assert slopes(operator(0.0, 0.0, A), u)[0, 0] == pytest.approx(float(expected))


def test_generator_of_the_exact_increment_is_that_of_the_equation():
    kappa, dt = torch.arange(20, dtype=torch.float64), 0.01
    drift_and_diffusion = -(kappa**2) - 3j * kappa
    found = generator(torch.exp(drift_and_diffusion * dt) - 1, dt)
    assert (found - drift_and_diffusion).abs().max() < 1e-9  # rounding of e^(−3.6) over Δt


def test_a_state_that_changes_its_sign_each_step_has_no_generator():
    found = generator(torch.tensor([-1.5, -1.0, -0.5], dtype=torch.float64), 0.1)
    assert found.isnan().tolist() == [True, True, False]
