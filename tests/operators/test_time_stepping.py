import itertools
import math

import pytest
import torch

from morlight.operators import Fourier, SpectralOperator, rollout


class Exact(torch.nn.Module):
    """A symbol given by a formula."""

    def __init__(self, formula):
        super().__init__()
        self.formula = formula

    def forward(self, kappa, gamma):
        return self.formula(kappa).to(torch.complex128)[None, None, None]


class Straight(torch.nn.Module):
    """h(u) = u."""

    def forward(self, u, gamma):
        return u


def operator(formula, points=(64,)):
    basis = Fourier(points, (2 * math.pi,) * len(points)).double()
    return SpectralOperator(basis, Exact(formula), Straight()).double()


@pytest.mark.parametrize("k", [1, 5, 20])
def test_rollout_of_the_exact_heat_symbol_is_the_heat_solution(k):
    dt = 1e-3
    heat = operator(lambda kappa: torch.expm1(-(kappa[0] ** 2) * dt))
    x = torch.arange(64, dtype=torch.float64) * 2 * math.pi / 64
    u = rollout(heat, torch.cos(k * x).view(1, 1, 1, -1), 100)
    t = torch.arange(101, dtype=torch.float64) * dt
    exact = torch.exp(-(k**2) * t)[:, None] * torch.cos(k * x)
    assert torch.allclose(u[0, 0, :, 0], exact, rtol=0, atol=1e-13)  # 100 steps of rounding


def test_rollout_of_the_exact_fractional_symbol_in_the_plane():
    fractional = operator(lambda kappa: torch.expm1(-(kappa.square().sum(0) ** 0.75) * 0.01), (32, 32))
    x = torch.arange(32, dtype=torch.float64) * 2 * math.pi / 32
    wave = torch.cos(3 * x[:, None] + 4 * x[None])
    u = rollout(fractional, wave[None, None, None], 10, every=10)
    assert torch.allclose(u[0, 0, -1, 0], math.exp(-(5**1.5) * 0.1) * wave, rtol=0, atol=1e-13)


def test_explicit_euler_is_first_order_in_dt():
    x = torch.arange(16, dtype=torch.float64) * 2 * math.pi / 16  # stable: κ²Δt ≤ 64/50
    errors = []
    for steps in (50, 100, 200):
        euler = operator(lambda kappa, n=steps: -(kappa[0] ** 2) / n, (16,))
        end = rollout(euler, torch.cos(2 * x).view(1, 1, 1, -1), steps, every=steps)[0, 0, -1, 0]
        errors.append((end - math.exp(-4) * torch.cos(2 * x)).norm().item())
    slopes = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert slopes == pytest.approx([1, 1], abs=0.08)  # 1 + 4/(2·50) from the next order


def test_every_keeps_the_same_states():
    heat = operator(lambda kappa: torch.expm1(-(kappa[0] ** 2) * 0.01))
    u = torch.randn(1, 2, 1, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(rollout(heat, u, 12)[:, :, ::4], rollout(heat, u, 12, every=4))


@pytest.mark.parametrize(("steps", "every"), [(-1, 1), (10, 3), (10, 0)])
def test_steps_that_cannot_be_are_refused(steps, every):
    heat = operator(lambda kappa: -kappa[0])
    with pytest.raises(ValueError, match="steps is"):
        rollout(heat, torch.ones(1, 1, 1, 64, dtype=torch.float64), steps, every=every)
