"""Figures of a finished fit, beside what `morlight inspect` draws."""

import dataclasses
import math
from pathlib import Path

import numpy as np

from morlight.analysis import plots
from morlight.analysis.evaluation import channels as ensemble
from morlight.analysis.evaluation import walkers as evaluation
from morlight.analysis.model import Model
from morlight.data import trajectory_file as trajectories

FRAMES = 50  # of a roll-out that are drawn, about


def rollout(model: Model, data: trajectories.Trajectories, row: int, path: Path) -> bool:
    """Roll-out from the first frame of a trajectory beside the data; False where there is no time, or no picture."""
    steps = len(data.times) - 1
    if model.steady or len(data.grid.points) > 2 or steps < 1:
        return False
    every = next(k for k in range(math.ceil(steps / FRAMES), steps + 1) if steps % k == 0)
    fields = model.data["fields"]
    truth = ensemble.frames(model, data, slice(row, row + 1), slice(None, None, every))[0].astype(np.float64)
    gamma = evaluation.parameters(model, data, [row])
    walk = model.predict(truth[0], steps, every=every, finite=False, gamma=gamma)
    with np.errstate(over="ignore", invalid="ignore"):  # what diverges is not drawn
        grid = dataclasses.replace(data.grid, points=tuple(model.data["points"]))
        plots.rollout(path, grid, fields, data.times[::every], learned=walk, truth=truth)
    return True
