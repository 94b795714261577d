"""Particles to a density on a grid.

A density is ρ(x) = (V / P) Σₚ δ(x − xₚ) for P particles in the volume V, so its mean over the grid is 1. The
histogram averages it over each cell, a linear cloud gives each particle to its two nearest centers along each axis
by their distances; the spectral deposit keeps its modes below the Nyquist wavenumber instead, so that derivatives see
no cells: Fourier modes on periodic axes, cosines or sines between walls. Sample j stands for the center of its cell,
xⱼ = (j + 1/2) h.
"""

import itertools
import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from morlight.data.particles.cell_sums import cell_sums
from morlight.operators.real_transforms import dct, dst, idct, idst

KERNELS = ("histogram", "linear", "spectral")
FINER = {1: 16, 2: 8}  # cells to one of the grid along each axis, for the Fourier deposit of walkers, by dimensions
OVERSAMPLING = 16  # fine cells to one of the grid along each axis, for the spectral deposit
BLOCK = 131_072  # particles shared between centers at a time: their intermediate values stay in the cache


def histogram(
    positions: Float[Tensor, "D particles"],
    points: tuple[int, ...],
    length: tuple[float, ...],
    boundaries: tuple[str, ...] | None = None,
) -> Float[Tensor, "*X"]:
    """Density of mean 1 in each cell, in float64, so that counts are exact.

    Args:
        positions: in [0, L]; on periodic axes others are brought back by whole periods.
        points: cells along each axis.
        length: L of each axis.
        boundaries: PERIODIC or WALL on each axis; by default, all periodic.

    Raises:
        ValueError: if a particle is behind a wall or has a position that is not finite, or there is no particle.
    """
    _require_particles(positions)
    counts = cell_sums(positions, points, [(0.0, L) for L in length])
    if counts.sum() < positions.shape[1]:  # some are not within [0, L); to look for them first would cost a third more
        counts = cell_sums(*_inside(positions, points, length, boundaries))
    return counts * (counts.numel() / positions.shape[1])


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
        positions: in [0, L]; on periodic axes others are brought back by whole periods.
        points: cells along each axis.
        length: L of each axis.
        boundaries: PERIODIC or WALL on each axis.
        weights: wₚ, one row for each field.
        kernel: histogram, the mean over each cell; linear, shared between the nearest centers; or spectral, the modes
            below the Nyquist wavenumber, cosines between walls.

    Raises:
        ValueError: if a particle is behind a wall or has a position that is not finite.
    """
    volume = math.prod(L / N for L, N in zip(length, points, strict=True))
    if kernel == "linear":
        x = _folded(positions, length, boundaries)
        return _shared(x, weights, points, length, boundaries) / volume
    finer = tuple(N * OVERSAMPLING for N in points) if kernel == "spectral" else points
    inside = _inside(positions, finer, length, boundaries)
    totals = torch.stack([cell_sums(*inside, w) for w in weights])
    if kernel == "histogram":
        return totals / volume
    bases = tuple("fourier" if boundary == "PERIODIC" else "cosine" for boundary in boundaries)
    return torch.stack([truncate(u, points, bases) for u in totals]) * (OVERSAMPLING ** len(points) / volume)


def spectral(
    positions: Float[Tensor, "D particles"],
    points: tuple[int, ...],
    length: tuple[float, ...],
    bases: tuple[str, ...] | None = None,
    oversampling: int = OVERSAMPLING,
) -> Float[Tensor, "*X"]:
    """Density of mean 1 from the modes of a finer histogram, `oversampling` cells to one along each axis.

    Args and errors as for `histogram`, and bases: fourier, cosine or sine for each axis; by default, all fourier.
    """
    walls = None if bases is None else tuple("PERIODIC" if word == "fourier" else "WALL" for word in bases)
    return truncate(histogram(positions, tuple(oversampling * N for N in points), length, walls), points, bases)


def cloud(
    positions: Float[Tensor, "D particles"], points: tuple[int, ...], length: tuple[float, ...]
) -> Float[Tensor, "*X"]:
    """Density of mean 1 in a periodic box, each particle shared linearly between the nearest centers (cloud in cell).

    Args and errors as for `histogram`.
    """
    _require_particles(positions)
    boundaries = ("PERIODIC",) * len(points)
    total = _shared(positions, None, points, length, boundaries)[0]
    if total.sum() < positions.shape[1] - 0.5:  # some are farther than half a cell from the box
        total = _shared(_folded(positions, length, boundaries), None, points, length, boundaries)[0]
    return total * (total.numel() / positions.shape[1])


def _inside(
    positions: Float[Tensor, "D particles"],
    points: tuple[int, ...],
    length: tuple[float, ...],
    boundaries: tuple[str, ...] | None,
) -> tuple[Float[Tensor, "D particles"], tuple[int, ...], list[tuple[float, float]]]:
    """Positions, points, and ranges that hold all: [0, L), or [0, N) with the number of each particle's cell."""
    boundaries = boundaries or ("PERIODIC",) * len(points)
    if _all_inside(positions, length, boundaries):
        return positions, points, [(0.0, L) for L in length]
    cells = []
    for x, N, L, boundary in zip(positions, points, length, boundaries, strict=True):
        cell = (x * (N / L)).floor()
        cells.append(cell % N if boundary == "PERIODIC" else cell.clamp(max=N - 1))
    return torch.stack(cells), points, [(0.0, float(N)) for N in points]


