"""Walls with a slip length against eigenfunctions, flows and steady states on paper."""

import math

import numpy as np
import pytest
import small
import torch
from scipy.optimize import brentq
from torch import nn

from morlight.operators import (
    Cosine,
    Exponential,
    Fourier,
    Lift,
    Robin,
    Rollouts,
    Sine,
    SpectralOperator,
    Walls,
    on_grid,
    stepper,
)
from morlight.operators.robin import RATE, eigenfunctions
from morlight.operators.units import Units
from morlight.operators.wall_words import Product, read

D, DT, L = 0.7, 0.02, 2.0
GAMMA = torch.tensor([[1.5]], dtype=torch.float64)
SPEED = small.parameter("speed", low=0.5, high=2.0)
PAIRS = [(0.4, 0.4), (0.0, 1.0), (0.1, 4.0)]


class Symbol(nn.Module):
    """One step of ∂ₜu = D∂ₓ²u, or the rate itself."""

    def __init__(self, rate=False):
        super().__init__()
        self.rate = rate

    def forward(self, kappa, gamma):
        exponent = -D * DT * kappa.square().sum(0)
        return (exponent if self.rate else torch.expm1(exponent))[None, None, None]


class Power(nn.Module):
    """h(u) = uⁿ."""

    def __init__(self, n=1):
        super().__init__()
        self.n = n

    def forward(self, u, gamma):
        return u**self.n


def channel(slip, points=20, *, realizations=1, walls=None, rate=False, power=1) -> SpectralOperator:
    """Diffusion of one field between walls with slip, given or learned, that have values where these are given."""
    basis = Robin(points, L, slip, realizations)
    ends = None if walls is None else [(read(end),) for end in walls]
    lift = ends and Lift(Walls(1, -1, points, L, (False,), *ends, ("speed",)), basis, slope=False, lifted=[True])
    return SpectralOperator(basis, Symbol(rate), Power(power), units=Units([1.0] * bool(walls)), lift=lift).double()


def eigenfunction(x, mode, low, high):
    """κ and sin(κx + φ) with u = b ∂ₙu at both walls."""
    excess = lambda k: k * L + math.atan(low * k) + math.atan(high * k) - mode * math.pi  # noqa: E731
    kappa = brentq(excess, (mode - 1) * math.pi / L + 1e-9, mode * math.pi / L, xtol=1e-15)
    return kappa, torch.sin(kappa * x + math.atan(low * kappa))


@pytest.mark.parametrize("points", [10, 20, 80])
@pytest.mark.parametrize("slip", PAIRS)
def test_fields_between_walls_with_slip_decay_as_their_eigenfunctions_do_on_any_grid(slip, points):
    operator = channel(slip, points)
    x = operator.basis.coordinates[0]
    start, later = torch.zeros_like(x), torch.zeros_like(x)
    for mode, size in ((1, 1.0), (2, -0.7), (5, 0.3)):
        kappa, wave = eigenfunction(x, mode, *slip)
        start, later = start + size * wave, later + size * math.exp(-D * kappa**2 * 10 * DT) * wave
    frames = Rollouts(operator).frames(start[None, None, None], 10, every=10)
    assert (frames[0, 0, 1, 0] - later).abs().max() < 1e-13


