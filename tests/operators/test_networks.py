import math

import pytest
import torch

from morlight.operators import (
    Conservative,
    DissipativeSymbol,
    Fourier,
    Nonlinearity,
    Perceptrons,
    SpectralOperator,
)
from morlight.operators.kernels.table import tabulate


def test_realizations_side_by_side_are_the_single_networks():
    x = torch.linspace(-2, 2, 50)[None, None]
    together = Perceptrons(1, 2, seeds=(3, 4, 5))(x)
    for r, seed in enumerate((3, 4, 5)):
        assert torch.allclose(together[r : r + 1], Perceptrons(1, 2, seeds=(seed,))(x), rtol=0, atol=1e-6)


def test_network_is_the_composition_of_its_layers():
    network = Perceptrons(2, 1, width=3, depth=3, activation="tanh", seeds=(0,)).double()
    x = torch.randn(2, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (a, b, c), (p, q, r) = ([t[0] for t in part] for part in (network.weights, network.offsets))
    assert torch.allclose(network(x[None])[0], c @ torch.tanh(b @ torch.tanh(a @ x + p) + q) + r, atol=1e-14)


def test_depth_counts_the_linear_layers_as_in_the_reference():
    shapes = [tuple(weight.shape) for weight in Perceptrons(1, 2, width=4, depth=4).weights]
    assert shapes == [(1, 4, 1), (1, 4, 4), (1, 4, 4), (1, 2, 4)]


def test_nonlinearity_acts_at_each_point_by_itself():
    h = Nonlinearity(Perceptrons(2, 2, seeds=(0, 1))).double()
    u = torch.randn(1, 3, 2, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    whole = h(u)
    assert whole.shape == (2, 3, 2, 4, 5)
    assert torch.allclose(whole[:, 1:2, :, 2:3, 3:4], h(u[:, 1:2, :, 2:3, 3:4]), rtol=0, atol=1e-14)


@pytest.mark.parametrize("alpha", [0.5, 1.5, 2.0])
def test_dissipative_symbol_holds_every_power_law_exactly(alpha):
    rate = 0.03
    symbol = DissipativeSymbol(Perceptrons(1, 2), scale=4.0, decades=math.log(4)).double()
    with torch.no_grad():
        for parameter in symbol.network.parameters():
            parameter.zero_()
        symbol.exponent.fill_(alpha)
        symbol.log_rate.fill_(math.log(rate * 4.0**alpha))
    kappa = torch.arange(17, dtype=torch.float64)[None]
    assert torch.allclose(symbol(kappa)[0, 0, 0].real, torch.expm1(-rate * kappa[0] ** alpha), rtol=0, atol=1e-15)


def test_dissipative_symbol_holds_drift_exactly():
    symbol = DissipativeSymbol(Perceptrons(1, 2), scale=4.0, decades=math.log(4)).double()
    with torch.no_grad():
        for parameter in symbol.network.parameters():
            parameter.zero_()
        symbol.network.offsets[-1][0, 1] = 3.0
        symbol.log_rate.fill_(-40)
    kappa = torch.arange(1, 17, dtype=torch.float64)[None]
    factor = 1 + symbol(kappa)[0, 0, 0]
    assert torch.allclose(factor, torch.exp(1j * 0.1 * 3.0 / 4.0 * kappa[0]), rtol=0, atol=1e-13)


def test_gradients_stay_finite_where_the_decay_is_complete():
    symbol = DissipativeSymbol(Perceptrons(1, 2), scale=1.0, decades=5.0)
    with torch.no_grad():
        symbol.exponent.fill_(50.0)
    symbol(torch.arange(100.0)[None]).abs().sum().backward()
    assert all(p.grad.isfinite().all() for p in symbol.parameters())


def test_table_and_network_agree_in_value_and_gradient():
    h = Nonlinearity(Perceptrons(1, 1, activation="tanh", seeds=(0, 1))).double()
    u = torch.randn(1, 3, 1, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
    like = torch.zeros(1, dtype=torch.float64)
    results = []
    for pointwise in (h, tabulate(h, -5.0, 5.0, like=like, nodes=4096)):
        value = pointwise(u)
        results.append((value.detach(), *torch.autograd.grad(value.square().sum(), [u, *h.parameters()])))
    spacing = 10 / 4095
    for exact, table, bound in zip(*results, [spacing**2, 3 * spacing, *[1e-3] * 8], strict=True):
        assert (exact - table).abs().max() <= bound  # error W²/8n² |h″| in value, W/2n |h″| in slope


def test_table_of_a_straight_line_is_exact_beyond_its_ends():
    u = torch.tensor([-30.0, -1.0, 0.3, 50.0], dtype=torch.float64).view(1, 1, 1, 4)
    table = tabulate(lambda v: 2 * v, -1.0, 1.0, like=torch.zeros(1, dtype=torch.float64), nodes=5)
    assert torch.allclose(table(u), 2 * u, rtol=0, atol=1e-13)


def test_operator_reads_as_a_sentence():
    g = DissipativeSymbol(Perceptrons(1, 2), 4.0, 1.0)
    operator = SpectralOperator(Fourier(16, 2 * math.pi), Conservative(g), Nonlinearity(Perceptrons(1, 1)))
    assert operator(torch.ones(1, 2, 1, 16)).shape == (1, 2, 1, 16)
