"""Operators of several fields, terms and parameters against sums written out, and exact symbols against calculus."""

import itertools
import math

import numpy as np
import pytest
import scipy.fft
import small
import torch
from torch import nn

from morlight.operators import (
    Cosine,
    Derivative,
    Fourier,
    Nonlinearity,
    Perceptrons,
    SecondOrder,
    Sine,
    SpectralOperator,
    Symbol,
    System,
    TensorProduct,
    rollout,
)


def described(names=("density", "momentum"), parameters=(), boundaries="WALL"):
    fields = [small.field(name, scale=scale) for name, scale in zip(names, (1.3, 0.7, 2.0), strict=False)]
    return small.description(fields, parameters, small.grid((12,), 2.0, boundaries))


def redraw(module, seed=0):
    return small.redraw(module.double(), seed, 1.0)


def made(data=None, **options):
    return small.operator(data or described(), 0, 1.0, **options)


def drawn(*shape, seed=5):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Laplace(nn.Module):
    """g(κ) = −|κ|²."""

    def forward(self, kappa, gamma):
        g = -kappa.square().sum(0)
        return g.expand(1, 1, 1, *g.shape)


class One(nn.Module):
    """g = 1."""

    def forward(self, kappa, gamma):
        return torch.ones(1, 1, 1, *kappa.shape[1:], dtype=kappa.dtype)


class Same(nn.Module):
    """h(u) = u, of the channels chosen."""

    def __init__(self, *channels):
        super().__init__()
        self.channels = list(channels) or [0]

    def forward(self, u, gamma):
        return u[:, :, self.channels]


@pytest.mark.parametrize("copies", [1, 3])
def test_copies_are_networks_of_their_own(copies):
    many = redraw(Perceptrons(2, 3, width=5, depth=4, seeds=(0, 1), copies=copies))
    x = drawn(1, 2, 7)
    together = many(x).unflatten(1, (copies, 3))
    for r in range(2):
        for c in range(copies):
            one = Perceptrons(2, 3, width=5, depth=4, seeds=(0,)).double()
            row = r * copies + c
            with torch.no_grad():
                for kind in ("weights", "offsets"):
                    for target, source in zip(getattr(one, kind), getattr(many, kind), strict=True):
                        target.copy_(source[row : row + 1])
            assert torch.allclose(together[r, c], one(x)[0], rtol=0, atol=1e-14)


def test_parameters_reach_g_and_h_pair_by_pair():
    h = redraw(Nonlinearity(Perceptrons(3, 1, seeds=(0, 1), copies=2)))
    g = redraw(Symbol(Perceptrons(2, 2, seeds=(0, 1), copies=2)), seed=1)
    u, gamma, kappa = drawn(2, 4, 2, 6), drawn(4, 1, seed=6), drawn(1, 5, seed=7)
    together_h, together_g = h(u, gamma), g(kappa, gamma)
    for b in range(4):
        assert torch.allclose(h(u[:, b : b + 1], gamma[b : b + 1])[:, 0], together_h[:, b], atol=1e-14)
        assert torch.allclose(g(kappa, gamma[b : b + 1])[:, 0], together_g[:, b], atol=1e-14)
        direct = h(torch.cat([u[:, b : b + 1], gamma[b].expand(2, 1, 1, 6)], 2)[:, :, :2], gamma[b : b + 1])
        assert torch.allclose(direct[:, 0], together_h[:, b], atol=1e-14)
    assert (together_h[:, 0] - h(u, gamma.flip(0))[:, 0]).abs().max() > 1e-3


def test_operator_with_parameters_is_the_operator_of_each():
    data = described(parameters=[small.parameter("shear", 0.5)])
    operator = made(data, terms=2)
    u, gamma = drawn(1, 3, 2, 12), drawn(3, 1, seed=6)
    together = operator(u, gamma)
    for b in range(3):
        assert torch.allclose(operator(u[:, b : b + 1], gamma[b : b + 1])[:, 0], together[:, b], atol=1e-13)
    assert (together - operator(u, -gamma)).abs().max() > 1e-3


def test_system_is_the_sum_of_its_terms_written_out_with_scipy():
    operator = made(terms=2, bases={"momentum": "sine"})
    u = drawn(1, 3, 2, 12)
    found = operator(u).detach().numpy()
    transforms = {0: (scipy.fft.dct, scipy.fft.idct), 1: (scipy.fft.dst, scipy.fft.idst)}
    for place, part in enumerate(operator.operators):
        assert operator.targets[place] == [place]
        g, h = part.symbol().detach().numpy(), part.nonlinearity(u).detach().numpy()
        forward, inverse = transforms[place]
        expected = sum(inverse(g[:, :, k] * forward(h[:, :, k], type=2), type=2) for k in range(2))
        assert np.abs(found[:, :, place] - expected).max() < 1e-13
    swapped = operator(u.flip(2))
    assert (swapped - operator(u)).abs().max() > 1e-3  # h sees both fields


