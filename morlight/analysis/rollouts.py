"""Roll-outs of models from arrays: of the mean operator, or ensembles of fluctuating ones."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from morlight.analysis import data_errors, ensemble, extrapolation
from morlight.analysis.extrapolation import Extrapolation
from morlight.analysis.inputs import Gamma, batched, parameter_values
from morlight.analysis.ratios import append
from morlight.analysis.realizations import Choice
from morlight.analysis.trained_operator import TrainedOperator
from morlight.operators import Rollouts, check_steps


class Spread(NamedTuple):
    """Mean and standard deviation over the realizations."""

    mean: np.ndarray
    sd: np.ndarray


class SpreadAndError(NamedTuple):
    """Mean and standard deviation over the realizations, and the standard error of the mean due to the data."""

    mean: np.ndarray
    sd: np.ndarray
    error: np.ndarray


@dataclass(frozen=True)
class Forecast:
    """What is asked of a roll-out (see `Model.predict`).

    Attributes:
        kept: of an ensemble, the numbers of steps after which a frame is kept, in place of `every`.
    """

    steps: int
    every: int = 1
    realizations: Choice = "all"
    finite: bool = True
    fluctuations: int = 0
    seed: int = 0
    kept: Sequence[int] | None = None


def predict(model: TrainedOperator, initial: Any, asked: Forecast, gamma: Gamma, stacklevel: int = 3) -> Any:
    """Roll-outs from an array; arguments and result are those of `Model.predict`, whose caller a warning points to."""
    ensemble.check_numbers(asked.fluctuations, asked.seed)
    if asked.fluctuations:
        ensemble.check(model, asked.realizations)
    given = _numbers(model, initial)
    u = batched(model.data, model.grid, given)
    rows = model.chosen(asked.realizations)
    parameters = parameter_values(model.data, gamma, len(u))
    for caution in extrapolation.cautions(model, u.numpy(), parameters.numpy()):
        warnings.warn(caution, Extrapolation, stacklevel=stacklevel)
    chosen = model if rows == list(range(model.realizations)) else model.only(rows)
    missing = model.grid.dimensions + 2 - given.ndim  # axes B and C

    def frames(of: TrainedOperator) -> np.ndarray:
        return _without_axes(_of_mean(of, u, parameters, asked), missing)

    predicted = frames(chosen) if not asked.fluctuations else _of_ensemble(chosen, u, parameters, asked, missing)
    if asked.realizations == "data":
        error = data_errors.error_of_rollouts(chosen, frames, predicted)
        return SpreadAndError(predicted.mean(0), _sd(predicted), error)
    if asked.realizations == "mean":
        return Spread(predicted.mean(0), _sd(predicted))
    single = asked.realizations == "best" or isinstance(asked.realizations, int)
    return predicted[0] if single else predicted


def _numbers(model: TrainedOperator, initial: Any) -> Tensor:
    """An initial state in double precision.

    Raises:
        ValueError: if it is complex, or the operator has no steps.
    """
    if model.steady:
        raise ValueError(
            f"{model.path}: learned {', '.join(model.data.targets)} of {', '.join(model.data.field_names)} without"
            " time, expected an operator with steps"
        )
    if np.iscomplexobj(initial):
        raise ValueError("initial state is complex, expected real numbers")
    return torch.from_numpy(np.array(initial, dtype=np.float64))


def _of_mean(model: TrainedOperator, u: Tensor, gamma: Tensor, asked: Forecast) -> np.ndarray:
    """Frames (R, B, T, C, *X) without noise."""
    with tqdm(total=asked.steps * len(u), desc="predicting", delay=2, leave=False, unit="step") as bar:
        rollouts = Rollouts(model.operator, gamma.to(model.device), model.scheme)
        states, every, finite = u[None].to(model.device), asked.every, asked.finite
        try:
            frames = rollouts.frames(states, asked.steps, every=every, finite=finite, progress=bar.update).cpu().numpy()
        except FloatingPointError as error:
            raise FloatingPointError(f"{model.path}: {error}") from error
        except torch.OutOfMemoryError as error:
            raise ValueError(
                f"{model.path}: the roll-out does not fit into the memory of {model.device}, expected fewer frames"
                " (every), realizations or initial states at a time"
            ) from error
    return append(model.ratios, frames, model.grid.dimensions)


def _of_ensemble(model: TrainedOperator, u: Tensor, gamma: Tensor, asked: Forecast, missing: int) -> np.ndarray:
    """Frames (R, members, …) with noise."""
    check_steps(asked.steps, asked.every)
    kept = asked.kept or range(0, asked.steps + 1, asked.every)
    members = ensemble.frames(model, u, gamma, kept, (asked.fluctuations, asked.seed))
    ratios, D = model.ratios, model.grid.dimensions
    return np.stack([_without_axes(append(ratios, each, D), missing) for each in members])


def _without_axes(frames: np.ndarray, missing: int) -> np.ndarray:
    """Frames (R, B, T, C, *X) without the axes B and C that the initial state does not have."""
    if missing == 2:
        return frames[:, 0, :, 0]
    return frames[:, 0] if missing == 1 else frames


def _sd(frames: np.ndarray) -> np.ndarray:
    """Standard deviation over the realizations, 0 of a single one."""
    spread: np.ndarray = frames.std(0, ddof=1) if len(frames) > 1 else np.zeros_like(frames[0])
    return spread
