"""Particles to densities: against np.histogramdd, exact mass, and a density known in closed form."""

import math

import numpy as np
import pytest
import torch

from morlight.data.particles import kernels
from morlight.data.particles.kernels import cloud, histogram, spectral, sums, truncate

GRIDS = [((12,), (2.0,)), ((16, 10), (1.0, 2 * math.pi)), ((4, 3, 5), (1.0, 2 * math.pi, 0.3))]


def particles(length: tuple[float, ...], count: int = 2000) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(len(length), count, generator=generator, dtype=torch.float64)
    return x * torch.tensor(length, dtype=torch.float64)[:, None]


@pytest.mark.parametrize(("points", "length"), GRIDS)
def test_histogram_counts_as_numpy_does(points, length):
    x = particles(length)
    counts, _ = np.histogramdd(x.numpy().T, bins=points, range=[(0, side) for side in length])
    np.testing.assert_allclose(histogram(x, points, length), counts * math.prod(points) / x.shape[1], rtol=1e-15)


@pytest.mark.parametrize("deposit", [histogram, spectral])
@pytest.mark.parametrize(("points", "length"), GRIDS[:2])
def test_the_mean_density_is_one(deposit, points, length):
    # rounding of sums of 2000 counts and of the transform
    torch.testing.assert_close(deposit(particles(length), points, length).mean().item(), 1.0, rtol=0, atol=1e-13)


@pytest.mark.parametrize("deposit", [histogram, spectral])
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
    def wave(shape, over_cells):
        axes = [(torch.arange(N, dtype=torch.float64) + 0.5) * 2 * math.pi / N for N in shape]
        mesh = torch.meshgrid(*axes, indexing="ij")
        numbers = [k if axis else min(k, 2) for axis in range(len(shape))]
        mean = [np.sinc(n / N) if over_cells else 1 for n, N in zip(numbers, shape, strict=True)]
        return sum(a * torch.cos(n * x + 0.4 + i) for i, (a, n, x) in enumerate(zip(mean, numbers, mesh, strict=True)))

    fine = wave(tuple(16 * N for N in points), over_cells=True)  # the mean of a wave over each cell
    torch.testing.assert_close(truncate(fine, points), wave(points, over_cells=False), rtol=0, atol=1e-13)


@pytest.mark.parametrize("points", [(8,), (8, 8)])
def test_the_nyquist_mode_is_dropped(points):
    fine = torch.cos(4 * (torch.arange(128, dtype=torch.float64) + 0.5) * 2 * math.pi / 128 + 0.3)
    fine = fine.reshape(-1, *[1] * (len(points) - 1)).expand(*[128] * len(points))
    torch.testing.assert_close(truncate(fine, points), torch.zeros(points, dtype=torch.float64), rtol=0, atol=1e-13)


