"""The pairs of g and h that change a field, evaluated: what figures, tables and equations are made of."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float, Inexact
from torch import Tensor

from morlight.analysis.trained_operator import TrainedOperator
from morlight.analysis.vector_linear_model import part_of
from morlight.operators import (
    Basis,
    Derivative,
    Isotropic,
    Operator,
    SecondOrder,
    SpectralOperator,
    TensorProduct,
    fix,
    generator,
    nearest_power,
    shells,
)
from morlight.operators.vector_isotropy import Tensors, along_first_axis

POINTS = 201  # of u at which h is evaluated


class Term(NamedTuple):
    """One pair of g and h that changes a field.

    Attributes:
        basis: Π; a `Derivative` for the mixed terms.
        kappa: κ, or |κ| alone (1, K) of an isotropic symbol.
        symbol: g (R, K).
        u: values of the field.
        nonlinearity: h there (R, N), the other fields at their medians and γ at its typical value.
        slope: of the straight line through h over the training data (R,).
        power: n of the gauge h(u) ≈ uⁿ; 0 where there is no gauge, because terms add up or h sees more than u.
    """

    basis: Basis
    kappa: Float[Tensor, "D K"]
    symbol: Inexact[Tensor, "R K"]
    u: Float[Tensor, " N"]
    nonlinearity: Float[Tensor, "R N"]
    slope: Float[Tensor, " R"]
    power: int

    @property
    def mixed(self) -> bool:
        """Whether it is Π⁻¹ g ∂ₓ Π' h."""
        return isinstance(self.basis, Derivative)

    @property
    def conserves(self) -> bool:
        """Whether the mean (κ = 0) stays constant: the symbol vanishes there, or ∂ₓ stands in front of it."""
        still = (self.kappa == 0).all(0)
        return bool(still.any()) and (self.mixed or float(self.symbol[:, still].abs().max()) == 0)


def terms(model: TrainedOperator, place: int) -> list[Term]:
    """The terms that change a field.

    One field with one term is shown in a gauge: h(0) = 0 and h(u) ≈ uⁿ over the training data, with the n that fits
    best without time and n = 1 otherwise.
    """
    return list(_terms(model, place))


def own(model: TrainedOperator, place: int) -> int:
    """The term to show of a field: the first, or with vectors the first that is of the field itself."""
    if not model.config.vectors:
        return 0
    tensors = Tensors.of(model.data.field_names, model.config.vectors)
    return [component for each in tensors.places for component in each].index(place)


def generator_of(model: TrainedOperator, of: list[Term]) -> Complex[Tensor, "R K"] | None:
    """log(1 + Σₖ gₖ h′ₖ)/Δt of the terms in one basis, Σₖ gₖ h′ₖ/Δt of exponential steps.

    None without time, without such terms, and for systems with vectors, in which other fields change a wave as well.
    """
    plain = [term for term in of if not term.mixed]
    if model.steady or not plain or model.config.vectors:
        return None
    return continuum(model, torch.stack([term.symbol * term.slope[:, None] for term in plain]).sum(0))


def continuum(model: TrainedOperator, g: Inexact[Tensor, "*g"]) -> Complex[Tensor, "*g"]:
    """The symbol of the generator from that of L: g/Δt where L/Δt is the generator, else log(1 + g)/Δt."""
    return (g + 0j) / model.data.dt if model.continuous else generator(g, model.data.dt)


def basis_name(basis: Basis) -> str:
    """Fourier, Cosine × Fourier, …"""
    if isinstance(basis, Derivative):
        return basis_name(basis.target)
    factors = basis.factors if isinstance(basis, TensorProduct) else [basis]
    return " × ".join(type(factor).__name__ for factor in factors)


def _terms(model: TrainedOperator, place: int) -> Iterator[Term]:
    quantiles = torch.tensor(model.data.fields[place].quantiles, dtype=torch.float64)
    centered = quantiles - quantiles.mean()
    for operator, row in _changing(model.operator, place):
        gamma = operator.units.scale[None]
        kappa, symbol = _shown(operator, gamma)
        count = symbol.shape[1] // len(operator.unit)
        u = _range(model, place)
        inner = _at(operator, model, place, u, gamma)
        seen = _at(operator, model, place, quantiles, gamma)
        zero = _at(operator, model, place, u.new_zeros(1), gamma)
        alone = count == 1 and len(model.data.fields) == 1 and not gamma.shape[1] and operator is model.operator
        for channel in range(row * count, (row + 1) * count):
            g, h, values = symbol[:, channel], inner[:, channel], seen[:, channel]
            power = 0
            if alone:
                power = nearest_power(operator, quantiles) if model.steady else 1
                factor = fix(operator, quantiles, power).factor[:, None]
                g, h, values = g * factor, (h - zero[:, channel]) / factor, values / factor
            slope = ((values - values.mean(1, keepdim=True)) * centered).sum(1) / centered.square().sum()
            yield Term(operator.basis, kappa, g, u, h, slope, power)


def _shown(
    operator: SpectralOperator, gamma: Float[Tensor, "1 P"]
) -> tuple[Float[Tensor, "D k"], Inexact[Tensor, "R H k"]]:
    """κ and the symbol there; of an isotropic symbol in several dimensions each |κ| once, for vectors along x."""
    if part_of(operator) is not None:
        along = along_first_axis(operator.basis)
        return along[:1], operator.symbol_at(along, gamma)[:, 0]
    kappa = operator.basis.middle.wavenumbers
    symbol, kappa = operator.symbol_at(kappa, gamma)[:, 0].flatten(2), kappa.flatten(1)
    if len(kappa) == 1 or not any(isinstance(module, Isotropic) for module in operator.g.modules()):
        return kappa, symbol
    moduli, index = shells(operator.basis.wavenumbers)
    places = torch.arange(index.numel())
    first = torch.full((moduli.shape[1],), index.numel()).scatter_reduce_(0, index.flatten(), places, "amin")
    return moduli, symbol[..., first]


def _changing(operator: Operator, place: int) -> Iterator[tuple[SpectralOperator, int]]:
    """The summands that change a field, and its place among those that they change."""
    # of second order in time, u itself changes by Δt ∂ₜu, which is not learned
    rate = place - operator.changed if isinstance(operator, SecondOrder) else place
    for summand in operator.summands():
        if rate in summand.places:
            yield summand.operator, summand.places.index(rate)


def _range(model: TrainedOperator, place: int) -> Float[Tensor, " N"]:
    """From the smallest to the largest training value; both ways of zero where reflection holds, and zero with it."""
    field = model.data.fields[place]
    low, high = field.low, field.high
    if model.config.has("reflection"):
        low, high = -field.largest, field.largest
    return torch.linspace(min(low, 0.0), max(high, 0.0), POINTS, dtype=torch.float64)


def _at(
    operator: SpectralOperator, model: TrainedOperator, place: int, u: Float[Tensor, " N"], gamma: Float[Tensor, "b P"]
) -> Float[Tensor, "R H N"]:
    """h at values of one field, the others at their medians."""
    medians = [field.median for field in model.data.fields]
    states = u.new_tensor(medians).view(1, 1, -1, 1).repeat(1, 1, 1, len(u))
    states[0, 0, place] = u
    return operator.nonlinearity(states, gamma)[:, 0]
