"""Exponential steps of an operator whose L/Δt is the generator: order, stability, biases, and sub-steps."""

import itertools
import math

import numpy as np
import pytest
import small
import torch
from scipy.integrate import solve_ivp
from torch import nn

from morlight.operators import (
    Cosine,
    Fourier,
    SpectralOperator,
    radius,
    selected,
    stepper,
    symbol_growth,
)
from morlight.operators.exponential_scheme import Exponential, middle_slopes
from morlight.operators.stability import SLOWEST

DT = 0.4


class KuramotoSivashinsky(nn.Module):
    """Symbols of −∂² − ∂⁴ and −½ ∂, times Δt."""

    def forward(self, kappa, gamma):
        k = kappa[0]
        return torch.stack([(k**2 - k**4) * DT + 0j, -0.5j * k * DT])[None, None]


class Powers(nn.Module):
    """h = (u, u²)."""

    def forward(self, u, gamma):
        return torch.cat([u, u * u], 2)


class Diffusion(nn.Module):
    """−rate κ²."""

    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, kappa, gamma):
        return -self.rate * kappa.square().sum(0)[None, None, None]


class Given(nn.Module):
    """A nonlinearity."""

    def __init__(self, h):
        super().__init__()
        self.h = h

    def forward(self, u, gamma):
        return self.h(u)


def ends(operator, fields, u, substeps, gamma=None, length=1.0):
    """States after one step, with each number of sub-steps."""
    more = {} if gamma is None else {"gamma": gamma}
    with torch.no_grad():
        return [stepper(operator, Exponential(tuple(fields), n, length), **more)(u) for n in substeps]


def orders(states, exact):
    errors = [float((state - exact).abs().max()) for state in states]
    return [math.log2(a / b) for a, b in itertools.pairwise(errors)]


