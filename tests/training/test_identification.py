"""Where the training data determine the rate of change: known scatter, known noise, and equations of several terms."""

import math
from pathlib import Path

import numpy as np
import pytest
import small
import torch

from benchmarks.equation_sets import Case, line, noisy, solution, waves
from morlight.analysis.equations.power_law import identified
from morlight.data.sample import TrainingSample
from morlight.data.windows import MemoryFrames, Windows
from morlight.operators import build, shells, term_words
from morlight.operators.bases import Fourier
from morlight.operators.build import Components
from morlight.operators.description import Grid
from morlight.operators.library import Candidate, Laplacian, Partial, distinct
from morlight.training.identification import Fitted, rate_errors

FACTOR = np.exp(-0.02 * np.arange(17.0) ** 1.5)  # of each mode in a step


def sample(u) -> TrainingSample:
    rows = torch.arange(len(u))
    return TrainingSample(Path("u.h5"), Windows(MemoryFrames(u), rows, torch.zeros(len(u), 0)))


class Linear(torch.nn.Module):
    """h(u) = u."""

    def forward(self, u, gamma):
        return u


class Symbol(torch.nn.Module):
    """g of one realization as numbers."""

    def __init__(self, g) -> None:
        super().__init__()
        self.g = torch.as_tensor(g, dtype=torch.complex128)

    def forward(self, kappa, gamma):
        return self.g.view(1, 1, 1, -1)


def linear(g) -> Fitted:
    parts = Components(symbol=lambda _: Symbol(g), nonlinearity=lambda _: Linear())
    config = small.config(field_scaling=False, realizations=1)
    data = small.description()
    return Fitted(build.operator(config, data, parts).double(), 0, "explicit", data)


def fluctuating(rng, trajectories=20, frames=20):
    """Modes û (trajectory, time, κ) in equilibrium that forget by `FACTOR` in a step, and the fields."""
    c = rng.normal(size=(trajectories, frames, 17)) + 1j * rng.normal(size=(trajectories, frames, 17))
    for j in range(1, frames):
        c[:, j] = FACTOR * c[:, j - 1] + np.sqrt(1 - FACTOR**2) * c[:, j]
    return c, torch.from_numpy(np.fft.irfft(c, n=32))[:, :, None]


def test_the_error_of_a_rate_is_the_scatter_of_its_estimates():
    """Estimates with the frame before as instrument, as in NumPy: λ = Σ û*ⱼ₋₁ ûⱼ₊₁ / Σ û*ⱼ₋₁ ûⱼ."""
    rng, stated, estimates = np.random.default_rng(0), [], []
    for _ in range(60):
        c, u = fluctuating(rng)
        stated.append(rate_errors(linear(FACTOR - 1), sample(u), [1])[0])
        before = c[:, :-2].conj()
        estimates.append((before * c[:, 2:]).sum((0, 1)).real / (before * c[:, 1:-1]).sum((0, 1)).real)
    scatter = np.log(np.array(estimates)[:, 3:10]).std(0) / abs(np.log(FACTOR[3:10]))
    assert np.allclose(np.median(stated, 0)[3:10], scatter, rtol=0.35)  # 3 standard errors of 60 draws


def test_trajectories_that_differ_in_their_rates_count_as_single_observations():
    """A rate of its own in each of 20 trajectories: windows of one trajectory do not average it out."""
    rng = np.random.default_rng(1)
    rates = np.exp(0.5 * rng.normal(size=(20, 1, 1)))
    c = np.exp(-0.05 * rates * np.arange(30)[:, None]) * np.ones(17)
    u = torch.from_numpy(np.fft.irfft(c, n=32))[:, :, None]
    mean = np.exp(-0.05 * rates.mean()) - 1
    told = np.array(rate_errors(linear(np.full(17, mean)), sample(u), [1])[0][1:16])
    assert told == pytest.approx(rates.std() / math.sqrt(20) / rates.mean(), rel=0.5)


def test_modes_that_noise_attenuates_by_more_than_the_limit_are_not_identified():
    """White noise in every frame: the fitted 1 + g is λ S/(S + N), which is wrong by (1 + g)/g N/(S + N)."""
    rng = np.random.default_rng(2)
    c, u = fluctuating(rng, 100, 50)
    power = 10.0 ** (-np.arange(17) / 3)  # S
    u = torch.from_numpy(np.fft.irfft(c * np.sqrt(power), n=32))[:, :, None]
    noise = 1e-5
    u = u + math.sqrt(noise / 16) * torch.from_numpy(rng.normal(size=u.shape))  # N in the unit of S
    attenuated = FACTOR * power / (power + noise)
    wrong = attenuated / abs(attenuated - 1) * noise / (power + noise)
    moduli = torch.arange(17.0).double()
    errors = torch.tensor(rate_errors(linear(attenuated - 1), sample(u), [1])[0], dtype=torch.float64)
    band = identified(moduli, errors)
    assert band is not None
    inside = (moduli >= band[0]) & (moduli <= band[1])
    assert inside[torch.from_numpy(wrong < 0.01) & (moduli > 3)].all()  # slower modes need longer trajectories
    assert not inside[torch.from_numpy(wrong > 0.1)].any()


