"""Ensembles of roll-outs with the noise of the steps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from morlight.analysis.realizations import Choice
from morlight.analysis.trained_operator import TrainedOperator
from morlight.operators import Rollouts
from morlight.operators.fluctuating_rollouts import FluctuatingRollouts

LARGEST_SEED = 2**63 - 1


def check_numbers(fluctuations: Any, seed: Any) -> None:
    """Refuse a number of members or a seed that is not a whole number from 0, or is too large.

    Raises:
        ValueError: naming the argument.
    """
    for name, value in (("fluctuations", fluctuations), ("seed", seed)):
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not whole or not 0 <= value <= LARGEST_SEED:
            raise ValueError(f"{name} is {value!r}, expected a whole number from 0 to 2^63 - 1")


def check_grid(model: TrainedOperator) -> None:
    """Refuse a grid on which the noise was not learned.

    Raises:
        ValueError: naming both grids.
    """
    if model.grid != model.data.grid:
        raise ValueError(
            f"{model.path}: the noise was learned on {list(model.data.grid.points)} points, not on"
            f" {list(model.grid.points)}; expected the grid of the training data"
        )


def check(model: TrainedOperator, realizations: Choice) -> None:
    """Refuse what no ensemble can be made of.

    Raises:
        ValueError: naming the option.
    """
    if model.checkpoint.fluctuations is None:
        raise ValueError(
            f"{model.path}: the noise of its steps was not learned, expected the checkpoint that a fit with"
            " model.fluctuations true names at its end"
        )
    if realizations in ("mean", "data"):
        raise ValueError(
            f"realizations are {realizations!r} with fluctuations, expected all, best or numbers: each realization has"
            " an ensemble of its own"
        )
    if model.step is not None and model.step != model.data.dt:
        raise ValueError(
            f"{model.path}: the noise of steps of Δt = {model.data.dt:g} was learned, not of {model.step:g}; expected"
            " fluctuations without dt"
        )
    check_grid(model)


def frames(
    model: TrainedOperator,
    u: Float[Tensor, "B C *X"],
    gamma: Float[Tensor, "B P"],
    kept: Sequence[int],
    drawn: tuple[int, int],
) -> Float[np.ndarray, "R M B T C *X"]:
    """Frames of an ensemble from each initial state.

    Args:
        model: the operator and its noise.
        u: initial states.
        gamma: their parameters.
        kept: numbers of steps after which a frame is kept, ascending.
        drawn: number of members, and the seed.

    Raises:
        FloatingPointError: if a state is not finite; the sentence names the step.
    """
    members, seed = drawn
    assert model.checkpoint.fluctuations is not None
    noise = model.checkpoint.fluctuations.to(model.device)
    states = u.repeat(members, *[1] * (u.ndim - 1)).expand(model.realizations, -1, *u.shape[1:]).to(model.device)
    rollouts = Rollouts(model.operator, gamma.repeat(members, 1).to(model.device), model.scheme)
    generator = torch.Generator(model.device).manual_seed(seed)
    with tqdm(total=kept[-1] * states.shape[1], desc="predicting", delay=2, leave=False, unit="step") as bar:
        try:
            found = FluctuatingRollouts(rollouts, noise, model.grid).frames(
                states, kept, generator=generator, progress=bar.update
            )
        except FloatingPointError as error:
            raise FloatingPointError(f"{model.path}: {error}") from error
    return found.unflatten(1, (members, -1)).cpu().numpy()
