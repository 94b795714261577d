"""Noise of the steps and noise of the measurement, told apart by their correlation in time.

Fields y_j = u_j + η_j, which are measured with independent noise, have the residuals r_{j+1} = w_j + η_{j+1} − G η_j,
where w is the noise of the steps, and G the linearized step. By mode,

    E r̂_{j+1} r̂_{j+1}ᴴ = Σ + Σ_η + G Σ_η Gᴴ,      E r̂_{j+2} r̂_{j+1}ᴴ = −G Σ_η,

so that Σ_η follows from the correlation of successive residuals, and Σ from the rest; both are positive. Modes that
decay within a step show no correlation, and their noise counts as that of the steps.
"""

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from morlight.analysis.model import Model
from morlight.operators import stepper
from morlight.operators.bases import Basis

PROBES = 32  # random directions at each state
DISPLACEMENT = 1e-4  # of a field, in units of its size
DECAYED = 0.1  # smallest |G| with which the two are told apart


def separated(
    variance: Inexact[Tensor, "*k c c"], lagged: Inexact[Tensor, "*k c c"], step: Inexact[Tensor, "*k c c"]
) -> tuple[Inexact[Tensor, "*k c c"], Inexact[Tensor, "*k c c"]]:
    """Σ and Σ_η from the covariance of residuals, that of successive ones, and G."""
    singular = torch.linalg.matrix_norm(step, 2) if step.shape[-1] > 1 else step.abs()[..., 0, 0]
    identifiable = (singular > DECAYED)[..., None, None]
    measurement = -torch.linalg.pinv(step, rtol=DECAYED, hermitian=False) @ lagged
    measurement = positive(torch.where(identifiable, measurement, 0))
    owed = measurement + step @ measurement @ step.mH
    share = _largest_share(variance, owed)
    measurement = measurement * share
    return positive(variance - owed * share), measurement


def positive(matrix: Inexact[Tensor, "*k c c"]) -> Inexact[Tensor, "*k c c"]:
    """The nearest positive Hermitian matrix."""
    matrix = (matrix + matrix.mH) / 2
    if matrix.shape[-1] == 1:
        return matrix.real.clamp_min(0).to(matrix.dtype)
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp_min(0).unsqueeze(-2)) @ vectors.mH


def _largest_share(variance: Inexact[Tensor, "*k c c"], owed: Inexact[Tensor, "*k c c"]) -> Float[Tensor, "*k 1 1"]:
    """Up to 1, so that no field owes more than its variance to the noise of the measurement."""
    total, part = (each.diagonal(dim1=-2, dim2=-1).real for each in (variance, owed))
    return torch.where(part > total, total / part, 1.0).amin(-1)[..., None, None]


def linearized_modes(
    model: Model, space: Basis, places: list[int], states: Float[Tensor, "n C *X"], gamma: Float[Tensor, "n P"]
) -> Inexact[Tensor, "R n K c c"]:
    """G of each mode at some states: the diagonal blocks of the derivative of a step, by random directions.

    Args:
        model: the operator.
        space: Π.
        places: of the fields.
        states: where the step is linearized.
        gamma: parameters of each state.
    """
    axes, C = len(space.points), len(places)
    generator = torch.Generator().manual_seed(0)
    sizes = torch.tensor([model.data.fields[place].spread for place in places]).double()
    found = []
    for u, row in zip(states, gamma, strict=True):
        directions = torch.zeros(PROBES, C, *u.shape, dtype=u.dtype)
        drawn = torch.randn(PROBES, C, *u.shape[1:], generator=generator, dtype=u.dtype)
        for c, place in enumerate(places):
            directions[:, c, place] = drawn[:, c] * sizes[c] * DISPLACEMENT
        flat = directions.flatten(0, 1)
        step = stepper(model.operator, model.scheme, gamma=row[None])
        with torch.no_grad():
            change = (step((u + flat)[None]) - step((u - flat)[None])) / 2
        after = space.forward(change[:, :, places]).flatten(-axes).unflatten(1, (PROBES, C))
        alone = torch.stack([directions[:, c, place] for c, place in enumerate(places)], 1)
        before = space.forward(alone).flatten(-axes)
        products = after * before.conj().unsqueeze(2)  # (R, probes, from, to, K)
        gain = products.sum(1) / before.abs().square().sum(0).unsqueeze(1)
        found.append(gain.movedim(-1, 1).transpose(-1, -2))
    return torch.stack(found, 1)
