"""Standard errors due to the data, by a jackknife: the fit without each block of the data in turn.

For any number f that follows from an operator, the variance is (S − 1)/S Σ_s (f_s − f̄)² over S independent blocks of
the data, where f_s follows from the fit without block s (Efron & Stein 1981). The variance is itself estimated from
few numbers, so that the error of f in units of its square root follows Student's t with ν degrees of freedom, whose
variance is ν/(ν − 2). Blocks of equal information give ν = S − 1. Usually, some tell more than others, and ν is their
effective number 1/Σ_s w_s² (Satterthwaite 1946), where w_s is the share of block s in the variance.

The weights of the fit without a block, θ + δθ_s, are known to first order. The difference f_s − f is therefore computed
for a small fraction of δθ_s and scaled up (see `morlight.training.least_squares.jackknife`). f is averaged over the
realizations.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from morlight.analysis.trained_operator import Trained, TrainedOperator
from morlight.operators import selected
from morlight.operators.noise_diagnostics import jackknife_error

UNKNOWN = (
    "the standard error due to the data is not known: it needs model.optimizer moments, and 10 trajectories, or fewer"
    " ones that fluctuate for 100 times the horizon, with information that is not only in a few blocks of them"
)
SHARE = 1e-4  # fraction of δθ_s at which neither rounding nor curvature matters


def standard_error(model: Trained, of: Callable[[Trained], Float[Tensor, "R *f"]]) -> Float[Tensor, "*f"] | None:
    """Standard error of numbers that follow from a model, averaged over the realizations; None if it is not known.

    Args:
        model: the fitted model.
        of: function that returns the numbers for each realization of a model.
    """
    replicates = without_blocks(model)
    if replicates is None:
        return None
    values = of(replicates).unflatten(0, (-1, model.realizations)).mean(1)
    return scaled_deviation(values)


def error_of_rollouts(model: Trained, frames: Callable[[Trained], np.ndarray], predicted: np.ndarray) -> np.ndarray:
    """Standard error of roll-outs, averaged over the realizations; computed block by block to save memory.

    For an equation, it is the standard deviation over the realizations, which are draws of its coefficients within
    their standard errors.

    Args:
        model: the fitted model.
        frames: function that returns the roll-outs of each realization of a model.
        predicted: roll-outs of the fitted model.

    Raises:
        ValueError: if the standard error is not known.
    """
    if model.config.equation is not None and model.realizations > 1:
        return np.asarray(predicted.std(0, ddof=1))
    replicates = without_blocks(model)
    if replicates is None:
        raise ValueError(f"{model.path}: {UNKNOWN}; expected --realizations mean")
    blocks = replicates.realizations // model.realizations
    total, squares = np.zeros(predicted.shape[1:]), np.zeros(predicted.shape[1:])
    for block in tqdm(range(blocks), "without each block", delay=2, leave=False, unit="block"):
        rows = range(block * model.realizations, (block + 1) * model.realizations)
        change = (frames(replicates.only(rows)) - predicted).mean(0)
        total, squares = total + change, squares + change**2
    variance = (blocks - 1) / blocks * (squares - total**2 / blocks)
    return np.sqrt(variance.clip(min=0)) / SHARE


def source(model: TrainedOperator) -> str:
    """One sentence on the origin of the standard errors due to the data."""
    known = model.checkpoint.jackknife
    if known is not None:
        of = "parts of trajectories in time" if known.in_time else "trajectories or groups of them"
        return f"from fits without each of {known.blocks} blocks of the data ({of}), as good as {known.alike:.0f} alike"
    if model.config.equation is not None:
        return "from the covariance of the coefficients"
    if model.checkpoint.training.get("optimizer") == "moments" and not model.steady:
        return (
            "from the noise of each mode by itself, because there are fewer than 10 trajectories, which are too"
            " short to be cut into blocks, or a few blocks contain most of the information; the errors of symbols are"
            " not known"
        )
    return "from the noise of each mode by itself; the errors of symbols are not known without model.optimizer moments"


def scaled_deviation(values: Float[Tensor, "S *f"]) -> Float[Tensor, "*f"]:
    """Standard error from numbers that follow from `without_blocks`, averaged over the realizations of each block."""
    return jackknife_error(values) / SHARE


def without_blocks(model: Trained) -> Trained | None:
    """A model of S·R realizations, R for each block, with `SHARE` of the changes of weights; None if not known.

    The changes include the factor of Student's t, so that the deviation of what follows is the standard error.
    """
    known = model.checkpoint.jackknife
    if known is None:
        return None
    rows = list(range(model.realizations)) * known.blocks
    operator = selected(model.operator, model.realizations, rows).double()
    named = dict(operator.named_parameters())
    with torch.no_grad():
        for name, change in known.changes.items():
            if name not in named:
                raise ValueError(
                    f"{model.path}: has jackknife changes of {name}, which is not a parameter of the operator"
                )
            named[name].add_(change.flatten(0, 1).to(named[name]), alpha=SHARE * known.student)
    checkpoint = dataclasses.replace(model.checkpoint, jackknife=None, losses=None, growth=None).only(rows)
    return dataclasses.replace(model, checkpoint=checkpoint, operator=operator.requires_grad_(False))