def plane(n, exponents):
    return Candidate(Laplacian(n) if n else Partial((0, 0)), exponents)


def burgers() -> Case:
    """∂ₜu = 0.1 ∂²ₓu − ½ ∂ₓu²."""
    basis = Fourier(128, 16.0).double()
    u = waves(basis, 6, 4, torch.Generator().manual_seed(0))
    truth, times = [{line(2, 1): 0.1, line(1, 2): -0.5}], torch.linspace(0, 4, 41).double()
    return Case("burgers", basis, times, solution(truth, basis, u, times, 10), truth)


def allen_cahn() -> Case:
    """∂ₜu = 0.01 Δu + u − u³."""
    basis = Fourier((32, 32), math.tau).double()
    u = 0.5 * waves(basis, 4, 3, torch.Generator().manual_seed(1))
    truth = [{plane(1, (1,)): 0.01, plane(0, (1,)): 1.0, plane(0, (3,)): -1.0}]
    times = torch.linspace(0, 3, 16).double()
    return Case("allen_cahn", basis, times, solution(truth, basis, u, times, 10), truth)


def gray_scott() -> Case:
    """∂ₜu = 0.2 Δu − uv² + F(1 − u), ∂ₜv = 0.1 Δv + uv² − (F + k)v."""
    basis = Fourier((32, 32), 40.0).double()
    v = 0.4 * torch.sigmoid(4 * (waves(basis, 4, 4, torch.Generator().manual_seed(2)) - 0.7))
    truth = [
        {plane(1, (1, 0)): 0.2, plane(0, (1, 2)): -1.0, plane(0, (0, 0)): 0.037, plane(0, (1, 0)): -0.037},
        {plane(1, (0, 1)): 0.1, plane(0, (1, 2)): 1.0, plane(0, (0, 1)): -0.097},
    ]
    times = torch.linspace(0, 30, 16).double()
    return Case("gray_scott", basis, times, solution(truth, basis, torch.cat([1 - v, v], 1), times, 10), truth)


def exact(case: Case) -> Fitted:
    """The operator of the equation."""
    names = ["u", "v"][: case.u.shape[2]]
    count = len(case.basis.points)
    grid = Grid(case.basis.points, tuple(map(float, case.basis.length)), ("PERIODIC",) * count)
    data = small.description([small.field(name) for name in names], where=grid, dt=float(case.times[1] - case.times[0]))
    words = {n: [term_words.written(each, names, []) for each in own] for n, own in zip(names, case.truth, strict=True)}
    terms = len(distinct([each for own in case.truth for each in own]))
    config = small.config(equation=words, terms=terms, scheme="exponential", substeps=10, realizations=1)
    operator = build.operator(config, data).double()
    theta = [value for own in case.truth for value in own.values()]
    with torch.no_grad():
        operator.g.theta.copy_(torch.tensor([theta], dtype=torch.float64))
    return Fitted(operator, 0, build.scheme(config, data), data)


@pytest.mark.parametrize("noise", [0.0, 0.01], ids=["clean", "noisy"])
@pytest.mark.parametrize("make", [burgers, allen_cahn, gray_scott])
def test_the_band_of_an_equation_holds_all_waves_that_change_above_the_noise_and_none_below(make, noise):
    """The noise of clean fields is that of their storage in single precision."""
    case = make()
    stored = (noisy(case.u, noise) if noise else case.u).float().double()
    told = rate_errors(exact(case), sample(stored), [1])
    moduli, index = shells(case.basis.wavenumbers)

    def power(u):
        squares = case.basis.forward(u).abs().square().mean((0, 1)).flatten(1)
        total = squares.new_zeros(len(squares), moduli.shape[1]).index_add_(1, index.flatten(), squares)
        return total / torch.bincount(index.flatten())

    highest = 0.66 * math.pi * case.basis.points[0] / case.basis.length[0]  # products of shorter waves are aliases
    noises, changes, sizes = power(stored - case.u), power(case.u.diff(dim=1)), power(case.u)
    for field, errors in enumerate(told):
        band = identified(moduli[0], torch.tensor(errors, dtype=torch.float64))
        assert band is not None
        inside = (moduli[0] >= band[0]) & (moduli[0] <= band[1])
        clear = (changes[field] > 1e3 * noises[field]) & (moduli[0] < highest)
        assert inside[1:][clear.long()[1:].cumprod(0).bool()].all()
        assert (sizes[field][inside] > noises[field][inside]).all()
