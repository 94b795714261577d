"""The fit as it would be without one block of its data after the other, for standard errors that come from the data.

With Q the error of all windows and Q_s that of all but those of block s, the parameters change by

    δθ_s = H_s⁻¹ ((1 − 1/S) ∇Q − ∇Q_s)

without that block, where H_s is the matrix JᵀJ of Q_s. It is exact for a linear regression, also if one trajectory has
most of the information (Cook & Weisberg 1982). The scatter of the changes over the blocks gives the standard error of
every number that follows from the parameters (`analysis.data_errors`). It needs no model of the noise: it holds
for windows that overlap, for modes that are correlated, and for networks that do not describe the data exactly, if the
blocks are independent of each other. Blocks are trajectories, or groups of them; a few trajectories are cut in time.

Blocks differ in their information, such as the energy of a mode in each trajectory. How many equal ones would
determine the scatter as well follows from the shares of their JᵀJ in the variance of the symbol (Satterthwaite 1946).

Directions in which the data do not determine the parameters have H ≈ 0. There, a standard deviation of `WIDE` is
assumed before the fit, several times that of the weights of a network: with that of the weights, short waves whose
symbol needs large weights would seem to be better known than they are.
"""

import copy
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from morlight.analysis.jackknife import Jackknife
from morlight.data.sample import TrainingSample
from morlight.data.windows import Windows
from morlight.operators.spectral import SpectralOperator
from morlight.training.least_squares.gatherer import Gatherer
from morlight.training.least_squares.levenberg_marquardt import LeastSquares
from morlight.training.least_squares.moments import change_of_factor
from morlight.training.least_squares.objective import Objective

MOST = 40  # blocks: their standard deviation is then known to 11 %
LEAST = 10  # blocks that a standard error needs
ENOUGH = 20  # blocks that few trajectories are cut into
LONG = 10  # horizons in a block in time, so that the windows across its ends are few
ALIKE = 5.0  # parts in time that share the information of a mode, at least
SPLINES = 12  # of h, which changes little from block to block
WIDE = 5.0  # standard deviation of weights that the data do not determine
LEAST_ALIKE = 3.0  # blocks of equal information, below which Student's t hardly has a variance
LOOKED_AT = 16  # wavenumbers at which the shares of the blocks are computed
TOGETHER = 2**20  # values of splines computed at once


@dataclass(frozen=True)
class Block:
    """Windows that are left out together.

    Attributes:
        rows: trajectories, by their places among those of the training.
        first: first frame that is used.
        last: end of these frames.
    """

    rows: tuple[int, ...]
    first: int
    last: int


