"""h of a model in the gauge of its training data."""

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.analysis.model import Model
from morlight.operators import fix


def nonlinearity(model: Model, values: Float[Tensor, " P"]) -> Float[Tensor, "R P"]:
    """(h(u) − h(0))/c at some values of u, where c makes h(u) ≈ u over the training data."""
    seen = fix(model.spectral, torch.tensor(model.data.fields[0].quantiles, dtype=torch.float64))
    here = fix(model.spectral, values)
    return here.nonlinearity * (here.factor / seen.factor)[:, None]
