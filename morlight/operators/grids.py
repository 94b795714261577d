"""The same operator on another grid of the same domain: symbols are functions of κ, nonlinearities of u alone."""

import copy
import math
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.operators.bases import Basis, TensorProduct
from morlight.operators.derivative import Derivative
from morlight.operators.robin import Robin
from morlight.operators.spectral import Operator, SpectralOperator

Kind = TypeVar("Kind", bound=Operator)


def on_grid(operator: Kind, points: Sequence[int]) -> Kind:
    """A copy of an operator with as many points along each axis; weights and units stay."""
    moved = copy.deepcopy(operator)
    for part in moved.modules():
        if isinstance(part, SpectralOperator):
            part.basis = finer(part.basis, points).to(part.scale)
            part.lift = None if part.lift is None else part.lift.on(part.basis).to(part.scale)
    return moved


def finer(basis: Basis, points: Sequence[int]) -> Basis:
    """The same functions on the same domain, as many as there are points."""
    if isinstance(basis, Derivative):
        return Derivative(finer(basis.source, points), basis.axis)
    if isinstance(basis, Robin):
        return basis.with_points(points)
    if isinstance(basis, TensorProduct):
        left, factors = list(points), []
        for factor in basis.factors:
            count = len(factor.points)
            factors.append(finer(factor, left[:count]))
            del left[:count]
        return TensorProduct(*factors)
    kind: Any = type(basis)
    single = len(points) == 1  # the only form that polynomials take
    return kind(points[0] if single else tuple(points), basis.length[0] if single else basis.length)


def share_of_band(basis: Basis) -> Float[Tensor, "*K"]:
    """The largest |κ_d| L_d/(πN_d) over the axes: 1 at the Nyquist mode."""
    lines = zip(basis.wavenumbers, basis.points, basis.length, strict=True)
    return torch.stack([line.abs() * L / (math.pi * N) for line, N, L in lines]).amax(0)
