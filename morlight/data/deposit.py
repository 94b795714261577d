"""Particles to a density on a periodic grid.

A density is ρ(x) = (V / P) Σₚ δ(x − xₚ) for P particles in the volume V, so its mean over the grid is 1. The
histogram averages it over each cell; the Fourier deposit keeps its modes below the Nyquist wavenumber instead, so
that derivatives see no cells. Sample j stands for the centre of its cell, xⱼ = (j + 1/2) h.
"""

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
    """Density of mean 1 from the Fourier modes of a finer histogram, `oversampling` cells to one along each axis.

    The finer cells damp mode k by sinc(πk / (oversampling · points)): at most 0.2 % for 16.
    """
    return truncate(histogram(positions, tuple(oversampling * N for N in points), length), points)


def density(cells: Int[Tensor, "D particles"], points: tuple[int, ...]) -> Float[Tensor, "*X"]:
    """Density of mean 1 of particles that lie in the given cells (float64: counts are exact)."""
    flat = cells[0]
    for cell, N in zip(cells[1:], points[1:], strict=True):
        flat = flat * N + cell
    counts = torch.bincount(flat, minlength=math.prod(points)).reshape(points)
    return counts.double() * (counts.numel() / cells.shape[1])


def truncate(fine: Float[Tensor, "*fine"], points: tuple[int, ...]) -> Float[Tensor, "*X"]:
    """Samples on a coarser grid of the Fourier modes |k| < points / 2 of a field, the Nyquist mode dropped.

    Centres lie at (j + 1/2) h on both grids, h differs, hence the phase:

        u(xⱼ) = Σₖ cₖ exp(iπk (1/N − 1/M)) exp(2πikj / N),  cₖ the coefficient on the grid of M points.
    """
    c = torch.fft.fftn(fine, norm="forward")
    for axis, (M, N) in enumerate(zip(fine.shape, points, strict=True)):
        k = torch.fft.fftfreq(N, 1 / N, device=fine.device, dtype=fine.dtype)
        phase = torch.exp(1j * math.pi * (1 / N - 1 / M) * k) * (2 * k.abs() < N)
        c = c.index_select(axis, k.long() % M) * phase.reshape(-1, *[1] * (fine.ndim - axis - 1))
    return torch.fft.ifftn(c, norm="forward").real
