"""Particles to a density on a grid.

A density is ρ(x) = (V / P) Σₚ δ(x − xₚ) for P particles in the volume V, so its mean over the grid is 1. The
histogram averages it over each cell, a linear cloud gives each particle to its two nearest centres along each axis
by their distances; the spectral deposit keeps its modes below the Nyquist wavenumber instead, so that derivatives see
no cells: Fourier modes on periodic axes, cosines or sines between walls. Sample j stands for the centre of its cell,
xⱼ = (j + 1/2) h.
"""

import itertools
import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from morlight.operators.bases import dct, dst, idct, idst

KERNELS = ("histogram", "linear", "spectral")
FINER = {1: 16, 2: 8}  # cells to one of the grid along each axis, for the Fourier deposit of walkers, by dimensions
OVERSAMPLING = 16  # fine cells to one of the grid along each axis, for the spectral deposit


def histogram(
    positions: Float[Tensor, "D particles"],
    points: tuple[int, ...],
    length: tuple[float, ...],
    boundaries: tuple[str, ...] | None = None,
) -> Float[Tensor, "*X"]:
    """Density of mean 1 in each cell.

    Args:
        positions: in [0, L]; on periodic axes others are brought back by whole periods.
        points: cells along each axis.
        length: L of each axis.
        boundaries: PERIODIC or WALL on each axis; all periodic where left out.

    Raises:
        ValueError: where a particle is behind a wall, or nowhere, or where there is none.
    """
    return density(_cells(positions, points, length, boundaries), points)


def sums(
    positions: Float[Tensor, "D particles"],
    weights: Float[Tensor, "F particles"],
    points: tuple[int, ...],
    length: tuple[float, ...],
    boundaries: tuple[str, ...],
    kernel: str = "histogram",
) -> Float[Tensor, "F *X"]:
    """Σₚ wₚ δ(x − xₚ), such as a number density for w = 1 or a momentum density for w = m v.

    Args:
        positions, points, length, boundaries: as for `histogram`.
        weights: wₚ, one row for each field.
        kernel: histogram, the mean over each cell; linear, shared between the nearest centres; or spectral, the modes
            below the Nyquist wavenumber, cosines between walls.

    Raises:
        ValueError: where a particle is behind a wall, or nowhere.
    """
    volume = math.prod(L / N for L, N in zip(length, points, strict=True))
    if kernel == "linear":
        _cells(positions, points, length, boundaries)  # complains
        cells = positions * positions.new_tensor([[N / L] for N, L in zip(points, length, strict=True)])
        return torch.stack([_cloud(cells, w, points, boundaries) for w in weights]) / volume
    finer = tuple(N * OVERSAMPLING for N in points) if kernel == "spectral" else points
    flat = _flat(_cells(positions, finer, length, boundaries), finer)
    counts = torch.stack([torch.bincount(flat, w, minlength=math.prod(finer)).reshape(finer) for w in weights])
    if kernel == "histogram":
        return counts / volume
    bases = tuple("fourier" if boundary == "PERIODIC" else "cosine" for boundary in boundaries)
    return torch.stack([truncate(u, points, bases) for u in counts]) * (OVERSAMPLING ** len(points) / volume)


def _cells(
    positions: Float[Tensor, "D particles"],
    points: tuple[int, ...],
    length: tuple[float, ...],
    boundaries: tuple[str, ...] | None,
) -> Int[Tensor, "D particles"]:
    """The cell of each particle along each axis."""
    cells = []
    for axis, (x, N, L) in enumerate(zip(positions, points, length, strict=True)):
        ends = torch.stack(x.aminmax() if len(x) else (x.new_zeros(()),) * 2)
        low, high = ends.tolist()
        if not math.isfinite(low) or not math.isfinite(high):  # NaN is both
            raise ValueError("a particle has a position that is not finite")
        periodic = boundaries is None or boundaries[axis] == "PERIODIC"
        if not periodic and (low < 0 or high > L):
            outside = int(((x < 0) | (x > L)).sum())
            raise ValueError(
                f"{outside} of {len(x)} particles are behind the walls of axis {'xyz'[axis]}, from"
                f" {low:.6g} to {high:.6g}, expected all within 0 to {L:.6g}"
            )
        cell = x * (N / L)
        if low >= 0 and float(ends[1] * (N / L)) < N:  # what follows costs more than all the rest
            cells.append(cell.long())
        else:
            cells.append(cell.floor().long() % N if periodic else cell.long().clamp(0, N - 1))
    return torch.stack(cells)


def spectral(
    positions: Float[Tensor, "D particles"],
    points: tuple[int, ...],
    length: tuple[float, ...],
    bases: tuple[str, ...] | None = None,
    oversampling: int = OVERSAMPLING,
) -> Float[Tensor, "*X"]:
    """Density of mean 1 from the modes of a finer histogram, `oversampling` cells to one along each axis.

    Args and errors as for `histogram`, and bases: fourier, cosine or sine for each axis, all fourier where left out.
    """
    walls = None if bases is None else tuple("PERIODIC" if word == "fourier" else "WALL" for word in bases)
    return truncate(histogram(positions, tuple(oversampling * N for N in points), length, walls), points, bases)


