"""Exponential steps of a trained operator, ∂ₜu = L u/Δt: the linear part in Π exactly, the rest by Runge–Kutta.

    L u = Σ_k Π⁻¹ g_k Π h_k(u),    ℓ(κ) = Σ_k g_k s_k,    ∂ₜû = (ℓ û + N̂(û))/Δt,    N̂(û) = Π L u − ℓ û.

s_k is the middle between the smallest and the largest slope ∂h_k/∂u of the field over its training data, the other
fields at their medians. For one term with 0 ≤ h′ ≤ 2s, as every monotone h has, stiff modes then stay bounded however
large g is: ETDRK4 multiplies them by q²(2q² − 1) with q = 1 − h′/s. Terms beside the decay of `Anchored` are bounded
and count to N, so that its bound holds for the steps as well. ℓ changes the error of a step, never its limit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from morlight.operators.bases import Transform
from morlight.operators.derivative import Derivative
from morlight.operators.description import FieldStatistics
from morlight.operators.devices import some_fields
from morlight.operators.exponential import ExponentialStep
from morlight.operators.spectral import Increment, Operator, SpectralOperator, distinct_rows
from morlight.operators.stability import Anchored
from morlight.operators.units import NO_GAMMA

NODES = 65  # values of a field between which slopes of h are taken


@dataclass(frozen=True)
class Exponential:
    """How steps are made.

    Attributes:
        fields: statistics of all fields over the training data.
        substeps: n, Runge–Kutta steps in each step.
        length: of a step, in units of the Δt of the training data.
    """

    fields: tuple[FieldStatistics, ...]
    substeps: int = 1
    length: float = 1.0


class Spectrum:
    """Coefficients of all fields, each in its own basis, as one vector (R, B, M).

    Args:
        operator: whose summands name the bases and the fields.
    """

    def __init__(self, operator: Operator) -> None:
        self.bases: list[Transform] = []
        self.places: list[list[int]] = []
        self.shapes: list[tuple[int, ...]] = []
        for part, places in operator.summands():
            if not isinstance(part.basis, Derivative):
                self.bases.append(part.basis.evaluated())
                self.places.append(places)
                self.shapes.append((len(places), *part.basis.wavenumbers.shape[1:]))
        order = [place for places in self.places for place in places]
        self.order = None if order == sorted(order) else [order.index(place) for place in sorted(order)]

    def forward(self, u: Float[Tensor, "r B C *X"]) -> Inexact[Tensor, "r B M"]:
        """Π u of all fields."""
        parts = zip(self.bases, self.places, strict=True)
        return self.joined([basis.forward(some_fields(u, at)) for basis, at in parts])

    def inverse(self, c: Inexact[Tensor, "r B M"]) -> Float[Tensor, "r B C *X"]:
        """Values of all fields."""
        parts = c.split([torch.Size(shape).numel() for shape in self.shapes], 2)
        fields = []
        for basis, part, shape in zip(self.bases, parts, self.shapes, strict=True):
            fields.append(basis.inverse(part.unflatten(2, shape)))
        u = torch.cat(fields, 2)
        return u if self.order is None else some_fields(u, self.order)

    @staticmethod
    def joined(parts: Sequence[Inexact[Tensor, "r B T *K"]]) -> Inexact[Tensor, "r B M"]:
        """Coefficients of each basis, one after the other."""
        return torch.cat([part.flatten(2) for part in parts], 2)

    def summed(self, operator: Operator, parts: Sequence[Tensor]) -> Inexact[Tensor, "R b M"]:
        """Coefficients (R, b, T, *K) of each summand, those of the same fields added up."""
        totals: list[Tensor | None] = [None] * len(self.bases)
        for (_, places), part in zip(operator.summands(), parts, strict=True):
            group = self.places.index(places)
            before = totals[group]
            totals[group] = part if before is None else before + part
        return self.joined([total for total in totals if total is not None])


def exponential_step(
    operator: Operator,
    scheme: Exponential,
    *,
    bounds: tuple[float, float] | None = None,
    gamma: Float[Tensor, "b P"] = NO_GAMMA,
) -> Increment:
    """u(t) ↦ u(t + length·Δt), with the symbols evaluated once.

    Args:
        operator: whose L/Δt is the generator.
        scheme: sub-steps, length, and the range of the fields.
        bounds: of the field, for a table of h (see `Operator.prepared`).
        gamma: parameters of each field of the batch.
    """
    gamma = gamma if gamma.shape[1] else NO_GAMMA
    spectrum = Spectrum(operator)
    linear = spectrum.summed(operator, [_linear(part, scheme.fields, gamma) for part, _ in operator.summands()])
    like = next(operator.summands()).operator.scale
    lift = operator.carried(gamma.to(like))
    rates = [part.transformed(bounds, gamma) for part, _ in operator.summands()]

    def nonlinear(c: Tensor) -> Tensor:
        u = spectrum.inverse(c)
        u = u if lift is None else u + lift
        return spectrum.summed(operator, [rate(u) for rate in rates]) - linear * c

    step = ExponentialStep(linear, nonlinear, scheme.length / scheme.substeps)

    def advance(u: Tensor) -> Tensor:
        u = u.expand(operator.realizations, *u.shape[1:])
        c = spectrum.forward(u if lift is None else u - lift)
        for _ in range(scheme.substeps):
            c = step(c)
        u = spectrum.inverse(c)
        return u if lift is None else u + lift

    return advance


def _linear(
    part: SpectralOperator, fields: Sequence[FieldStatistics], gamma: Float[Tensor, "b P"]
) -> Inexact[Tensor, "R b T *K"]:
    """ℓ of each field that a summand changes; 0 of mixed terms, which are no symbol of one field."""
    symbol = part.symbol(gamma)
    if isinstance(part.basis, Derivative):
        slope = symbol.real.new_zeros(1, 1, symbol.shape[2])
    else:
        slope = middle_slopes(part, fields, gamma)
    product = slope.view(*slope.shape, *[1] * (symbol.ndim - 3)) * symbol
    return product.unflatten(2, (len(part.unit), -1)).sum(3)


def middle_slopes(
    part: SpectralOperator, fields: Sequence[FieldStatistics], gamma: Float[Tensor, "b P"] = NO_GAMMA
) -> Float[Tensor, "R b H"]:
    """s of each h: the middle between its smallest and its largest slope over the range of the field."""
    rows, which = distinct_rows(gamma) if gamma.shape[1] else (gamma, gamma.new_zeros(1, dtype=torch.long))
    factors = part.units.factors(rows) if rows.shape[1] else None
    sizes = part.scale.new_ones(len(rows), len(fields)) if factors is None else factors
    states, spacing = _nodes(part, fields, sizes)
    targets = len(part.targets)
    h = part.nonlinearity(states, rows)
    terms = h.shape[2] // targets
    own = h.unflatten(3, (targets, NODES)).unflatten(2, (targets, terms)).diagonal(0, 2, 4)  # (R, b, K, N, T)
    slopes = own.diff(dim=3) / spacing[:, None, None]
    middle = ((slopes.amin(3) + slopes.amax(3)) / 2).transpose(2, 3)
    if any(isinstance(module, Anchored) for module in part.g.modules()):
        middle = torch.cat([middle[..., :1], torch.zeros_like(middle[..., 1:])], 3)
    return middle.flatten(2).index_select(1, which.to(middle.device))


def _nodes(
    part: SpectralOperator, fields: Sequence[FieldStatistics], sizes: Float[Tensor, "b C"]
) -> tuple[Float[Tensor, "1 b C N"], Float[Tensor, "b T"]]:
    """States with one field after the other going through its range, the rest at medians, and the spacing of nodes."""
    share = torch.linspace(0, 1, NODES, dtype=sizes.dtype, device=sizes.device)
    medians = torch.stack([sizes[:, c] * field.median for c, field in enumerate(fields)], 1)
    blocks, spacings = [], []
    for target in part.targets:
        field = fields[target]
        reach = sizes[:, target] * (field.largest / field.scale if field.reach is None else field.reach) * field.scale
        low, high = (-reach).clamp_min(field.low), reach.clamp_max(field.high)
        block = medians[..., None].repeat(1, 1, NODES)
        block[:, target] = low[:, None] + (high - low)[:, None] * share
        blocks.append(block)
        spacings.append(((high - low) / (NODES - 1)).clamp_min(torch.finfo(share.dtype).tiny))
    return torch.cat(blocks, 2)[None], torch.stack(spacings, 1)
