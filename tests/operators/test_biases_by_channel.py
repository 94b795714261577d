"""Biases of some channels of several, of unequal sides and of different γ in one batch."""

import numpy as np
import pytest
import torch

from morlight.operators import (
    Bounded,
    Conservative,
    Cosine,
    Fourier,
    Isotropic,
    Monotone,
    Nonlinearity,
    Odd,
    Perceptrons,
    SpectralOperator,
    Symbol,
    shells,
)


def redrawn(module, seed=0, size=1.0):
    """In double precision, with every parameter drawn anew: fresh networks have no offsets."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double().requires_grad_(False)
    for parameter in module.parameters():
        parameter.uniform_(-size, size, generator=generator)
    return module


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def networks(inputs, outputs, copies=1):
    return Perceptrons(inputs, outputs, seeds=(0, 1), depth=3, copies=copies)


@pytest.mark.parametrize("terms", [1, 2])
@pytest.mark.parametrize("conserved", [0, 1])
def test_the_fields_that_conserve_are_those_that_were_told_to(terms, conserved):
    channels = [field == conserved for field in (0, 1) for _ in range(terms)]
    g = Conservative(Symbol(networks(1, 2, 2 * terms)), channels)
    operator = redrawn(SpectralOperator(Fourier(16, 1.0), g, Nonlinearity(networks(2, 1, 2 * terms)), [1.0, 1.0]))
    drift = operator(normal(1, 3, 2, 16)).mean(-1).abs()
    assert drift[:, :, conserved].max() < 1e-14
    assert drift[:, :, 1 - conserved].min() > 1e-4


@pytest.mark.parametrize(
    ("points", "length"), [((8, 6), (1.0, 1.37)), ((6, 10), (2.0, 0.9)), ((5, 4, 6), (1.0, 1.3, 0.71))]
)
@pytest.mark.parametrize("kind", [Fourier, Cosine])
def test_shells_of_unequal_sides_hold_modes_of_one_modulus_each(kind, points, length):
    kappa = kind(points, length).double().wavenumbers
    moduli, index = shells(kappa)
    modulus = kappa.square().sum(0).sqrt()
    assert torch.allclose(moduli[0][index], modulus, rtol=1e-5, atol=0)
    apart = np.unique(np.round(modulus.flatten().numpy(), 6))
    assert moduli.shape == (1, len(apart))


@pytest.mark.parametrize("points", [(8, 6), (6, 10)])
def test_isotropic_symbols_on_unequal_sides_are_functions_of_the_modulus(points):
    kappa = Fourier(points, (1.0, 1.37)).double().wavenumbers
    network = redrawn(Symbol(networks(1, 1), scale=30.0))
    modulus = kappa.square().sum(0).sqrt()
    expected = network(modulus[None])
    # |κ| is rounded to one part in a million of its square
    assert torch.allclose(Isotropic(network)(kappa), expected, rtol=0, atol=1e-5)


def test_an_odd_nonlinearity_is_odd_for_each_gamma_of_a_batch():
    h = redrawn(Odd(Nonlinearity(networks(2, 1))))
    gamma, u = torch.tensor([[0.1], [2.0], [-1.5]], dtype=torch.float64), normal(1, 3, 1, 10)
    near = torch.full((1, 3, 1, 1), 1e-9, dtype=torch.float64)
    together = h(u, gamma)
    for b in range(3):
        alone = h(u[:, b : b + 1], gamma[b : b + 1])
        assert torch.allclose(together[:, b : b + 1], alone, rtol=0, atol=1e-14)
    assert h(near, gamma).abs().max() < 1e-7  # it does not jump at u = 0 for any of them
    assert torch.equal(h(-u, gamma), -together)


@pytest.mark.parametrize("side", [-1, 1])
def test_a_monotone_nonlinearity_goes_on_beyond_its_reach_by_the_slope_that_it_has_there(side):
    h = redrawn(Monotone(Nonlinearity(networks(1, 1)), reach=2.0), size=2.0)
    step = 1e-4
    end = torch.tensor([2.0, 2.0 - step, 2.0 + step, 5.0, 6.0], dtype=torch.float64) * side
    at, before, after, far, farther = h(end.view(1, 1, 1, -1)).unbind(-1)
    inside, outside, beyond = (at - before) / step, (after - at) / step, farther - far
    assert torch.allclose(outside, inside, rtol=0, atol=1e-3)
    assert torch.allclose(outside, beyond, rtol=0, atol=1e-8)
    ends = torch.tensor([-2.0, 2.0], dtype=torch.float64).view(1, 1, 1, -1)
    low, high = torch.sigmoid(h.nonlinearity(ends)).unbind(-1)
    assert (low - high).abs().max() > 0.5  # the two ends differ


@pytest.mark.parametrize("odd", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("terms", [1, 2])
def test_fields_that_change_sign_do_so_alone(odd, terms):
    channels = [flip for flip in odd for _ in range(terms)]
    h = redrawn(Odd(Nonlinearity(networks(2, 1, 2 * terms)), fields=odd, channels=channels))
    u = normal(1, 3, 2, 10)
    sign = torch.tensor([-1.0 if flip else 1.0 for flip in odd], dtype=torch.float64).view(-1, 1)
    mirrored = sign.repeat_interleave(terms, 0) * h(u)
    assert torch.allclose(h(sign * u), mirrored, rtol=0, atol=1e-14)
    others = {(True, False), (False, True), (True, True)} - {odd}
    for other in others:
        wrong = torch.tensor([-1.0 if flip else 1.0 for flip in other], dtype=torch.float64).view(-1, 1)
        assert (h(wrong * u) - wrong.repeat_interleave(terms, 0) * h(u)).abs().max() > 1e-2


def test_each_field_is_bounded_by_its_own_range():
    h = redrawn(Bounded(Nonlinearity(networks(2, 1)), reach=[1.0, 40.0]))
    plain = h.nonlinearity
    u = torch.tensor([[0.9, 0.9], [-1.0, 0.3], [39.0, -40.0], [5.0, 7.0]], dtype=torch.float64)
    inside = torch.stack([u[0], u[2]])[None, None]
    assert torch.equal(h(inside), plain(inside))
    small, large = torch.tensor([50.0, 0.5]), torch.tensor([900.0, 0.5])
    first = h(torch.stack([small, large], -1).double()[None, None])  # 49 reaches beyond, and 899
    assert torch.allclose(first[..., 0], first[..., 1], rtol=0, atol=1e-12)
    limit = plain(torch.tensor([2.0, 0.5], dtype=torch.float64).view(1, 1, 2, 1))
    assert torch.allclose(first[..., :1], limit, rtol=0, atol=1e-12)
