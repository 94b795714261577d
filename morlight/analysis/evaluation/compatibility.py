"""Whether a model can be applied to a trajectory file: grid, fields, time step and parameters."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from morlight.analysis.conditions import check_units
from morlight.analysis.trained_operator import Trained, TrainedOperator
from morlight.data import ensembles, mirror
from morlight.data.trajectory_file import Contents, TrajectoryFile


def check_grid(model: TrainedOperator, contents: TrajectoryFile) -> None:
    """Refuse data that the model cannot be applied to.

    Raises:
        ValueError: naming the file, what it has and what the checkpoint needs.
    """
    grid = model.grid
    points = contents.grid.points
    if points == tuple(model.data.coarsen * N for N in grid.points):  # averaged as the training data were
        points = grid.points
    for key, value, expected in (
        ("grid points", points, grid.points),
        ("domain length", contents.grid.length, grid.length),
        ("boundaries", contents.grid.boundaries, grid.boundaries),
    ):
        close = key == "domain length" and np.allclose(value, expected, rtol=1e-6, atol=0)  # single precision in a file
        if not (value == expected or close):
            raise ValueError(
                f"{contents.path}: {key} {list(value)}, expected {list(expected)} as in the training data of"
                f" {model.path}"
            )
    missing = ensembles.missing(contents, model.data.field_names)
    if missing:
        raise ValueError(
            f"{contents.path}: field {', '.join(missing)} is missing, {model.path} needs it;"
            f" the file has {', '.join(contents.fields)}"
        )
    check_units(model, contents)


def in_time(model: Trained, contents: Contents) -> Trained:
    """The model with steps that end at the frames of a file; that of a generator takes the spacing of the frames.

    Raises:
        ValueError: for frames between the steps of the model, naming the file and both spacings.
    """
    ratio = contents.dt / model.dt
    if ratio > 0.5 and abs(ratio - round(ratio)) < 1e-6 * ratio:
        return model
    if not model.continuous:
        raise ValueError(f"{contents.path}: frames are {contents.dt} apart, expected a multiple of Δt = {model.dt}")
    return model.stepping(contents.dt)


def parameters(
    model: TrainedOperator, contents: Contents, rows: Sequence[int] | None = None
) -> Float[np.ndarray, "n P"]:
    """γ of the trajectories of a file, in the order of the model's parameters.

    Raises:
        ValueError: naming the scalar that the file lacks.
    """
    chosen = list(range(contents.trajectories) if rows is None else rows)
    for name in model.data.parameter_names:
        if name not in contents.parameters:
            raise ValueError(f"{contents.path}: scalar {name} is missing, {model.path} depends on it")
    columns = [np.asarray(contents.parameters[name], np.float64)[chosen] for name in model.data.parameter_names]
    return np.stack(columns, 1) if columns else np.zeros((len(chosen), 0))


def frames(
    model: TrainedOperator,
    file: TrajectoryFile,
    rows: slice = slice(None),
    times: slice = slice(None),
    *,
    single: bool = False,
) -> Float[np.ndarray, "S T C *X"]:
    """The fields of a model, read from a file, on the grid of the model, averaged with their mirror images if those of
    the training data were and the file states the symmetry, unless single runs are asked for.
    """
    u = file.read(model.data.field_names, rows, times)
    u = ensembles.coarse(u, file.grid.points[0] // model.grid.points[0], model.grid.dimensions)
    averaged = not single and model.data.parities and file.attributes.get(mirror.ATTRIBUTE)
    return mirror.symmetric(u, model.data.parities) if averaged else u
