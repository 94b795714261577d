import math

import numpy as np
import pytest
import torch
from numpy.polynomial import legendre as numpy_legendre

from morlight.operators import Cosine, Fourier
from morlight.operators.legendre import Legendre

degrees = pytest.mark.parametrize("N", [2, 5, 8, 33])


def polynomial(space, seed=0):
    """A polynomial of the highest degree that N points hold, with coefficients of order one."""
    c = np.random.default_rng(seed).normal(size=space.points[0])
    return numpy_legendre.Legendre(c, domain=[0, space.length[0]])


def values(p, space):
    return torch.from_numpy(p(space.coordinates[0].numpy()))


@degrees
def test_coordinates_are_the_nodes_of_gauss(N):
    space = Legendre(N, 1.7).double()
    nodes = (numpy_legendre.leggauss(N)[0] + 1) * 1.7 / 2
    assert np.abs(space.coordinates[0].numpy() - nodes).max() < 1e-14  # of an eigenvalue problem of norm one


@degrees
def test_projection_finds_the_coefficients_of_a_polynomial(N):
    space = Legendre(N, 1.7).double()
    p = polynomial(space)
    assert np.abs(space.forward(values(p, space)).numpy() - p.coef).max() < 1e-12


@degrees
def test_inverse_undoes_forward_and_forward_inverse(N):
    space = Legendre(N, 1.7).double()
    u = torch.randn(3, 2, N, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert (space.inverse(space.forward(u)) - u).abs().max() < 1e-12
    assert (space.forward(space.inverse(u)) - u).abs().max() < 1e-12


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("N", [4, 5, 8, 12])
def test_the_differentiation_matrix_is_exact_on_polynomials(N, order):
    space = Legendre(N, 1.7).double()
    p = polynomial(space)
    S = torch.linalg.matrix_power(space.differentiation, order)
    exact = values(p.deriv(order), space)
    derivative = space.inverse(space.forward(values(p, space)) @ S.mT)
    assert (derivative - exact).abs().max() < 1e-12 * (1 + S.abs().sum(1).max())  # rounding of c times |S|


def test_derivatives_of_a_smooth_function_converge_faster_than_any_power():
    errors = []
    for N in (6, 12, 24):
        space = Legendre(N, 1.0).double()
        x = space.coordinates[0]
        slope = space.inverse(space.forward(torch.sin(5 * x)) @ space.differentiation.mT)
        errors.append((slope - 5 * torch.cos(5 * x)).abs().max().item())
    assert errors[1] < 1e-4 * errors[0]
    assert errors[2] < 1e-11  # rounding times N²/L


def test_projection_is_orthogonal_in_l2():
    """The rest u − Πu of a polynomial of degree 2N − 2 − n is orthogonal to P_n, integrals taken by numpy."""
    N = 6
    space = Legendre(N, 2.0).double()
    p = numpy_legendre.Legendre(np.random.default_rng(1).normal(size=N + 1), domain=[0, 2])  # of degree N
    c = space.forward(values(p, space)).numpy()
    rest = p - numpy_legendre.Legendre(c, domain=[0, 2])
    for n in range(N - 1):
        integral = (rest * numpy_legendre.Legendre.basis(n, domain=[0, 2])).integ()
        assert abs(integral(2) - integral(0)) < 1e-13


def test_the_first_coefficient_is_the_mean():
    space = Legendre(7, 1.7).double()
    p = polynomial(space)
    mean = (p.integ()(1.7) - p.integ()(0)) / 1.7
    assert space.forward(values(p, space))[0].item() == pytest.approx(mean, abs=1e-14)


@degrees
def test_minus_kappa_squared_is_diffusion_that_vanishes_at_the_walls(N):
    L = 1.7
    space = Legendre(N, L).double()
    p = polynomial(space)
    xi = numpy_legendre.Legendre([0, 1], domain=[0, L])
    exact = values(((1 - xi**2) * p.deriv()).deriv(), space)
    kappa = space.wavenumbers[0]
    result = space.inverse(-(kappa**2) * space.forward(values(p, space)))
    assert (result - exact).abs().max() < 1e-12 * (1 + kappa[-1] ** 2)  # rounding of c times κ²


def test_a_symbol_that_vanishes_at_zero_conserves_the_integral():
    space = Legendre(9, 1.7).double()
    p = polynomial(space)
    c = torch.exp(-0.01 * space.wavenumbers[0].square()) * space.forward(values(p, space))
    end = numpy_legendre.Legendre(c.numpy(), domain=[0, 1.7])
    assert end.integ()(1.7) - end.integ()(0) == pytest.approx(p.integ()(1.7) - p.integ()(0), abs=1e-13)
    assert np.abs(end.coef - p.coef).max() > 0.1


@pytest.mark.parametrize("other", [Fourier, Cosine])
def test_it_multiplies_with_the_other_bases(other):
    space = (Legendre(5, 1.7) * other(8, 0.6)).double()
    x, y = space.coordinates
    kappa = 2 * math.pi / 0.6
    u = x**3 * torch.cos(kappa * y)
    c = space.forward(u)
    assert (space.inverse(c) - u).abs().max() < 1e-13
    S = Legendre(5, 1.7).double().differentiation
    slope = space.inverse(torch.einsum("mn,nk->mk", S.to(c.dtype), c))
    assert (slope - 3 * x**2 * torch.cos(kappa * y)).abs().max() < 1e-12


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-13)])  # N units of rounding
def test_both_precisions_and_back(dtype, tolerance):
    space = Legendre(20, 1.7).to(dtype)
    u = torch.randn(3, 20, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert space.forward(u).dtype == dtype
    assert (space.inverse(space.forward(u)) - u).abs().max() < tolerance
    assert torch.equal(space.double().differentiation, Legendre(20, 1.7).double().differentiation)


def test_gradients_are_exact():
    space = Legendre(5, 1.7).double()
    u = torch.randn(2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda u: space.inverse(space.forward(u).sin()), u)


def test_nonsense_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="points 1: at least 2"):
        Legendre(1, 1.0)
    with pytest.raises(ValueError, match="length -1: a positive"):
        Legendre(3, -1)