@pytest.mark.parametrize("axis", [0, 1])
def test_particles_of_a_known_density_give_it_at_the_centres_of_the_cells(axis):
    # quantiles of 1 + cos 3(x − 1) on a fine lattice stand for infinitely many particles
    grid = torch.linspace(0, 2 * math.pi, 400_001, dtype=torch.float64)
    share = (grid + (torch.sin(3 * (grid - 1)) + math.sin(3)) / 3) / (2 * math.pi)
    quantile = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    x = torch.from_numpy(np.interp(quantile, share, grid))
    spread = torch.rand(x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2 * math.pi
    both = torch.stack([x, spread] if axis == 0 else [spread, x])
    along = spectral(both, (8, 8), (2 * math.pi, 2 * math.pi)).mean(1 - axis)
    centers = (torch.arange(8, dtype=torch.float64) + 0.5) * 2 * math.pi / 8
    # the fine cells would damp mode 3 by 1 − sinc(3π / 128) = 9e-4, if that were not taken back
    torch.testing.assert_close(along, 1 + torch.cos(3 * (centers - 1)), rtol=0, atol=1e-4)


@pytest.mark.parametrize("points", [(8,), (6, 5)])
def test_a_linear_cloud_keeps_the_number_and_the_centre_of_its_particles(points):
    # away from the ends of the box, where the center of mass of a periodic box has no meaning
    cells = 1 + particles(tuple(N - 2.0 for N in points), 100)
    u = cloud(cells, points, tuple(map(float, points)))
    assert u.mean().item() == pytest.approx(1, abs=1e-14)
    for axis, N in enumerate(points):
        centers = (torch.arange(N, dtype=torch.float64) + 0.5).reshape(-1, *[1] * (len(points) - axis - 1))
        assert (u * centers).mean().item() == pytest.approx(cells[axis].mean().item(), rel=1e-13)


def test_a_linear_cloud_goes_over_the_ends_of_the_box():
    torch.testing.assert_close(
        cloud(torch.tensor([[0.25], [3.75]], dtype=torch.float64), (4, 4), (4.0, 4.0)) / 16,
        torch.tensor([0.75, 0, 0, 0.25]).double()[:, None] * torch.tensor([0.25, 0, 0, 0.75]).double(),
    )


@pytest.mark.parametrize("boundary", ["PERIODIC", "WALL"])
@pytest.mark.parametrize("points", [(8,), (6, 5)])
@pytest.mark.parametrize("block", [7, 10_000])
def test_linear_sums_are_those_of_the_triangle_between_centers(points, boundary, block, monkeypatch):
    monkeypatch.setattr(kernels, "BLOCK", block)
    length = (2.0, 0.7)[: len(points)]
    x, h = particles(length, 30), [L / N for L, N in zip(length, points, strict=True)]
    w = torch.randn(2, 30, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    shares = []
    for row, N, side in zip(x, points, h, strict=True):
        centers = (torch.arange(-1, N + 1, dtype=torch.float64) + 0.5) * side  # with the ones beyond both ends
        share = (1 - (row[:, None] - centers).abs() / side).clamp(min=0)
        inside = share[:, 1:-1].clone()
        first, last = (0, -1) if boundary == "WALL" else (-1, 0)
        inside[:, first] += share[:, 0]
        inside[:, last] += share[:, -1]
        shares.append(inside)
    letters = "xy"[: len(points)]
    exact = torch.einsum(f"fp,{','.join('p' + a for a in letters)}->f{letters}", w, *shares) / math.prod(h)
    found = sums(x, w, points, length, (boundary,) * len(points), "linear")
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-12)
    if boundary == "PERIODIC":
        moved = x + torch.tensor([[-6 * L] for L in length], dtype=torch.float64)
        torch.testing.assert_close(sums(moved, w, points, length, ("PERIODIC",) * len(points), "linear"), exact,
                                   rtol=0, atol=1e-11)  # fmt: skip


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_particle_that_is_nowhere_is_refused(value):
    with pytest.raises(ValueError, match="not finite"):
        histogram(torch.tensor([[0.5, value]]), (8,), (1.0,))


@pytest.mark.parametrize("deposit", [histogram, spectral, cloud])
def test_without_any_particle_there_is_no_density_of_mean_one(deposit):
    with pytest.raises(ValueError, match="there is no particle, expected at least one"):
        deposit(torch.empty(2, 0), (8, 8), (1.0, 1.0))


@pytest.mark.parametrize(("word", "k"), [("cosine", 0), ("cosine", 3), ("cosine", 11), ("sine", 1), ("sine", 11)])
def test_waves_between_walls_are_the_waves_on_coarse_centres(word, k):
    wave = torch.cos if word == "cosine" else torch.sin

    def centers(N):
        return (torch.arange(N, dtype=torch.float64) + 0.5) * math.pi / N

    fine = wave(k * centers(96)) * np.sinc(k / 192)  # the mean over a cell of width π/96
    torch.testing.assert_close(truncate(fine, (12,), (word,)), wave(k * centers(12)), rtol=0, atol=1e-13)


def test_a_channel_may_have_walls_in_one_direction_and_none_in_the_other():
    x = (torch.arange(64, dtype=torch.float64) + 0.5) * math.pi / 64
    y = (torch.arange(32, dtype=torch.float64) + 0.5) * 2 * math.pi / 32
    fine = (np.sinc(3 / 128) * torch.cos(3 * x))[:, None] * (np.sinc(2 / 32) * torch.sin(2 * y + 0.3))
    coarse = torch.cos(3 * x.view(8, 8).mean(1))[:, None] * torch.sin(2 * y.view(8, 4).mean(1) + 0.3)
    torch.testing.assert_close(truncate(fine, (8, 8), ("cosine", "fourier")), coarse, rtol=0, atol=1e-13)


@pytest.mark.parametrize("word", ["cosine", "sine"])
def test_particles_between_walls_have_the_modes_of_their_positions(word):
    x = particles((2.0,), 500)
    u = spectral(x, (16,), (2.0,), (word,), oversampling=256)
    wave = torch.cos if word == "cosine" else torch.sin
    centers = (torch.arange(16, dtype=torch.float64) + 0.5) * 2 / 16
    for k in (1, 5):
        exact = 2 * wave(math.pi * k * x[0] / 2).mean()
        found = 2 * (u * wave(math.pi * k * centers / 2)).mean()
        assert float(found) == pytest.approx(float(exact), abs=2e-3)  # 16 · 256 cells: (πk/2M)/√P and less


def test_particles_behind_a_wall_are_refused_and_those_at_it_are_kept():
    x = torch.tensor([[0.0, 0.5, 2.0]], dtype=torch.float64)
    assert histogram(x, (4,), (2.0,), ("WALL",)).tolist() == [4 / 3, 4 / 3, 0, 4 / 3]
    with pytest.raises(ValueError, match=r"2 of 3 particles are behind the walls of axis x, from -0\.1 to 2\.5"):
        histogram(torch.tensor([[-0.1, 0.5, 2.5]]), (4,), (2.0,), ("WALL",))


def test_cells_without_particles_have_no_density():
    u = histogram(torch.full((2, 5), 0.1), (4, 4), (1.0, 1.0))
    assert u[0, 0] == 16
    assert u.sum() == 16


@pytest.mark.parametrize("boundary", ["PERIODIC", "WALL"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_particles_a_rounding_below_the_end_are_counted(boundary, dtype):
    for points in range(2, 400):  # x N/L rounds up to N for some
        end = torch.nextafter(torch.tensor(2.1, dtype=dtype), torch.zeros((), dtype=dtype))
        counts = histogram(torch.stack([end, end / 2])[None], (points,), (2.1,), (boundary,)) * 2 / points
        assert counts.shape == (points,)
        assert counts.sum() == pytest.approx(2)
        if boundary == "WALL":
            assert counts[-1] == pytest.approx(1)
