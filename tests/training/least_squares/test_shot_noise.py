"""Moments of independent walkers in cells, against integrals over the cells."""

import math

import numpy as np
import pytest

from morlight.data.sample import ShotNoise
from morlight.operators import Cosine, Fourier
from morlight.training.least_squares.pair_moments import PairMoments
from morlight.training.least_squares.shot_noise import Aliases, IndependentParticles, Law

POINTS, PARTICLES = 12, 1000
KERNELS = [("histogram", None), ("linear", None), ("fourier", 4)]
IDS = [kernel for kernel, _ in KERNELS]


def cell_moments(kernel, finer, diffused):
    """E û* û′ of one walker that starts anywhere and takes a normal step with ⟨x²⟩ = 2·diffused, by quadrature."""
    cells, samples = POINTS * (finer or 1), 960
    x = (np.arange(samples) + 0.5) / samples * math.tau
    centers = (np.arange(cells) + 0.5) / cells * math.tau
    away = np.abs((x[:, None] - centers + math.pi) % math.tau - math.pi) / (math.tau / cells)
    shape = (away < 0.5) * 1.0 if kernel != "linear" else np.maximum(1 - away, 0)
    waves = np.exp(-1j * np.outer(np.arange(POINTS // 2 + 1), centers))
    seen = waves @ shape.T * POINTS
    if finer:
        seen /= np.sinc(np.arange(POINTS // 2 + 1) / cells)[:, None]
    k = np.fft.fftfreq(samples, 1 / samples)
    later = np.fft.ifft(np.fft.fft(seen) * np.exp(-(k**2) * diffused))
    return (np.abs(seen) ** 2).mean(1), (seen.conj() * later).mean(1)


@pytest.mark.parametrize(("kernel", "finer"), KERNELS, ids=IDS)
@pytest.mark.parametrize("diffused", [0.003, 0.03])
def test_aliases_complete_the_moments_of_walkers_in_cells(kernel, finer, diffused):
    known = Aliases(Fourier(POINTS, math.tau).double(), ShotNoise(1, kernel, finer))
    law = Law(diffused, 2.0, np.zeros(1))
    within, between = cell_moments(kernel, finer, diffused)
    inner = slice(0, POINTS // 2)  # the deposit in Fourier space has no mode at the Nyquist wavenumber
    own = known.own * law.decay(known.kappa, 1)
    unit = POINTS**2
    assert (known.own + known.total)[inner] * unit == pytest.approx(within[inner], rel=2e-3)  # 960 samples
    assert (own + known.remembered(law, 1))[inner] * unit == pytest.approx(between.real[inner], rel=2e-3)


def test_aliases_in_the_plane_are_those_of_both_axes():
    line, plane = (Aliases(Fourier(p, math.tau).double(), ShotNoise(1)) for p in (POINTS, (POINTS, POINTS)))
    law, flat = Law(0.03, 2.0, np.zeros(1)), Law(0.03, 2.0, np.zeros(2))
    alone = line.own * law.decay(line.kappa, 1) + line.remembered(law, 1)  # of normal steps, a product over the axes
    both = (plane.own * flat.decay(plane.kappa, 1) + plane.remembered(flat, 1)).reshape(POINTS, -1)
    index = np.abs(np.fft.fftfreq(POINTS, 1 / POINTS)).astype(int)
    assert both == pytest.approx(np.outer(alone[index], alone), rel=1e-6)


def expected(basis, noise, law, *, mean=1.0, rates=None, long=1e3):
    """Moments of walkers whose long waves have a mean density, without any scatter."""
    aliases = Aliases(basis, noise)
    size = math.prod(basis.length) / math.prod(basis.points)
    white = (basis.freedom * size / basis.energy).flatten().numpy()
    shot = mean**2 * math.prod(basis.points) / PARTICLES * white
    modulus = np.sqrt((aliases.kappa**2).sum(0))
    long = long * np.exp(-modulus)
    decay = law.decay(aliases.kappa, 1) if rates is None else np.exp(-rates(modulus))
    first = shot * (aliases.own * (1 + long) + aliases.total)
    last = shot * (aliases.own * (1 + long * np.abs(decay) ** 2) + aliases.total)
    product = shot * (aliases.own * (1 + long) * decay + aliases.remembered(law, 1))
    return PairMoments(first, product if not basis.real else product.real, last, 1e5, 1)


PLACES = [Fourier(16, math.tau), Fourier((16, 16), math.tau), Cosine(16, math.pi)]


@pytest.mark.parametrize("basis", PLACES, ids=["line", "plane", "walls"])
@pytest.mark.parametrize(("kernel", "finer"), KERNELS, ids=IDS)
def test_the_law_is_found_behind_aliases_that_hardly_decay(basis, kernel, finer):
    basis, noise = basis.double(), ShotNoise(PARTICLES, kernel, finer)
    velocity = np.zeros(1) if basis.real else np.full(len(basis.points), 0.01)
    law = Law(2e-3, 1.5, velocity)  # waves as short as two cells lose 4 % in a step
    found = IndependentParticles(basis, noise, 3.0, expected(basis, noise, law, mean=3.0))
    assert found.refusal() is None
    assert found.law.coefficient == pytest.approx(law.coefficient, rel=1e-4)
    assert found.law.exponent == pytest.approx(law.exponent, abs=1e-4)
    assert found.law.velocity == pytest.approx(velocity, abs=1e-6)


@pytest.mark.parametrize("wrong", [0.5, 1.5, 4])
def test_a_number_of_particles_that_the_fluctuations_do_not_have_is_refused(wrong):
    basis, noise = PLACES[0].double(), ShotNoise(PARTICLES)
    pairs = expected(basis, noise, Law(2e-2, 2.0, np.zeros(1)))
    found = IndependentParticles(basis, ShotNoise(round(wrong * PARTICLES)), 1.0, pairs)
    assert "not those of" in found.refusal()
    assert IndependentParticles(basis, noise, 1.0, pairs).refusal() is None


@pytest.mark.parametrize(("times", "refused"), [(0.5, True), (1, False), (2, True)])
def test_without_a_power_law_the_number_of_particles_is_checked_by_the_shortest_waves(times, refused):
    basis, law = PLACES[0].double(), Law(0.12, 2.0, np.zeros(1))
    pairs = expected(basis, ShotNoise(PARTICLES), law, rates=lambda k: 0.12 * k**2 * (1 + 0.5 * np.sin(2 * k)))
    found = IndependentParticles(basis, ShotNoise(round(times * PARTICLES)), 1.0, pairs)
    assert found.law is None
    assert ("not those of" in (found.refusal() or "")) == refused


@pytest.mark.parametrize(("rate", "refused"), [(0.002, True), (0.12, False)])
def test_without_a_power_law_aliases_must_have_decayed(rate, refused):
    basis, noise = PLACES[0].double(), ShotNoise(PARTICLES)
    law = Law(rate, 2.0, np.zeros(1))
    pairs = expected(basis, noise, law, rates=lambda k: rate * k**2 * (1 + 0.5 * np.sin(2 * k)))
    found = IndependentParticles(basis, noise, 1.0, pairs)
    assert found.law is None
    assert not found.remembered(1).any()
    assert ("power law" in (found.refusal() or "")) == refused


def test_slow_waves_are_known_from_the_size_of_their_fluctuations():
    # ln σ̂² of n complex numbers has the variance 1/n; the decay by r alone tells of ln r with 1/(n r)
    basis, noise, r = PLACES[0].double(), ShotNoise(PARTICLES, "fourier", 64), 1e-4
    uniform = expected(basis, noise, Law(r, 1.0, np.zeros(1)), long=0.0)
    found = IndependentParticles(basis, noise, 1.0, uniform)
    inner = slice(1, 4)
    by_size, by_decay = (found.rate_errors(uniform, fluctuations=both)[inner] for both in (True, False))
    rate = found.law.coefficient * np.arange(1, 4) ** found.law.exponent
    assert by_size**2 * uniform.pairs == pytest.approx(1.0, rel=0.05)  # r, and aliases of 64 times finer cells
    assert by_decay**2 * uniform.pairs == pytest.approx(1 / rate, rel=0.05)
