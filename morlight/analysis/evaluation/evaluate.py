"""How good a learned operator is: errors against data and, where they are known, exact solutions."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from morlight.analysis import linear_model
from morlight.analysis.conditions import warn_of_conditions
from morlight.analysis.evaluation import channels
from morlight.analysis.evaluation.compatibility import check_grid, frames, in_time, parameters
from morlight.analysis.evaluation.drift import mass_drift
from morlight.analysis.evaluation.result import ErrorSummary, Evaluation
from morlight.analysis.evaluation.walkers import Walkers, square_wave, symbol_errors
from morlight.analysis.model import Model
from morlight.data.ensembles import SEED
from morlight.data.trajectory_file import TrajectoryFile, digest
from morlight.operators import SpectralOperator, relative_error
from morlight.operators.units import NO_GAMMA


def evaluate(
    model: Model,
    data: str | Path | TrajectoryFile,
    rows: Sequence[int] | None = None,
    *,
    on_training_data: bool | None = None,
) -> Evaluation:
    """Errors of every realization on a trajectory file.

    For channels, which are fields of particles between walls, the errors are those against the mean of the runs of each
    γ (see `channels`). Else `rollout_end`, the relative error of the last frame when only the first is given, over all
    trajectories; for walkers also `square_wave_t1` (Eq. 23, 25), and the errors of the symbol over κ ≤ 16. Without time
    `operator` is ‖Lu − f‖ / ‖f‖ over all samples.

    Args:
        model: the operator.
        data: trajectory file on the grid of the training data.
        rows: which trajectories to use, all by default.
        on_training_data: whether the model was trained on them; by default, whether the file is that of the training.

    Raises:
        ValueError: where the file does not fit the model.
    """
    file = data if isinstance(data, TrajectoryFile) else TrajectoryFile.open(data)
    check_grid(model, file)
    warn_of_conditions(model, file, rows)
    model = (model if model.steady else in_time(model, file)).with_ratios({})
    kind = _pairs if model.steady else channels.evaluate if _is_channel(file) else _trajectories
    if on_training_data is None:
        on_training_data = digest(file.path) == model.data.digest
    return replace(kind(model, file, rows), on_training_data=on_training_data)


def _is_channel(file: TrajectoryFile) -> bool:
    """Whether fields between walls are averages: made by morlight of particles, or with standard errors or seeds."""
    averaged = SEED in file.parameters or any(name.endswith("_error") for name in file.fields)
    return "WALL" in file.grid.boundaries and (file.of_particles or averaged)


def _trajectories(model: Model, file: TrajectoryFile, rows: Sequence[int] | None) -> Evaluation:
    ends = frames(model, file, times=slice(None, None, len(file.times) - 1))
    ends = ends if rows is None else ends[list(rows)]
    gamma = parameters(model, file, rows)
    steps = round((file.times[-1] - file.times[0]) / model.dt)
    start = ends[:, 0]
    final = model.predict(start, steps, every=steps, finite=False, gamma=gamma)[:, :, -1]
    truth = torch.from_numpy(ends[None, :, 1].astype(np.float64)).flatten(1)
    errors = {"rollout_end": relative_error(torch.from_numpy(final).flatten(1), truth).tolist()}
    baseline = _linear(model, start, steps, truth, "rollout_end", gamma)
    walkers = Walkers.of(file)
    if walkers is not None and len(model.data.fields) == 1 and isinstance(model.operator, SpectralOperator):
        points, steps = file.grid.points, round(1 / model.dt)
        start = square_wave(points, walkers.decay, 0.0).numpy()[None, None]
        unit = model.stepping(1 / steps) if model.continuous else model
        final = unit.predict(start, steps, every=steps, finite=False)[:, :, -1]
        exact = square_wave(points, walkers.decay, 1.0, walkers.velocity).flatten()
        errors["square_wave_t1"] = relative_error(torch.from_numpy(final).flatten(1), exact).tolist()
        baseline |= _linear(model, start, steps, exact[None], "square_wave_t1", None)
        errors |= symbol_errors(model, walkers.decay, walkers.velocity)
    return Evaluation(
        str(model.path),
        str(file.path),
        model.realizations,
        model.dt,
        {name: ErrorSummary.of(values) for name, values in errors.items()},
        {name: mass_drift(start[:, c], final[:, :, c]) for c, name in enumerate(model.data.field_names)},
        baselines={"linear": baseline} if baseline else {},
    )


def _linear(
    model: Model,
    u: np.ndarray,
    steps: int,
    truth: Float[Tensor, "1 n"],
    name: str,
    gamma: Float[np.ndarray, "b P"] | None,
) -> dict[str, float]:
    """Error of the linear model of each mode by itself; nothing where the checkpoint has none."""
    factors = model.linear_model
    if not factors:
        return {}
    start = torch.from_numpy(u.astype(np.float64))
    later = linear_model.advance(factors, start, steps, NO_GAMMA if gamma is None else torch.from_numpy(gamma))
    predicted = later - start if model.steady else later
    return {name: float(relative_error(predicted.flatten()[None], truth))}


def _pairs(model: Model, file: TrajectoryFile, rows: Sequence[int] | None) -> Evaluation:
    missing = set(model.data.targets) - set(file.fields)
    if missing:
        raise ValueError(f"{file.path}: target {', '.join(sorted(missing))} is missing, {model.path} learned it")
    chosen = range(file.trajectories) if rows is None else rows
    span = slice(min(chosen), max(chosen) + 1)
    both = file.read([*model.data.field_names, *model.data.targets], span, slice(1))[:, 0]
    both = both[[row - span.start for row in chosen]]
    count = len(model.data.fields)
    gamma = parameters(model, file, rows)
    predicted = torch.from_numpy(model.apply(both[:, :count], gamma)).flatten(1)
    truth = torch.from_numpy(both[:, count:].astype(np.float64)).flatten()
    baseline = _linear(model, both[:, :count], 1, truth[None], "operator", gamma)
    return Evaluation(
        str(model.path),
        str(file.path),
        model.realizations,
        None,
        {"operator": ErrorSummary.of(relative_error(predicted, truth[None]).tolist())},
        {},
        baselines={"linear": baseline} if baseline else {},
    )
