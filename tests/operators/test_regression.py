"""Levenberg and Marquardt on the moments: Jacobians, side by side, and errors that are what they say."""

import math

import pytest
import torch

from morlight.operators import Fourier, build
from morlight.operators.moments import Gatherer
from morlight.operators.regression import jacobian, levenberg_marquardt, problem, regress

MODEL = {
    "biases": [], "symbol": "plain", "width": 4, "depth": 3, "activation": "tanh", "realizations": 3, "seed": 0,
    "literal": False,
}  # fmt: skip
POINTS = 32


def samples(count=40):
    """u with modes up to 4 and ∂ₓu², by the exact symbol."""
    generator = torch.Generator().manual_seed(0)
    phases = math.tau * torch.rand(count, 5, generator=generator, dtype=torch.float64)
    c = torch.zeros(count, POINTS // 2 + 1, dtype=torch.complex128)
    c[:, :5] = torch.polar(torch.full_like(phases, POINTS / 2), phases)
    u = torch.fft.irfft(c, n=POINTS)
    kappa = torch.arange(POINTS // 2 + 1, dtype=torch.float64)
    return u, torch.fft.irfft(1j * kappa * torch.fft.rfft(u**2), n=POINTS)


def data():
    u, f = samples()
    return {
        "fields": ["u"], "points": [POINTS], "length": [math.tau], "boundaries": ["PERIODIC"],
        "scale": [float(u.square().mean().sqrt())], "unit": [float(f.square().mean().sqrt())], "band": [1.0, 8.0],
    }  # fmt: skip


def moments():
    u, f = samples()
    gatherer = Gatherer(Fourier(POINTS, math.tau).double(), float(u.min()), float(u.max()), 32)
    gatherer.add(u, f)
    return gatherer.moments()


def operator(**words):
    return build.operator(MODEL | words, data()).double()


def test_jacobian_is_that_of_automatic_differentiation():
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    x = torch.randn(2, 5, generator=generator, dtype=torch.float64)

    def values(theta, x):
        a, b, c = theta[:, :, None].unbind(1)
        return torch.stack([torch.tanh(a * x[0] + b), c * x[1] ** 2 + a], 2)

    whole = torch.autograd.functional.jacobian(lambda t: values(t, x), theta)
    for r in range(2):  # no realisation depends on the other
        assert torch.allclose(jacobian(values, theta, x)[r].movedim(0, -1), whole[r, :, :, r], atol=1e-14)


def test_search_finds_the_minimum_of_a_known_problem_in_every_realisation():
    t = torch.linspace(0, 2, 21, dtype=torch.float64)
    truth = torch.tensor([[2.0, -1.0], [0.5, -3.0]], dtype=torch.float64)
    y = truth[:, :1] * torch.exp(truth[:, 1:] * t)

    def residual(theta):
        return theta[:, :1] * torch.exp(theta[:, 1:] * t) - y

    def normal(theta):
        decay = torch.exp(theta[:, 1:] * t)
        J = torch.stack([decay, theta[:, :1] * t * decay], 1)
        return J @ J.mT, (J @ residual(theta)[..., None])[..., 0]

    start = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    steps = list(levenberg_marquardt(start, (lambda theta: residual(theta).square().sum(1), normal), 60))
    assert torch.allclose(steps[-1][0], truth, atol=1e-6)
    errors = torch.stack([values for _, values in steps])
    assert (errors.diff(dim=0) <= 0).all()


@pytest.mark.parametrize(
    "words", [{}, {"biases": ["isotropy"], "literal": True}, {"biases": ["conservation", "reflection"]}]
)
def test_normal_equations_of_the_networks_are_half_the_slope_of_their_error(words):
    theta, (error, normal), _ = problem(operator(**words).requires_grad_(False), moments())
    theta = theta + 0.1 * torch.randn(theta.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    slope = torch.autograd.functional.jacobian(lambda t: error(t).sum(), theta)
    assert torch.allclose(normal(theta)[1], slope / 2, rtol=1e-7, atol=1e-9 * float(slope.abs().max()))


def test_regression_learns_the_operator_and_says_how_well():
    learned = operator()
    errors = torch.stack(list(regress(learned, moments(), 150)))
    assert (errors.diff(dim=0) <= 0).all()
    assert errors[-1].sqrt().median() < 0.02
    u, f = samples()
    with torch.no_grad():
        measured = (learned(u[None, :, None])[:, :, 0] - f).square().flatten(1).sum(1) / f.square().sum()
    assert torch.allclose(measured.sqrt(), errors[-1].sqrt(), rtol=0.1)  # splines, and the rest as white noise


def test_realisations_side_by_side_are_single_ones():
    side = torch.stack(list(regress(operator(), moments(), 12)))
    single = torch.stack(list(regress(operator(seed=2, realizations=1), moments(), 12)))
    assert torch.allclose(side[:, 2:], single, rtol=1e-6)


def test_single_precision_is_fitted_in_double():
    torch.manual_seed(0)
    single, double = build.operator(MODEL, data()), operator()
    of_single = list(regress(single, moments(), 15))[-1]
    of_double = list(regress(double, moments(), 15))[-1]
    assert of_single.dtype == torch.float64
    assert next(single.parameters()).dtype == torch.float32
    assert torch.allclose(of_single, of_double, rtol=1e-2)
