"""Levenberg and Marquardt on the moments: Jacobians, side by side, and errors that are what they say."""

import math

import pytest
import small
import systems
import torch

from morlight.operators import Fourier, build, losses, starts
from morlight.training.least_squares.gatherer import Gatherer
from morlight.training.least_squares.levenberg_marquardt import (
    LeastSquares,
    composed,
    jacobian,
    levenberg_marquardt,
    regress,
)

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
    scale, target = (float(values.square().mean().sqrt()) for values in (u, f))
    field = small.field("u", float(u.min()), float(u.max()), scale, target=target)
    return small.description([field], where=small.grid((POINTS,)), band=(1.0, 8.0))


def moments():
    u, f = samples()
    gatherer = Gatherer(Fourier(POINTS, math.tau).double(), float(u.min()), float(u.max()), 32)
    gatherer.add(u, f[None])
    return {1: gatherer.moments()[0]}


def decaying(steps=(1, 3), count=40, aliases=None):
    """Moments of fields that decay by exp(−0.02 κ²) a step, over several steps."""
    u, _ = samples(count)
    kappa = torch.arange(POINTS // 2 + 1, dtype=torch.float64)
    gatherer = Gatherer(Fourier(POINTS, math.tau).double(), float(u.min()), float(u.max()), 32, len(steps))
    later = [torch.fft.irfft(torch.exp(-0.02 * m * kappa**2) * torch.fft.rfft(u)) for m in steps]
    gatherer.add(u, torch.stack(later) - u)
    return dict(zip(steps, gatherer.moments(aliases=aliases), strict=True))


def counts():
    counted = 1e-3 * (torch.arange(POINTS // 2 + 1, dtype=torch.float64) / POINTS) ** 2
    return decaying(aliases=[(counted, counted / 2)] * 2)


def operator(**options):
    """A fresh operator of small networks of tanh."""
    return build.operator(small.config(**{"activation": "tanh", "realizations": 3, **options}), data())


def double(**options):
    return operator(**options).double()


def test_jacobian_is_that_of_automatic_differentiation():
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    x = torch.randn(2, 5, generator=generator, dtype=torch.float64)

    def values(theta, x):
        a, b, c = theta[:, :, None].unbind(1)
        return torch.stack([torch.tanh(a * x[0] + b), c * x[1] ** 2 + a], 2)

    whole = torch.autograd.functional.jacobian(lambda t: values(t, x), theta)
    for r in range(2):  # no realization depends on the other
        assert torch.allclose(jacobian(values, theta, x)[r].movedim(0, -1), whole[r, :, :, r], atol=1e-14)


def test_search_finds_the_minimum_of_a_known_problem_in_every_realization():
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


def test_a_smaller_tolerance_finds_the_minimum_below_an_error_that_is_nearly_all_noise():
    scale = torch.logspace(0, -6, 4).double()

    def residual(theta):  # a curved valley, as narrow as the scales differ
        x, y = theta[:, :4], theta[:, 4:]
        return torch.cat([scale * (1 - x), 10 * (y - x**2)], 1)

    def normal(theta):
        J = torch.func.vmap(torch.func.jacrev(lambda row: residual(row[None])[0]))(theta)
        return J.mT @ J, (J.mT @ residual(theta)[..., None])[..., 0]

    problem = (lambda theta: 1e3 + residual(theta).square().sum(1), normal)
    start = torch.full((1, 8), -1.0).double()
    ends = {tolerance: list(levenberg_marquardt(start, problem, 5000, tolerance)) for tolerance in (0.01, 0.0)}
    left = {tolerance: residual(steps[-1][0]).square().sum() for tolerance, steps in ends.items()}
    assert len(ends[0.01]) < 60 < len(ends[0.0])
    assert left[0.0] < 1e-3 * left[0.01]


@pytest.mark.parametrize("data_of", [moments, decaying, counts])
@pytest.mark.parametrize(
    "options",
    [
        {},
        systems.PAPER | {"biases": ["isotropy"]},
        {"biases": ["conservation", "reflection"]},
        {"symbol": "dissipative"},
    ],
)
def test_normal_equations_of_the_networks_are_half_the_slope_of_their_error(options, data_of):
    squares = LeastSquares(double(**options).requires_grad_(False), data_of())
    noise = torch.randn(squares.start.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    theta = squares.start + 0.1 * noise
    slope = torch.autograd.functional.jacobian(lambda t: squares.error(t).sum(), theta)
    assert torch.allclose(squares.normal(theta)[1], slope / 2, rtol=1e-7, atol=1e-9 * float(slope.abs().max()))


@pytest.mark.parametrize(
    "options", [{}, {"symbol": "dissipative"}, {"symbol": "dissipative", "biases": ["conservation", "isotropy"]}]
)
def test_normal_equations_of_smoothness_are_half_the_slope_of_its_error(options):
    squares = LeastSquares(double(**options).requires_grad_(False), moments())
    squares.prefer_smooth(0.3)
    noise = torch.randn(squares.start.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    theta = squares.start + 0.1 * noise
    slope = torch.autograd.functional.jacobian(lambda t: squares.smoothness.error(t).sum(), theta)
    assert torch.allclose(
        squares.smoothness.normal(theta)[1], slope / 2, rtol=1e-7, atol=1e-9 * float(slope.abs().max())
    )
    assert float(slope.abs().max()) > 0


def test_smoothness_is_that_of_the_losses():
    learned = double(symbol="dissipative")
    squares = LeastSquares(learned.requires_grad_(False), decaying())
    squares.prefer_smooth(2.0)
    h = learned.nonlinearity(squares.smoothness.u[:, None, None] * learned.scale).flatten(1)
    bent = losses.bending(h)
    # of the symbol between the first and the last mode, where `bending` looks from κ₀/κ_max to κ_max/κ₀
    kappa = squares.smoothness.kappa
    log_rate = torch.log(-torch.log((1 + learned.g(kappa)[:, 0, 0]).abs()))
    curved = (log_rate.diff(n=2, dim=1) / squares.smoothness.spacing**2).square().mean(1)
    assert torch.allclose(squares.smoothness.error(squares.start), 2 * (bent + curved), rtol=1e-9)


def test_what_the_data_do_not_say_is_smooth():
    learned, free = double(symbol="dissipative"), double(symbol="dissipative")
    for each in (learned, free):
        starts.upward(each, samples()[0].flatten().tolist())
    list(regress(learned, decaying((1,)), 200, smoothness=1e-4))
    list(regress(free, decaying((1,)), 200))
    kappa = torch.arange(5, 9, dtype=torch.float64)[None]  # the data have modes up to 4
    due = -0.02 * kappa[0] ** 2
    off = [(torch.log1p(each.g(kappa)[:, 0, 0].real) / due - 1).abs().amax(1) for each in (learned, free)]
    assert off[0].median() < 0.5 * off[1].median()


@pytest.mark.parametrize("m", [1, 2, 7])
def test_increments_over_several_steps_are_those_of_the_steps_one_after_the_other(m):
    generator = torch.Generator().manual_seed(0)
    g = 0.3 * torch.randn(2, 5, generator=generator, dtype=torch.complex128) - 0.4
    slope = torch.tensor([0.8, 1.3], dtype=torch.float64)
    u = torch.ones_like(g)
    for _ in range(m):
        u = u + g * slope[:, None] * u
    whole, by_g, by_slope = composed(g, slope, m)
    assert torch.allclose(whole * slope[:, None], u - 1, rtol=1e-12)
    if m > 1:
        nudged = composed(g + 1e-6, slope, m)[0], composed(g, slope + 1e-6, m)[0]
        assert torch.allclose((nudged[0] - whole) / 1e-6, by_g, rtol=1e-4)
        assert torch.allclose((nudged[1] - whole) / 1e-6, by_slope, rtol=1e-4, atol=1e-5)


def test_a_decay_is_learned_from_increments_over_several_steps():
    u, _ = samples()
    learned = double(symbol="dissipative", biases=["conservation"])
    starts.upward(learned, u.flatten().tolist())
    list(regress(learned, decaying((1, 5)), 200))
    kappa = torch.arange(1, 5, dtype=torch.float64)
    with torch.no_grad():
        change = torch.fft.rfft(learned(u[None, :, None])[:, :, 0])[..., 1:5] / torch.fft.rfft(u)[:, 1:5]
    assert (change.mean(1) / torch.expm1(-0.02 * kappa**2) - 1).abs().max() < 1e-2


def test_regression_learns_the_operator_and_says_how_well():
    learned = double()
    errors = torch.stack(list(regress(learned, moments(), 150)))
    assert (errors.diff(dim=0) <= 0).all()
    assert errors[-1].sqrt().median() < 0.02
    u, f = samples()
    with torch.no_grad():
        measured = (learned(u[None, :, None])[:, :, 0] - f).square().flatten(1).sum(1) / f.square().sum()
    assert torch.allclose(measured.sqrt(), errors[-1].sqrt(), rtol=0.1)  # splines, and the rest as white noise


def test_realizations_side_by_side_are_single_ones():
    side = torch.stack(list(regress(double(), moments(), 12)))
    single = torch.stack(list(regress(double(seed=2, realizations=1), moments(), 12)))
    assert torch.allclose(side[:, 2:], single, rtol=1e-4)  # rounding, which ill-conditioned steps amplify to 3e-6


def test_single_precision_is_fitted_in_double():
    torch.manual_seed(0)
    single, other = operator(), double()
    of_single = list(regress(single, moments(), 15))[-1]
    of_double = list(regress(other, moments(), 15))[-1]
    assert of_single.dtype == torch.float64
    assert next(single.parameters()).dtype == torch.float32
    assert torch.allclose(of_single, of_double, rtol=1e-2)