def density(cells: Int[Tensor, "D particles"], points: tuple[int, ...]) -> Float[Tensor, "*X"]:
    """Density of mean 1 of particles that lie in the given cells (float64: counts are exact).

    Raises:
        ValueError: where there is no particle.
    """
    _some(cells)
    counts = torch.bincount(_flat(cells, points), minlength=math.prod(points)).reshape(points)
    return counts.double() * (counts.numel() / cells.shape[1])


def _some(particles: Tensor) -> None:
    if particles.shape[1] == 0:
        raise ValueError("there is no particle, expected at least one for a density of mean 1")


def _flat(cells: Int[Tensor, "D particles"], points: tuple[int, ...]) -> Int[Tensor, " particles"]:
    """Number of each particle's cell among all."""
    flat = cells[0]
    for cell, N in zip(cells[1:], points[1:], strict=True):
        flat = flat * N + cell
    return flat


def cloud(cells: Float[Tensor, "D particles"], points: tuple[int, ...]) -> Float[Tensor, "*X"]:
    """Density of mean 1, each particle shared linearly between the nearest centres of cells (cloud in cell).

    Args:
        cells: positions in units of the cells, centres at 1/2, 3/2, …; the box is periodic.
        points: number of cells along each axis.

    Raises:
        ValueError: where there is no particle.
    """
    _some(cells)
    total = _cloud(cells, torch.ones_like(cells[0]), points, ("PERIODIC",) * len(points))
    return total * (total.numel() / cells.shape[1])


def _cloud(
    cells: Float[Tensor, "D particles"],
    weights: Float[Tensor, " particles"],
    points: tuple[int, ...],
    boundaries: tuple[str, ...],
) -> Float[Tensor, "*X"]:
    """Weights shared between the nearest centres; what a wall would cut off stays in its cell."""
    left = (cells - 0.5).floor()
    share = cells - 0.5 - left
    total = torch.zeros(math.prod(points), dtype=cells.dtype, device=cells.device)
    for corner in itertools.product((0, 1), repeat=len(points)):
        flat, weight = left.new_zeros(left.shape[1], dtype=torch.long), weights
        for axis, (side, N, boundary) in enumerate(zip(corner, points, boundaries, strict=True)):
            place = left[axis].long() + side
            flat = flat * N + (place % N if boundary == "PERIODIC" else place.clamp(0, N - 1))
            weight = weight * (share[axis] if side else 1 - share[axis])
        total += torch.bincount(flat, weight, minlength=len(total))
    return total.reshape(points)


def truncate(
    fine: Float[Tensor, "*fine"], points: tuple[int, ...], bases: tuple[str, ...] | None = None
) -> Float[Tensor, "*X"]:
    """Samples on a coarser grid of the modes of a histogram below the Nyquist wavenumber of that grid.

    Centres lie at (j + 1/2) h on both grids, but h differs, hence the phase of Fourier modes; the M cells of the
    histogram have damped them by sinc(πk/M), and cosines and sines of κ = πk/L by sinc(πk/2M), which is taken back:

        fourier  u(xⱼ) = Σ_|k|<N/2  cₖ / sinc(πk/M) exp(iπk (1/N − 1/M)) exp(2πikj/N)
        cosine   u(xⱼ) = Σ_k<N cₖ / sinc(πk/2M) cos(πk (j + ½)/N),  sine alike

    with the coefficients c of the M cells.

    Args:
        fine: means over the fine cells, M along each axis.
        points: N along each axis.
        bases: fourier, cosine or sine for each axis; all fourier where left out.
    """
    words = bases or ("fourier",) * len(points)
    for axis, (word, N) in enumerate(zip(words, points, strict=True)):
        if word != "fourier":
            fine = _between_walls(fine.movedim(axis, -1), N, word).movedim(-1, axis)
    periodic = [axis for axis, word in enumerate(words) if word == "fourier"]
    if not periodic:
        return fine
    c = torch.fft.fftn(fine, dim=periodic, norm="forward")
    for axis in periodic:
        M, N = fine.shape[axis], points[axis]
        k = torch.fft.fftfreq(N, 1 / N, device=fine.device, dtype=fine.dtype)
        phase = torch.exp(1j * math.pi * (1 / N - 1 / M) * k) / torch.sinc(k / M) * (2 * k.abs() < N)
        c = c.index_select(axis, k.long() % M) * phase.reshape(-1, *[1] * (fine.ndim - axis - 1))
    return torch.fft.ifftn(c, dim=periodic, norm="forward").real


def _between_walls(fine: Float[Tensor, "*fine"], N: int, word: str) -> Float[Tensor, "*X"]:
    """The same along the last axis, of cosines or sines."""
    M = fine.shape[-1]
    k = torch.arange(N, device=fine.device, dtype=fine.dtype)
    keep = N / M / torch.sinc(k / (2 * M))
    if word == "cosine":
        return idct(dct(fine)[..., :N] * keep)
    c = dst(fine)[..., : N - 1] * keep[1:]  # k from 1; the last, k = N, is the Nyquist mode
    return idst(functional.pad(c, (0, 1)))
