"""What to try where the linear model of each mode is better than the networks: likely causes, seen in the data."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.analysis.model import Model
from morlight.data.sample import TrainingSample
from morlight.operators import build
from morlight.operators.losses import energy
from morlight.training.least_squares.noise import noise_variance
from morlight.training.suggestions.walls import other_bases

NO_NOISE = 1e-4  # standard deviation of the noise, as a share of the field, below which there is none
GROWTH = 1.05  # of the energy of a wave over a window
ENERGY = 1e-3  # share of the energy from which a wave counts
TRAJECTORIES, FRAMES = 8, 12  # that the noise is estimated from


def advice(model: Model, sample: TrainingSample, horizon: int) -> str:
    """Settings to try, each with its reason, as a list in one sentence.

    Args:
        model: that was fitted.
        sample: of the training data.
        horizon: m.
    """
    return "; ".join(_reasons(model, sample, horizon))


def _reasons(model: Model, sample: TrainingSample, horizon: int) -> Iterator[str]:
    config, changing = model.config, not model.steady
    if changing and model.checkpoint.training["loss"] == "noise" and _free_of_noise(model, sample):
        yield "model.loss points, since the fields have no noise"
    if changing and config.symbol == "dissipative" and _grows(model, sample.frames(horizon)):
        yield "model.symbol plain, since some waves grow and the symbol dissipative only damps"
    if changing:
        windows = sample.windows
        count = min(FRAMES, windows.length)
        u = windows.at(windows.evenly(count - 1, TRAJECTORIES), tuple(range(count))).transpose(0, 1)
        if bases := other_bases(config, model.data, u):
            yield f"{bases}, by the values at the walls"
    if config.terms == 1:
        yield "model.terms 2"
    else:
        yield "more epochs (trainer.max_epochs)"
    if changing and not model.data.parameters and config.order == 1:
        yield f"`morlight discover {sample.path}`, which looks for an equation without networks"


def _free_of_noise(model: Model, sample: TrainingSample) -> bool:
    windows = sample.windows
    count = min(FRAMES, windows.length)
    u = windows.at(windows.evenly(count - 1, TRAJECTORIES), tuple(range(count))).transpose(0, 1).double()
    variance = noise_variance(build.basis(model.data.grid).double(), u)
    sizes = [field.scale for field in model.data.fields]
    return all(s2 < (NO_NOISE * size) ** 2 for s2, size in zip(variance, sizes, strict=True))


def _grows(model: Model, frames: Float[Tensor, "3 B C *X"]) -> bool:
    """Whether the energy of a wave grows from the start of the windows to their end."""
    basis = build.basis(model.data.grid).double()
    first, last = energy(basis, frames[0]), energy(basis, frames[-1])
    strong = first > ENERGY * first.flatten(1).sum(1).view(-1, *[1] * (first.ndim - 1))
    return bool((last[strong] > GROWTH * first[strong]).any()) and bool(torch.isfinite(last).all())
