"""Predictions as trajectory files: one trajectory a realization and initial state, their origin in its attributes."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from morlight import __version__
from morlight.analysis import films, plots, prediction_plots
from morlight.analysis.conditions import check_units, warn_of_conditions, warn_of_noise
from morlight.analysis.evaluation import compatibility
from morlight.analysis.labelled_rollout import spread_attributes
from morlight.analysis.model import Model
from morlight.analysis.plots import counted
from morlight.analysis.ratios import SUFFIXES, append
from morlight.analysis.realizations import Choice
from morlight.analysis.rollouts import Spread, SpreadAndError
from morlight.data import conditions, initial
from morlight.data.ensembles import coarse
from morlight.data.trajectory_file import TrajectoryFile, digest
from morlight.data.trajectory_writer import write as write_trajectories
from morlight.data.whole_file import check_output
from morlight.operators import check_steps

ENDINGS = (".h5", ".hdf5")


@dataclass(frozen=True)
class Start:
    """Where roll-outs begin: one frame of some trajectories of a file (see `morlight.data.initial`).

    Attributes:
        path: trajectory file, `.npy`, `.npz` or `.nc`.
        trajectory: which of its trajectories or states; None means all, and none the first (see `initial.read`).
        frame: which frame of each.
        points: of the grid, for a file without coordinates; those of the model by default.
        gamma: parameters γ in place of those of the file.
    """

    path: str
    trajectory: Sequence[int] | None = ()
    frame: int = 0
    points: Sequence[int] | None = None
    gamma: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def read(self, model: Model) -> tuple[Model, initial.Initial]:
        """The model on the grid of the initial states, and these with all parameters γ.

        Raises:
            ValueError: naming the file and what does not fit.
        """
        data = model.data
        points = list(model.grid.points if self.points is None else self.points)
        model = model if points == list(model.grid.points) else model.on(points)
        self._check_names(model)
        wanted = initial.Wanted(data.field_names, data.parameter_names, data.grid.length, data.grid.boundaries, points)
        begin = initial.read(self.path, wanted, self.trajectory, self.frame)
        if initial.is_trajectory_file(self.path):
            file = TrajectoryFile.open(self.path)
            check_units(model, file)
            warn_of_conditions(model, file, begin.rows)
        gamma = self._parameters(model, begin)
        finer = tuple(data.coarsen * N for N in points)  # cells of the file, as in training
        if data.coarsen > 1 and begin.states.shape[2:] == finer:
            begin = begin._replace(states=coarse(begin.states, data.coarsen, len(points)))
        of_file = list(begin.states.shape[2:])
        if self.points is not None and of_file != points:
            raise ValueError(f"{self.path}: has {of_file} points, --points says {points}")
        return model if of_file == points else model.on(of_file), begin._replace(gamma=gamma)

    def _check_names(self, model: Model) -> None:
        names = model.data.parameter_names
        unknown = set(self.gamma) - set(names)
        if unknown:
            raise ValueError(
                f"--gamma names {', '.join(sorted(unknown))}, expected parameters of {model.path}:"
                f" {', '.join(names) or 'it has none'}"
            )

    def _parameters(self, model: Model, begin: initial.Initial) -> dict[str, np.ndarray]:
        """γ of each initial state, those given in place of those of the file."""
        given = {name: np.full(len(begin.rows), value) for name, value in self.gamma.items()}
        gamma = {**begin.gamma, **given}
        missing = [name for name in model.data.parameter_names if name not in gamma]
        if missing:
            raise ValueError(
                f"{self.path}: scalar {missing[0]} is missing, {model.path} depends on it; expected it there, or"
                f" --gamma {missing[0]}=VALUE"
            )
        return {name: gamma[name] for name in model.data.parameter_names}


@dataclass(frozen=True)
class Outputs:
    """Paths to write: the trajectory file, and optionally a figure and a film."""

    file: str | Path
    plot: str | Path | None = None
    film: str | Path | None = None
    overwrite: bool = False  # of existing files


@dataclass(frozen=True)
class Members:
    """An ensemble of roll-outs with noise: the number of its members, 0 without noise, and the seed."""

    count: int = 0
    seed: int = 0


def write(  # noqa: PLR0913 - the options of Model.predict
    model: Model,
    start: Start,
    steps: int,
    outputs: Outputs,
    *,
    every: int = 1,
    realizations: Choice = "all",
    members: Members | None = None,
) -> None:
    """Roll out and write the file, the figure and the film.

    Args:
        model: the operator.
        start: the initial states.
        steps: number of steps Δt, at least 1.
        outputs: where to.
        every: steps between two frames of the file.
        realizations: all, best, mean, data, or numbers (see `Model.predict`).
        members: of an ensemble with noise, each a trajectory of its own; none by default.

    Raises:
        ValueError: where something given does not fit; nothing is written then.
        FloatingPointError: where the roll-out is not finite.
    """
    check_steps(steps, every)
    _check_name(outputs.file)
    check_output(outputs.file, outputs.overwrite, [start.path, model.path])
    numbers = model.chosen(realizations)
    if outputs.plot is not None:
        plots.check(outputs.plot, outputs.overwrite)
    if outputs.film is not None:
        films.check(outputs.film, outputs.overwrite)
    model, begin = start.read(model)
    members = members or Members()
    if members.count and initial.is_trajectory_file(start.path):
        warn_of_noise(model, TrajectoryFile.open(start.path))
    frames = model.predict(
        begin.states, steps, every=every, gamma=begin.gamma or None, realizations=realizations,
        fluctuations=members.count, seed=members.seed,
    )  # fmt: skip
    names, spread = model.predicted_names, None
    origin: dict[str, Any] = spread_attributes(model, frames)
    if isinstance(frames, Spread | SpreadAndError):
        parts = list(frames)
        spread = frames.sd[0, -1], counted(model.realizations)
        frames, numbers = np.concatenate(parts, -1 - model.grid.dimensions)[None], []
        names = [name + end for end in ("", *SUFFIXES)[: len(parts)] for name in names]
    elif members.count:
        frames = frames.reshape(-1, *frames.shape[-begin.states.ndim - 1 :])
        spread = frames[:, 0, -1].std(0), f"{len(frames)} members"
        origin |= {"fluctuations": members.count, "seed": members.seed}
    elif frames.ndim == begin.states.ndim + 1:
        frames = frames[None]
    origin["realizations"] = realizations if isinstance(realizations, str) and not numbers else numbers
    _file(model, start, begin, frames, names, _labels(numbers, members.count), every, outputs, origin)
    shown = frames[:, 0, :, : len(model.predicted_names)]  # the standard deviations have no figure of their own
    if outputs.plot is not None:
        figure = _figure(model, start, int(begin.rows[0]), shown if spread is None else shown.mean(0)[None], steps)
        if spread is not None:
            figure = replace(figure, deviation=spread[0], averaged=spread[1])
        prediction_plots.prediction(figure, outputs.plot)
    if outputs.film is not None:
        times = (np.arange(frames.shape[2]) * every * model.dt).tolist()
        films.film(shown, times, outputs.film, fields=model.predicted_names, grid=model.grid)


def _figure(model: Model, start: Start, row: int, frames: np.ndarray, steps: int) -> prediction_plots.Prediction:
    """The first and the last of the frames (R, T, C, *X), beside the data where the file contains that time."""
    shown = prediction_plots.Prediction(
        model.predicted_names, model.grid, (0.0, steps * model.dt), frames[0, 0], frames[:, -1]
    )
    if not initial.is_trajectory_file(start.path):
        return shown
    file = TrajectoryFile.open(start.path)
    later = start.frame + steps * model.dt / file.dt if len(file.times) > 1 else np.inf
    last = round(later) if np.isfinite(later) else -1
    begun = float(file.times[start.frame])
    shown = replace(shown, times=(begun, begun + steps * model.dt), units=file.units)
    if start.gamma or not start.frame < last < len(file.times) or abs(later - last) > 1e-6 * later:
        return shown
    truth = compatibility.frames(model, file, slice(row, row + 1), slice(last, last + 1))[0, 0]
    return replace(shown, truth=append(model.ratios, truth, model.grid.dimensions))


def _check_name(output: str | Path) -> None:
    if Path(output).suffix not in ENDINGS:
        raise ValueError(f"{output}: expected a name ending in {' or '.join(ENDINGS)}, for a trajectory file (HDF5)")


def _file(  # noqa: PLR0913 - the parts of write
    model: Model,
    start: Start,
    begin: initial.Initial,
    frames: np.ndarray,
    names: Sequence[str],
    labels: Mapping[str, np.ndarray],
    every: int,
    outputs: Outputs,
    origin: Mapping[str, Any],
) -> None:
    R, B = frames.shape[:2]
    with np.errstate(over="ignore"):
        flat = frames.reshape(R * B, *frames.shape[2:]).astype(np.float32)
    _check_ratios(model, flat, names)
    if not np.isfinite(flat).all():
        frame = int(np.argmin(np.isfinite(flat).all((0, *range(2, flat.ndim)))))
        raise FloatingPointError(
            f"{model.path}: the state after {frame * every} steps is beyond single precision, up to"
            f" {np.abs(frames).max():.2g}: the roll-out diverges"
        )
    parameters = {"initial": np.tile(np.asarray(begin.rows, np.float64), R)}
    parameters |= {name: np.repeat(values, B) for name, values in labels.items()}
    parameters |= {name: np.tile(values, R) for name, values in begin.gamma.items()}
    write_trajectories(
        outputs.file,
        overwrite=outputs.overwrite,
        name=f"prediction of {model.data.name}",
        fields={name: flat[:, :, c] for c, name in enumerate(names)},
        grid=model.grid,
        times=np.arange(frames.shape[2]) * every * model.dt,
        parameters=parameters,
        provenance=_provenance(model, start, begin, frames.shape[2], every) | dict(origin),
    )


def _check_ratios(model: Model, frames: np.ndarray, names: Sequence[str]) -> None:
    """Refuse ratios that are not finite though all fields are.

    Raises:
        ValueError: naming the ratio.
    """
    finite = np.isfinite(frames).all((0, 1, *range(3, frames.ndim)))
    fields, shown = model.data.field_names, model.predicted_names
    lacking = [shown[c % len(shown)] for c in range(len(names)) if not finite[c]]
    ratios = [name for name in lacking if name in model.ratios]
    if ratios and len(ratios) == len(lacking):
        over, under = (fields[place] for place in model.ratios[ratios[0]])
        raise ValueError(
            f"{model.path}: ratio {ratios[0]} = {over}/{under} is not finite where {under} is 0; expected a prediction"
            f" without it (--ratios), or {under} above 0 everywhere"
        )


def _labels(numbers: Sequence[int], members: int) -> dict[str, np.ndarray]:
    """Realization and member of each row of frames, where they have any."""
    each = np.asarray(numbers, np.float64)
    labels = {"realization": np.repeat(each, max(members, 1))} if len(each) else {}
    return labels | ({"member": np.tile(np.arange(float(members)), len(each))} if members else {})


def _provenance(model: Model, start: Start, begin: initial.Initial, count: int, every: int) -> dict[str, Any]:
    rows = ", ".join(str(row) for row in begin.rows)
    return {
        "generator": "morlight predict",
        "version": __version__,
        "checkpoint": str(model.path),
        "checkpoint_digest": digest(model.path),
        "run": model.run or "",
        "training_data": f"{model.data.name} {model.data.digest}",
        "initial": f"{start.path}, trajectory {rows}, frame {start.frame}",
        "initial_digest": digest(start.path),
        "steps": (count - 1) * every,
        "dt": model.dt,
        "trained_points": list(model.data.grid.points),
        **({conditions.ATTRIBUTE: dataclasses.asdict(model.data.conditions)} if model.data.conditions else {}),
    }
