"""Figures of a finished fit, beside what `morlight inspect` draws."""

import math
from pathlib import Path

import numpy as np

from morlight.analysis import prediction_plots
from morlight.analysis.evaluation.compatibility import frames, parameters
from morlight.analysis.model import Model
from morlight.data.trajectory_file import TrajectoryFile

FRAMES = 50  # of a roll-out that are drawn, about


def rollout(model: Model, file: TrajectoryFile, row: int, path: Path) -> bool:
    """Roll-out from the first frame of a trajectory beside the data; False where there is no time, or no picture."""
    steps = len(file.times) - 1
    if model.steady or model.grid.dimensions > 2 or steps < 1:
        return False
    every = next(k for k in range(math.ceil(steps / FRAMES), steps + 1) if steps % k == 0)
    truth = frames(model, file, slice(row, row + 1), slice(None, None, every))[0].astype(np.float64)
    walk = model.predict(truth[0], steps, every=every, finite=False, gamma=parameters(model, file, [row]))
    with np.errstate(over="ignore", invalid="ignore"):  # what diverges is not drawn
        grid, times = file.grid.with_points(model.grid.points), file.times[::every]
        prediction_plots.rollout(path, grid, model.data.field_names, times, learned=walk, truth=truth, units=file.units)
    return True
