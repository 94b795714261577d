"""Implicit Euler: its equation, its order, its stability and its gradients."""

import itertools
import math

import pytest
import small
import torch
from torch import nn

from morlight.operators import Cosine, Fourier, Sine, SpectralOperator, build, rollout, starts, stepper


class Heat(nn.Module):
    """g(κ) = −Δt|κ|²."""

    def __init__(self, dt):
        super().__init__()
        self.dt = dt

    def forward(self, kappa, gamma):
        g = -self.dt * kappa.square().sum(0)
        return g.expand(1, 1, 1, *g.shape)


class Given(nn.Module):
    """A nonlinearity."""

    def __init__(self, h):
        super().__init__()
        self.h = h

    def forward(self, u, gamma):
        return self.h(u)


def porous(u):
    """Nonlinear diffusion ∂ₜu = ∇²(u + u³/3)."""
    return u + u**3 / 3


def field(*points, seed=0):
    return torch.rand(1, 2, 1, *points, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("basis", [Fourier(32, math.tau), Cosine(20, 1.0), Sine(20, 1.0), Fourier((12, 12), math.tau)])
def test_the_step_solves_its_equation(basis):
    operator = SpectralOperator(basis, Heat(0.1), Given(porous)).double()
    u = field(*basis.points)
    later = stepper(operator, "implicit")(u)
    stiffness = 0.1 * float(basis.wavenumbers.square().sum(0).max())
    assert (later - u - operator(later)).abs().max() < 1e-13 * stiffness
    assert (later - u).abs().max() > 1e-2


def test_systems_and_random_networks_are_stepped_as_well():
    fields = [small.field(name, 0.0, 1.0, scale=1.0) for name in ("density", "momentum")]
    data = small.description(fields, where=small.grid((12,), 2.0, "WALL"))
    config = small.config(biases={"density": ["conservation"]}, bases={"momentum": "sine"}, terms=2)
    operator = build.operator(config, data).double()
    with torch.no_grad():
        for part in operator.operators:
            part.h.network.weights[-1].mul_(0.2)
    u = field(12).expand(-1, -1, 2, -1)
    later = stepper(operator, "implicit")(u)
    assert later.shape == (2, 2, 2, 12)
    assert (later - u - operator(later)).abs().max() < 1e-12


def test_modes_of_heat_decay_by_one_over_one_plus_their_rate():
    basis = Fourier(16, math.tau).double()
    operator = SpectralOperator(basis, Heat(0.3), Given(lambda u: u)).double()
    u = field(16)
    found = basis.forward(stepper(operator, "implicit")(u))
    expected = basis.forward(u) / (1 + 0.3 * basis.wavenumbers[0] ** 2)
    assert (found - expected).abs().max() < 1e-12


def smooth(points=24):
    x = torch.arange(points, dtype=torch.float64) * math.tau / points
    return (1 + 0.5 * torch.sin(x) + 0.2 * torch.cos(2 * x)).view(1, 1, 1, -1)


def test_implicit_euler_is_first_order_in_dt():
    @torch.no_grad()
    def end(scheme, steps):
        operator = SpectralOperator(Fourier(24, math.tau), Heat(0.5 / steps), Given(porous)).double()
        return rollout(operator, smooth(), steps, every=steps, scheme=scheme)[0, 0, -1]

    # the exact solution by Richardson's extrapolation of explicit steps
    exact = 2 * end("explicit", 8000) - end("explicit", 4000)
    errors = [float((end("implicit", steps) - exact).abs().max()) for steps in (40, 80, 160)]
    for coarse, fine in itertools.pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(1, abs=0.05)


def test_stiff_steps_are_stable_where_explicit_ones_are_not():
    operator = SpectralOperator(Fourier(64, math.tau), Heat(1.0), Given(porous)).double()
    u = field(64)
    implicit = rollout(operator, u, 20, scheme="implicit")
    assert (implicit[:, :, 1:].std(-1) <= implicit[:, :, :-1].std(-1) + 1e-12).all()
    assert (implicit[:, :, -1].mean(-1) - u.mean(-1)).abs().max() < 1e-10
    assert not rollout(operator, u, 20)[:, :, -1].abs().max() < 1e6


def test_gradients_are_those_of_the_solution():
    data = small.description([small.field("u", 0.0, 1.0, scale=1.0)], where=small.grid((12,)))
    config = small.config(biases=["conservation"], symbol="dissipative")
    operator = build.operator(config, data).double()
    starts.upward(operator, [0.0, 0.5, 1.0])
    u = field(12)

    def loss():
        step = stepper(operator, "implicit")
        return step(step(u)).square().sum()

    loss().backward()
    for parameter in operator.parameters():
        place = tuple(0 for _ in parameter.shape)
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter[place] += sign * 1e-5
                values.append(float(loss()))
                parameter[place] -= sign * 1e-5
        slope = (values[0] - values[1]) / 2e-5
        assert float(parameter.grad[place]) == pytest.approx(slope, rel=1e-5, abs=1e-7)


def test_a_step_without_a_solution_is_refused():
    class One(nn.Module):
        def forward(self, kappa, gamma):
            return torch.ones(1, 1, 1, kappa.shape[1], dtype=kappa.dtype)

    operator = SpectralOperator(Fourier(16, math.tau), One(), Given(lambda u: u**2)).double()
    with pytest.raises(FloatingPointError, match="implicit Euler does not converge"):
        stepper(operator, "implicit")(1 + field(16))  # z = u + z² has no real solution for u > ¼
    assert stepper(operator, "implicit")(0.1 * field(16)).isfinite().all()
