"""The runs so far: their noise, and typical runs at other γ."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from morlight.analysis.conditions import warn_of_conditions
from morlight.analysis.evaluation import compatibility
from morlight.analysis.extrapolation import Extrapolation
from morlight.analysis.inputs import parameter_values
from morlight.analysis.next_run.candidates import places
from morlight.analysis.rollouts import Forecast, predict
from morlight.analysis.trained_operator import TrainedOperator
from morlight.data.trajectory_file import TrajectoryFile

EQUAL = 4  # runs of the same γ that are compared with roll-outs
MOST_VALUES = 2**27  # of all roll-outs, 1 GiB
LARGEST = 100.0  # times the largest value of the training data; what is larger diverges


@dataclass(frozen=True, eq=False)
class Runs:
    """What the runs so far say of a further one.

    Attributes:
        model: with the realizations that disagree.
        every: steps between two frames.
        frames: number of frames.
        gamma: of each run, at most `EQUAL` with the same.
        starts: first frame of each run.
        noise: variance of the noise of each field, as a share of its mean square and for independent frames.
        diverging: realizations whose roll-outs from the first frames of the runs diverge, and the runs.
        file: of the runs.
    """

    model: TrainedOperator
    every: int
    frames: int
    gamma: Float[np.ndarray, "S P"]
    starts: Float[np.ndarray, "S C *X"]
    noise: Float[np.ndarray, "S C"]
    diverging: Bool[np.ndarray, "R S"]
    file: TrajectoryFile

    @classmethod
    def read(cls, model: TrainedOperator, file: TrajectoryFile) -> "Runs":
        """The runs of a file, compared with the roll-outs from their first frames.

        Raises:
            ValueError: if the file does not fit the model, or has one frame.
        """
        compatibility.check_grid(model, file)
        warn_of_conditions(model, file)
        if len(file.times) < 3:
            raise ValueError(f"{file.path}: has {len(file.times)} frames, expected at least 3, of the runs so far")
        return cls._of(compatibility.in_time(model, file), file)

    def on(self, cells: int) -> "Runs":
        """The same runs with another number of cells along x, and in the same ratio along the other axes."""
        points = self.model.grid.points
        return Runs._of(self.model.on([cells * N // points[0] for N in points]), self.file)

    @classmethod
    def _of(cls, model: TrainedOperator, file: TrajectoryFile) -> "Runs":
        every = round(file.dt / model.dt)
        gamma = compatibility.parameters(model, file)
        equal: dict[tuple[float, ...], list[int]] = {}
        for row, values in enumerate(gamma):
            equal.setdefault(tuple(values), []).append(row)
        rows = [row for runs in equal.values() for row in runs[:EQUAL]]
        starts, noise, lost = [], [], []
        for row in rows:
            u = compatibility.frames(model, file, slice(row, row + 1)).astype(np.float64)
            walks = rollouts(model, u[:, 0], gamma[[row]], len(file.times), every)
            lost.append(diverging(model, walks)[:, 0])
            left = walks if lost[-1].all() else walks[~lost[-1]]
            with np.errstate(all="ignore"):
                residual = np.nan_to_num(u - np.median(left, 0), nan=np.inf)
            starts.append(u[0, 0])
            noise.append(_noise(residual[0, 1:], u[0, 1:]))
        parts = gamma[rows], np.stack(starts), np.stack(noise), np.stack(lost, 1)
        return cls(model, every, len(file.times), *parts, file)

    def typical(
        self, gammas: Sequence[Mapping[str, float]], frames: int
    ) -> tuple[Float[np.ndarray, "R G T C *X"], Float[np.ndarray, "G C"]]:
        """Roll-outs at some γ, each from the first frame of the nearest run, and the noise expected of such runs.

        The first frame is scaled with the size of the fields where this follows γ. The logarithm of the noise is the
        mean over the runs, weighted with the inverse squares of their distances in γ.

        Raises:
            ValueError: if a γ is not one of the model, or the roll-outs do not fit into memory.
        """
        values = self.model.realizations * len(gammas) * frames * self.starts[0].size
        if values > MOST_VALUES:
            raise ValueError(
                f"{self.model.path}: {len(gammas)} γ with {frames} frames are {values / MOST_VALUES:.1f} times the"
                " values that are computed at once, expected fewer candidates, frames or cells"
            )
        data = self.model.data
        columns = {name: [each[name] for each in gammas] for name in data.parameter_names}
        gamma = parameter_values(data, columns, len(gammas)).numpy()
        distance = np.square(places(data, gamma)[:, None] - places(data, self.gamma)[None]).sum(2)
        nearest = distance.argmin(1)
        shape = (*self.starts.shape[:2], *(1,) * self.model.grid.dimensions)
        size = _sizes(self.model, gamma) / _sizes(self.model, self.gamma[nearest])
        starts = self.starts[nearest] * size.reshape(-1, *shape[1:])
        weights = 1 / np.maximum(distance, 1e-12)
        noise = np.exp(weights / weights.sum(1, keepdims=True) @ np.log(self.noise))
        return rollouts(self.model, starts, gamma, frames, self.every), noise


def rollouts(
    model: TrainedOperator,
    starts: Float[np.ndarray, "B C *X"],
    gamma: Float[np.ndarray, "B P"],
    frames: int,
    every: int,
) -> Float[np.ndarray, "R B T C *X"]:
    """Roll-outs without warnings; NaN where a realization diverges."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Extrapolation)
        walks: np.ndarray = predict(model, starts, Forecast((frames - 1) * every, every, finite=False), gamma)
    return walks


def diverging(model: TrainedOperator, walks: Float[np.ndarray, "R B T C *X"]) -> Bool[np.ndarray, "R B"]:
    """Whether roll-outs are not finite, or larger than the training data by the factor `LARGEST`."""
    largest = np.array([field.largest for field in model.data.fields])
    sizes = np.abs(walks).max((2, *range(4, walks.ndim)))
    return ~(sizes <= LARGEST * largest).all(2)


def _sizes(model: TrainedOperator, gamma: Float[np.ndarray, "n P"]) -> Float[np.ndarray, "n C"]:
    """s(γ) of each field, up to a factor; 1 where the size does not follow γ."""
    factors = next(iter(model.operator.summands())).operator.units.factors(torch.from_numpy(gamma))
    return np.ones((len(gamma), len(model.data.fields))) if factors is None else factors.numpy()


def _noise(residual: Float[np.ndarray, "T C *X"], u: Float[np.ndarray, "T C *X"]) -> Float[np.ndarray, " C"]:
    """Share of the mean square, times the number of frames over which the residual is correlated."""
    tiny = np.finfo(np.float64).tiny
    frames, fields = residual.shape[:2]
    e, size = (each.transpose(1, 0, *range(2, each.ndim)).reshape(fields, frames, -1) for each in (residual, u))
    found = np.empty(fields)
    for c in range(fields):
        variance = np.square(e[c]).mean()
        time = 1.0
        for lag in range(1, frames // 2):
            correlation = (e[c, lag:] * e[c, :-lag]).mean() / max(variance, tiny)
            if not correlation > 0:
                break
            time += 2 * correlation
        found[c] = np.clip(variance / max(np.square(size[c]).mean(), tiny), 1e-12, 1e12) * time
    return found
