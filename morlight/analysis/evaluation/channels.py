"""Errors against an ensemble: runs with the same γ and different seeds, and their mean.

The mean over the runs is the initial state and the truth. It has noise of its own: its standard error is that of S
independent runs, √(Σ (u_s − ū)² / (S(S − 1))), and its size relative to the field is the noise ceiling, the error that
the exact equation would have. Beside every error stand those of two models that need no networks: persistence,
u(t) = u(0), and the linear model of each mode (`morlight.analysis.linear_model`).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float

from morlight.analysis import linear_model
from morlight.analysis.evaluation.compatibility import frames
from morlight.analysis.evaluation.drift import mass_drift
from morlight.analysis.evaluation.result import AtParameters, Bounded, ErrorSummary, Evaluation
from morlight.analysis.model import Model
from morlight.data.ensembles import SEED, ensembles
from morlight.data.trajectory_file import TrajectoryFile

LAST = 5  # frames of the mean that is the steady state
BEYOND = 10  # roll-outs this many times as long as the data
OUTSIDE = 3.0  # times the largest value in the training data: further out, a roll-out has left it

Errors = Mapping[str, Float[np.ndarray, "_ G"]]  # of R realizations, or of one baseline


@dataclass(frozen=True)
class Ensemble:
    """Means over the runs of each γ.

    Attributes:
        gammas: γ of each of them, scalar by scalar.
        times: of the frames.
        mean: over the runs.
        noise: (u_s − ū)/√(S − 1) of the S runs of each γ, whose mean square is that of the noise of the mean; None if
            some γ has only one run.
    """

    gammas: list[dict[str, float]]
    times: Float[np.ndarray, " T"]
    mean: Float[np.ndarray, "G T C *X"]
    noise: list[Float[np.ndarray, "S T C *X"]] | None


def read(model: Model, file: TrajectoryFile, rows: Sequence[int] | None = None) -> Ensemble:
    """The runs of a file by their γ, on the grid of a model."""
    names = [name for name in file.parameters if name != SEED]
    groups = ensembles(file, range(file.trajectories) if rows is None else rows)
    means, noises = [], []
    for members in groups.values():
        runs = np.stack([frames(model, file, slice(row, row + 1))[0] for row in members]).astype(np.float64)
        means.append(runs.mean(0))
        if len(runs) > 1:
            noises.append((runs - means[-1]) / math.sqrt(len(runs) - 1))
    gammas = [{name: float(file.parameters[name][members[0]]) for name in names} for members in groups.values()]
    noise = noises if len(noises) == len(means) else None
    return Ensemble(gammas, file.times - file.times[0], np.stack(means), noise)


def evaluate(model: Model, file: TrajectoryFile, rows: Sequence[int] | None = None) -> Evaluation:
    """Errors at the first frame after the start and at the last one, of all fields and of each (Eq. 35).

    The error of a field is ‖a − b‖₂/‖b‖₂ over x, that of several fields or γ the root of the mean of their squares;
    `eq35` is the sum of the squares at both times, `steady` the error of the mean of the last frames.
    """
    ensemble = read(model, file, rows)
    every = round(file.dt / model.dt)
    steps = every * (len(ensemble.times) - 1)
    gamma, start = gamma_of(model, ensemble), ensemble.mean[:, 0]
    walk = model.predict(start, steps, every=every, finite=False, gamma=gamma)
    errors = dict(_errors(model, ensemble, walk))
    simple = {"persistence": np.broadcast_to(start[:, None], ensemble.mean.shape)}
    if model.linear_model:
        simple["linear"] = _linear(model, start, gamma, steps, every)
    baselines = {word: dict(_errors(model, ensemble, u[None])) for word, u in simple.items()}
    noise = None if ensemble.noise is None else _noise(model, ensemble, ensemble.noise)
    final = walk[:, :, -1]
    return Evaluation(
        str(model.path),
        str(file.path),
        model.realizations,
        model.dt,
        {name: ErrorSummary.of(over_gamma(name, values).tolist()) for name, values in errors.items()},
        {name: mass_drift(start[:, c], final[:, :, c]) for c, name in enumerate(model.data.field_names)},
        None if noise is None else _single(noise),
        {word: _single(each) for word, each in baselines.items()},
        tuple(_at(place, ensemble, errors, noise, baselines) for place in range(len(ensemble.gammas))),
        bounded(model, start, gamma, BEYOND * steps),
    )


def _noise(model: Model, ensemble: Ensemble, noise: Sequence[Float[np.ndarray, "S T C *X"]]) -> Errors:
    """Errors that the noise of the mean alone makes."""
    columns = []
    for place, deviations in enumerate(noise):
        one = replace(ensemble, mean=ensemble.mean[[place]])
        runs = dict(_errors(model, one, (one.mean + deviations)[:, None]))
        columns.append({name: over_gamma(name, values.T) for name, values in runs.items()})
    return {name: np.stack([column[name] for column in columns], 1) for name in columns[0]}


def _single(errors: Errors) -> dict[str, float]:
    """Errors over all γ of a model of one realization."""
    return {name: float(over_gamma(name, values)[0]) for name, values in errors.items()}


def _at(
    place: int, ensemble: Ensemble, errors: Errors, noise: Errors | None, baselines: Mapping[str, Errors]
) -> AtParameters:
    """Errors at one γ."""
    return AtParameters(
        ensemble.gammas[place],
        {name: tuple(values[:, place].tolist()) for name, values in errors.items()},
        None if noise is None else {name: float(values[0, place]) for name, values in noise.items()},
        {word: {name: float(v[0, place]) for name, v in each.items()} for word, each in baselines.items()},
    )


def bounded(model: Model, start: Float[np.ndarray, "G C *X"], gamma: Float[np.ndarray, "G P"], steps: int) -> Bounded:
    """Which realizations stay within `OUTSIDE` times the largest value of each field in the training data."""
    reach = np.array([field.largest for field in model.data.fields])
    every = max(1, steps // 100) if steps % 100 == 0 else 1
    walk = model.predict(start, steps, every=every, finite=False, gamma=gamma)
    size = np.abs(walk).reshape(*walk.shape[:4], -1).max((1, 2, 4))
    with np.errstate(invalid="ignore"):
        kept = (np.nan_to_num(size, nan=np.inf) <= OUTSIDE * reach).all(1)
    return Bounded(steps, tuple(kept.tolist()))


def gamma_of(model: Model, ensemble: Ensemble) -> Float[np.ndarray, "G P"]:
    """γ of the runs, in the order of the model's parameters."""
    names = model.data.parameter_names
    return np.array([[gamma[name] for name in names] for gamma in ensemble.gammas], np.float64).reshape(
        len(ensemble.gammas), len(names)
    )


