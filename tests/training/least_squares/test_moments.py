"""The error from moments is the error from the data, for any symbol and any nonlinearity within the splines."""

import math

import pytest
import torch

from morlight.operators import Cosine, Fourier, Sine
from morlight.operators.biases import shells
from morlight.operators.lstsq import lstsq
from morlight.training.least_squares.gatherer import Gatherer, splines

BASES = [Fourier(16, math.tau), Fourier(15, 1.0), Cosine(12, 2.0), Sine(12, 2.0), Fourier((8, 6), (math.tau, 3.0))]
LOW, HIGH = -2.0, 3.0


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pairs(basis, count=7):
    share = torch.rand(count, *basis.points, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return LOW + (HIGH - LOW) * share, drawn(count, *basis.points, seed=2)


def gathered(basis, u, f, parts=1):
    gatherer = Gatherer(basis, LOW, HIGH, 9)
    for some_u, some_f in zip(u.chunk(parts), f.chunk(parts), strict=True):
        gatherer.add(some_u, some_f[None])
    return gatherer


def symbols(basis, R=3, seed=3):
    """Of real operators: g(−κ) = g(κ)*, also on the line where Π keeps both."""
    return drawn(R, *basis.energy.shape, seed=seed) if basis.real else basis.forward(drawn(R, *basis.points, seed=seed))


def cubic(a, u):
    """Σ a_n uⁿ of every realization, which cubic splines hold exactly."""
    powers = torch.stack([u**n for n in range(4)])
    return torch.einsum("rn,n...->r...", a, powers)


def direct(basis, g, h, f):
    """Residuals f − Π⁻¹ g Π h, (R, pairs, *X)."""
    return f - basis.inverse(g[:, None] * basis.forward(h))


def test_splines_are_a_partition_of_unity_and_nowhere_negative():
    phi = splines(torch.linspace(LOW, HIGH, 101, dtype=torch.float64)[None], LOW, HIGH, 9)
    assert (phi.sum(1) - 1).abs().max() < 1e-14
    assert phi.min() >= 0
    assert (phi > 0).sum(1).max() == 4


def test_splines_hold_every_cubic():
    u = torch.linspace(LOW, HIGH, 101, dtype=torch.float64)
    phi = splines(u[None], LOW, HIGH, 9)[0].T
    for n in range(4):
        fit = lstsq(phi, (u**n)[:, None])
        assert ((phi @ fit)[:, 0] - u**n).abs().max() < 1e-11  # of 27


@pytest.mark.parametrize("basis", BASES, ids=str)
def test_error_of_moments_is_that_of_the_pairs(basis):
    basis = basis.double()
    u, f = pairs(basis)
    g, a = symbols(basis), drawn(3, 4, seed=5)
    moments = gathered(basis, u, f).moments()[0]
    expected = direct(basis, g, cubic(a, u), f).square().flatten(1).sum(1) / f.square().sum()
    found = moments.error(g.flatten(1), cubic(a, moments.values))
    # what is left over by the projection on splines, whose rare values weigh 1e-6, is counted on top
    assert torch.allclose(found, expected, rtol=1e-8, atol=0)


def test_weights_of_modes_are_those_of_the_error():
    basis = BASES[0].double()
    u, f = pairs(basis)
    g, a = symbols(basis), drawn(3, 4, seed=5)
    weight = torch.rand(basis.energy.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(9)) + 0.1
    moments = gathered(basis, u, f).moments(weight[None])[0]
    energy = weight * basis.energy
    residual = (basis.forward(direct(basis, g, cubic(a, u), f)).abs().square() * energy).flatten(1).sum(1)
    expected = residual / (basis.forward(f).abs().square() * energy).sum()
    assert torch.allclose(moments.error(g.flatten(1), cubic(a, moments.values)), expected, rtol=1e-8, atol=0)


@pytest.mark.parametrize("basis", BASES, ids=str)
def test_normal_equations_are_those_of_the_residuals_and_their_mirror_images(basis):
    basis = basis.double()
    u, f = pairs(basis)
    moments = gathered(basis, u, f).moments()[0]
    a, g0 = drawn(1, 4, seed=5), symbols(basis, 1)
    parts = symbols(basis, 3, seed=6)

    mirrored = list(range(1, u.ndim))

    def residual(theta, u=u, f=f):
        """Of h = Σ θ_n uⁿ and g = g₀ + Σ θ_m p_m, as shares of the energy of the targets."""
        g = g0 + torch.einsum("m,m...->...", theta[4:].to(parts.dtype), parts)
        return direct(basis, g, cubic(a + theta[None, :4], u), f).flatten() / f.square().sum().sqrt()

    theta = torch.zeros(7, dtype=torch.float64)
    J, r = torch.autograd.functional.jacobian(residual, theta), residual(theta)
    mirror = torch.autograd.functional.jacobian(lambda t: residual(t, u.flip(mirrored)), theta)
    powers = torch.stack([moments.values**n for n in range(4)])[None]
    matrix, gradient = moments.normal_equations(g0.flatten(1), cubic(a, moments.values), parts.flatten(1)[None], powers)
    scale = (J.square().sum(0).sqrt()[:, None] * J.square().sum(0).sqrt()).clamp_min(1e-300)
    assert ((matrix[0] - (J.T @ J + mirror.T @ mirror) / 2) / scale).abs().max() < 1e-8
    assert ((gradient[0] - J.T @ r) / (J.square().sum(0) * r.square().sum()).sqrt()).abs().max() < 1e-8


def test_shells_fold_into_one_mode_each():
    basis = Fourier((8, 8), math.tau).double()
    u, f = pairs(basis)
    moments = gathered(basis, u, f).moments()[0]
    moduli, index = shells(basis.wavenumbers)
    g, h = drawn(2, moduli.shape[1], seed=8), cubic(drawn(2, 4, seed=5), moments.values)
    whole = moments.error(g[:, index.flatten()], h)
    assert torch.allclose(moments.folded().error(g, h), whole, rtol=1e-12, atol=0)
    assert moments.folded().wavenumbers.shape[1] == moduli.shape[1] < index.numel()


def test_batches_and_processes_add_up():
    basis = BASES[0].double()
    u, f = pairs(basis)
    whole, batched = gathered(basis, u, f), gathered(basis, u, f, parts=3)
    for one, other in zip(whole.sums(), batched.sums(), strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-12)


def test_what_splines_cannot_see_counts_as_an_error():
    basis = BASES[0].double()
    u, f = pairs(basis, 200)
    moments = gathered(basis, u, f).moments()[0]
    wiggle = torch.cos(moments.values * 40)[None]  # between the nodes, 0.8 apart
    truth = torch.cos(u * 40)[None]
    g = torch.ones(1, basis.energy.numel(), dtype=torch.complex128)
    expected = (f - truth).square().sum() / f.square().sum()
    assert moments.error(g, wiggle) == pytest.approx(float(expected), rel=0.05)  # 3200 values of white noise


def test_several_targets_share_one_error():
    basis = BASES[2].double()
    u, f = pairs(basis)
    gatherer = Gatherer(basis, LOW, HIGH, 9, 2)
    gatherer.add(u, torch.stack([f, -3 * f]))
    g, a = symbols(basis), drawn(3, 4, seed=5)
    both = gatherer.moments()
    found = sum(each.error(g.flatten(1), cubic(a, each.values)) for each in both)
    lu = f - direct(basis, g, cubic(a, u), f)
    expected = ((f - lu).square() + (-3 * f - lu).square()).flatten(1).sum(1) / (10 * f.square().sum())
    assert torch.allclose(found, expected, rtol=1e-8, atol=0)


def test_the_slope_is_that_of_the_straight_line_through_the_data():
    basis = BASES[0].double()
    u, f = pairs(basis, 2000)
    moments, a = gathered(basis, u, f).moments()[0], drawn(3, 4, seed=5)
    x, y = u.flatten() - u.mean(), cubic(a, u).flatten(1)
    assert torch.allclose(cubic(a, moments.values) @ moments.slope, (y @ x) / (x @ x), rtol=1e-3)  # 512 values