def blocks(windows: Windows, horizon: int) -> list[Block]:
    """Trajectories or groups of them, or parts in time of a few; empty where there are fewer than `LEAST`."""
    S, T = len(windows.rows), windows.length
    if S >= LEAST:
        count = min(S, MOST)
        return [Block(tuple(range(s, S, count)), 0, T) for s in range(count)]
    parts = min(math.ceil(ENOUGH / S), T // (LONG * horizon))
    if parts * S < LEAST:
        return []
    edges = [T * part // parts for part in range(parts + 1)]
    return [Block((row,), a, b) for row in range(S) for a, b in itertools.pairwise(edges)]


def jackknife(
    operator: SpectralOperator, sample: TrainingSample, like: Gatherer, objective: Objective
) -> Jackknife | None:
    """The changes of the weights where one block is left out; None where there are too few blocks.

    That is also the case if few blocks have most of the information, or few parts in time most of that on one mode,
    such as the first ones of a wave that decays: their scatter is then that of few numbers.

    Args:
        operator: fitted, of one field and one term.
        sample: of the training data.
        like: sums of the fit, whose basis and range of u are those of the blocks.
        objective: what was minimized.
    """
    sums = _gathered(sample, like, objective.horizons)
    if not sums:
        return None
    in_time = len(sample.windows.rows) < LEAST
    if in_time and _shared(sums) < ALIKE:
        return None
    exact = copy.deepcopy(operator).cpu().double().requires_grad_(False)
    before = {name: parameter.clone() for name, parameter in exact.named_parameters()}
    weights = None if objective.weights is None else objective.weights.cpu()  # as the windows of the blocks
    squares, shifts, alike = _shifts(exact, sums, replace(objective, weights=weights))
    if not alike >= LEAST_ALIKE:
        return None
    changes: dict[str, list[Tensor]] = {name: [] for name in before}
    for shift in shifts:
        squares.write(squares.start + shift)
        for name, parameter in exact.named_parameters():
            changes[name].append(parameter - before[name])
    alike = min(alike, float(len(sums)))  # rounding
    return Jackknife(len(sums), alike, in_time, {name: torch.stack(each) for name, each in changes.items()})


def _shifts(
    exact: SpectralOperator, sums: Sequence[Gatherer], objective: Objective
) -> tuple[LeastSquares, Float[Tensor, "S R P"], float]:
    """The fit, the changes of its parameters without each block, and the number of blocks that are alike."""
    whole = _added(sums)
    weights, shape = objective.weights, whole.shape()  # one slope of h for all
    total = whole.total(weights)
    squares = LeastSquares(exact, objective.moments(whole, shape))
    theta, where = squares.start, (squares.u, squares.kappa)
    values, derivatives = squares.values(theta, *where), squares.derivatives(theta, *where)
    data, gradient = squares.of_moments(squares.moments, values, derivatives)
    error = max(float(squares.error(theta).median()), 0.0)  # below 0 where more noise is subtracted than there is
    if objective.smoothness:
        squares.prefer_smooth(objective.smoothness * error)
    numbers = float(whole.pairs) / max(objective.horizons) * float(whole.basis.freedom.sum())
    least = torch.finfo(theta.dtype).eps * float(data.diagonal(dim1=1, dim2=2).max())
    ridge = max(error / numbers / WIDE**2, least) * torch.eye(theta.shape[1], dtype=theta.dtype)
    prior = squares.normal(theta)[0] - data + ridge
    shifts, variances = [], []
    of_rates = _of_rates(squares, values, derivatives)
    along = torch.linalg.solve(data + prior, of_rates)
    for one in sums:
        rest = _added(sums, without=one)
        share = rest.total(weights) / total
        matrix, score = squares.of_moments(squares.folded(objective.moments(rest, shape)), values, derivatives)
        change = (1 - 1 / len(sums)) * gradient - share * score
        shifts.append(torch.linalg.solve(share * matrix + prior, change))
        variances.append((along * ((data - share * matrix) @ along)).sum(1).clamp_min(0))
    variance = (of_rates * along).sum(1)
    known = torch.where(variance > 0, 1 / variance, 0)
    return squares, torch.stack(shifts), _alike(torch.stack(variances), known)


def _of_rates(
    squares: LeastSquares, values: tuple[Tensor, Tensor], derivatives: tuple[Tensor, Tensor]
) -> Float[Tensor, "R P K"]:
    """∂ ln G/∂θ, real and imaginary parts, of the product G of g and the slope of h at some wavenumbers."""
    (h, g), (dh, dg) = values, derivatives
    factor, change = change_of_factor(g, h, dg, dh, next(iter(squares.moments.values())).slope)
    G = factor - 1
    moves = (G != 0).all(0)
    found = change[:, :, moves] / G[:, None, moves]
    found = found[:, :, :: max(1, math.ceil(found.shape[2] / LOOKED_AT))]
    return torch.view_as_real(found).flatten(2) if found.is_complex() else found


def _alike(variances: Float[Tensor, "S R K"], known: Float[Tensor, "R K"]) -> float:
    """1/Σ_s w_s² for the shares w_s of the blocks in the variance of ln G, averaged over what is known of each κ."""
    shares = variances / variances.sum(0).clamp_min(torch.finfo(known.dtype).tiny)
    return float(known.sum() / (known * shares.square().sum(0)).sum())


def _gathered(sample: TrainingSample, like: Gatherer, horizons: Sequence[int]) -> list[Gatherer]:
    """The sums over the windows of each block."""
    windows, longest, sums = sample.windows, max(horizons), []
    basis = copy.deepcopy(like.basis).cpu()
    for block in blocks(windows, longest):
        own = Gatherer(basis, like.low, like.high, SPLINES, len(horizons))
        for index in _windows(block, windows, longest):
            frames = windows.at(index, (0, *horizons))[:, :, 0]
            own.add(frames[0], frames[1:].double() - frames[0].double())
        sums.append(own)
    return sums


def _shared(sums: Sequence[Gatherer]) -> float:
    """(Σ E)²/Σ E² of the energies E of a mode in each block, of the mode where it is smallest."""
    energy = torch.stack([one.spectrum for one in sums])[:, (sums[0].basis.wavenumbers.flatten(1) != 0).any(0)]
    return float((energy.sum(0).square() / energy.square().sum(0)).nan_to_num(torch.inf).min())


def _added(sums: Sequence[Gatherer], without: Gatherer | None = None) -> Gatherer:
    first = sums[0]
    whole = Gatherer(first.basis, first.low, first.high, first.count, len(first.linear))
    for one in sums:
        for total, part in zip(whole.sums(), one.sums(), strict=True):
            total += 0 if one is without else part
    return whole


def _windows(block: Block, windows: Windows, horizon: int) -> list[Int[Tensor, " n"]]:
    """Indices of the windows that lie in a block, some at a time."""
    frames = torch.arange(block.first, block.last - horizon)
    index = torch.cat([row * (windows.length - horizon) + frames for row in block.rows])
    return list(index.split(max(1, TOGETHER // (SPLINES * math.prod(windows.frames.shape)))))
