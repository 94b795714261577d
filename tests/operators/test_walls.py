"""Walls with given values and slopes against series and steady states on paper."""

import math

import pytest
import small
import torch
from torch import nn

from morlight.operators import Cosine, Exponential, Rollouts, Sine, SpectralOperator, build, on_grid, stepper
from morlight.operators.units import Units
from morlight.operators.wall_words import Product, read
from morlight.operators.walls import Lift, Walls

D, DT, N, L = 0.7, 0.02, 40, 2.0
GAMMA = torch.tensor([[1.5]], dtype=torch.float64)
SPEED = small.parameter("speed", low=0.5, high=2.0)
CHANNEL = small.grid((N,), length=L, boundaries="WALL")


class Given(nn.Module):
    """A symbol of κ, or a nonlinearity of u, as it stands."""

    def __init__(self, *functions):
        super().__init__()
        self.functions = functions

    def forward(self, x, gamma):
        if x.ndim < 4:  # κ (D, *K)
            return torch.stack([f(x.square().sum(0)) for f in self.functions])[None, None]
        return torch.cat([f(x) for f in self.functions], 2)


def diffusion(squares):
    """One step of ∂ₜu = D∇²u."""
    return torch.expm1(-D * DT * squares)


def between(low, high, symbols=(diffusion,), terms=(lambda u: u,), slope=False, points=N):
    """An operator of one field with given values, or slopes, at x = 0 and x = L."""
    basis = (Cosine if slope else Sine)(points, L)
    walls = Walls(1, -1, points, L, (slope,), (read(low),), (read(high),), ("speed",))
    lifted = [True] * len(terms)
    lifted[-1] = len(terms) == 1
    lift = Lift(walls, basis, slope=slope, lifted=lifted)
    g, h = Given(*symbols), Given(*terms)
    return SpectralOperator(basis, g, h, units=Units([1.0]), lift=lift).double()


def couette(x, t, speed, modes=400):
    """Velocity after the wall x = L of a fluid at rest began to move: the steady profile and its decaying series."""
    k = torch.arange(1, modes + 1, dtype=torch.float64)[:, None]
    terms = (-1.0) ** k / k * torch.exp(-D * (k * math.pi / L) ** 2 * t) * torch.sin(k * math.pi * x / L)
    return speed * x / L + 2 * speed / math.pi * terms.sum(0)


def generator(squares):
    return -D * DT * squares


@pytest.mark.parametrize("scheme", ["explicit", "exponential"])
def test_fluid_between_a_wall_at_rest_and_one_that_starts_to_move_follows_the_series(scheme):
    operator = between(0, "speed", [diffusion if scheme == "explicit" else generator])
    field = small.field(low=0.0, high=1.5)
    how = scheme if scheme == "explicit" else Exponential((field,))
    u = torch.zeros(1, 1, 1, N, dtype=torch.float64)
    frames = Rollouts(operator, GAMMA, how).frames(u, 200, every=20)[0, 0, :, 0]
    x = operator.basis.coordinates[0]
    for number, t in ((1, 0.4), (3, 1.2), (10, 4.0)):
        assert (frames[number] - couette(x, t, 1.5)).abs().max() < 1e-3 * 1.5  # the jump at t = 0 on 40 points


@pytest.mark.parametrize("scheme", ["explicit", "implicit", "exponential"])
def test_the_steady_state_of_nonlinear_diffusion_stays(scheme):
    """∂ₜu = D∂ₓ²u² with u = ½ and u = speed at the walls."""
    operator = between(0.5, "speed", [generator], [lambda u: u.square()])
    how = Exponential((small.field(low=0.5, high=1.5),)) if scheme == "exponential" else scheme
    x = operator.basis.coordinates[0]
    u = (0.25 + (1.5**2 - 0.25) * x / L).sqrt()[None, None, None]
    assert (operator(u, GAMMA)).abs().max() < 1e-13
    assert (stepper(operator, how, gamma=GAMMA)(u) - u).abs().max() < 1e-12


def test_heat_that_flows_in_through_the_walls_warms_as_its_slopes_say():
    operator = between(0.5, "2*speed", slope=True)
    x = operator.basis.coordinates[0]
    rest = 0.5 * x + (3 - 0.5) * x.square() / (2 * L)

    def exact(t):
        wave = math.exp(-D * (math.pi / L) ** 2 * t) * torch.cos(math.pi * x / L)
        return rest + D * (3 - 0.5) / L * t + wave

    frames = Rollouts(operator, GAMMA).frames(exact(0.0)[None, None, None], 100, every=100)
    assert (frames[0, 0, 1, 0] - exact(100 * DT)).abs().max() < 1e-4  # of the curvature of g at κ = 0


def test_slopes_of_a_quadratic_flux_are_exact():
    """∂ₜu = ∂ₓ²u² of u = x + 1 between slopes 1 grows by 2."""

    def error(points):
        operator = between(1, 1, [lambda squares: -squares], [lambda u: u.square()], slope=True, points=points)
        change = operator((1 + operator.basis.coordinates[0])[None, None, None], GAMMA)[0, 0, 0]
        return float((change.mean() - 2).abs())

    assert error(20) < 1e-10  # differences of a parabola have no error


