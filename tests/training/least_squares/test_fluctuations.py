"""The size of the fluctuations of independent particles, as an error with normal equations."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from morlight.operators import Cosine, Fourier
from morlight.training.least_squares.fluctuations import Fluctuations
from morlight.training.least_squares.gatherer import Gatherer
from morlight.training.least_squares.pair_moments import PairMoments

BASES = [Fourier(16, math.tau), Cosine(12, 2.0), Fourier((8, 6), (math.tau, 3.0))]


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def moments(basis):
    """Of random pairs, with random aliases and fluctuations."""
    u, f = drawn(7, *basis.points, seed=1).clamp(-2, 3), drawn(7, *basis.points, seed=2)
    gatherer = Gatherer(basis, -2.0, 3.0, 9)
    gatherer.add(u, f[None])
    modes = basis.energy.numel()
    some = np.abs(drawn(4, modes, seed=3).numpy()) + 0.1
    C = drawn(modes, seed=4) if basis.real else torch.complex(drawn(modes, seed=4), drawn(modes, seed=5))
    pairs = gatherer.pair_moments(0, 1)
    found = gatherer.moments(aliases=[(torch.from_numpy(some[0]), C)])[0]
    return dataclasses.replace(found, fluctuations=Fluctuations.of(pairs, some[1], some[2], basis, found.size)), pairs


@pytest.mark.parametrize("basis", BASES, ids=str)
def test_the_gradient_is_that_of_the_error_with_aliases_and_fluctuations(basis):
    basis = basis.double()
    all_moments, _ = moments(basis)
    shape = (3, basis.energy.numel())
    parts = drawn(*shape, seed=6) if basis.real else torch.complex(drawn(*shape, seed=6), drawn(*shape, seed=7))
    powers = torch.stack([all_moments.values**n for n in range(3)])

    def symbol(theta):
        return (theta[3:].to(parts.dtype) @ parts)[None]

    def error(theta):
        return all_moments.error(symbol(theta), (theta[:3] @ powers)[None])[0]

    theta = drawn(6, seed=8)
    by_difference = torch.autograd.functional.jacobian(error, theta)
    _, gradient = all_moments.normal_equations(symbol(theta), (theta[:3] @ powers)[None], parts[None], powers[None])
    assert torch.allclose(2 * gradient[0], by_difference, rtol=1e-8)


def test_the_error_is_least_at_the_decay_that_leaves_the_variance_of_independent_steps():
    basis = BASES[0].double()
    modes = basis.energy.numel()
    decay, own, signal = (
        torch.linspace(0.5, 0.95, modes, dtype=torch.float64),
        np.full(modes, 2.0),
        np.full(modes, 30.0),
    )
    squared = decay.numpy() ** 2
    pairs = PairMoments(own + signal, (own + signal) * decay.numpy(), own + signal * squared, 100.0, 1)
    fluctuations = Fluctuations.of(pairs, own, own * (1 - squared), basis, 1.0)
    assert fluctuations.error(decay[None]) == pytest.approx(0, abs=1e-20)
    for step in (-0.01, 0.01):
        assert (fluctuations.error(decay[None] + step) > 1e-3).all()
