"""Shear and sound waves of a learned operator with a vector field, linearized at a uniform state at rest.

For a wave vector κ along x, mirror symmetry separates the component of the momentum across κ from all other fields. It
decays at the rate ν κ². The component along κ and the scalars form a matrix, 1 + A(κ); of the eigenvalues
exp((−Γκ² ± iω) Δt), those that turn are the sound waves, with ω² + Γ²κ⁴ = c²κ² for long waves.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from morlight.analysis.learned import continuum
from morlight.analysis.trained_operator import TrainedOperator
from morlight.operators import SpectralOperator
from morlight.operators.vector_isotropy import Tensors, along_first_axis

STATES = 512  # drawn from the quantiles of the fields, over which the slopes of h are averaged
TURNS = 1e-6  # share of the rate of a mode beyond which it turns


@dataclass(frozen=True)
class PlaneWaves:
    """Generators of plane waves.

    Attributes:
        modulus: |κ|.
        transverse: G of shear waves.
        longitudinal: G of sound waves, that with Im G ≥ 0; NaN where no mode turns.
    """

    modulus: Float[Tensor, " S"]
    transverse: Complex[Tensor, "R S"]
    longitudinal: Complex[Tensor, "R S"]


def plane_waves(model: TrainedOperator, vector: str, gamma: Float[Tensor, "1 P"]) -> PlaneWaves:
    """Generators at every |κ| of the grid up to the shortest wave along an axis.

    Args:
        model: the operator, with `model.vectors`.
        vector: a component of the vector.
        gamma: one row of parameters.
    """
    names, operator = model.data.field_names, model.operator
    assert isinstance(operator, SpectralOperator)
    tensors = Tensors.of(names, model.config.vectors)
    place = names.index(vector)
    components = next(places for places in tensors.vectors if place in places)
    kappa = along_first_axis(operator.basis)[:, 1:]
    change = _matrix(model, operator, kappa, gamma)
    along = [*tensors.scalars, components[0]]
    modes = torch.linalg.eigvals(change[..., along, :][..., along])
    generators = continuum(model, modes)
    turning = generators.imag > TURNS * generators.abs()
    of_sound = torch.where(turning, generators.imag, -1.0).argmax(-1, keepdim=True)
    sound = generators.gather(-1, of_sound)[..., 0]
    sound = torch.where(turning.any(-1), sound, torch.nan)
    return PlaneWaves(kappa[0], continuum(model, change[..., components[1], components[1]]), sound)


def _matrix(
    model: TrainedOperator, operator: SpectralOperator, kappa: Float[Tensor, "D S"], gamma: Float[Tensor, "1 P"]
) -> Complex[Tensor, "R S C C"]:
    """A(κ): the change of each field in a step by each field, for κ along x."""
    C = len(model.data.fields)
    g = operator.symbol_at(kappa, gamma)[:, 0].unflatten(1, (C, -1))
    u = _states(model)
    columns = []
    for field in range(C):
        direction = torch.zeros_like(u)
        direction[:, :, field] = 1
        columns.append(torch.func.jvp(lambda v: operator.nonlinearity(v, gamma), (u,), (direction,))[1].mean((1, 3)))
    slopes = torch.stack(columns, -1).unflatten(1, (C, -1))
    return torch.einsum("rtks,rtkc->rstc", g, slopes.to(g.dtype))


def _states(model: TrainedOperator) -> Float[Tensor, "1 B C 1"]:
    """Values of the fields, each drawn from its own quantiles; vectors of both signs, so that their mean is 0."""
    generator = torch.Generator().manual_seed(0)
    drawn = []
    for field in model.data.fields:
        quantiles = torch.tensor(field.quantiles, dtype=torch.float64)
        drawn.append(quantiles[torch.randint(len(quantiles), (STATES,), generator=generator)])
    return torch.stack(drawn, 1)[None, :, :, None]
