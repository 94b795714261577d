"""Particles to densities: against np.histogramdd, exact mass, and a density known in closed form."""

import math

import numpy as np
import pytest
import torch

from morlight.data.deposit import fourier, histogram, truncate

GRIDS = [((12,), (2.0,)), ((16, 10), (1.0, 2 * math.pi))]


def particles(length: tuple[float, ...], count: int = 2000) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(len(length), count, generator=generator, dtype=torch.float64)
    return x * torch.tensor(length, dtype=torch.float64)[:, None]


@pytest.mark.parametrize(("points", "length"), GRIDS)
def test_histogram_counts_as_numpy_does(points, length):
    x = particles(length)
    counts, _ = np.histogramdd(x.numpy().T, bins=points, range=[(0, side) for side in length])
    np.testing.assert_allclose(histogram(x, points, length), counts * math.prod(points) / x.shape[1], rtol=1e-15)


@pytest.mark.parametrize("deposit", [histogram, fourier])
@pytest.mark.parametrize(("points", "length"), GRIDS)
def test_the_mean_density_is_one(deposit, points, length):
    # rounding of sums of 2000 counts and of the transform
    torch.testing.assert_close(deposit(particles(length), points, length).mean().item(), 1.0, rtol=0, atol=1e-13)


@pytest.mark.parametrize("deposit", [histogram, fourier])
def test_particles_are_brought_back_by_whole_periods(deposit):
    x = torch.tensor([[0.1, 0.6, 1.3]], dtype=torch.float64)
    inside, outside = deposit(x, (8,), (2.0,)), deposit(x + torch.tensor([[-4.0, 2.0, 6.0]]), (8,), (2.0,))
    torch.testing.assert_close(outside, inside, rtol=0, atol=1e-13)


def test_the_upper_end_of_the_box_is_its_lower_end():
    x = torch.tensor([[2.0]])
    assert histogram(x, (8,), (2.0,)).argmax() == 0


@pytest.mark.parametrize("points", [(9,), (8,), (6, 8)])
@pytest.mark.parametrize("k", [0, 1, 3])
def test_a_wave_sampled_on_fine_centres_is_the_wave_on_coarse_centres(points, k):
    def wave(shape):
        axes = [(torch.arange(N, dtype=torch.float64) + 0.5) * 2 * math.pi / N for N in shape]
        mesh = torch.meshgrid(*axes, indexing="ij")
        return sum(torch.cos((k if i else min(k, 2)) * x + 0.4 + i) for i, x in enumerate(mesh))

    due = wave(points)
    torch.testing.assert_close(truncate(wave(tuple(16 * N for N in points)), points), due, rtol=0, atol=1e-13)


@pytest.mark.parametrize("points", [(8,), (8, 8)])
def test_the_nyquist_mode_is_dropped(points):
    fine = torch.cos(4 * (torch.arange(128, dtype=torch.float64) + 0.5) * 2 * math.pi / 128 + 0.3)
    fine = fine.reshape(-1, *[1] * (len(points) - 1)).expand(*[128] * len(points))
    torch.testing.assert_close(truncate(fine, points), torch.zeros(points, dtype=torch.float64), rtol=0, atol=1e-13)


@pytest.mark.parametrize("axis", [0, 1])
def test_particles_of_a_known_density_give_it_at_the_centres_of_the_cells(axis):
    # quantiles of 1 + cos(x − 1) on a fine lattice stand for infinitely many particles
    grid = torch.linspace(0, 2 * math.pi, 400_001, dtype=torch.float64)
    share = (grid + torch.sin(grid - 1) + math.sin(1)) / (2 * math.pi)
    quantile = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    x = torch.from_numpy(np.interp(quantile, share, grid))
    spread = torch.rand(x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2 * math.pi
    both = torch.stack([x, spread] if axis == 0 else [spread, x])
    along = fourier(both, (8, 8), (2 * math.pi, 2 * math.pi)).mean(1 - axis)
    centres = (torch.arange(8, dtype=torch.float64) + 0.5) * 2 * math.pi / 8
    # the fine cells damp mode 1 by 1 − sinc(π / 128) = 1e-4
    torch.testing.assert_close(along, 1 + torch.cos(centres - 1), rtol=0, atol=3e-4)


def test_the_fine_cells_damp_a_mode_by_their_sinc():
    M, k = 16 * 8, 3
    centre = (5 + 0.5) * 2 * math.pi / M  # all the particles within one fine cell, spread evenly
    x = centre + (torch.arange(999, dtype=torch.float64) / 999 - 0.499) * 2 * math.pi / M
    u = fourier(x[None], (8,), (2 * math.pi,))
    exact = torch.exp(-1j * k * torch.tensor(centre, dtype=torch.float64))
    got = (u * torch.exp(-1j * k * (torch.arange(8).double() + 0.5) * 2 * math.pi / 8)).mean()
    torch.testing.assert_close(got, exact, rtol=0, atol=1e-12)
    true = torch.exp(-1j * k * x).mean()
    assert abs(true / got) == pytest.approx(math.sin(math.pi * k / M) / (math.pi * k / M), rel=1e-4)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_particle_that_is_nowhere_is_refused(value):
    with pytest.raises(ValueError, match="not finite"):
        histogram(torch.tensor([[0.5, value]]), (8,), (1.0,))
