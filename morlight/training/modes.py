"""What the training data say of each mode by itself: the linear model, and the standard errors of the rates."""

import math

import torch

from morlight.analysis import linear_model
from morlight.analysis.checkpoint import ModeStatistics
from morlight.analysis.equations.power_law import by_modulus, rate_errors
from morlight.analysis.linear_model import Affine, Factors
from morlight.data.sample import TrainingSample
from morlight.operators import build
from morlight.operators.description import DataDescription
from morlight.operators.spectral import Operator
from morlight.training.least_squares.band import signal_band
from morlight.training.least_squares.noise import noise_variance


def linear(operator: Operator, data: DataDescription, sample: TrainingSample, horizon: int) -> list[Factors | Affine]:
    """The linear model of each mode by itself, over as many steps as the windows have at most.

    Args:
        operator: whose bases are used.
        data: the training data.
        sample: some of them.
        horizon: the longest m.
    """
    if data.steady:  # f takes the place of the increment
        u, f = sample.pairs()
        return linear_model.regress(operator, torch.stack([u, u + f, u + f]), 1)
    m = 1 if data.parameters else horizon
    return linear_model.regress(operator, sample.frames(m), m, sample.parameters(m))


def signal(data: DataDescription, sample: TrainingSample) -> tuple[float, ...]:
    """Along each axis, the largest |κ| at which any field stands above its noise and above rounding.

    Args:
        data: the training data.
        sample: some of them.
    """
    space = build.basis(data.grid).double()
    u = sample.frames(1)[:2].transpose(0, 1).double()
    share = signal_band(space, u, noise_variance(space, u))
    return tuple(share * math.pi * N / L for N, L in zip(data.grid.points, data.grid.length, strict=True))


def statistics(
    known: list[Factors | Affine], data: DataDescription, sample: TrainingSample, horizons: list[int]
) -> ModeStatistics:
    """The linear model and, without γ, the standard errors of the rates of all modes of the same |κ|."""
    parts = linear_model.plain(known)
    if data.steady or data.parameters:  # with γ there is no one rate of a mode
        return ModeStatistics(parts)
    space = build.basis(data.grid).double()
    each = []
    for m in sorted(set(horizons)):
        first, _, last = sample.frames(m)
        windows = sample.windows.count(m)
        errors = [rate_errors(u, v, space, windows, m) for u, v in zip(first.unbind(1), last.unbind(1), strict=True)]
        each.append(torch.stack([by_modulus(error, space) for error in errors]))
    smallest = torch.stack(each).amin(0).tolist()
    return ModeStatistics(parts, tuple(tuple(errors) for errors in smallest))
