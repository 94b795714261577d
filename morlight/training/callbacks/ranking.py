"""Which realization of a checkpoint is the best: by roll-outs over all frames that are held back for validation.

The loss looks a few steps ahead. A realization may have a small one and still leave the data after a hundred steps.
"""

import warnings

import torch

from morlight.analysis.checkpoint import RealizationLosses
from morlight.analysis.extrapolation import Extrapolation
from morlight.analysis.model import Model
from morlight.data.windows import Windows

NAME = "val_rollout"
ROLLOUTS, STEPS = 20, 1000  # at most


def rollout_errors(model: Model, part: Windows) -> RealizationLosses:
    """Relative errors at the end of the longest roll-outs of each realization; infinite where they do not end.

    The errors are ‖û − u‖/‖u‖ over the fields, each in units of its own size.

    Args:
        model: all realizations of a checkpoint.
        part: the frames held back.
    """
    steps = min(part.length - 1, STEPS)
    index = part.evenly(steps, ROLLOUTS)
    first, last = part.at(index, (0, steps)).double()
    gamma = part.parameters(index, steps).double().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Extrapolation)
        walk = model.predict(first.numpy(), steps, every=steps, finite=False, gamma=gamma)
    size = last.square().mean((0, *range(2, last.ndim)), keepdim=True).clamp_min(torch.finfo(last.dtype).tiny)
    off = (torch.from_numpy(walk[:, :, -1]) - last).square() / size
    errors = off.flatten(1).mean(1).sqrt().nan_to_num(torch.inf, torch.inf)
    return RealizationLosses(NAME, tuple(errors.tolist()))
