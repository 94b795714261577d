"""Warnings for predictions outside the range of the training data: other γ, and waves outside the identified band."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float

from morlight.analysis.trained_operator import TrainedOperator
from morlight.operators import build


class Extrapolation(UserWarning):
    """A prediction goes beyond the range of the training data."""


class OtherConditions(Extrapolation):
    """The runs of a file have other conditions than those of the training data."""


def cautions(model: TrainedOperator, u: Float[np.ndarray, "B C *X"], gamma: Float[np.ndarray, "B P"]) -> list[str]:
    """Sentences for the user.

    Args:
        model: the operator on the grid of the prediction.
        u: initial states.
        gamma: parameters.
    """
    return [*of_parameters(model, gamma), *_waves(model, u)]


def of_parameters(model: TrainedOperator, gamma: Float[np.ndarray, "B P"]) -> Iterator[str]:
    """Sentences about γ outside the range of the training data."""
    for parameter, values in zip(model.data.parameters, gamma.T, strict=True):
        low, high = parameter.low, parameter.high
        if low is None or high is None:
            continue
        slack = 1e-6 * max(abs(low), abs(high))  # the file may have held single precision
        outside = values[(values < low - slack) | (values > high + slack)]
        if len(outside):
            yield (
                f"{model.path}: {parameter.name} = {outside[0]:g} lies outside the training data, {low:g} to {high:g};"
                " the prediction extrapolates"
            )


def _waves(model: TrainedOperator, u: Float[np.ndarray, "B C *X"]) -> Iterator[str]:
    if model.grid == model.data.grid or model.config.equation is not None:  # whose terms hold at every κ
        return
    points, trained = list(model.grid.points), list(model.data.grid.points)
    space = build.basis(model.grid).double()
    modulus = space.wavenumbers.square().sum(0).sqrt()
    for place, name in enumerate(model.data.field_names):
        band = model.band(place)
        if band is None:
            yield (
                f"{model.path}: on {points} points, trained on {trained}: the checkpoint does not say for which"
                f" wavenumbers {name} was identified"
            )
        elif (largest := float(modulus.max())) > 1.001 * band[1]:
            energy = space.forward(torch.from_numpy(u[:, place])).abs().square() * space.energy
            share = float(energy[..., modulus > 1.001 * band[1]].sum() / energy[..., modulus > 0].sum())
            yield (
                f"{model.path}: on {points} points |κ| goes up to {largest:.4g}, but the training data"
                f" identified the symbol of {name} for {band[0]:.4g} ≤ |κ| ≤ {band[1]:.4g};"
                f" {100 * share:.2g} % of the variance of the initial state lies beyond"
            )
