"""Candidate terms act as the derivatives and monomials that they are named after."""

import math

import pytest
import torch

from morlight.operators.bases import Cosine, Fourier, Sine
from morlight.operators.library import (
    Candidate,
    Fractional,
    Laplacian,
    Partial,
    derivatives,
    library,
    monomial,
    monomials,
    symbol,
)  # fmt: skip


@pytest.mark.parametrize("p", [0, 1, 2, 3, 4])
def test_partial_differentiates_a_wave_along_its_axis(p):
    basis = Fourier((12, 16), (math.tau, 2 * math.tau)).double()
    x, y = basis.coordinates
    u = torch.sin(2 * x) * torch.cos(y)
    exact = 2**p * torch.sin(2 * x + p * math.pi / 2) * torch.cos(y)
    found = basis.inverse(symbol(Partial((p, 0)), basis) * basis.forward(u))
    assert torch.allclose(found, exact, atol=1e-12)


def test_powers_of_the_laplacian_have_the_wave_as_eigenfunction():
    basis = Cosine((8, 8), 1.0).double()
    x, y = basis.coordinates
    u = torch.cos(math.pi * x) * torch.cos(2 * math.pi * y)
    for derivative, factor in ((Laplacian(2), 25 * math.pi**4), (Fractional(1.0), -math.sqrt(5) * math.pi)):
        assert torch.allclose(basis.inverse(symbol(derivative, basis) * basis.forward(u)), factor * u, atol=1e-9)


def test_odd_derivatives_are_refused_between_walls():
    with pytest.raises(ValueError, match="even orders"):
        symbol(Partial((1,)), Cosine(8, 1.0).double())


def test_library_keeps_to_the_basis():
    assert all(candidate.derivative.order % 2 == 0 for candidate in library(Cosine(8, 1.0), 1))
    sines = library(Sine(8, 1.0), 2)
    assert all(sum(candidate.exponents) % 2 for candidate in sines)
    assert Candidate(Partial((0,)), (0,)) in library(Fourier(8, 1.0), 1)


@pytest.mark.parametrize(("fields", "degree", "count"), [(1, 3, 3), (2, 3, 9), (3, 2, 9)])
def test_monomials_of_a_degree_are_counted_by_the_binomial(fields, degree, count):
    assert len(monomials(fields, degree)) == count == math.comb(fields + degree, degree) - 1


def test_monomial_multiplies_the_fields():
    u = torch.tensor([[2.0, 3.0], [5.0, 7.0]])
    assert monomial((2, 1), u, 1).tolist() == [20.0, 63.0]


def test_derivatives_of_a_plane_are_isotropic_beyond_the_first():
    assert derivatives(Fourier((4, 4), 1.0), 4) == [
        Partial((0, 0)), Partial((1, 0)), Partial((0, 1)), Laplacian(1), Laplacian(2),
    ]  # fmt: skip