@pytest.mark.parametrize(("slip", "limit"), [(0.0, Sine), (1e13, Cosine)])
def test_without_slip_the_basis_is_that_of_sines_and_without_friction_that_of_cosines(slip, limit):
    basis, expected = Robin(20, L, (slip, slip)).double(), limit(20, L).double()
    u = torch.randn(3, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.allclose(basis.forward(u), expected.forward(u), rtol=0, atol=1e-10)
    assert torch.allclose(basis.wavenumbers, expected.wavenumbers, rtol=0, atol=1e-6)  # κ₁ is (2/bL)^½
    assert torch.allclose(basis.energy, expected.energy, rtol=1e-10)


@pytest.mark.parametrize("points", [2, 20, 100])
@pytest.mark.parametrize("slip", [(1e-6, 1e6), (1e-9, 0.03), (1e6, 1e6), (0.0, 1e-3), (0.05, 0.05)])
def test_values_come_back_from_their_coefficients_for_any_slip(slip, points):
    basis = Robin(points, L, slip).double()
    u = torch.randn(4, points, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.allclose(basis.inverse(basis.forward(u)), u, rtol=0, atol=1e-12)


def test_eigenfunctions_have_the_derivatives_of_finite_differences():
    slip = torch.tensor([[0.3, 0.7], [1e-3, 5.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda b: eigenfunctions(b, 7, L), slip)


def test_each_realization_has_its_own_slip_lengths():
    operator = channel((None, 0.2), realizations=2)
    b = torch.tensor([0.05, 0.9], dtype=torch.float64)
    operator.basis.log_slip.data = torch.log(b / L)[:, None] / RATE
    u = torch.randn(1, 3, 1, 20, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    alone = torch.cat([channel((float(each), 0.2))(u) for each in b])
    assert torch.allclose(operator(u), alone, rtol=0, atol=1e-12)


def test_slip_lengths_are_found_from_a_flow_that_decays():
    x = channel(PAIRS[0]).basis.coordinates[0]
    waves = [(size, *eigenfunction(x, mode, 0.1, 0.6)) for mode, size in ((1, 1.0), (2, -0.7), (3, 0.4))]
    start, later = (sum(s * math.exp(-D * k**2 * t) * w for s, k, w in waves)[None, None, None] for t in (0, DT))
    operator = channel((None, None))
    optimizer = torch.optim.LBFGS(operator.parameters(), max_iter=20, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        value = 1e6 * (start + operator(start) - later).square().mean()
        value.backward()
        return value

    optimizer.step(loss)
    assert torch.allclose(operator.basis.slip, torch.tensor([[0.1, 0.6]], dtype=torch.float64), rtol=1e-3)


@pytest.mark.parametrize("scheme", ["explicit", "exponential"])
def test_a_fluid_that_slips_along_a_moving_wall_tends_to_the_line_through_the_wall_velocity_behind_it(scheme):
    low, high = 0.4, 0.1
    operator = channel((low, high), walls=(0, "speed"), rate=scheme == "exponential")
    how = scheme if scheme == "explicit" else Exponential((small.field(low=0.0, high=1.5),))
    x = operator.basis.coordinates[0]
    steady = 1.5 * (x + low) / (L + low + high)
    kappa, wave = eigenfunction(x, 1, low, high)
    frames = Rollouts(operator, GAMMA, how).frames((steady - wave)[None, None, None], 30, every=30)
    assert (frames[0, 0, 1, 0] - steady + math.exp(-D * kappa**2 * 30 * DT) * wave).abs().max() < 1e-11


@pytest.mark.parametrize("scheme", ["explicit", "implicit", "exponential"])
def test_the_slip_of_a_nonlinear_flux_is_that_of_h(scheme):
    """∂ₜu = D∂ₓ²u² stays where u² is the line between ½² and speed² behind the walls."""
    operator = channel((0.4, 0.1), walls=(0.5, "speed"), rate=True, power=2)
    how = Exponential((small.field(low=0.5, high=1.5),)) if scheme == "exponential" else scheme
    x = operator.basis.coordinates[0]
    u = (0.25 + (1.5**2 - 0.25) * (x + 0.4) / (L + 0.5)).sqrt()[None, None, None]
    assert (stepper(operator, how, gamma=GAMMA)(u) - u).abs().max() < 1e-12


def test_learned_slip_lengths_stay_on_a_finer_grid():
    operator = channel((None, None), walls=(0, "speed"), realizations=2)
    small.redraw(operator.basis)
    finer = on_grid(operator, [50])
    low, high = operator.basis.slip.detach().T[..., None, None, None]
    steady = 1.5 * (finer.basis.coordinates[0] + low) / (L + low + high)
    assert torch.equal(finer.basis.slip, operator.basis.slip)
    assert finer(steady, GAMMA).abs().max() < 1e-12


def test_the_linearized_operator_between_walls_with_slip_is_its_derivative():
    data = small.description(("density", "momentum"), (SPEED,), small.grid((20,), length=L, boundaries="WALL"))
    walls = {"momentum": [0, "0.5*speed"]}
    operator = small.operator(data, bases={"momentum": "robin"}, walls=walls, terms=2)
    u, v = torch.randn(2, 2, 1, 2, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    increment, h = operator.prepared(gamma=GAMMA), 1e-6
    difference = (increment(u + h * v) - increment(u - h * v)) / (2 * h)
    assert torch.allclose(operator.linearized(u, GAMMA)(v), difference, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slip_lengths": {"density": [1]}}, "has density in the basis cosine, expected robin"),
        ({"slip_lengths": {"momentum": [-1]}}, "each a length of 0 or more or the word learned"),
        ({"slip_lengths": {"momentum": ["given", 1]}}, "each a length of 0 or more or the word learned"),
        ({"slip_lengths": {"momentum": [1, 1, 1]}}, "expected one or two entries"),
        ({"slip_lengths": {"momentum": [math.inf]}}, "for a wall without friction, take the basis cosine"),
        ({"biases": {"momentum": ["conservation"]}}, "goes neither with conservation of momentum"),
        ({"flux": True}, "gradient_flow, model.flux"),
        ({"biases": ["gradient_flow"], "terms": 2, "scheme": "exponential"}, "nor with gradient_flow"),
    ],
)
def test_slip_that_cannot_be_is_refused(options, message):
    data = small.description(("density", "momentum"), (SPEED,), small.grid((20,), length=L, boundaries="WALL"))
    with pytest.raises(ValueError, match=message):
        small.operator(data, **{"bases": {"momentum": "robin"}, **options})


@pytest.mark.parametrize("boundaries", [("PERIODIC",), ("WALL", "PERIODIC")])
def test_slip_is_for_one_axis_between_walls(boundaries):
    data = small.description(where=small.grid((8,) * len(boundaries), boundaries=boundaries))
    with pytest.raises(ValueError, match="for fields on one axis between walls"):
        small.operator(data, bases={"density": "robin"})
    with pytest.raises(ValueError, match="has one axis, expected no product"):
        Robin(8, 1.0) * Fourier(8, 1.0)


def test_one_learned_slip_length_serves_both_walls_where_one_is_asked_for():
    data = small.description(where=small.grid((8,), boundaries="WALL"))
    operator = small.operator(data, bases={"density": "robin"}, slip_lengths={"density": ["learned"]})
    slip = operator.basis.slip.detach().numpy()
    assert operator.basis.log_slip.shape == (2, 1)
    assert np.array_equal(slip[:, 0], slip[:, 1])


@pytest.mark.parametrize("realizations", [1, 2, 3])
def test_fields_beside_one_that_slips_keep_the_straight_lines_between_their_walls(realizations):
    walls = Walls(1, -1, 20, L, (False, False), (Product(2.0), Product(1.0)), (Product(5.0), Product(3.0)))
    slip = torch.linspace(0.1, 0.4, 2 * realizations).double().view(realizations, 2)
    lifted = walls.lift(torch.zeros(1, 0).double(), {1: slip})
    x = (torch.arange(20).double() + 0.5) / 20
    assert torch.allclose(lifted[:, 0, 0], (2 + 3 * x).expand(realizations, -1))
    at_wall, outward = lifted[:, 0, 1, 0], (lifted[:, 0, 1, 1] - lifted[:, 0, 1, 0]) / (L / 20)
    assert torch.allclose(at_wall - outward * (L / 40) - 1, slip[:, 0] * outward)
