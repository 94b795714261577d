"""Noise is estimated from the fields, and products of noisy fields are unbiased."""

import math

import pytest
import torch

from morlight.operators.bases import Cosine, Fourier
from morlight.training.least_squares.band import resampled, signal_band
from morlight.training.least_squares.noise import noise_variance, unbiased_monomial


def waves(basis, frames=60):
    t = torch.linspace(0, 3, frames, dtype=torch.float64).view(-1, 1)
    x = basis.coordinates[0]
    return (torch.cos(math.tau * x) * torch.cos(t) + 0.5 * torch.cos(2 * math.tau * x + 0 * t))[None, :, None]


@pytest.mark.parametrize("sigma", [0.01, 0.2])
@pytest.mark.parametrize("kind", [Fourier, Cosine])
def test_noise_variance_is_that_of_the_noise_added(kind, sigma):
    basis = kind(128, 1.0).double()
    u = waves(basis)
    noise = torch.randn(u.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (variance,) = noise_variance(basis, u + sigma * noise)
    # of 60 · 32 numbers, of which the differences leave a third: 3σ of √(2·3/1920)
    assert variance == pytest.approx(sigma**2, rel=0.17)


def test_clean_fields_have_no_noise():
    basis = Fourier(128, 1.0).double()
    assert noise_variance(basis, waves(basis))[0] < 1e-20


def test_unbiased_products_have_the_mean_of_the_products():
    draws, sigma = 400_000, (0.5, 0.3)
    noise = torch.randn(draws, 2, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    u = torch.tensor([[0.7], [-1.2]], dtype=torch.float64)
    v = u + noise * torch.tensor(sigma, dtype=torch.float64).view(2, 1)
    for exponents in ((1, 0), (2, 0), (3, 0), (2, 2), (1, 3)):
        values = unbiased_monomial(exponents, v, [s**2 for s in sigma], 1)
        exact = 0.7 ** exponents[0] * (-1.2) ** exponents[1]
        assert abs(float(values.mean()) - exact) < 4 * float(values.std()) / math.sqrt(draws)


@pytest.mark.parametrize("kind", [Fourier, Cosine])
def test_fields_on_fewer_points_are_the_same_waves(kind):
    basis = kind(240, 1.0).double()
    u = waves(basis)
    share = signal_band(basis, u, [0.0])
    coarse, v = resampled(basis, u, share)
    assert coarse.points[0] < 60
    x = coarse.coordinates[0]
    shift = 0.0 if kind is Cosine else float(basis.coordinates[0][0] - x[0])  # Fourier counts from the first point
    exact = torch.cos(math.tau * (x + shift)) + 0.5 * torch.cos(2 * math.tau * (x + shift))
    assert torch.allclose(v[0, 0, 0], exact, atol=1e-12)