def _linear(model: Model, start: np.ndarray, gamma: np.ndarray, steps: int, every: int) -> np.ndarray:
    """Roll-out of the linear model of each mode."""
    states, z = [torch.from_numpy(start)], torch.from_numpy(gamma)
    for _ in range(steps // every):
        states.append(linear_model.advance(model.linear_model, states[-1], every, z))
    return torch.stack(states, 1).numpy()


def _errors(
    model: Model, ensemble: Ensemble, walk: Float[np.ndarray, "R G T C *X"]
) -> Iterator[tuple[str, Float[np.ndarray, "R G"]]]:
    """Errors by name; a realization that is not finite has an infinite one."""
    truth, times, names = ensemble.mean, ensemble.times, model.data.field_names
    squares = {}
    for time in (1, -1):
        squares[time] = _squares(walk[:, :, time], truth[:, time])
        label = f"t={times[time]:g}"
        yield label, np.sqrt(squares[time].mean(2))
        for c, name in enumerate(names) if len(names) > 1 else ():
            yield f"{label} {name}", np.sqrt(squares[time][..., c])
    yield "eq35", (squares[1] + squares[-1]).mean(2)
    if len(times) > LAST:
        settled = _squares(walk[:, :, -LAST:].mean(2), truth[:, -LAST:].mean(1))
        yield "steady", np.sqrt(settled.mean(2))
        for c, name in enumerate(names) if len(names) > 1 else ():
            yield f"steady {name}", np.sqrt(settled[..., c])


def _squares(
    predicted: Float[np.ndarray, "R G C *X"], truth: Float[np.ndarray, "G C *X"]
) -> Float[np.ndarray, "R G C"]:
    """‖a − b‖²/‖b‖² over x."""
    axes = tuple(range(3, predicted.ndim))
    with np.errstate(all="ignore"):
        off = np.square(predicted - truth).sum(axes) / np.square(truth).sum(tuple(a - 1 for a in axes))
    return np.nan_to_num(off, nan=np.inf, posinf=np.inf)


def over_gamma(name: str, values: Float[np.ndarray, "R G"]) -> Float[np.ndarray, " R"]:
    """Root mean square over γ; the mean of Eq. 35, which is a square already."""
    return values.mean(1) if name == "eq35" else np.sqrt(np.square(values).mean(1))
