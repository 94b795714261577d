"""Operators with a given symbol and h(u) = u, as models, and training data of given fields."""

from pathlib import Path

import small
import torch

from morlight.analysis.checkpoint import Checkpoint, ModeStatistics
from morlight.analysis.model import Model
from morlight.data.sample import TrainingSample
from morlight.data.windows import MemoryFrames, Windows
from morlight.operators import SpectralOperator, Units, build


class Given(torch.nn.Module):
    """g of each field as a function of κ (D, *K)."""

    def __init__(self, functions) -> None:
        super().__init__()
        self.functions = functions

    def forward(self, kappa, gamma=None):
        symbols = torch.stack([g(kappa) for g in self.functions])[None, None]
        return symbols.expand(-1, 1 if gamma is None else len(gamma), *symbols.shape[2:])


class Identity(torch.nn.Module):
    """h(u) = u."""

    def forward(self, u, gamma=None):
        return u


def operator(grid, *symbols, wall="cosine") -> SpectralOperator:
    """û ↦ (1 + g(κ)) û, of one field for each symbol."""
    sizes, units = [1.0] * len(symbols), Units([1.0])
    return SpectralOperator(build.basis(grid, wall).double(), Given(symbols), Identity(), sizes, units=units).double()


def model(grid, *symbols, wall="cosine", dt=0.1, parameters=(), **options) -> Model:
    """The same as a model, of fields named u0, u1, …, for any value of parameters."""
    names = [f"u{c}" for c in range(len(symbols))]
    data = small.description(names, parameters, where=grid, dt=dt)
    config = small.config(realizations=1, bases=dict.fromkeys(names, wall), **options)
    checkpoint = Checkpoint(Path("exact.ckpt"), config, {}, data, ModeStatistics(), None, None, None, {})
    return Model(checkpoint, operator(grid, *symbols, wall=wall), grid)


def sample(u, gamma=None) -> TrainingSample:
    """All trajectories (S, T, C, *X) as training data."""
    gamma = torch.zeros(len(u), 0) if gamma is None else gamma
    return TrainingSample(Path("exact.h5"), Windows(MemoryFrames(u), torch.arange(len(u)), gamma))


def additive(realizations=1, fields=1):
    """Knots and a² = 1 there, of noise that does not depend on the fields."""
    knots = torch.tensor([0.0, 1.0]).double().expand(realizations, 1, fields, 2)
    return knots, torch.ones_like(knots)
