"""Covariances of the modes of an isotropic system, in the mean over all modes of the same |κ|.

Components of a vector have other noise along κ than across. With the component along κ times i, the covariances of the
scalars and of the components along κ are real and depend on |κ| alone, and so are those of the components across κ. The
two kinds are not correlated, since a mirror changes the sign of one of them.
"""

import torch
from jaxtyping import Bool, Complex, Float, Inexact, Int
from torch import Tensor

from morlight.operators import shells
from morlight.operators.bases import Basis
from morlight.operators.vector_isotropy import Tensors


def by_modulus(space: Basis, means: Inexact[Tensor, "*r K c c"]) -> Inexact[Tensor, "*r K c c"]:
    """Means over modes of the same |κ|, of scalars."""
    _, index = shells(space.wavenumbers)
    return _mean(means, index.flatten(), space.freedom.flatten())


def in_the_frame_of_each_mode(
    space: Basis, tensors: Tensors, means: Inexact[Tensor, "*r K c c"]
) -> Complex[Tensor, "*r K c c"]:
    """The same of fields with vectors in the plane; κ = 0 and the shortest waves have no direction, and keep theirs."""
    _, index = shells(space.wavenumbers)
    frame, directed = _frames(space, tensors, means.shape[-1])
    freedom = space.freedom.flatten() * directed
    turned = _mean((frame @ means.to(frame.dtype) @ frame.mH).real, index.flatten(), freedom)
    across = torch.zeros(means.shape[-1], dtype=torch.bool)
    across[[places[1] for places in tensors.vectors]] = True
    turned = torch.where(across[:, None] == across, turned, 0.0).to(frame.dtype)
    return torch.where(directed[:, None, None], frame.mH @ turned @ frame, means.to(frame.dtype))


def _frames(space: Basis, tensors: Tensors, fields: int) -> tuple[Complex[Tensor, "K c c"], Bool[Tensor, " K"]]:
    """Unitary matrices from the fields to scalars, components along κ times i, and components across κ."""
    kappa = space.wavenumbers.double().flatten(1)
    ends = torch.tensor([torch.pi * N / L for N, L in zip(space.points, space.length, strict=True)]).double()
    directed = (kappa != 0).any(0) & (kappa.abs() < 0.9999 * ends[:, None]).all(0)
    x, y = torch.where(directed, kappa / kappa.square().sum(0).sqrt().clamp_min(1e-300), 0.0)
    frame = torch.eye(fields, dtype=torch.complex128).repeat(len(x), 1, 1)
    for first, second in tensors.vectors:
        frame[:, first, first], frame[:, first, second] = 1j * x, 1j * y
        frame[:, second, first], frame[:, second, second] = -y + 0j, x + 0j
    return frame, directed


def _mean(
    means: Inexact[Tensor, "*r K c c"], index: Int[Tensor, " K"], freedom: Float[Tensor, " K"]
) -> Inexact[Tensor, "*r K c c"]:
    count = torch.zeros(int(index.max()) + 1).double().index_add(0, index, freedom)
    total = means.new_zeros(*means.shape[:-3], len(count), *means.shape[-2:])
    total.index_add_(means.ndim - 3, index, means * freedom[:, None, None])
    return (total / count.clamp_min(1)[:, None, None]).index_select(means.ndim - 3, index)
