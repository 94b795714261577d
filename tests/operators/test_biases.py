import math

import pytest
import small
import torch

from morlight.operators import DissipativeSymbol, Fourier, Isotropic, Perceptrons, Symbol, rollout


class Straight(torch.nn.Module):
    """h(u) = u."""

    def forward(self, u, gamma):
        return u


def field(*points, seed=5):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, 3, 1, *points, generator=generator, dtype=torch.float64)


def band_limited_radial(points, center):
    """A Gaussian ring of modes |κ| ≤ 6 around a center, which a rotation about the center leaves unchanged."""
    k = torch.fft.fftfreq(points, 1 / points, dtype=torch.float64)
    modulus = (k[:, None] ** 2 + k[None] ** 2).sqrt()
    shift = torch.exp(-1j * (k[:, None] * center[0] + k[None] * center[1]))
    return torch.fft.ifftn(torch.where(modulus <= 6, torch.exp(-(modulus**2) / 8), 0) * shift).real


@pytest.mark.parametrize("symbol", ["plain", "dissipative"])
@pytest.mark.parametrize("points", [(32,), (16, 16)])
def test_conservation_keeps_the_mean_over_1000_steps_whatever_the_weights(make_operator, points, symbol):
    operator = make_operator(points, symbol=symbol, biases=["conservation"])
    with torch.no_grad():  # small increments, so that a random operator stays bounded
        operator.h.network.weights[-1].mul_(0.02)
        u = field(*points)
        end = rollout(operator, u, 1000, every=1000)[:, :, -1]
    assert end.abs().max() < 100
    assert (end - u).abs().max() > 0.1  # it does something
    drift = (end.flatten(3).mean(-1) - u.flatten(3).mean(-1)).abs().max()
    assert drift < 1e-12  # 1000 roundings of numbers of order one


def test_without_conservation_the_mean_drifts(make_operator):
    operator = make_operator(biases=[])
    u = field(32)
    assert (rollout(operator, u, 1)[:, :, 1].mean(-1) - u.mean(-1)).abs().max() > 1e-3


@pytest.mark.parametrize("points", [(32,), (16, 16)])
def test_reflection_turns_minus_u_into_minus_the_increment(make_operator, points):
    operator = make_operator(points, biases=["reflection"])
    u = field(*points)
    assert torch.equal(operator(-u), -operator(u))


def test_without_reflection_minus_u_goes_elsewhere(make_operator):
    operator = make_operator(biases=[])
    u = field(32)
    assert (operator(-u) + operator(u)).abs().max() > 1e-2


def test_reflection_vanishes_at_zero_and_is_continuous_there_unless_the_jump_is_kept(make_operator):
    near = torch.tensor([-1e-9, 0.0, 1e-9], dtype=torch.float64).view(1, 1, 1, 3)
    smooth = make_operator(biases=["reflection"]).nonlinearity(near)
    jumping = make_operator(biases=["reflection"], odd_jump=True).nonlinearity(near)
    assert smooth.abs().max() < 1e-8  # slope of order one times 1e-9
    assert jumping[..., 1].abs().max() == 0
    assert (jumping[..., 2] - jumping[..., 0]).abs().min() > 1e-3