def test_fields_of_one_basis_are_one_operator_and_h_sees_every_field():
    operator = made(described(("a", "b", "c"), boundaries="PERIODIC"), terms=3)
    assert isinstance(operator, SpectralOperator)
    u = drawn(1, 2, 3, 12)
    g, h = operator.symbol(), operator.nonlinearity(u)
    assert h.shape[2] == 9
    found = operator(u)
    for field in range(3):
        rows = range(3 * field, 3 * field + 3)
        expected = sum(torch.fft.irfft(g[:, :, k] * torch.fft.rfft(h[:, :, k]), n=12) for k in rows)
        assert torch.allclose(found[:, :, field], expected, atol=1e-13)
        other = u.clone()
        other[:, :, field] += 1
        assert ((operator(other) - found).abs().amax((0, 1, 3)) > 1e-4).all()


BOXES = [
    Fourier(24, math.tau), Fourier((16, 14), (math.tau, 3.0)), Fourier((10, 12, 8), (1.0, 2.0, 3.0)), Cosine(24, 2.0),
    Sine(24, 2.0), Cosine((12, 10), (1.0, 2.0)), TensorProduct(Sine(12, 2.0), Fourier(10, 1.0)),
]  # fmt: skip


@pytest.mark.parametrize("basis", BOXES, ids=str)
def test_exact_symbol_is_the_laplacian_of_band_limited_fields(basis):
    basis = basis.double()
    c = basis.forward(drawn(1, 2, 1, *basis.points))
    kappa = basis.wavenumbers
    inside = (kappa.abs() < 3 * math.pi).all(0)
    u = basis.inverse(torch.where(inside, c, 0))
    operator = SpectralOperator(basis, Laplace(), Same()).double()
    step = 1e-3 * min(basis.length)  # sixth-order differences of the series itself, evaluated beside the points
    found = operator(u)
    expected = torch.zeros_like(u)
    for axis in range(len(basis.points)):
        weights = {0: -49 / 18, 1: 3 / 2, 2: -3 / 20, 3: 1 / 90}
        for offset, weight in weights.items():
            for sign in {1, -1} if offset else {1}:
                expected += weight / step**2 * series(basis, torch.where(inside, c, 0), axis, sign * offset * step)
    assert (found - expected).abs().max() < 1e-6 * expected.abs().max()  # rounding over step²


