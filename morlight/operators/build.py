"""Plain values, as a checkpoint keeps them, to an operator: where words of a configuration get a class."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from morlight.operators.bases import Basis, Fourier
from morlight.operators.biases import Conservative, Isotropic, Odd
from morlight.operators.gauge import slopes
from morlight.operators.networks import ACTIVATIONS, DissipativeSymbol, Nonlinearity, Perceptrons, Symbol
from morlight.operators.spectral import SpectralOperator

BIASES = ("conservation", "isotropy", "reflection")
SYMBOLS = ("dissipative", "plain")


def basis(points: Sequence[int], length: Sequence[float], boundaries: Sequence[str]) -> Basis:
    """Fourier on every axis.

    Raises:
        ValueError: where a boundary is not periodic.
    """
    if set(boundaries) != {"PERIODIC"}:
        raise ValueError(f"boundaries are {', '.join(boundaries)}, expected PERIODIC on every axis")
    return Fourier(tuple(points), tuple(length))


def check(model: Mapping[str, Any]) -> None:
    """Refuse words that mean nothing and networks without a layer.

    Raises:
        ValueError: naming the key, what came and what was expected.
    """
    for key, known in (("biases", BIASES), ("symbol", SYMBOLS), ("activation", tuple(ACTIVATIONS))):
        came = model[key] if key == "biases" else [model[key]]
        if not set(came) <= set(known):
            raise ValueError(
                f"model.{key} is {model[key]!r}, expected {'any' if key == 'biases' else 'one'} of {', '.join(known)}"
            )
    for key in ("width", "depth", "realizations"):
        if model[key] < 1:
            raise ValueError(f"model.{key} is {model[key]}, expected at least 1")


def operator(model: Mapping[str, Any], data: Mapping[str, Any]) -> SpectralOperator:
    """The operator that a model's words and the description of its data mean, freshly initialised.

    Args:
        model: biases, symbol, width, depth, activation, realizations, seed, literal.
        data: points, length, boundaries, fields, scale (see `morlight.data.datamodule`).

    Raises:
        ValueError: for an unknown word, or more than one field.
    """
    check(model)
    if len(data["fields"]) != 1:
        raise ValueError(f"fields: this operator takes one field, the data have {', '.join(data['fields'])}")
    space = basis(data["points"], data["length"], data["boundaries"])
    scale = [1.0] if model["literal"] else data["scale"]
    return SpectralOperator(space, _symbol(model, space), _nonlinearity(model), tuple(scale))


def upward(operator: SpectralOperator, values: Sequence[float]) -> None:
    """Turn h over, in place, in the realisations in which it slopes downwards over some values of u.

    A random h slopes either way; with a symbol that only damps, one that starts downwards has to pass through h = 0,
    where the operator vanishes and may stay.
    """
    slope = slopes(operator, torch.tensor(values, dtype=operator.scale.dtype)).view(-1, 1, 1)
    network = next(module for module in operator.h.modules() if isinstance(module, Perceptrons))
    with torch.no_grad():
        for parameter in (network.weights[-1], network.offsets[-1]):
            parameter *= torch.where(slope < 0, -1.0, 1.0)


def _symbol(model: Mapping[str, Any], space: Basis) -> nn.Module:
    isotropic = "isotropy" in model["biases"]
    dimensions = 1 if isotropic else len(space.points)
    kappa = space.wavenumbers.double().square().sum(0).sqrt()
    smallest, largest = float(kappa[kappa > 0].min()), float(kappa.max())
    if model["symbol"] == "plain":
        network = _network(model, dimensions, 2, stream=0)
        g: nn.Module = Symbol(network, 1.0 if model["literal"] else largest)
    else:
        network = _network(model, DissipativeSymbol.inputs(dimensions), 1 + dimensions, stream=0)
        middle = math.sqrt(smallest * largest)
        g = DissipativeSymbol(network, middle, math.log(largest / middle))
    if isotropic:
        g = Isotropic(g, complex_symbol=model["literal"])
    return Conservative(g) if "conservation" in model["biases"] else g


def _nonlinearity(model: Mapping[str, Any]) -> nn.Module:
    h: nn.Module = Nonlinearity(_network(model, 1, 1, stream=1))
    return Odd(h, literal=model["literal"]) if "reflection" in model["biases"] else h


def _network(model: Mapping[str, Any], inputs: int, outputs: int, *, stream: int) -> Perceptrons:
    seeds = tuple(2 * (model["seed"] + r) + stream for r in range(model["realizations"]))
    return Perceptrons(
        inputs,
        outputs,
        width=model["width"],
        depth=model["depth"],
        activation=model["activation"],
        seeds=seeds,
    )
