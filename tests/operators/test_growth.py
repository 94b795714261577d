"""Growth of small disturbances: by hand where it can be, and never above one where it must not be."""

import math

import pytest
import small
import torch
from torch import nn

from morlight.operators import (
    Cosine,
    Fourier,
    Monotone,
    Nonlinearity,
    Perceptrons,
    SpectralOperator,
    System,
    growth,
    radius,
    symbol_growth,
)


class Heat(nn.Module):
    """g(κ) = −rate κ²."""

    def __init__(self, rate, channels=1):
        super().__init__()
        self.rate, self.channels = rate, channels

    def forward(self, kappa, gamma):
        g = -self.rate * kappa.square().sum(0)
        return g.expand(1, 1, self.channels, *g.shape)


class Steep(nn.Module):
    """h(u) = slope · u."""

    def __init__(self, slope):
        super().__init__()
        self.slope = slope

    def forward(self, u, gamma):
        return self.slope * u


@pytest.mark.parametrize(("rate", "slope"), [(0.001, 2.0), (0.05, 1.0), (0.01, -3.0)])
def test_growth_of_a_straight_h_is_that_of_the_worst_mode(rate, slope):
    operator = SpectralOperator(Fourier(16, math.tau), Heat(rate), Steep(slope)).double()
    expected = max(abs(1 - rate * k * k * slope) for k in range(9))
    assert symbol_growth(operator, -1.0, 2.0).tolist() == pytest.approx([expected])
    state = torch.zeros(1, 1, 16, dtype=torch.float64)
    assert radius(operator, state).tolist() == pytest.approx([expected])


def test_growth_sees_the_steepest_slope_over_the_range():
    class Square(nn.Module):
        def forward(self, u, gamma):
            return u**2

    operator = SpectralOperator(Fourier(16, math.tau), Heat(0.01), Square()).double()
    for low, high in ((0.0, 1.0), (-3.0, 1.0)):
        expected = max(abs(1 - 0.01 * k * k * 2 * u) for k in range(9) for u in (low, high))
        assert symbol_growth(operator, low, high).tolist() == pytest.approx([expected])


def test_the_radius_is_that_of_the_worst_of_all_states():
    class Square(nn.Module):
        def forward(self, u, gamma):
            return u**2

    operator = SpectralOperator(Fourier(16, math.tau), Heat(0.01), Square()).double()
    states = torch.tensor([0.5, -3.0, 1.0], dtype=torch.float64).view(3, 1, 1).expand(3, 1, 16)
    expected = max(abs(1 - 0.01 * k * k * 2 * u) for k in range(9) for u in (0.5, -3.0, 1.0))
    assert radius(operator, states).tolist() == pytest.approx([expected])
    assert radius(operator, states[:1]).tolist() != pytest.approx([expected])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("points", [(32,), (12, 12)])
def test_monotone_h_and_a_dissipative_symbol_never_grow(make_operator, seed, points):
    operator = make_operator(points, seed=seed, symbol="dissipative", biases=["stability"])
    assert symbol_growth(operator, -10.0, 10.0).max() <= 1 + 1e-12


def test_without_stability_something_grows(make_operator):
    operator = make_operator((32,), symbol="dissipative", biases=[])
    with torch.no_grad():
        operator.h.network.weights[-1].mul_(20)
    downwards = symbol_growth(operator, -1.0, 1.0)
    with torch.no_grad():
        operator.h.network.weights[-1].mul_(-1)
    assert torch.maximum(downwards, symbol_growth(operator, -1.0, 1.0)).min() > 1.01


def monotone(even=False, seed=0):
    h = Monotone(Nonlinearity(Perceptrons(1, 1, seeds=(0, 1))), reach=2.0, even=even).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in h.parameters():
            parameter.uniform_(-2, 2, generator=generator)
    return h


@pytest.mark.parametrize("seed", range(3))
def test_slope_of_monotone_h_stays_between_0_and_1_within_its_reach_and_beyond(seed):
    u = torch.linspace(-5, 5, 2001, dtype=torch.float64).view(1, 1, 1, -1)
    h = monotone(seed=seed)(u)
    slope = h.diff(dim=-1) / (u[..., 1:] - u[..., :-1])
    assert slope.min() >= -1e-12
    assert slope.max() <= 1 + 1e-12
    assert slope.max() - slope.min() > 0.01  # it is no straight line


def test_slope_of_monotone_h_is_the_logistic_function_of_its_network():
    h = monotone()
    node = torch.tensor([0.5], dtype=torch.float64).view(1, 1, 1, 1)  # one of the 257 nodes
    step = 1e-6
    slope = (h(node + step) - h(node - step)) / (2 * step)
    assert torch.allclose(slope, torch.sigmoid(h.nonlinearity(node)), atol=1e-3)  # mean of two pieces


def test_even_slope_makes_monotone_h_odd_and_zero_at_zero():
    u = torch.linspace(-3, 3, 101, dtype=torch.float64).view(1, 1, 1, -1)
    h = monotone(even=True)
    assert (h(u) + h(-u)).abs().max() < 1e-13
    assert (monotone()(u) + monotone()(-u)).abs().max() > 1e-3
    assert monotone()(u[..., 50:51]).abs().max() < 1e-13


def pair():
    """∂ₜa = b, ∂ₜb = −4a for means, by two operators on cosines: I + L turns and grows by |1 + 2iΔt|."""

    class One(nn.Module):
        def forward(self, kappa, gamma):
            return torch.ones(1, 1, 1, *kappa.shape[1:], dtype=kappa.dtype)

    class Other(nn.Module):
        def __init__(self, place, factor):
            super().__init__()
            self.place, self.factor = place, factor

        def forward(self, u, gamma):
            return self.factor * u[:, :, self.place, None]

    parts = [
        SpectralOperator(Cosine(8, 1.0), One(), Other(1, 0.1), [1.0, 1.0], [1.0]),
        SpectralOperator(Cosine(8, 1.0), One(), Other(0, -0.4), [1.0, 1.0], [1.0]),
    ]
    return System(parts, [[0], [1]], 2).double()


def test_radius_of_a_system_is_that_of_its_matrix(monkeypatch):
    state = torch.randn(3, 2, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert radius(pair(), state).tolist() == pytest.approx([abs(1 + 0.2j)])
    monkeypatch.setattr(growth, "DENSE", 0)
    assert radius(pair(), state).tolist() == pytest.approx([abs(1 + 0.2j)], rel=5e-3)  # power iteration turns


def test_radius_with_one_row_of_parameters_is_that_with_a_row_for_each_state():
    operator = small.operator(small.description(parameters=["shear"], where=small.grid((12,))), size=1.0)
    states = torch.randn(3, 1, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gamma = torch.tensor([[0.7]], dtype=torch.float64)
    assert torch.equal(radius(operator, states, gamma), radius(operator, states, gamma.repeat(3, 1)))
    assert not torch.allclose(radius(operator, states, gamma), radius(operator, states, -gamma), rtol=1e-3)


def test_power_iteration_agrees_with_the_matrix(make_operator, monkeypatch):
    operator = make_operator((24,), symbol="dissipative", biases=["reflection"])
    state = torch.rand(2, 1, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    dense = radius(operator, state)
    monkeypatch.setattr(growth, "DENSE", 0)
    assert torch.allclose(radius(operator, state), dense, rtol=5e-3)  # 100 steps towards the largest
