"""Whether a fit may go on from a checkpoint: the same operator, loss and algorithm, and the same data."""

from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from morlight.analysis.model import Model
from morlight.data.conditions import runs_of_both_that_differ, units_that_differ
from morlight.data.datamodule import TrajectoryDataModule
from morlight.training.operator_module import OperatorModule


class OtherData(ValueError):
    """Data that are not those with which a run or a sweep began."""


def check(saved: Model, module: OperatorModule) -> None:
    """Refuse to go on from another model's checkpoint, or with other data.

    Raises:
        ValueError: naming the first key that differs.
    """
    stored = {**saved.checkpoint.training, **saved.config.to_plain()}
    for key, value in asdict(module.config).items():
        if key in stored and stored[key] != value:
            raise ValueError(f"{saved.path}: model.{key} is {stored[key]!r} there, {value!r} in this configuration")
    own = (
        ("loss", bool(stored.get("own_loss", False)), module.loss.own is not None),
        ("components", saved.checkpoint.components, module.components is not None),
    )
    for name, stored_own, own_here in own:
        if stored_own != own_here:
            kind = {True: f"{name} of the user's own", False: f"the configured {name}"}
            raise ValueError(
                f"{saved.path}: was trained with {kind[stored_own]}, expected that in place of {kind[own_here]}"
            )
    before, now = saved.data, module.data
    for name, there, here in (
        ("fields", before.field_names, now.field_names),
        ("targets", list(before.targets), list(now.targets)),
        ("parameters", before.parameter_names, now.parameter_names),
        ("grid points", list(before.grid.points), list(now.grid.points)),
        ("boundaries", list(before.grid.boundaries), list(now.grid.boundaries)),
    ):
        if there != here:
            raise ValueError(f"{module.sample.path}: {name} {here}, expected {there} as in the data of {saved.path}")
    for name, numbers, others in (
        ("domain length", before.grid.length, now.grid.length),
        ("Δt", (before.dt,), (now.dt,)),
    ):
        if not np.allclose(others, numbers, rtol=1e-6, atol=0):  # single precision in a file
            given, expected = (", ".join(f"{value:g}" for value in values) for values in (others, numbers))
            raise ValueError(
                f"{module.sample.path}: {name} {given}, expected {expected} as in the data of {saved.path}"
            )
    _check_conditions(saved, module)


def _check_conditions(saved: Model, module: OperatorModule) -> None:
    """Refuse data in other units or of runs under other conditions, where both are known.

    Raises:
        ValueError: naming the first one that differs.
    """
    before, now = saved.data.conditions, module.data.conditions
    units = units_that_differ(before, now)
    for each in (*units, *runs_of_both_that_differ(before, now, module.data.parameter_names)):
        raise ValueError(
            f"{module.sample.path}: {each.name} is {each.file}, expected {each.trained} as in the data of {saved.path};"
            " a fit without ckpt_path begins anew"
        )


def check_data(saved: Model, served: Any, *, same_run: bool) -> None:
    """Refuse other data for the rest of a run, and another split of the same data, which would mix training and test.

    Args:
        saved: checkpoint to go on from.
        served: data module of the fit.
        same_run: whether the run of the checkpoint is continued.

    Raises:
        OtherData: naming the file or the part.
    """
    path, digest = served.sample.path, served.description.digest
    if digest != saved.data.digest:
        if same_run and saved.data.digest:
            raise OtherData(
                f"{path}: these data are not those with which the run of {saved.path} began; to train on other data,"
                " copy the checkpoint out of mlruns and pass the copy as ckpt_path, which begins a new run"
            )
        return
    if not isinstance(served, TrajectoryDataModule):
        return
    stored = torch.load(saved.path, map_location="cpu", weights_only=True).get(type(served).__qualname__, {})
    for part, now in served.state_dict().items():
        if stored.get(part, now) != now:
            raise OtherData(
                f"{saved.path}: the data for {part} were {stored[part]} of {path}, and are {now} in this configuration;"
                " a fit without ckpt_path begins anew"
            )
