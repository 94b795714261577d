"""What a prediction starts from, checked: initial states and parameters γ."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from morlight.operators.description import DataDescription, Grid

Gamma = np.ndarray | Mapping[str, Any] | None


def batched(data: DataDescription, grid: Grid, u: Tensor) -> Float[Tensor, "B C *X"]:
    """Initial states with the axes B and C.

    Args:
        data: of the operator.
        grid: of the prediction.
        u: (B, C, *X), (C, *X) or, for one field, (*X).

    Raises:
        ValueError: if they do not have the shape that the operator needs, or are not finite.
    """
    points, fields = grid.points, len(data.fields)
    full = (fields, *points)
    if u.ndim == len(points) and fields == 1:
        u = u[None]
    if u.ndim == len(full):
        u = u[None]
    if u.ndim != 1 + len(full) or tuple(u.shape[1:]) != full:
        raise ValueError(
            f"initial state has shape {tuple(u.shape)}, expected {points} points"
            f" of {fields} field(s) ({', '.join(data.field_names)}); `Model.on` takes the operator to another"
            " grid"
        )
    if not u.isfinite().all():
        raise ValueError("initial state holds NaN or infinite values, expected finite numbers")
    return u


def parameter_values(data: DataDescription, gamma: Gamma, batch: int) -> Tensor:
    """γ of each field of a batch (B, P), in the order of the description.

    Raises:
        ValueError: where they are not those of the data, or not finite, or not positive where ln γ enters.
    """
    names = data.parameter_names
    if isinstance(gamma, Mapping):
        if set(gamma) != set(names):
            given, expected = (", ".join(keys) or "none" for keys in (gamma, names))
            raise ValueError(f"the parameters {given} are given, expected {expected}")
        columns = [np.broadcast_to(np.asarray(gamma[name], np.float64), batch) for name in names]
        gamma = np.stack(columns, 1) if columns else None
    values = np.zeros((batch, 0)) if gamma is None else np.asarray(gamma, dtype=np.float64).reshape(batch, -1)
    if values.shape[1] != len(names):
        raise ValueError(f"{values.shape[1]} parameters are given, expected {len(names)} ({', '.join(names)})")
    if not np.isfinite(values).all():
        raise ValueError(f"the parameters {', '.join(names)} hold NaN or infinite values, expected finite numbers")
    if any(p.spread for p in data.parameters) or any(field.powers for field in data.fields):
        for name, column in zip(names, values.T, strict=True):
            if not (column > 0).all():
                raise ValueError(f"parameter {name} is {column.min():g}, expected values above 0")
    return torch.from_numpy(values)
