"""Symmetries and laws, measured on an operator: how far L is from having each of them (Sec. 3).

Every function returns, for each realization, the largest deviation over some states as a share of the root mean
square of L u there; 0 where L u is 0. Bias by construction means rounding, some 1e-14; an operator that has learned
a symmetry only shows how well it has.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.operators.bases import Basis, Cosine, Sine
from morlight.operators.biases import shells
from morlight.operators.spectral import Operator, SpectralOperator
from morlight.operators.units import NO_GAMMA

Gamma = Float[Tensor, "b P"]
State = Float[Tensor, "1 B C *X"]
Vectors = Sequence[Sequence[int]]  # places of the components, axis by axis


class Wall(NamedTuple):
    """Two walls across one axis, and what is to vanish there.

    Attributes:
        axis: counted from the end.
        series: the basis of one axis whose series a field is.
        slope: whether its slope vanishes (Neumann), rather than its value (Dirichlet).
    """

    axis: int
    series: Cosine | Sine
    slope: bool


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


def translation(operator: Operator, u: State, axes: Sequence[int], gamma: Gamma = NO_GAMMA) -> Float[Tensor, " R"]:
    """Violation of L T = T L for shifts by whole cells along some periodic axes, counted from the end (Eq. 13)."""
    change = operator(u, gamma)
    deviations = []
    for axis in axes:
        for cells in (1, u.shape[axis] // 3):
            deviations.append(_share(operator(u.roll(cells, axis), gamma) - change.roll(cells, axis), change))
    return torch.stack(deviations).amax(0)


def reflection(operator: Operator, u: State, flips: Sequence[bool], gamma: Gamma = NO_GAMMA) -> Float[Tensor, " R"]:
    """Violation of L(σu) = σ L u, with the sign σ of some fields reversed: u → −u for a single field.

    Where L changes the last of the fields only, as the rates of second order in time, their signs count.
    """
    sign = u.new_tensor([-1.0 if flip else 1.0 for flip in flips]).view(-1, *[1] * (u.ndim - 3))
    change = operator(u, gamma)
    return _share(operator(sign * u, gamma) - sign[-change.shape[2] :] * change, change)


def parity(operator: Operator, u: State, gamma: Gamma = NO_GAMMA, vectors: Vectors = ()) -> Float[Tensor, " R"]:
    """Violation of L P = P L for P u(x) = u(−x), with all axes reversed: 0 for real symbols of scalars.

    The components of vectors change their signs. A momentum that is not named as a vector is mirrored as a scalar is.
    """
    axes = list(range(3, u.ndim))
    components = [place for vector in vectors for place in vector]

    def mirrored(field: Tensor) -> Tensor:
        found = field.flip(axes)
        found[:, :, components] *= -1
        return found

    change = operator(u, gamma)
    return _share(operator(mirrored(u), gamma) - mirrored(change), change)


def quarter_turns(
    operator: Operator,
    u: State,
    planes: Sequence[tuple[int, int]],
    gamma: Gamma = NO_GAMMA,
    vectors: Vectors = (),
) -> Float[Tensor, " R"]:
    """Violation of L Q = Q L for rotations by 90° and mirrors in square planes of the grid (Eq. 14).

    The components of vectors turn with the axes.
    """
    change = operator(u, gamma)
    deviations = []
    for a, b in planes:
        for turn in (_rotated, _mirrored, _swapped):
            turned = partial(turn, a=a, b=b, vectors=vectors)
            deviations.append(_share(operator(turned(u), gamma) - turned(change), change))
    return torch.stack(deviations).amax(0)


def _rotated(u: Tensor, a: int, b: int, vectors: Vectors) -> Tensor:
    """Turned by 90° from axis a toward axis b: v_a′ = −v_b and v_b′ = v_a."""
    moved = torch.rot90(u, dims=(a, b))
    found = moved.clone()
    for vector in vectors:
        found[:, :, vector[a]], found[:, :, vector[b]] = -moved[:, :, vector[b]], moved[:, :, vector[a]]
    return found


def _mirrored(u: Tensor, a: int, b: int, vectors: Vectors) -> Tensor:
    """Mirrored along axis b."""
    found = u.flip(b)
    found[:, :, [vector[b] for vector in vectors]] *= -1
    return found


def _swapped(u: Tensor, a: int, b: int, vectors: Vectors) -> Tensor:
    """With both axes exchanged."""
    moved = u.transpose(a, b)
    found = moved.clone()
    for vector in vectors:
        found[:, :, vector[a]], found[:, :, vector[b]] = moved[:, :, vector[b]], moved[:, :, vector[a]]
    return found


def radial(operator: SpectralOperator, gamma: Gamma = NO_GAMMA) -> Float[Tensor, " R"]:
    """Violation of the rule that radial fields stay radial under Π⁻¹ g Π, in all directions (Eq. 14).

    A band-limited field about a center, Σ f(|κ|) exp(iκ·(x − c)), is turned into itself by every rotation about c;
    it stays so where g is the same all along each shell of |κ|. h acts point by point and turns with the field.
    The share is that of the largest deviation from the mean of its shell in the largest coefficient. Circles about c
    would not do: a g that is no polynomial at κ = 0 has far tails, whose periodic images are not radial.
    """
    basis = operator.basis
    kappa, weight = basis.wavenumbers, basis.freedom.flatten()
    index = shells(kappa)[1].flatten()
    field = torch.exp(-kappa.square().sum(0) / kappa.square().sum(0).mean())
    c = operator.symbol(gamma) * (field if basis.real else field + 0j)
    c = basis.forward(basis.inverse(c)).flatten(3)  # what a real field keeps of it
    count = int(index.max()) + 1
    size = weight.new_zeros(count).index_add_(0, index, weight)
    # −κ is in the shell of κ and has the conjugate coefficient: their mean is real
    mean = weight.new_zeros(*c.shape[:3], count).index_add_(3, index, c.real * weight) / size
    deviation = (c - mean[..., index]).abs().flatten(1).amax(1)
    return torch.where(deviation == 0, 0.0, deviation / c.abs().flatten(1).amax(1))


def conservation(
    operator: Operator, u: State, field: int, basis: Basis, gamma: Gamma = NO_GAMMA
) -> Float[Tensor, " R"]:
    """Violation of the conservation of the mean of one field: share of κ = 0 in the energy of L u (Eq. 15)."""
    change = operator(u, gamma)[:, :, field]
    zero = (basis.wavenumbers == 0).all(0)
    if not bool(zero.any()):  # of sines: the integral by midpoints
        return _share(change.flatten(2).mean(2), change)
    energy = basis.energy * basis.forward(change).abs().square()
    still = energy[..., zero].sum(-1)
    return torch.where(still == 0, 0.0, still / energy.flatten(2).sum(2)).sqrt().amax(1)


def boundary(
    operator: Operator, u: State, field: int, walls: Sequence[Wall], gamma: Gamma = NO_GAMMA
) -> Float[Tensor, " R"]:
    """Violation of the boundary condition: value, or slope, of L u at x = 0 and x = L, by its series there (Eq. 10).

    A slope counts in the unit of the largest κ. A sine series has no value at the walls and a cosine series no slope
    whatever its coefficients: this finds fields that live in another basis than the one that they were promised.
    """
    change = operator(u, gamma)[:, :, field]
    return torch.stack([_share(_at_walls(change, wall), change) for wall in walls]).amax(0)


def _at_walls(change: Float[Tensor, "R B *X"], wall: Wall) -> Float[Tensor, "R B *W"]:
    (line,) = wall.series.axes
    kappa, energy = line.kappa.to(change), line.energy.to(change)
    # c_0 of cosines and c_N of sines count half in the series, and so in Parseval's sum
    c = wall.series.forward(change.movedim(wall.axis, -1)) * (energy / energy.max()) / len(kappa)
    phase = kappa[:, None] * kappa.new_tensor([0.0, line.length])
    if isinstance(wall.series, Sine):
        waves, slopes = phase.sin(), kappa[:, None] * phase.cos()
    else:
        waves, slopes = phase.cos(), -kappa[:, None] * phase.sin()
    return c @ (slopes / kappa.max() if wall.slope else waves)


def _share(deviation: Float[Tensor, "R *d"], change: Float[Tensor, "R *c"]) -> Float[Tensor, " R"]:
    largest = deviation.abs().flatten(1).amax(1)
    return torch.where(largest == 0, 0.0, largest / change.square().flatten(1).mean(1).sqrt())