def test_a_force_acts_up_to_the_walls_that_move():
    """∂ₜu = D∂ₓ²u + 1: the steady state is a parabola on a line."""
    operator = between(0, "speed", [generator, lambda s: DT + 0 * s], [lambda u: u, torch.ones_like])
    x = operator.basis.coordinates[0]
    u = 1.5 * x / L + x * (L - x) / (2 * D)
    frames = Rollouts(operator, GAMMA, Exponential((small.field(),))).frames(u[None, None, None], 200, every=200)
    assert (frames[0, 0, 1, 0] - u).abs().max() < 1e-3 * float(u.max())  # the series of a constant on 40 points


def test_walls_across_one_axis_and_waves_along_the_other():
    grid = small.grid((N, 16), length=(L, 3.0), boundaries=("WALL", "PERIODIC"))
    basis = build.basis(grid, "sine")
    walls = Walls(2, -2, N, L, (False,), (read(0),), (read("speed"),), ("speed",))
    lift = Lift(walls, basis, slope=False, lifted=[True])
    g, h = Given(diffusion), Given(lambda u: u)
    operator = SpectralOperator(basis, g, h, units=Units([1.0]), lift=lift).double()
    x, y = operator.basis.coordinates
    wave = torch.sin(math.pi * x / L) * torch.cos(math.tau * y / 3)
    decay = math.exp(-D * DT * ((math.pi / L) ** 2 + (math.tau / 3) ** 2) * 30)
    frames = Rollouts(operator, GAMMA).frames((1.5 * x / L + wave)[None, None, None], 30, every=30)
    assert (frames[0, 0, 1, 0] - 1.5 * x / L - decay * wave).abs().max() < 1e-12


MOVING = {"bases": {"momentum": "sine"}, "walls": {"momentum": [0, "0.5*speed"]}, "terms": 2}


@pytest.mark.parametrize("more", [{}, {"walls": {"momentum": [0, "speed"], "density": [-1, "speed*speed"]}}])
def test_the_linearized_operator_between_walls_is_its_derivative(more):
    data = small.description(("density", "momentum"), (SPEED,), CHANNEL)
    operator = small.operator(data, **MOVING | more)
    generator = torch.Generator().manual_seed(0)
    u, v = torch.randn(2, 2, 1, 2, N, generator=generator, dtype=torch.float64)
    increment, h = operator.prepared(gamma=GAMMA), 1e-6
    difference = (increment(u + h * v) - increment(u - h * v)) / (2 * h)
    assert torch.allclose(operator.linearized(u, GAMMA)(v), difference, rtol=1e-6, atol=1e-8)


def test_walls_stay_where_they_are_on_a_finer_grid():
    operator = between(0, "speed")
    finer = on_grid(operator, [2 * N])
    x = finer.basis.coordinates[0]
    assert finer((1.5 * x / L)[None, None, None], GAMMA).abs().max() < 1e-13


@pytest.mark.parametrize(
    ("words", "product"),
    [
        (2, Product(2.0)), ("-0.5", Product(-0.5)), ("speed", Product(1.0, ("speed",))),
        ("-speed * 1e2", Product(-100.0, ("speed",))), ("2*a*a*.5", Product(1.0, ("a", "a"))),
        ("nan", Product(1.0, ("nan",))),
    ],
)  # fmt: skip
def test_words_for_walls_are_products_of_numbers_and_parameters(words, product):
    assert read(words) == product


@pytest.mark.parametrize("words", ["", "speed+1", "2*", "f(x)", "a**2", "1e999", "--1", "__import__('os')", "1/2"])
def test_other_words_for_walls_are_refused(words):
    with pytest.raises(ValueError, match="not a product of numbers and parameters"):
        read(words)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"walls": {"momentum": [0]}}, "expected two values"),
        ({"walls": {"momentum": [0, "1+1"]}}, "of momentum: '1\\+1' is not a product"),
        ({"walls": {"momentum": [0, 1]}, "flux": True}, "neither with model.flux"),
        ({"walls": {"velocity": [0, 1]}}, "model.walls names velocity"),
        ({"walls": {"momentum": [0, "force"]}}, "names force, expected a parameter of data.parameters: speed"),
        ({"walls": {"density": [0, 1]}, "biases": {"density": ["conservation"]}}, "flows in through the walls"),
        ({"walls": {"momentum": [0, 1]}, "bases": {"density": "legendre"}}, "not with legendre"),
    ],
)
def test_walls_that_cannot_be_are_refused(options, message):
    data = small.description(("density", "momentum"), (SPEED,), CHANNEL)
    with pytest.raises(ValueError, match=message):
        small.operator(data, **{"bases": {"momentum": "sine"}, **options})


def test_periodic_data_have_no_walls():
    with pytest.raises(ValueError, match="with walls across one axis"):
        small.operator(walls={"density": [0, 1]})
