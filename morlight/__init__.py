"""Learn continuum models from particles, molecules or any fields.

morlight.write("mine.h5", {"u": u}, dt=0.1, length=6.28, boundaries="periodic")
result = morlight.fit("mine.h5")                        # a trajectory file, a shipped set, or a data module
morlight.suggest("mine.h5").to_yaml()                   # suggested settings, with reasons
morlight.discover("mine.h5").text                       # the equation of its fields, with standard errors
model = morlight.load("runs:/…")                        # a path, runs:/ID, models:/NAME@ALIAS
model.predict(u0, steps=400)
model.equation().text                                   # its closed form, or the reason why there is none
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from morlight.analysis.equations.sum_of_terms import Equation
    from morlight.analysis.model import Model
    from morlight.data.trajectory_file import TrajectoryFile
    from morlight.operators.build import Components
    from morlight.training.fit import FitResult
    from morlight.training.suggestions.suggest import Suggestion

__version__ = "0.2.0"
__all__ = ["discover", "fit", "load", "open", "suggest", "write"]


def load(checkpoint: str | Path, components: "Components | None" = None) -> "Model":
    """The model in a checkpoint.

    Args:
        checkpoint: a path, `runs:/ID`, or `models:/NAME@ALIAS`.
        components: your own networks and biases, if the model was trained with any.

    Raises:
        ValueError: if there is no such checkpoint, or it cannot be used.
    """
    from morlight.analysis.model import load as read
    from morlight.tracking.checkpoints import resolve

    return read(resolve(checkpoint), components)


def fit(data: Any, settings: Any = None, **more: Any) -> "FitResult":
    """Learn an operator from a trajectory file, a shipped set or a data module (see `morlight.training.fit.fit`).

    Settings are changes of the defaults, `{"model.terms": 2, "trainer.max_epochs": 50}`, or a configuration; if they
    contain no key of the model, those of `suggest` are used. Keywords are config (whose settings are changed, such as
    `own`), callbacks, logger, trainer, components and loss.
    """
    from morlight.training.fit import fit as train

    return train(data, settings, **more)


def open(name: str | Path) -> "TrajectoryFile":
    """A trajectory file, by its path or the name of a data set of the package; the method `read` returns the values."""
    from morlight.data.trajectory_file import TrajectoryFile

    return TrajectoryFile.open(name)


def write(path: str | Path, fields: Any, **described: Any) -> Path:
    """Write fields (trajectory, time, x[, y[, z]]), NumPy or xarray, as a trajectory file.

    Keywords are dt or times, length or coordinates, boundaries, parameters, dims, every, drop_last, name and overwrite
    (see `morlight.data.arrays.write`). Points are centers of cells.
    """
    from morlight.data import arrays

    return arrays.write(path, fields, **described)


def suggest(data: str | Path, **more: Any) -> "Suggestion":
    """Settings that suit the data in a trajectory file, with a reason for each; `morlight.fit(data)` uses them.

    Keywords are fields and bases (see `morlight.training.suggestions.suggest`).
    """
    from morlight.training.suggestions.suggest import suggest as find

    return find(data, **more)


def discover(data: str | Path, **more: Any) -> "Equation":
    """The equation of the fields in a trajectory file.

    Keywords are fields, where, wall, degree, order, parameter_degree and fractional (see
    `morlight.training.discovery.discover`).
    """
    from morlight.training.discovery import discover as find

    return find(data, **more)
