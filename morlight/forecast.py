"""Predictions as trajectory files: one trajectory a realisation, checkpoint and start in its attributes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from morlight import __version__, ensemble, evaluation, plots
from morlight.data import trajectories
from morlight.operators import check_steps
from morlight.prediction import Model


@dataclass(frozen=True)
class Start:
    """Where a roll-out begins: one frame of one trajectory in a trajectory file."""

    path: str
    trajectory: int = 0
    frame: int = 0

    def read(self, model: Model) -> np.ndarray:
        """The initial state (C, *X), checked against the model.

        Raises:
            ValueError: naming the file and what does not fit.
        """
        described = trajectories.describe(self.path)
        evaluation.check_grid(model, described)
        for name, asked, held in (
            ("trajectory", self.trajectory, described.trajectories),
            ("frame", self.frame, len(described.times)),
        ):
            if not 0 <= asked < held:
                raise ValueError(f"{self.path}: {name} {asked} is not there, expected 0 to {held - 1}")
        rows, times = (slice(index, index + 1) for index in (self.trajectory, self.frame))
        return ensemble.frames(model, described, rows, times)[0, 0]


def write(
    model: Model,
    start: Start,
    steps: int,
    *,
    every: int = 1,
    output: str | Path,
    plot: str | Path | None = None,
) -> None:
    """Roll out and write the file, and the figure where one is asked for.

    Args:
        model: the operator.
        start: the initial state.
        steps: number of steps Δt, at least 1.
        every: steps between two frames of the file.
        output: trajectory file to write.
        plot: figure to write.

    Raises:
        ValueError: where something given does not fit; nothing is written then.
        FloatingPointError: where the roll-out is not finite.
    """
    check_steps(steps, every)
    if plot is not None:
        plots.check(plot)
    initial = start.read(model)
    gamma = evaluation.parameters(model, trajectories.describe(start.path), [start.trajectory])
    frames = model.predict(initial, steps, every=every, gamma=gamma)
    times = np.arange(frames.shape[1]) * every * model.dt
    grid = trajectories.Grid(*(tuple(model.data[key]) for key in ("points", "length", "boundaries")))
    trajectories.write(
        output,
        name=f"prediction of {model.data['name']}",
        fields={name: frames[:, :, c].astype(np.float32) for c, name in enumerate(model.data["fields"])},
        grid=grid,
        times=times,
        parameters={"realization": np.arange(model.realizations, dtype=np.float64)},
        provenance={
            "generator": "morlight predict",
            "version": __version__,
            "checkpoint": str(model.path),
            "initial": f"{start.path}, trajectory {start.trajectory}, frame {start.frame}",
        },
    )
    if plot is not None:
        plots.prediction(frames, times.tolist(), plot, fields=model.data["fields"], grid=grid)
