import small
import torch

from morlight.operators import build, slopes, starts


def test_every_realization_starts_with_an_upward_nonlinearity():
    operator = build.operator(
        small.config(biases=["reflection"], symbol="dissipative", realizations=12), small.description()
    )
    values = torch.linspace(0.2, 2, 31)
    before = slopes(operator, values)
    assert (before < 0).any()
    assert (before > 0).any()
    starts.upward(operator, values.tolist())
    assert torch.allclose(slopes(operator, values), before.abs())


def test_curvature_of_power_laws_and_straight_lines_is_nothing():
    from morlight.operators import DissipativeSymbol, Perceptrons, bending

    symbol = DissipativeSymbol(Perceptrons(1, 2), scale=4.0, decades=1.4)
    with torch.no_grad():
        symbol.exponent.fill_(1.5)
        for parameter in symbol.network.parameters():
            parameter.zero_()
        assert symbol.bending().item() == 0
        symbol.network.offsets[0].fill_(0.5)
        for weight in symbol.network.weights:
            weight.fill_(-0.7)
        assert symbol.bending().item() > 1e-8
    line = 3 * torch.linspace(-1, 1, 65)[None]
    assert bending(line).item() < 1e-8  # rounding of 65 differences in single precision


def test_curvature_of_a_parabola_is_that_of_the_formula():
    from morlight.operators import bending

    u = torch.linspace(0, 1, 2001, dtype=torch.float64)[None]
    # h = u²: mean of (W h″)² = 4 over mean of h′² = 4/3; first order in the spacing
    assert abs(bending(u.square()).item() - 3) < 5e-3
    assert torch.allclose(bending(7 * u.square()), bending(u.square()))
