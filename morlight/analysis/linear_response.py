"""The symbol of one field in an operator that is linearized at a uniform state, for given γ.

At a uniform state, the modes of a field do not mix: p̂ changes by A(κ) p̂ + B(κ) in a step Δt, with

    A = Σₖ gₖ(κ; γ) ∂hₖ/∂p,    B = Σₖ gₖ(κ; γ) hₖ 1̂(κ),

so that the generator is G = log(1 + A)/Δt, and a constant source F of the generator has B = F̂ A/G.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from morlight.analysis.learned import continuum
from morlight.analysis.trained_operator import TrainedOperator
from morlight.operators import Basis, Derivative, SecondOrder
from morlight.operators.units import Units

NARROW = 1e-3  # of the size of a field: the interval over which h is linearized at a given value


@dataclass(frozen=True)
class Response:
    """A and B over the modes of the field's basis.

    Attributes:
        name: of the field.
        basis: Π.
        modulus: |κ| of each mode.
        generator: G.
        source: F, constant in space, as each mode gives it; NaN where 1̂ vanishes, or if all terms are lifted.
        state: value of each field at which it is linearized.
    """

    name: str
    basis: Basis
    modulus: Float[Tensor, " K"]
    generator: Complex[Tensor, "R K"]
    source: Float[Tensor, "R K"]
    state: Float[Tensor, " C"]


def response(model: TrainedOperator, place: int, gamma: Float[Tensor, "1 P"], state: Mapping[str, float]) -> Response:
    """The linearized operator of one field.

    The slope of h is that of the straight line through it over the training data at this γ, or of the tangent where
    the state gives a value of the field itself.

    Args:
        model: the operator.
        place: of the field.
        gamma: one row of parameters.
        state: values of fields; the others are at their medians, in the size that they have at γ.

    Raises:
        ValueError: if other fields enter through derivatives, or the operator is of second order in time or implicit.
    """
    name = model.data.field_names[place]
    if isinstance(model.operator, SecondOrder) or model.config.scheme == "implicit":
        raise ValueError(f"{model.path}: {name} changes in second order or implicitly, expected explicit steps of u")
    parts = [each for each in model.operator.summands() if place in each.places]
    if any(isinstance(each.operator.basis, Derivative) for each in parts):
        raise ValueError(f"{model.path}: {name} has mixed terms (model.flux), whose modes depend on each other")
    if len(parts) != 1:
        raise ValueError(f"{model.path}: {name} is changed by {len(parts)} operators, expected one")
    ((operator, places),) = parts
    basis = operator.basis.middle
    symbol = operator.symbol_at(basis.wavenumbers, gamma)[:, 0].flatten(2)
    count = symbol.shape[1] // len(places)
    channels = slice(places.index(place) * count, (places.index(place) + 1) * count)
    g = symbol[:, channels]
    values = _values(model, place, operator.units, gamma, state)
    states = _states(model, operator.units, gamma, state).view(1, 1, -1, 1).repeat(1, 1, 1, len(values))
    states[0, 0, place] = values
    h = operator.nonlinearity(states, gamma)[:, 0, channels]
    centered = values - values.mean()
    slope = (h * centered).sum(2) / centered.square().sum()
    at_zero = h.mean(2) - slope * values.mean()
    lifted = torch.tensor(operator.lift.lifted if operator.lift is not None else [False] * count)
    at_zero = torch.where(lifted, 0.0, at_zero)  # a constant of a lifted term is carried by the walls
    change = (g * slope[..., None]).sum(1)
    generator = continuum(model, change)
    one = basis.forward(torch.ones(basis.points, dtype=torch.float64)).flatten()
    present = one.abs() > 1e-9 * one.abs().max()
    ratio = torch.where(change == 0, 1 / model.data.dt, generator / change)  # G/A tends to 1/Δt for slow modes
    source = ((g * at_zero[..., None]).sum(1) * ratio).real
    modulus = basis.wavenumbers.flatten(1).square().sum(0).sqrt()
    source = torch.where(present & ~lifted.all(), source, torch.nan)
    return Response(name, basis, modulus, generator, source, states[0, 0, :, 0])


def _states(model: TrainedOperator, units: Units, gamma: Tensor, state: Mapping[str, float]) -> Float[Tensor, " C"]:
    """One value of each field: that given, or that of the parameter with its name, or its median at γ."""
    fields, factors = model.data.fields, units.factors(gamma)
    size = torch.ones(len(fields), dtype=torch.float64) if factors is None else factors[0].double()
    parameters = dict(zip(model.data.parameter_names, gamma[0].tolist(), strict=True))
    known = {**parameters, **state}
    return torch.stack(
        [
            torch.tensor(known[field.name], dtype=torch.float64) if field.name in known else field.median * scale
            for field, scale in zip(fields, size, strict=True)
        ]
    )


def _values(
    model: TrainedOperator, place: int, units: Units, gamma: Tensor, state: Mapping[str, float]
) -> Float[Tensor, " N"]:
    """Values of the field between which h is a straight line."""
    field, factors = model.data.fields[place], units.factors(gamma)
    size = 1.0 if factors is None else float(factors[0, place])
    if field.name in state:
        step = NARROW * field.scale * size
        return torch.tensor([state[field.name] - step, state[field.name] + step], dtype=torch.float64)
    return torch.tensor(field.quantiles, dtype=torch.float64) * size
