"""Errors against an ensemble: runs with the same γ and different seeds, their mean, and the scatter of its halves.

The mean over the runs is what a model is started from and judged by. It has noise of its own, which half the
difference of the means of two halves shows, (ū_a − ū_b)/2: its size relative to the field is the noise ceiling, the
error that the exact equation would have. Beside every error stand those of two models that need no networks:
persistence, u(t) = u(0), and the linear model of each mode (`morlight.analysis.linear_model`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from morlight.analysis import linear_model as linear
from morlight.analysis.model import Model
from morlight.data import trajectory_file as trajectories

LAST = 5  # frames of the mean that is the steady state
BEYOND = 10  # roll-outs this many times as long as the data
OUTSIDE = 3.0  # times the largest value in the training data: further out, a roll-out has left it


@dataclass(frozen=True)
class Ensemble:
    """Means over the runs of each γ.

    Attributes:
        gammas: γ of each of them, scalar by scalar.
        times: of the frames.
        mean: over the runs.
        noise: half the difference between halves of the runs; None where some γ has one run alone.
    """

    gammas: list[dict[str, float]]
    times: Float[np.ndarray, " T"]
    mean: Float[np.ndarray, "G T C *X"]
    noise: Float[np.ndarray, "G T C *X"] | None


def read(model: Model, described: trajectories.Trajectories, rows: Sequence[int] | None = None) -> Ensemble:
    """The runs of a file by their γ, on the grid of a model."""
    names = [name for name in described.parameters if name != trajectories.SEED]
    groups = trajectories.ensembles(described, range(described.trajectories) if rows is None else rows)
    means, noises = [], []
    for members in groups.values():
        runs = np.stack([frames(model, described, slice(row, row + 1))[0] for row in members]).astype(np.float64)
        means.append(runs.mean(0))
        half = len(runs) // 2
        if half:
            noises.append((runs[:half].mean(0) - runs[half:].mean(0)) / 2)
    gammas = [{name: float(described.parameters[name][members[0]]) for name in names} for members in groups.values()]
    noise = np.stack(noises) if len(noises) == len(means) else None
    return Ensemble(gammas, described.times - described.times[0], np.stack(means), noise)


def frames(
    model: Model, described: trajectories.Trajectories, rows: slice = slice(None), times: slice = slice(None)
) -> Float[np.ndarray, "S T C *X"]:
    """Fields of a file that a model knows, on its grid."""
    u = trajectories.read(described.path, model.data["fields"], rows, times)
    return trajectories.coarse(u, described.grid.points[0] // model.data["points"][0], len(model.data["points"]))


def evaluate(model: Model, described: trajectories.Trajectories, rows: Sequence[int] | None = None) -> dict[str, Any]:
    """Errors at the first frame after the start and at the last one, of all fields and of each (Eq. 35).

    The error of a field is ‖a − b‖₂/‖b‖₂ over x, that of several fields or γ the root of the mean of their squares;
    `eq35` is the sum of the squares at both times, `steady` the error of the mean of the last frames.

    Returns:
        {"errors": {NAME: R values}, "noise_ceiling": {NAME: value} or None, "baselines": {MODEL: {NAME: value}},
        "by_parameters": the same for each γ, "bounded": realisations within `OUTSIDE` times the data over `BEYOND`
        times their length, "start" and "final": the first states and the last}.
    """
    ensemble = read(model, described, rows)
    every = round(described.dt / model.dt)
    steps = every * (len(ensemble.times) - 1)
    gamma = _gamma(model, ensemble)
    start = ensemble.mean[:, 0]
    walk = model.predict(start, steps, every=every, finite=False, gamma=gamma)
    models = {"persistence": np.broadcast_to(start[:, None], ensemble.mean.shape)}
    factors = linear.from_plain(model.operator, model.data.get("linear", []))
    if factors:
        models["linear"] = _linear(factors, start, gamma, steps, every)
    errors = dict(_errors(model, ensemble, walk))
    found: dict[str, Any] = {"errors": {name: _over_gamma(name, values).tolist() for name, values in errors.items()}}
    baselines = {word: dict(_errors(model, ensemble, u[None])) for word, u in models.items()}
    found["baselines"] = {
        word: {name: float(_over_gamma(name, values)[0]) for name, values in each.items()}
        for word, each in baselines.items()
    }
    noise = None
    if ensemble.noise is not None:
        noise = dict(_errors(model, ensemble, (ensemble.mean + ensemble.noise)[None]))
    found["noise_ceiling"] = None if noise is None else {n: float(_over_gamma(n, v)[0]) for n, v in noise.items()}
    found["by_parameters"] = [
        {
            "parameters": ensemble.gammas[place],
            "errors": {name: values[:, place].tolist() for name, values in errors.items()},
            "noise_ceiling": None if noise is None else {n: float(v[0, place]) for n, v in noise.items()},
            "baselines": {w: {n: float(v[0, place]) for n, v in each.items()} for w, each in baselines.items()},
        }
        for place in range(len(ensemble.gammas))
    ]
    found["start"], found["final"] = start, walk[:, :, -1]
    found["bounded"] = bounded(model, start, gamma, BEYOND * steps)
    return found


def bounded(
    model: Model, start: Float[np.ndarray, "G C *X"], gamma: Float[np.ndarray, "G P"] | None, steps: int
) -> dict[str, Any]:
    """Which realisations stay within `OUTSIDE` times the largest value of each field in the training data."""
    reach = np.maximum(np.abs(model.data["low"]), np.abs(model.data["high"]))
    walk = model.predict(start, steps, every=max(1, steps // 100) if steps % 100 == 0 else 1, finite=False, gamma=gamma)
    size = np.abs(walk).reshape(*walk.shape[:4], -1).max((1, 2, 4))
    with np.errstate(invalid="ignore"):
        kept = (np.nan_to_num(size, nan=np.inf) <= OUTSIDE * reach).all(1)
    return {"steps": steps, "count": int(kept.sum()), "per_realization": kept.tolist()}


def _gamma(model: Model, ensemble: Ensemble) -> Float[np.ndarray, "G P"] | None:
    names = model.data.get("parameters", [])
    return np.array([[told[name] for name in names] for told in ensemble.gammas]) if names else None


def _linear(
    factors: Sequence[linear.Factors | linear.Affine],
    start: np.ndarray,
    gamma: np.ndarray | None,
    steps: int,
    every: int,
) -> np.ndarray:
    u = torch.from_numpy(start)
    z = None if gamma is None else torch.from_numpy(gamma)
    states = [u]
    for _ in range(steps // every):
        states.append(linear.advance(factors, states[-1], every, z))
    return torch.stack(states, 1).numpy()


def _errors(
    model: Model, ensemble: Ensemble, walk: Float[np.ndarray, "R G T C *X"]
) -> Iterator[tuple[str, Float[np.ndarray, "R G"]]]:
    """Errors by name; a realisation that is not finite has an infinite one."""
    truth, times = ensemble.mean, ensemble.times
    names = model.data["fields"]
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


def _squares(found: Float[np.ndarray, "R G C *X"], truth: Float[np.ndarray, "G C *X"]) -> Float[np.ndarray, "R G C"]:
    """‖a − b‖²/‖b‖² over x."""
    axes = tuple(range(3, found.ndim))
    with np.errstate(all="ignore"):
        off = np.square(found - truth).sum(axes) / np.square(truth).sum(tuple(a - 1 for a in axes))
    return np.nan_to_num(off, nan=np.inf, posinf=np.inf)


def _over_gamma(name: str, values: Float[np.ndarray, "R G"]) -> Float[np.ndarray, " R"]:
    """Root mean square over γ; the mean of Eq. 35, which is a square already."""
    return values.mean(1) if name == "eq35" else np.sqrt(np.square(values).mean(1))
