"""Particles to a density on a periodic grid.

A density is ρ(x) = (V / P) Σₚ δ(x − xₚ) for P particles in the volume V, so its mean over the grid is 1. The
histogram averages it over each cell, a linear cloud gives each particle to its two nearest centres along each axis
by their distances; the Fourier deposit keeps its modes below the Nyquist wavenumber instead, so that derivatives see
no cells. Sample j stands for the centre of its cell, xⱼ = (j + 1/2) h.
"""

import itertools
import math

import torch
from jaxtyping import Float, Int
from torch import Tensor


def histogram(
    positions: Float[Tensor, "D particles"], points: tuple[int, ...], length: tuple[float, ...]
) -> Float[Tensor, "*X"]:
    """Density of mean 1 in each cell of a periodic grid; positions outside are brought back by whole periods."""
    if not positions.isfinite().all():
        raise ValueError("a particle has a position that is not finite")
    cells = [(x * (N / L)).floor().long() % N for x, N, L in zip(positions, points, length, strict=True)]
    return density(torch.stack(cells), points)


def fourier(
    positions: Float[Tensor, "D particles"],
    points: tuple[int, ...],
    length: tuple[float, ...],
    oversampling: int = 16,
) -> Float[Tensor, "*X"]:
    """Density of mean 1 from the Fourier modes of a finer histogram, `oversampling` cells to one along each axis."""
    return truncate(histogram(positions, tuple(oversampling * N for N in points), length), points)


def density(cells: Int[Tensor, "D particles"], points: tuple[int, ...]) -> Float[Tensor, "*X"]:
    """Density of mean 1 of particles that lie in the given cells (float64: counts are exact)."""
    flat = cells[0]
    for cell, N in zip(cells[1:], points[1:], strict=True):
        flat = flat * N + cell
    counts = torch.bincount(flat, minlength=math.prod(points)).reshape(points)
    return counts.double() * (counts.numel() / cells.shape[1])


def cloud(cells: Float[Tensor, "D particles"], points: tuple[int, ...]) -> Float[Tensor, "*X"]:
    """Density of mean 1, each particle shared linearly between the nearest centres of cells (cloud in cell).

    Args:
        cells: positions in units of the cells, centres at 1/2, 3/2, …; the box is periodic.
        points: number of cells along each axis.
    """
    left = (cells - 0.5).floor()
    share = cells - 0.5 - left
    total = torch.zeros(math.prod(points), dtype=cells.dtype, device=cells.device)
    for corner in itertools.product((0, 1), repeat=len(points)):
        flat, weight = left.new_zeros(left.shape[1], dtype=torch.long), torch.ones_like(left[0])
        for axis, (side, N) in enumerate(zip(corner, points, strict=True)):
            flat = flat * N + (left[axis].long() + side) % N
            weight = weight * (share[axis] if side else 1 - share[axis])
        total += torch.bincount(flat, weight, minlength=len(total))
    return total.reshape(points) * (len(total) / cells.shape[1])


def truncate(fine: Float[Tensor, "*fine"], points: tuple[int, ...]) -> Float[Tensor, "*X"]:
    """Samples on a coarser grid of the Fourier modes |k| < points / 2 of a histogram, the Nyquist mode dropped.

    Centres lie at (j + 1/2) h on both grids, h differs, hence the phase; the M cells of the histogram have damped mode
    k by sinc(πk/M), which is taken back:

        u(xⱼ) = Σₖ cₖ / sinc(πk/M) exp(iπk (1/N − 1/M)) exp(2πikj / N),  cₖ the coefficient on the grid of M cells.
    """
    c = torch.fft.fftn(fine, norm="forward")
    for axis, (M, N) in enumerate(zip(fine.shape, points, strict=True)):
        k = torch.fft.fftfreq(N, 1 / N, device=fine.device, dtype=fine.dtype)
        phase = torch.exp(1j * math.pi * (1 / N - 1 / M) * k) / torch.sinc(k / M) * (2 * k.abs() < N)
        c = c.index_select(axis, k.long() % M) * phase.reshape(-1, *[1] * (fine.ndim - axis - 1))
    return torch.fft.ifftn(c, norm="forward").real
