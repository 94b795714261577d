"""Roll-outs of fields with names on their axes (xarray)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from morlight.analysis import rollouts
from morlight.analysis.data_errors import source
from morlight.analysis.inputs import Gamma
from morlight.analysis.rollouts import Forecast, Spread, SpreadAndError
from morlight.analysis.trained_operator import TrainedOperator
from morlight.data import labelled
from morlight.operators import build


def predict(model: TrainedOperator, initial: Any, asked: Forecast, gamma: Gamma) -> Any:
    """Roll-out of xarray's arrays (see `Model.predict`)."""
    names, length = model.data.field_names, model.data.grid.length
    given = labelled.arrays(initial, names, model.data.parameter_names, model.grid.dimensions)
    if given.length is not None and not np.allclose(given.length, length, rtol=1e-3, atol=0):  # of printed coordinates
        raise ValueError(
            f"the coordinates fill the length {list(given.length)}, expected {list(length)} as in the"
            f" training data of {model.path}"
        )
    points = given.states.shape[2:]
    # coordinates show that it is the same domain; without them other points could be another length
    there = model if given.length is None or points == model.grid.points else model.on(points)
    if isinstance(gamma, Mapping):
        gamma = {**given.gamma, **gamma}
    frames = rollouts.predict(
        there, given.states, asked, (given.gamma or None) if gamma is None else gamma, stacklevel=4
    )
    realizations = asked.realizations
    lead: dict[str, Sequence[int]] = {"realization": model.chosen(realizations)}
    if isinstance(frames, Spread | SpreadAndError):
        parts, lead = {"": frames.mean, "_sd": frames.sd}, {}
        parts |= {"_error": frames.error} if isinstance(frames, SpreadAndError) else {}
    else:
        lead = {} if realizations == "best" or isinstance(realizations, int) else lead
        parts = {"": frames}
    if asked.fluctuations:
        lead["member"] = range(asked.fluctuations)
    fields = {
        f"{name}{end}": u.take(c, -1 - len(points))
        for end, u in parts.items()
        for c, name in enumerate(there.predicted_names)
    }
    space = build.basis(model.data.grid.with_points(points))
    grid = [axis.x.numpy() for axis in space.axes]
    times = np.arange(asked.steps // asked.every + 1) * asked.every * model.dt
    attributes = {
        "checkpoint": str(model.path),
        "run": model.run or "",
        "dt": model.dt,
        "realizations": str(realizations),
        **spread_attributes(model, frames),
        **({"fluctuations": asked.fluctuations, "seed": asked.seed} if asked.fluctuations else {}),
    }
    return labelled.dataset(fields, times, given, lead=lead, grid=grid, attributes=attributes)


def spread_attributes(model: TrainedOperator, frames: object) -> dict[str, str]:
    """What the variables NAME_sd and NAME_error are, for the attributes of a file."""
    if not isinstance(frames, Spread | SpreadAndError):
        return {}
    found = {"NAME_sd": f"standard deviation over {model.realizations} realizations"}
    if isinstance(frames, SpreadAndError):
        found["NAME_error"] = f"standard error due to the data, {source(model)}"
    return found