def test_odd_part_of_several_fields_is_odd():
    from morlight.operators import Nonlinearity, Odd, Perceptrons

    h = Odd(Nonlinearity(Perceptrons(2, 2, seeds=(0, 1)))).double()
    u = torch.randn(1, 3, 2, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(h(-u), -h(u))


@pytest.mark.parametrize("symbol", ["plain", "dissipative"])
def test_isotropy_commutes_with_quarter_turns_and_mirrors(make_operator, symbol):
    operator = make_operator((16, 16), symbol=symbol, biases=["isotropy"])
    u = field(16, 16)
    for turn in (lambda v: torch.rot90(v, 1, (-2, -1)), lambda v: v.flip(-1), lambda v: v.transpose(-2, -1)):
        assert torch.allclose(operator(turn(u)), turn(operator(u)), rtol=0, atol=1e-13)


def test_without_isotropy_a_quarter_turn_changes_the_result(make_operator):
    operator = make_operator((16, 16), biases=[])
    u = field(16, 16)
    assert (operator(torch.rot90(u, 1, (-2, -1))) - torch.rot90(operator(u), 1, (-2, -1))).abs().max() > 1e-2


def test_isotropy_keeps_radial_fields_radial_between_the_grid_directions(make_operator):
    operator = make_operator((48, 48), biases=["isotropy"])
    operator.h = Straight()  # h∘u of a band-limited field is not band-limited, the symbol alone is tested
    ring = operator(band_limited_radial(48, (3.0, 3.0))[None, None, None])[0, 0, 0]
    c = torch.fft.fftn(ring) / torch.fft.fftn(band_limited_radial(48, (3.0, 3.0))).where(ring.new_ones(48, 48) > 0, 1)
    k = torch.fft.fftfreq(48, 1 / 48, dtype=torch.float64)
    modulus = (k[:, None] ** 2 + k[None] ** 2).sqrt()
    for direction in ((5, 0), (3, 4), (4, 3), (0, 5)):  # all with |κ| = 5
        assert abs(c[direction] - c[5, 0]) < 1e-10  # division by a coefficient of 0.04
    assert modulus[3, 4] == 5


def test_isotropic_symbol_is_real_unless_it_is_kept_complex(make_operator):
    assert not make_operator((8, 8), biases=["isotropy"]).symbol().is_complex()
    assert make_operator((8, 8), biases=["isotropy"], complex_isotropy=True).symbol().imag.abs().max() > 0


@pytest.mark.parametrize("points", [(32,), (31,), (16, 16)])
def test_translation_commutes_with_the_operator(make_operator, points):
    operator = make_operator(points, symbol="dissipative", biases=[])
    u = field(*points)
    moved = torch.roll(u, [3] * len(points), list(range(3, 3 + len(points))))
    expected = torch.roll(operator(u), [3] * len(points), list(range(3, 3 + len(points))))
    assert torch.allclose(operator(moved), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("points", [(32,), (16, 16)])
def test_dissipative_symbol_never_amplifies_and_belongs_to_a_real_operator(make_operator, points):
    operator = make_operator(points, symbol="dissipative", biases=[])
    symbol = operator.symbol()
    assert (1 + symbol).abs().max() <= 1 + 1e-15
    kappa = operator.basis.wavenumbers
    assert torch.allclose(operator.g(-kappa), symbol.conj(), rtol=0, atol=1e-15)
    assert symbol.imag.abs().max() > 0.01


def complex_symbol(dimensions, seed=0):
    """A dissipative symbol that turns and decays, every parameter redrawn."""
    network = Perceptrons(DissipativeSymbol.inputs(dimensions), 1 + dimensions, seeds=(0, 1), depth=2)
    symbol = DissipativeSymbol(network, 3.0, 2.0).double()
    small.redraw(symbol, seed)
    return symbol


@pytest.mark.parametrize("dimensions", [1, 2])
def test_a_dissipative_symbol_is_a_decay_times_a_turn(dimensions):
    symbol = complex_symbol(dimensions)
    basis = Fourier((8,) * dimensions, (2.0,) * dimensions).double()
    kappa = basis.wavenumbers[:, basis.wavenumbers.square().sum(0) > 0]
    n = symbol.correction(kappa)
    log = torch.log(kappa.square().sum(0).sqrt() / symbol.scale)
    rho = torch.exp(symbol.exponent[:, None] * log + symbol.log_rate[:, None] + n[:, :, 0, 0]).clamp_max(math.exp(4))
    theta = (n[:, :, 1:, 0] * kappa / symbol.scale).sum(2)
    assert theta.abs().max() > 0.01
    assert torch.allclose(1 + symbol(kappa)[:, 0], torch.exp(torch.complex(-rho, theta)), rtol=1e-12, atol=1e-15)


def test_an_isotropic_symbol_is_real_unless_the_imaginary_part_is_asked_for():
    basis = Fourier((8, 8), (2.0, 2.0)).double()
    network = Perceptrons(1, 2, seeds=(0, 1), depth=2)
    symbol = Symbol(network).double()
    small.redraw(symbol)
    real, whole = (Isotropic(symbol, kept)(basis.wavenumbers) for kept in (False, True))
    assert not real.is_complex()
    assert torch.equal(real, whole.real)
    assert whole.imag.abs().max() > 0.01


def test_an_isotropic_symbol_follows_the_wavenumbers_it_is_given():
    network = Perceptrons(1, 2, seeds=(0, 1), depth=2)
    symbol = Symbol(network).double()
    small.redraw(symbol)
    grids = [Fourier((8, 8), (2.0, 2.0)).double().wavenumbers, Fourier((8, 8), (3.0, 2.0)).double().wavenumbers]
    one = Isotropic(symbol)
    in_turn = [one(kappa) for kappa in grids]
    alone = [Isotropic(symbol)(kappa) for kappa in grids]
    assert all(torch.equal(a, b) for a, b in zip(in_turn, alone, strict=True))
    assert not torch.equal(*in_turn)
