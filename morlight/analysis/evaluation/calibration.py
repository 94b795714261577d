"""Whether ensembles with noise scatter as the data do: rank histograms, and spread over error.

From the first frame of each trajectory, an ensemble is rolled out once. Each mode of each field is one number, in the
data and in every member. If the data are like a member, the rank of the data among the M members is uniform
(Talagrand, Hamill 2001), and z = (y − ȳ)/(s √(1 + 1/M)) has the mean square (M − 1)/(M − 3). Modes are used rather than
points, since their noise is independent.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.stats import chi2
from torch import Tensor

from morlight.analysis.conditions import warn_of_noise
from morlight.analysis.evaluation.compatibility import check_grid, frames, in_time, parameters
from morlight.analysis.model import Model
from morlight.analysis.rollouts import Forecast, predict
from morlight.data.trajectory_file import TrajectoryFile
from morlight.operators import build

BINS = 10  # of the ranks
QUARTERS = 4  # the times after the first are a quarter of the data and their end
STILL = 1e-3  # spread of a number, relative to the largest, that is rounding: conserved totals, Nyquist modes


@dataclass(frozen=True)
class CalibrationAt:
    """Ensembles and data at one time after the start.

    Attributes:
        time: since the start.
        ranks: number of ranks of the data among the members in each of ten equal intervals.
        expected: their expected numbers.
        p_value: probability of a larger χ² for uniform ranks.
        spread_over_error: 1 if the members deviate from their mean as the data do.
        standard_error: its standard error, from the scatter between trajectories; None of a single one.
        ceiling: error of the mean of the ensemble on one run that the noise alone causes, ‖s‖/‖ȳ‖, by field.
    """

    time: float
    ranks: tuple[int, ...]
    expected: tuple[float, ...]
    p_value: float
    spread_over_error: float
    standard_error: float | None
    ceiling: dict[str, float]


@dataclass(frozen=True)
class Calibration:
    """Calibration of the ensembles of a model on a trajectory file.

    Attributes:
        checkpoint: path of the model.
        data: path of the file.
        members: of each ensemble, all realizations together.
        times: after one frame, after a quarter of the frames, and at the last frame.
    """

    checkpoint: str
    data: str
    members: int
    times: tuple[CalibrationAt, ...]

    def to_json(self) -> dict[str, Any]:
        """The layout of `morlight evaluate --json` under calibration."""
        return {"members": self.members, "times": [asdict(each) for each in self.times]}

    def lines(self) -> list[str]:
        """The lines that `morlight evaluate` prints."""
        lines = [f"ensembles of {self.members} members, all realizations together"]
        for each in self.times:
            ceiling = ", ".join(f"{name} {value:.2g}" for name, value in each.ceiling.items())
            error = "" if each.standard_error is None else f" ± {each.standard_error:.3f}"
            lines.append(
                f"  t = {each.time:<8.4g} spread/error {each.spread_over_error:.3f}{error},"
                f" ranks uniform with p = {each.p_value:.2g}, noise of one run: {ceiling}"
            )
        return lines


def calibration(
    model: Model, file: TrajectoryFile, members: int, *, seed: int = 0, rows: Sequence[int] | None = None
) -> Calibration:
    """Ensembles beside the trajectories of a file, which the model was not trained on.

    Args:
        model: with the noise of its steps.
        file: the data.
        members: of each realization.
        seed: of the noise.
        rows: which trajectories to use, all by default.

    Raises:
        ValueError: if the file does not fit the model, or has too few frames, or there are fewer than 9 members.
    """
    check_grid(model, file)
    warn_of_noise(model, file)
    model = in_time(model, file)
    last, every = len(file.times) - 1, round(file.dt / model.dt)
    _check_members(members, model.realizations)
    if last < QUARTERS:
        raise ValueError(f"{file.path}: has {len(file.times)} frames, expected {QUARTERS + 1} or more")
    chosen = list(range(file.trajectories) if rows is None else rows)
    truth = frames(model, file, single=True)[chosen].astype(np.float64)
    gamma = parameters(model, file, chosen)
    compared = sorted({1, math.ceil(last / QUARTERS), last})
    asked = Forecast(every * last, fluctuations=members, seed=seed, kept=[every * frame for frame in compared])
    ensemble = predict(model, truth[:, 0], asked, gamma)
    times = [float(file.times[frame] - file.times[0]) for frame in compared]
    found = [
        _at(model, time, ensemble[:, :, :, place], truth[:, frame])
        for place, (time, frame) in enumerate(zip(times, compared, strict=True))
    ]
    return Calibration(str(model.path), str(file.path), members * model.realizations, tuple(found))


def _check_members(members: int, realizations: int) -> None:
    """Refuse fewer members of all realizations than there are intervals between ranks.

    Raises:
        ValueError: naming the number of members of each realization that is enough.
    """
    least = math.ceil((BINS - 1) / realizations)
    if members < least:
        counted = "" if realizations == 1 else f", since {realizations} realizations have {realizations} times as many"
        raise ValueError(f"fluctuations are {members}, expected {least} or more for ranks in {BINS} intervals{counted}")


def _at(
    model: Model, time: float, ensemble: Float[np.ndarray, "R M B C *X"], truth: Float[np.ndarray, "B C *X"]
) -> CalibrationAt:
    members = ensemble.reshape(-1, *truth.shape)
    M = len(members)
    y, each = _numbers(model, torch.from_numpy(truth)).numpy(), _numbers(model, torch.from_numpy(members)).numpy()
    mean, spread = each.mean(0), each.std(0, ddof=1)
    moving = spread > STILL * spread.max(1, keepdims=True)
    z = np.where(moving, (y - mean) / np.where(moving, spread * math.sqrt(1 + 1 / M), 1), 0)
    squares = (z**2).sum(1) / moving.sum(1) * (M - 3) / (M - 1)  # of each trajectory
    ratio = float(squares.mean() ** -0.5)
    error = None
    if len(squares) > 1:
        error = float(ratio / 2 * squares.std(ddof=1) / math.sqrt(len(squares)) / squares.mean())
    ranks = _counts(((each < y).sum(0))[moving], M)
    expected = np.bincount(np.arange(M + 1) * BINS // (M + 1), minlength=BINS) / (M + 1) * moving.sum()
    p = float(chi2.sf(((ranks - expected) ** 2 / expected).sum(), BINS - 1))
    inner = tuple(range(2, truth.ndim))
    noise = np.sqrt(members.var(0, ddof=1).sum(inner) / np.square(members.mean(0)).sum(inner))
    ceiling = np.sqrt(np.square(noise).mean(0))
    return CalibrationAt(
        time, tuple(ranks.tolist()), tuple(expected.tolist()), p, ratio, error,
        dict(zip(model.data.field_names, ceiling.tolist(), strict=True)),
    )  # fmt: skip


def _counts(ranks: Int[np.ndarray, " n"], members: int) -> Int[np.ndarray, " b"]:
    """Ranks 0 … M in ten intervals."""
    return np.bincount(ranks * BINS // (members + 1), minlength=BINS)


def _numbers(model: Model, u: Float[Tensor, "*u"]) -> Float[Tensor, "*v"]:
    """Coefficients of all fields (…, C, *X) as independent real numbers (…, n)."""
    axes, parts = model.grid.dimensions, []
    for place, name in enumerate(model.data.field_names):
        space = build.basis(model.grid, model.config.wall(name)).double()
        c = space.forward(u.select(-1 - axes, place)).flatten(-axes)
        if c.is_complex():
            free = space.freedom.flatten() == 2
            c = torch.cat([c.real, c.imag[..., free]], -1)
        parts.append(c)
    return torch.cat(parts, -1)