def _folded(
    positions: Float[Tensor, "D particles"], length: tuple[float, ...], boundaries: tuple[str, ...]
) -> Float[Tensor, "D particles"]:
    """Positions in [0, L], whole periods taken off on periodic axes."""
    if _all_inside(positions, length, boundaries):
        return positions
    axes = zip(positions, length, boundaries, strict=True)
    return torch.stack([x - L * (x / L).floor() if boundary == "PERIODIC" else x for x, L, boundary in axes])


def _all_inside(
    positions: Float[Tensor, "D particles"], length: tuple[float, ...], boundaries: tuple[str, ...]
) -> bool:
    """Whether every position is within [0, L).

    Raises:
        ValueError: if a particle is behind a wall or has a position that is not finite.
    """
    inside = True
    for axis, (x, L, boundary) in enumerate(zip(positions, length, boundaries, strict=True)):
        low, high = torch.stack(x.aminmax() if len(x) else (x.new_zeros(()),) * 2).tolist()
        if not math.isfinite(low) or not math.isfinite(high):  # NaN is both
            raise ValueError("a particle has a position that is not finite")
        if boundary != "PERIODIC" and (low < 0 or high > L):
            outside = int(((x < 0) | (x > L)).sum())
            raise ValueError(
                f"{outside} of {len(x)} particles are behind the walls of axis {'xyz'[axis]}, from"
                f" {low:.6g} to {high:.6g}, expected all within 0 to {L:.6g}"
            )
        inside = inside and low >= 0 and high < L
    return inside


def _require_particles(positions: Tensor) -> None:
    if positions.shape[1] == 0:
        raise ValueError("there is no particle, expected at least one for a density of mean 1")


def _shared(
    positions: Float[Tensor, "D particles"],
    weights: Float[Tensor, "F particles"] | None,
    points: tuple[int, ...],
    length: tuple[float, ...],
    boundaries: tuple[str, ...],
) -> Float[Tensor, "F *X"]:
    """Weights (1 by default) shared between the nearest centers; what is beyond a wall stays in the cell at the wall.

    Between the centers j − 1 and j, a particle gives the share s of its weight to j and 1 − s to j − 1. So the sums of
    w and of w s over the particles between two centers are enough, and they are histograms with N + 1 cells.
    """
    between, ranges = [N + 1 for N in points], [(0.0, N + 1.0) for N in points]
    subsets = list(itertools.product((0, 1), repeat=len(points)))
    fields = 1 if weights is None else len(weights)
    moments = positions.new_zeros(len(subsets), fields, *between, dtype=torch.float64)
    rows = positions.new_empty(2, len(points), BLOCK, dtype=torch.float64)
    for start in range(0, positions.shape[1], BLOCK):
        block = slice(start, start + BLOCK)
        x, shares = rows[..., : positions[:, block].shape[1]]
        for row, target, N, L in zip(positions[:, block].double(), x, points, length, strict=True):
            torch.mul(row, N / L, out=target)
        torch.sub(x.add_(0.5), torch.floor(x, out=shares), out=shares)
        for moment, subset in zip(moments, subsets, strict=True):
            share = None
            for axis in itertools.compress(range(len(points)), subset):
                share = shares[axis] if share is None else share * shares[axis]
            for field in range(fields):
                w = None if weights is None else weights[field, block]
                if share is not None:
                    w = share if w is None else w * share
                moment[field] += cell_sums(x, between, ranges, w)
    total = moments.unflatten(0, (2,) * len(points))
    for axis, boundary in enumerate(boundaries):
        total = _centers(total[0], total[1], axis - len(points), boundary)
    return total


def _centers(
    whole: Float[Tensor, "*between"], share: Float[Tensor, "*between"], axis: int, boundary: str
) -> Float[Tensor, "*X"]:
    """Sums at the centers along one axis, from those of w and of w s between them."""
    N = whole.shape[axis] - 1
    lower = whole - share
    total = lower.narrow(axis, 1, N) + share.narrow(axis, 0, N)
    first, last = (0, N - 1) if boundary == "WALL" else (N - 1, 0)
    total.select(axis, first).add_(lower.select(axis, 0))
    total.select(axis, last).add_(share.select(axis, N))
    return total


def truncate(
    fine: Float[Tensor, "*fine"], points: tuple[int, ...], bases: tuple[str, ...] | None = None
) -> Float[Tensor, "*X"]:
    """Samples on a coarser grid of the modes of a histogram below the Nyquist wavenumber of that grid.

    Centers lie at (j + 1/2) h on both grids, but h differs, hence the phase of Fourier modes; the M cells of the
    histogram have damped them by sinc(πk/M), and cosines and sines of κ = πk/L by sinc(πk/2M), which is taken back:

        fourier  u(xⱼ) = Σ_|k|<N/2  cₖ / sinc(πk/M) exp(iπk (1/N − 1/M)) exp(2πikj/N)
        cosine   u(xⱼ) = Σ_k<N cₖ / sinc(πk/2M) cos(πk (j + ½)/N),  sine alike

    with the coefficients c of the M cells.

    Args:
        fine: means over the fine cells, M along each axis.
        points: N along each axis.
        bases: fourier, cosine or sine for each axis; fourier for all by default.
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