def series(basis, c, axis, shift):
    """Σ c φ(x + shift) at the points, by numpy, for one axis shifted."""
    values = c.detach().numpy().astype(complex)
    factors = []
    for factor in basis.factors if isinstance(basis, TensorProduct) else [basis]:
        factors += [(type(factor), N, L) for N, L in zip(factor.points, factor.length, strict=True)]
    last_fourier = max((place for place, (kind, *_) in enumerate(factors) if kind is Fourier), default=None)
    for place, (kind, N, L) in enumerate(factors):
        x = (np.arange(N) + 0.5) * L / N
        moved = x + (shift if place == axis else 0)
        k = np.arange(N)
        if kind is Fourier:
            k = k[: N // 2 + 1] if place == last_fourier else np.fft.fftfreq(N, 1 / N)
            twice = np.where((k == 0) | (2 * k == N), 1, 2) if place == last_fourier else 1
            matrix = twice * np.exp(2j * np.pi * k * (moved[:, None] - x[0]) / L) / N
        elif kind is Cosine:
            matrix = np.where(k == 0, 0.5, 1) * np.cos(np.pi * k * moved[:, None] / L) / N
        else:
            k = k + 1
            matrix = np.where(k == N, 0.5, 1) * np.sin(np.pi * k * moved[:, None] / L) / N
        at = place - len(factors)
        values = np.moveaxis(np.moveaxis(values, at, -1) @ matrix.T, -1, at)
    return torch.from_numpy(values.real.copy())


X = (torch.arange(16, dtype=torch.float64) + 0.5) * 2.0 / 16


@pytest.mark.parametrize(
    ("source", "u", "slope"),
    [
        (Sine(16, 2.0), torch.sin(1.5 * math.pi * X), 1.5 * math.pi * torch.cos(1.5 * math.pi * X)),
        (Cosine(16, 2.0), 3 + torch.cos(2.5 * math.pi * X), -2.5 * math.pi * torch.sin(2.5 * math.pi * X)),
        (Fourier(16, 2.0), torch.sin(3 * math.pi * X), 3 * math.pi * torch.cos(3 * math.pi * X)),
    ],
    ids=["sine", "cosine", "fourier"],
)
def test_derivative_is_that_of_calculus_in_the_basis_where_it_lives(source, u, slope):
    operator = SpectralOperator(Derivative(source.double()), One(), Same()).double()
    assert (operator(u.view(1, 1, 1, -1)).flatten() - slope).abs().max() < 1e-12


@pytest.mark.parametrize("axis", [0, 1])
def test_derivative_across_and_along_a_channel(axis):
    basis = TensorProduct(Sine(16, 2.0), Fourier(16, 2.0)).double()
    x, y = torch.meshgrid(X, X, indexing="ij")
    u = torch.sin(math.pi * x) * torch.cos(2 * math.pi * y)
    slope = (
        math.pi * torch.cos(math.pi * x) * torch.cos(2 * math.pi * y),
        -2 * math.pi * torch.sin(math.pi * x) * torch.sin(2 * math.pi * y),
    )[axis]
    operator = SpectralOperator(Derivative(basis, axis), One(), Same()).double()
    assert (operator(u.view(1, 1, 1, 16, 16))[0, 0, 0] - slope).abs().max() < 1e-12


def test_fluxes_keep_the_total_between_walls_whatever_the_weights():
    options = {"bases": {"momentum": "sine"}, "flux": True}
    operator = made(**options, biases={"density": ["conservation"]})
    change = operator(drawn(1, 3, 2, 12))
    assert change[:, :, 0].mean(-1).abs().max() < 1e-13
    assert change[:, :, 0].abs().max() > 1e-2
    without = made(**options)(drawn(1, 3, 2, 12))
    assert without[:, :, 0].mean(-1).abs().max() > 1e-3


def test_flux_terms_add_what_one_basis_cannot_express():
    """∂ₜρ = −∂ₓp between walls: with ρ in cosines and p in sines, one term of the system, exactly."""
    rho, p = torch.cos(math.pi * X), torch.sin(1.5 * math.pi * X)
    flux = SpectralOperator(Derivative(Sine(16, 2.0)), One(), Same(1), [1.0, 1.0], [-1.0])
    still = SpectralOperator(Sine(16, 2.0), Laplace(), Same(1), [1.0, 1.0], [1.0])
    system = System([flux, still], [[0], [1]], 2).double()
    change = system(torch.stack([rho, p])[None, None])[0, 0]
    assert (change[0] + 1.5 * math.pi * torch.cos(1.5 * math.pi * X)).abs().max() < 1e-12
    assert (change[1] + (1.5 * math.pi) ** 2 * p).abs().max() < 1e-11


def wave(dt):
    """∂ₜₜu = ∂ₓₓu on a period of 2: v' = v + Δt ∂ₓₓu."""
    basis = Fourier(16, 2.0)
    return SecondOrder(SpectralOperator(basis, Laplace(), Same(0), [1.0, 1.0], [dt]), dt).double()


def test_waves_of_second_order_in_time_turn_with_the_right_frequency_and_order():
    u = torch.stack([torch.cos(math.pi * X), 0 * X])[None, None]
    errors = []
    for steps in (200, 400, 800):
        end = rollout(wave(2.0 / steps), u, steps, every=steps)[0, 0, -1, 0]  # one period
        errors.append(float((end - torch.cos(math.pi * X)).abs().max()))
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert min(orders) > 0.95  # symplectic Euler is of first order
    assert errors[-1] < 0.01


def test_waves_keep_their_energy_over_many_periods_where_explicit_euler_grows():
    dt = 0.02
    u = torch.stack([torch.cos(math.pi * X), 0 * X])[None, None]
    end = rollout(wave(dt), u, 10_000, every=100)[0, 0]
    size = (end[:, 0].square() + (end[:, 1] / math.pi).square()).mean(-1)
    assert (size / size[0] - 1).abs().max() < dt * math.pi  # bounded by O(Δt), for 100 periods
    assert abs(1 + 1j * math.pi * dt) ** 10_000 > 1e8  # what explicit Euler would have


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"bases": {"momentum": "sine"}, "biases": ["conservation"]}, "conservation of momentum in a basis of sines"),
        ({"biases": {"density": ["isotropy"]}}, "isotropy for some of density, momentum"),
        ({"biases": {"density": ["stability"]}}, "stability of coupled fields holds for all of them or none"),
        ({"biases": {"speed": ["conservation"]}}, "model.biases names speed, expected fields of density, momentum"),
    ],
)
def test_options_that_do_not_go_together_are_refused_by_name(options, named):
    with pytest.raises(ValueError, match=named):
        made(**options)


def test_pair_states_need_an_even_number_of_fields_and_stability_a_dissipative_symbol():
    with pytest.raises(ValueError, match="each u and then each ∂ₜu"):
        made(described(("u",)), order=2)
    with pytest.raises(ValueError, match=r"goes with model\.symbol dissipative"):
        made(described(("u",)), biases=["stability"])
