"""Whether a file has the units and the conditions of a model's training data, as far as both are known."""

import warnings
from collections.abc import Sequence

from morlight.analysis.extrapolation import OtherConditions
from morlight.analysis.trained_operator import TrainedOperator
from morlight.data.conditions import Difference, runs_that_differ, stated, units_that_differ
from morlight.data.trajectory_file import TrajectoryFile


def check_units(model: TrainedOperator, file: TrajectoryFile) -> None:
    """Refuse a file in other units than the training data: its numbers have another meaning for the model.

    Raises:
        ValueError: naming the file, its units and those of the training data.
    """
    differences = units_that_differ(model.data.conditions, stated(file, model.data.field_names))
    if differences:
        raise ValueError(
            f"{file.path}: {_listed(differences, ', expected')} as in the training data of {model.path}:"
            " convert the file to these units, or fit a model to it"
        )


def warn_of_conditions(model: TrainedOperator, file: TrajectoryFile, rows: Sequence[int] | None = None) -> None:
    """Warn of runs under other conditions than those of the training data, which are no parameters γ of the model.

    Args:
        model: the operator.
        file: trajectory file.
        rows: trajectories that are used; all by default.
    """
    _warn(model, file, runs_that_differ(model.data.conditions, file, model.data.parameter_names, rows), "parameter γ")


def warn_of_noise(model: TrainedOperator, file: TrajectoryFile) -> None:
    """Warn of runs with another number of particles, whose noise is another one."""
    trained, there = model.data.conditions.particles, stated(file).particles
    if trained is not None and there is not None and trained != there:
        _warn(model, file, [Difference("the number of particles", trained, there)], "noise")


def _warn(model: TrainedOperator, file: TrajectoryFile, differences: Sequence[Difference], lacking: str) -> None:
    if differences:
        warnings.warn(
            f"{file.path}: {_listed(differences, ' instead of')} as in the training data of {model.path}, which has no"
            f" {lacking} for it",
            OtherConditions,
            stacklevel=4,
        )


def _listed(differences: Sequence[Difference], between: str) -> str:
    """Such as `force is 0.01 instead of 0.005`."""
    return ", ".join(f"{each.name} is {_shown(each.file)}{between} {_shown(each.trained)}" for each in differences)


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