def test_kuramoto_sivashinsky_is_solved_with_order_four_in_the_substeps():
    N, L = 32, 8 * math.pi
    operator = SpectralOperator(Fourier(N, L), KuramotoSivashinsky(), Powers(), [1.0], [1.0]).double()
    x = np.arange(N) * L / N
    u, k = np.cos(x / 4) * (1 + np.sin(x / 4)), 2 * np.pi / L * np.arange(N // 2 + 1)

    def rate(t, u):
        c, square = np.fft.rfft(u), np.fft.rfft(u * u)
        return np.fft.irfft((k**2 - k**4) * c - 0.5j * k * square, N)

    exact = solve_ivp(rate, (0, DT), u, "DOP853", rtol=1e-13, atol=1e-13).y[:, -1]
    states = ends(operator, [small.field("u", -2.0, 2.0)], torch.from_numpy(u).view(1, 1, 1, -1), (4, 8, 16, 32))
    assert orders(states, torch.from_numpy(exact)) == pytest.approx([4, 4, 4], abs=0.4)
    halves = torch.from_numpy(u).view(1, 1, 1, -1)
    for _ in range(2):
        (halves,) = ends(operator, [small.field("u", -2.0, 2.0)], halves, [2], length=0.5)
    assert torch.allclose(halves, states[0], rtol=0, atol=1e-13)  # half a step with as long sub-steps, twice


@pytest.mark.parametrize(("basis", "length"), [(Fourier(16, math.tau), 0.1), (Cosine((6, 8), 1.0), 30.0)])
def test_one_step_is_exact_for_straight_h_and_any_length(basis, length):
    operator = SpectralOperator(basis, Diffusion(0.7), Given(lambda u: 2 * u)).double()
    u = torch.rand(1, 2, 1, *basis.points, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (later,) = ends(operator, [small.field()], u, [1], length=length)
    decay = torch.exp(-1.4 * length * operator.basis.wavenumbers.square().sum(0))
    assert torch.allclose(later, operator.basis.inverse(decay * operator.basis.forward(u)), rtol=0, atol=1e-13)


PLAIN = {"activation": "tanh", "terms": 2, "scheme": "exponential"}
WALLS = small.grid((12,), boundaries="WALL")
COUPLED = [
    (small.description(("a", "b")), {"biases": {"a": ["conservation"]}}),
    (small.description(("a", "b"), where=WALLS), {"bases": {"b": "sine"}, "flux": True}),
    (small.description(("a",), ("shear",), small.grid((6, 5), boundaries=("WALL", "PERIODIC"))), {}),
    (small.description(("a", "b"), ("shear",), WALLS), {"biases": ["stability"], "bases": {"b": "sine"}, "flux": True}),
]


@pytest.mark.parametrize(("data", "options"), COUPLED)
def test_coupled_fields_walls_fluxes_and_parameters_are_solved_with_order_four(data, options):
    operator = small.operator(data, **PLAIN | options)
    gamma = torch.tensor([[0.7], [1.3]], dtype=torch.float64)[:, : len(data.parameters)]
    shape = (1, 2, len(data.fields), *data.grid.points)
    u = 3 * torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    increment, exact, h = operator.prepared(gamma=gamma), u.expand(2, *shape[1:]), 1 / 80
    with torch.no_grad():
        for _ in range(80):  # classical Runge–Kutta steps of ∂ₜu = L u, in the fields themselves
            a = increment(exact)
            b = increment(exact + h / 2 * a)
            c = increment(exact + h / 2 * b)
            exact = exact + h / 6 * (a + 2 * b + 2 * c + increment(exact + h * c))
    states = ends(operator, data.fields, u, (2, 4, 8), gamma)
    assert float((states[2] - exact).abs().max()) < 1e-4 * float((exact - u).abs().max())
    assert min(orders(states, exact)) > 3.4  # 4, with the next order or rounding on top


def test_realizations_and_parameters_side_by_side_equal_single_ones():
    data = small.description(("a", "b"), ("shear",), WALLS)
    operator = small.operator(data, **PLAIN, bases={"b": "sine"})
    gamma = torch.tensor([[0.7], [1.3], [0.7]], dtype=torch.float64)
    u = torch.rand(1, 3, 2, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (together,) = ends(operator, data.fields, u, [2], gamma)
    each = [ends(operator, data.fields, u[:, b : b + 1], [2], gamma[b : b + 1])[0] for b in range(3)]
    assert torch.allclose(together, torch.cat(each, 1), rtol=0, atol=1e-13)
    for r in range(2):
        (alone,) = ends(selected(operator, 2, [r]), data.fields, u, [2], gamma)
        assert torch.allclose(alone[0], together[r], rtol=0, atol=1e-13)


def test_gradients_are_those_of_the_steps_taken():
    operator = small.operator(small.description(("a",)), **PLAIN, realizations=1)
    u = torch.rand(1, 1, 1, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weight = next(operator.g.parameters())

    def size():
        return stepper(operator, Exponential((small.field("a"),), 2))(u).square().sum()

    (slope,) = torch.autograd.grad(size(), weight)
    with torch.no_grad():
        differences = []
        for sign in (1, -1):
            weight.view(-1)[0] += sign * 1e-4
            differences.append(sign * float(size()))
            weight.view(-1)[0] -= sign * 1e-4
    assert sum(differences) / 2e-4 == pytest.approx(float(slope.view(-1)[0]), rel=1e-6)


@pytest.mark.parametrize("length", [1.0, 100.0])
@pytest.mark.parametrize("seed", range(3))
def test_steps_of_a_stable_operator_never_grow_however_long(seed, length):
    data = small.description()
    operator = small.operator(data, seed, 2.0, symbol="dissipative", biases=["stability"], scheme="exponential")
    growth = symbol_growth(operator, -2.0, 3.0, Exponential(data.fields, 1, length))
    assert float(growth.max()) <= 1 + 1e-12
    assert float(growth.max()) > 0.99  # of κ = 0, which stays


def test_steep_nonlinear_diffusion_decays_in_one_step_where_explicit_runge_kutta_steps_explode():
    operator = SpectralOperator(Fourier(64, math.tau), Diffusion(10.0), Given(lambda u: u**3 / 3)).double()
    u = 1 + 0.9 * torch.sin(operator.basis.coordinates[0]).view(1, 1, 1, -1)
    (later,) = ends(operator, [small.field("u", 0.1, 1.9)], u, [16])
    assert float((later - 1).abs().max()) < 0.1
    assert float(middle_slopes(operator, [small.field("u", 0.1, 1.9)])) == pytest.approx(
        (0.1**2 + 1.9**2) / 2, rel=0.02
    )


def test_growth_of_exponential_steps_is_the_radius_of_their_matrix():
    operator = SpectralOperator(Fourier(12, math.tau), Diffusion(-0.03), Given(torch.tanh)).double()
    scheme = Exponential((small.field("u", -1.0, 1.0),), 2)
    state = torch.full((1, 1, 12), 0.4, dtype=torch.float64)
    slope = 1 - math.tanh(0.4) ** 2
    assert radius(operator, state, scheme=scheme).tolist() == pytest.approx([math.exp(0.03 * 36 * slope)], rel=1e-3)
    assert symbol_growth(operator, 0.4, 0.4, scheme).tolist() == pytest.approx(
        radius(operator, state, scheme=scheme).tolist(), rel=1e-9
    )


def test_anchored_fields_stay_bounded_by_exponential_steps():
    data, options = COUPLED[-1]
    operator = small.operator(data, 1, 2.0, **PLAIN | options).requires_grad_(False)
    gamma = torch.tensor([[0.7]], dtype=torch.float64)
    step = stepper(operator, Exponential(data.fields), gamma=gamma)
    far = torch.randn(1, 1, 2, 4000, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 50
    force = 0.0  # of the bounded terms: |Π h| ≤ 2N|h|, again for Π⁻¹, and κ for the flux
    for part in operator.operators:
        h, g = part.nonlinearity(far, gamma).abs(), part.symbol(gamma).abs()
        force += 4 * 12 * max(1.0, float(part.basis.wavenumbers.amax())) * float(h.amax()) * float(g.amax()) / SLOWEST
    u = 3 * torch.rand(1, 1, 2, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for _ in range(60):
        u = step(u)
        assert float(u.abs().max()) < 100 + force
    assert u.isfinite().all()


def test_conservation_and_reflection_hold_in_exponential_steps():
    data = small.description(("a",))
    operator = small.operator(data, **PLAIN, biases=["conservation", "reflection"])
    u = torch.rand(1, 2, 1, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (later,) = ends(operator, data.fields, u, [3])
    (mirrored,) = ends(operator, data.fields, -u, [3])
    assert torch.allclose(later.mean(-1), u.mean(-1).expand(2, -1, -1), rtol=0, atol=1e-14)
    assert torch.allclose(mirrored, -later, rtol=0, atol=1e-14)
    assert float((later - u).abs().max()) > 1e-3


def test_pairs_without_time_have_no_exponential_steps():
    with pytest.raises(ValueError, match=r"exponential for a pair .* without time, expected explicit"):
        small.operator(small.description(targets=("f",)), scheme="exponential")
