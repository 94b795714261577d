"""What the training data say of each mode by itself: the linear model, and where it stands above its noise."""

import math

import torch

from morlight.analysis import linear_model, vector_linear_model
from morlight.analysis.linear_model import Part
from morlight.analysis.vector_linear_model import Coupled
from morlight.data.sample import TrainingSample
from morlight.operators import build
from morlight.operators.description import DataDescription
from morlight.operators.spectral import Operator
from morlight.training.least_squares.band import signal_band
from morlight.training.least_squares.noise import noise_variance


def linear(operator: Operator, data: DataDescription, sample: TrainingSample, horizon: int) -> list[Part]:
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


def rate_errors_of_waves(operator: Operator, sample: TrainingSample) -> tuple[tuple[float, ...], ...]:
    """Relative standard errors of the decay rates of shear and sound waves, by field, of a system with vectors."""
    frames = sample.frames(1)
    (known,) = linear_model.regress(operator, frames, 1)
    assert isinstance(known, Coupled)
    share = frames.shape[1] / sample.windows.count(1)  # of all windows
    return tuple(tuple(row) for row in (vector_linear_model.rate_errors(known) * math.sqrt(share)).tolist())


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
