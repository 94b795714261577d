"""Symmetries and laws, measured on an operator: how far L is from having each of them (Sec. 3).

Every function returns, for each realisation, the largest deviation over some states as a share of the root mean
square of L u there; 0 where L u is 0. Bias by construction means rounding, some 1e-14; an operator that has learned
a symmetry only shows how well it has.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.operators.bases import Basis
from morlight.operators.biases import shells
from morlight.operators.spectral import Operator, SpectralOperator

Gamma = Float[Tensor, "B P"] | None
State = Float[Tensor, "1 B C *X"]


def states(
    low: Sequence[float], high: Sequence[float], points: Sequence[int], count: int = 4, seed: int = 0
) -> Float[Tensor, "1 B C *X"]:
    """States with values drawn evenly between the smallest and the largest of each field: as rough as can be.

    Args:
        low: smallest value of each field.
        high: largest value of each field.
        points: of the grid.
        count: B.
        seed: of the values.
    """
    generator = torch.Generator().manual_seed(seed)
    share = torch.rand(1, count, len(low), *points, generator=generator, dtype=torch.float64)
    least, most = (torch.tensor(v, dtype=torch.float64).view(-1, *[1] * len(points)) for v in (low, high))
    return least + (most - least) * share


def translation(operator: Operator, u: State, axes: Sequence[int], gamma: Gamma = None) -> Float[Tensor, " R"]:
    """Of L T = T L for shifts by whole cells along some periodic axes, counted from the end (Eq. 13)."""
    change = operator(u, gamma)
    found = []
    for axis in axes:
        for cells in (1, u.shape[axis] // 3):
            found.append(_share(operator(u.roll(cells, axis), gamma) - change.roll(cells, axis), change))
    return torch.stack(found).amax(0)


def reflection(operator: Operator, u: State, flips: Sequence[bool], gamma: Gamma = None) -> Float[Tensor, " R"]:
    """Of L(σu) = σ L u, with the sign σ of some fields turned over: u → −u for a single field."""
    sign = u.new_tensor([-1.0 if flip else 1.0 for flip in flips]).view(-1, *[1] * (u.ndim - 3))
    change = operator(u, gamma)
    return _share(operator(sign * u, gamma) - sign * change, change)


def parity(operator: Operator, u: State, gamma: Gamma = None) -> Float[Tensor, " R"]:
    """Of L P = P L for P u(x) = u(−x), all axes turned over and no field changing its sign: real symbols have it."""
    axes = list(range(3, u.ndim))
    change = operator(u, gamma)
    return _share(operator(u.flip(axes), gamma) - change.flip(axes), change)


def quarter_turns(operator: Operator, u: State, gamma: Gamma = None) -> Float[Tensor, " R"]:
    """Of L Q = Q L for rotations by 90° and mirrors of a square grid: exact for g(κ) = ĝ(|κ|) (Eq. 14)."""
    change = operator(u, gamma)
    turns = (lambda v: torch.rot90(v, 1, (-2, -1)), lambda v: v.flip(-1), lambda v: v.transpose(-2, -1))
    return torch.stack([_share(operator(turn(u), gamma) - turn(change), change) for turn in turns]).amax(0)


def radial(operator: SpectralOperator, gamma: Gamma = None) -> Float[Tensor, " R"]:
    """Of radial fields staying radial under Π⁻¹ g Π, whatever the direction between those of the grid (Eq. 14).

    A band-limited field about a centre, Σ f(|κ|) exp(iκ·(x − c)), is turned into itself by every rotation about c;
    it stays so where g is the same all along each shell of |κ|. h acts point by point and turns with the field.
    The share is that of the largest deviation from the mean of its shell in the largest coefficient.
    """
    kappa = operator.basis.wavenumbers
    _, index = shells(kappa)
    field = torch.exp(-kappa.square().sum(0) / kappa.square().sum(0).mean())
    c = (operator.symbol(gamma) * field).flatten(3)
    count = int(index.max()) + 1
    size = torch.zeros(count, dtype=field.dtype).index_add_(0, index.flatten(), torch.ones(index.numel()).to(field))
    mean = c.new_zeros(*c.shape[:3], count).index_add_(3, index.flatten(), c) / size
    deviation = (c - mean[..., index.flatten()]).abs().flatten(1).amax(1)
    return torch.where(deviation == 0, 0.0, deviation / c.abs().flatten(1).amax(1))


def conservation(operator: Operator, u: State, field: int, basis: Basis, gamma: Gamma = None) -> Float[Tensor, " R"]:
    """Of the mean of one field being constant, (L u)_0 = 0: share of κ = 0 in the energy of L u (Eq. 15)."""
    change = operator(u, gamma)[:, :, field]
    zero = (basis.wavenumbers == 0).all(0)
    if not bool(zero.any()):  # of sines: the integral by midpoints
        return _share(change.flatten(2).mean(2), change)
    energy = basis.energy * basis.forward(change).abs().square()
    still = energy[..., zero].sum(-1)
    return torch.where(still == 0, 0.0, still / energy.flatten(2).sum(2)).sqrt().amax(1)


def _share(deviation: Float[Tensor, "R *d"], change: Float[Tensor, "R *c"]) -> Float[Tensor, " R"]:
    largest = deviation.abs().flatten(1).amax(1)
    return torch.where(largest == 0, 0.0, largest / change.square().flatten(1).mean(1).sqrt())
