"""Parseval: the energy of a field is that of its coefficients, in every basis."""

import math

import pytest
import torch

from morlight.operators import Cosine, Fourier, Legendre, Sine, TensorProduct

BASES = [
    Fourier(16, math.tau), Fourier(15, 2.0), Fourier((8, 6), (1.0, 3.0)), Fourier((5, 7), 1.0),
    Fourier((4, 6, 5), (1.0, 2.0, 3.0)), Cosine(12, 2.0), Cosine((6, 5), (1.0, 2.0)), Sine(12, 2.0), Sine((5, 6), 1.5),
    TensorProduct(Cosine(6, 1.0), Fourier(8, 2.0)), TensorProduct(Fourier(7, 1.0), Sine(5, 2.0)),
    TensorProduct(Fourier(6, 1.0), Cosine(4, 1.0), Fourier(5, 3.0)),
]  # fmt: skip


@pytest.mark.parametrize("basis", BASES, ids=str)
def test_energy_of_the_coefficients_is_the_integral_of_the_square(basis):
    basis = basis.double()
    u = torch.randn(3, *basis.points, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    cell = math.prod(basis.length) / math.prod(basis.points)
    integral = u.square().flatten(1).sum(1) * cell  # by midpoints, exact for such series
    found = (basis.energy * basis.forward(u).abs().square()).flatten(1).sum(1)
    assert torch.allclose(found, integral, rtol=1e-13)


def test_energy_in_legendre_polynomials_is_that_of_gauss_quadrature():
    basis = Legendre(9, 3.0).double()
    u = torch.randn(9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    c = basis.forward(u)
    x = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000 * 2 - 1
    P = [torch.ones_like(x), x]
    for n in range(1, 8):
        P.append(((2 * n + 1) * x * P[n] - n * P[n - 1]) / (n + 1))
    series = sum(a * p for a, p in zip(c, P, strict=True))
    assert float((basis.energy * c.square()).sum()) == pytest.approx(float(series.square().mean() * 3.0), rel=1e-8)


@pytest.mark.parametrize("basis", [*BASES, Legendre(9, 3.0)], ids=str)
def test_coefficients_have_as_many_freedoms_as_there_are_points(basis):
    assert float(basis.freedom.sum()) == math.prod(basis.points)


@pytest.mark.parametrize("basis", BASES, ids=str)
def test_white_noise_has_as_much_energy_in_each_freedom(basis):
    basis = basis.double()
    u = torch.randn(20_000, *basis.points, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mean = (basis.energy * basis.forward(u).abs().square()).mean(0) / basis.freedom
    expected = math.prod(basis.length) / math.prod(basis.points)
    assert ((mean / expected - 1).abs() < 6 / math.sqrt(10_000)).all()  # six sd of a mean of χ²
