"""The networks beside the linear model of each mode, on windows that neither of them was fitted to."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from morlight.analysis.evaluation.result import ErrorSummary, OverLinear
from morlight.analysis.model import Model
from morlight.operators import NoiseWeighted


def over_linear(
    model: Model,
    frames: Float[Tensor, "2 n C *X"],
    gamma: Float[Tensor, "n P"],
    horizon: int,
    trajectory: Int[Tensor, " n"],
) -> OverLinear | None:
    """Mean square errors over some windows, in units of those of the linear model; None without a linear model.

    Each mode is measured in the unit of the linear model's own error, since that is almost all noise where waves are
    short. Below 1, the networks are more accurate than a regression of each mode.

    Args:
        model: the operator.
        frames: u_j and u_{j+m} of windows, or u and u + f of pairs without time.
        gamma: parameters γ.
        horizon: m.
        trajectory: of each window; the errors of different ones are independent.
    """
    factors = model.linear_model
    if not factors or len(trajectory) == 0:
        return None
    first, last = frames.double()
    gamma = gamma.double()
    if model.steady:
        predicted = first + torch.from_numpy(model.apply(first.numpy(), gamma.numpy()))
    else:
        walk = model.predict(first.numpy(), horizon, every=horizon, finite=False, gamma=gamma.numpy())
        predicted = torch.from_numpy(walk[:, :, -1])
    ratios = []
    for part in factors:
        off = part.basis.forward((predicted - last)[:, :, part.places]).abs().square()
        later = part.advance(first[:, part.places], horizon, gamma)
        known = part.basis.forward(later - last[:, part.places]).abs().square()
        unit = known.mean(0)
        unit = unit.clamp_min(NoiseWeighted.FLOOR * unit.flatten(1).amax(1).view(-1, *[1] * (unit.ndim - 1)))
        ratios.append(((off - known) / unit).flatten(2).mean(2))
    excess = torch.stack(ratios).mean(0)
    which = torch.unique(trajectory, return_inverse=True)[1]
    each = excess.new_zeros(len(excess), int(which.max()) + 1).index_add_(1, which, excess)
    each = each / which.bincount()
    sd = each.std(1) / each.shape[1] ** 0.5 if each.shape[1] > 1 else torch.zeros(len(each))
    ratio = ErrorSummary.of((1 + excess.mean(1)).tolist())
    return OverLinear(horizon, ratio, float(sd.nan_to_num(0).median()))
