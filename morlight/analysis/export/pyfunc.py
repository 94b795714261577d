"""The pyfunc flavor of MLflow: a folder with the checkpoint in it and no pickle, that `mlflow models serve` serves.

Inputs are the fields by their names, each (B, *X), and the parameters γ, each (B,), gamma_NAME where a field has the
same name; outputs are the fields, each (B, R, T, *X), without R for `best`, and for `mean` without R and with NAME_sd
beside each. Parameters of a request are `steps`, `every`, `realizations`, `fluctuations` and `seed`, as of `morlight
predict`; an ensemble has an axis of its members before T.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from morlight import __version__
from morlight.analysis import model as prediction
from morlight.analysis.model import Model
from morlight.analysis.ratios import SUFFIXES
from morlight.analysis.rollouts import Spread, SpreadAndError
from morlight.data.labelled import parameter_labels
from morlight.data.whole_file import whole_file

FOLDER = "model"  # of a run's files


class Served:
    """The object that `mlflow.pyfunc.load_model` returns predictions of."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def predict(self, model_input: dict[str, Any], params: dict[str, Any] | None = None) -> dict[str, np.ndarray]:
        """Roll-outs of the fields of a request; L u of an operator without time."""
        asked = {"steps": 1, "every": 1, "realizations": "all", "fluctuations": 0, "seed": 0, **(params or {})}
        names, parameters = self.model.data.field_names, self.model.data.parameter_names
        labels = parameter_labels(names, parameters)
        missing = [name for name in (*names, *labels) if name not in model_input]
        if missing:
            raise ValueError(f"input '{missing[0]}' is missing, expected {', '.join((*names, *labels))}")
        D = self.model.grid.dimensions
        u = np.stack([np.asarray(model_input[name], np.float64) for name in names], 1)
        each = (np.asarray(model_input[label], np.float64).reshape(-1) for label in labels)
        gamma = dict(zip(parameters, each, strict=True)) or None
        points = u.shape[2:]
        model = self.model if points == self.model.grid.points else self.model.on(points)
        if self.model.steady:
            values = None if gamma is None else np.stack(list(gamma.values()), 1)
            return {name: model.apply(u, values)[:, :, c].swapaxes(0, 1) for c, name in enumerate(model.data.targets)}
        which = str(asked["realizations"])
        chosen = int(which) if which.isdigit() else which
        steps, every, members, seed = (int(asked[name]) for name in ("steps", "every", "fluctuations", "seed"))
        frames = model.predict(u, steps, every=every, gamma=gamma, realizations=chosen, fluctuations=members, seed=seed)
        if isinstance(frames, Spread | SpreadAndError):
            parts = dict(zip(("", *SUFFIXES), frames, strict=False))
        else:
            parts = {"": np.moveaxis(frames, -D - 3, 0)}
        return {f"{name}{end}": v.take(c, -1 - D) for end, v in parts.items() for c, name in enumerate(names)}


def _load_pyfunc(path: str) -> Served:
    """For MLflow: the model in a checkpoint, opened without executing what is in it."""
    file = Path(path)
    return Served(prediction.load(next(iter(sorted(file.glob("*.ckpt"))), file) if file.is_dir() else file))


def save(model: Model, folder: str | Path) -> None:
    """Write the folder with the checkpoint of a model, its signature, an example, and its requirements.

    Raises:
        ValueError: where the folder cannot be made.
    """
    folder = Path(folder)
    if folder.exists() or folder.is_symlink():
        raise ValueError(f"{folder}: exists already, expected the name of a new folder")
    import mlflow.pyfunc

    with whole_file(folder) as draft, _requirements_not_compared(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow to its developers
        logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)
        mlflow.pyfunc.save_model(
            draft,
            loader_module=__name__,
            data_path=str(model.path),
            signature=_signature(model),
            input_example=_example(model) if model.steady else (_example(model), {"steps": 1}),
            pip_requirements=[f"morlight=={__version__}"],
        )


@contextlib.contextmanager
def _requirements_not_compared() -> Iterator[None]:
    """Spare MLflow's reading of all installed packages, a second, to learn that this process has its own version."""
    from mlflow.utils import environment

    name = "warn_dependency_requirement_mismatches"
    kept = getattr(environment, name, None)
    setattr(environment, name, lambda requirements: None)
    try:
        yield
    finally:
        setattr(environment, name, kept)


def _example(model: Model) -> dict[str, np.ndarray]:
    """The median of every field everywhere, and parameters in the middle of the training data."""
    data = model.data
    example = {field.name: np.full((1, *model.grid.points), field.median) for field in data.fields}
    labels = parameter_labels(data.field_names, data.parameter_names)
    return example | {label: np.array([p.middle]) for label, p in zip(labels, data.parameters, strict=True)}


def _signature(model: Model) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import DataType, ParamSchema, ParamSpec, Schema, TensorSpec

    double, data, D = np.dtype(np.float64), model.data, model.grid.dimensions
    inputs = [TensorSpec(double, (-1,) * (D + 1), name) for name in data.field_names]
    inputs += [TensorSpec(double, (-1,), n) for n in parameter_labels(data.field_names, data.parameter_names)]
    if model.steady:
        return ModelSignature(Schema(inputs), Schema([TensorSpec(double, (-1,) * (D + 2), n) for n in data.targets]))
    outputs = [TensorSpec(double, (-1,) * (D + 3), name) for name in data.field_names]
    asked = [
        ParamSpec("steps", DataType.long, 1),
        ParamSpec("every", DataType.long, 1),
        ParamSpec("realizations", DataType.string, "all"),
        ParamSpec("fluctuations", DataType.long, 0),
        ParamSpec("seed", DataType.long, 0),
    ]
    return ModelSignature(Schema(inputs), Schema(outputs), ParamSchema(asked))
