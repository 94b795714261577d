"""One small model for all tests: its description, its configuration, its operator, and a checkpoint of it."""

import math
from pathlib import Path

import torch

from morlight.analysis.checkpoint import Checkpoint, ModeStatistics, RealizationLosses
from morlight.analysis.model import Model, load
from morlight.operators import build
from morlight.operators.config import OperatorConfig
from morlight.operators.description import DataDescription, FieldStatistics, Grid, ParameterStatistics

OPTIONS = {"symbol": "plain", "depth": 3, "realizations": 2}


def grid(points=(32,), length=math.tau, boundaries="PERIODIC") -> Grid:
    """A grid; one length and one boundary serve all axes."""
    count = len(points)
    lengths = tuple(length) if isinstance(length, tuple | list) else (length,) * count
    sides = (boundaries,) * count if isinstance(boundaries, str) else tuple(boundaries)
    return Grid(tuple(points), tuple(map(float, lengths)), sides)


def field(name="density", low=-2.0, high=3.0, scale=1.7, **more) -> FieldStatistics:
    """Statistics of a field whose values lie evenly between the smallest and the largest."""
    quantiles = tuple(low + (high - low) * (q + 0.5) / 101 for q in range(101))
    return FieldStatistics(name, low, high, scale, **{"quantiles": quantiles, **more})


def parameter(name="shear", scale=1.0, **more) -> ParameterStatistics:
    """Statistics of a parameter γ."""
    return ParameterStatistics(name, scale, **more)


def description(fields=("density",), parameters=(), where=None, dt=0.1, **more) -> DataDescription:
    """A description; fields and parameters by their names, or their statistics."""
    return DataDescription(
        **{
            "name": "small",
            "digest": "0" * 16,
            "grid": where or grid(),
            "dt": dt,
            "fields": tuple(field(each) if isinstance(each, str) else each for each in fields),
            "parameters": tuple(parameter(each) if isinstance(each, str) else each for each in parameters),
            **more,
        }
    )


def config(**options) -> OperatorConfig:
    """Two realizations of small plain networks, and the options given."""
    return OperatorConfig(**{**OPTIONS, **options})


def redraw(module, seed=0, size=0.5):
    """Every parameter drawn anew: fresh networks have zero offsets, so g(0) = h(0) = 0 by luck."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for each in module.parameters():
            each.uniform_(-size, size, generator=generator)
    return module


def operator(data=None, seed=0, size=0.5, **options):
    """An operator in double precision with every parameter redrawn."""
    return redraw(build.operator(config(**options), data or description()).double(), seed, size)


def save(path, made, data=None, modes=None, losses=None, training=None, jackknife=None, **options) -> Path:  # noqa: PLR0913
    """A checkpoint of an operator, as `morlight fit` writes it."""
    chosen = config(**options)
    values = tuple(float(r + 1) for r in range(chosen.realizations)) if losses is None else tuple(losses)
    plain = Checkpoint(
        Path(path), chosen, training or {}, data or description(), modes or ModeStatistics(), None, None,
        RealizationLosses("val_loss", values), {}, jackknife=jackknife,
    ).to_plain()  # fmt: skip
    weights = {f"operator.{key}": value for key, value in made.state_dict().items()}
    torch.save({"morlight": plain, "state_dict": weights}, path)
    return Path(path)


def model(path, data=None, seed=0, size=0.5, modes=None, losses=None, **options) -> Model:
    """A model from a checkpoint of a redrawn operator."""
    made = operator(data, seed, size, **options)
    return load(save(path, made, data, modes, losses, **options))


def mark(path, **values) -> Path:
    """Change what a checkpoint says of itself under 'morlight', such as run or losses."""
    saved = torch.load(path, weights_only=True)
    saved["morlight"] |= values
    torch.save(saved, path)
    return Path(path)
