"""Isotropy of systems that contain vectors: if the axes turn, the components of a momentum turn with them.

Let s be scalar functions of the fields, and w vectors, all pointwise. An operator commutes with all translations,
rotations and mirrors if the symbols of its parts are

    scalar ← scalar   a(|κ|),
    scalar ← vector   i b(|κ|) κᵀ,
    vector ← scalar   i c(|κ|) κ,
    vector ← vector   t(|κ|) (1 − κ̂κ̂ᵀ) + l(|κ|) κ̂κ̂ᵀ

with real functions a, b, c, t and l and κ̂ = κ/|κ|. If the target is conserved, a, t and l are x²/(1 + x²) times smooth
functions, x = |κ|/κ₀, so that long waves decay as κ². The transverse part t makes shear waves decay; the longitudinal
part l, with b and c, makes sound waves. The nonlinearities are s = h(scalars, v·v) and w = h(scalars, v·v) v.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from morlight.operators.bases import Basis
from morlight.operators.biases import shells
from morlight.operators.networks import Nonlinearity
from morlight.operators.units import NO_GAMMA


@dataclass(frozen=True)
class Tensors:
    """Which fields are scalars, and which are the components of vectors.

    Attributes:
        places: of the components of each among the fields: one place for a scalar, D for a vector.
    """

    places: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, fields: Sequence[str], vectors: Sequence[Sequence[str]]) -> "Tensors":
        """From the names of all fields and of the components of each vector; all other fields are scalars."""
        components = {name for vector in vectors for name in vector}
        scalars = [(place,) for place, name in enumerate(fields) if name not in components]
        return cls((*scalars, *(tuple(fields.index(name) for name in vector) for vector in vectors)))

    @property
    def scalars(self) -> list[int]:
        """Places of the scalars."""
        return [each[0] for each in self.places if len(each) == 1]

    @property
    def vectors(self) -> list[tuple[int, ...]]:
        """Places of the components of the vectors."""
        return [each for each in self.places if len(each) > 1]

    @property
    def fields(self) -> int:
        """Number of fields."""
        return sum(map(len, self.places))

    @property
    def invariants(self) -> int:
        """Number of scalars and of scalar products of vectors."""
        V = len(self.vectors)
        return len(self.scalars) + V * (V + 1) // 2

    @property
    def blocks(self) -> int:
        """Number of functions of |κ| in one term."""
        V = len(self.vectors)
        return len(self.places) ** 2 + V**2


class VectorSymbol(nn.Module):
    """Symbols of all pairs of a field and a nonlinearity, from real functions of |κ|.

    Args:
        blocks: κ (D, *K) and γ ↦ the real functions of |κ|, (R, b, terms · blocks, *K).
        tensors: scalars and vectors among the fields.
        unit: of κ in iκ.
        nyquist: κ along each axis at which a mode stands for κ and −κ, so that odd symbols vanish.
        spread: deviation of each field from its mean, in its own unit: the functions are of order one if such
            deviations cause changes of their size.
        conserved: whether each field is conserved.
        middle: κ₀.
    """

    def __init__(  # noqa: PLR0913 - the scales of κ and of the fields
        self,
        blocks: nn.Module,
        tensors: Tensors,
        *,
        unit: float,
        nyquist: Sequence[float],
        spread: Sequence[float],
        conserved: Sequence[bool],
        middle: float,
    ) -> None:
        super().__init__()
        self.blocks = blocks
        self.tensors = tensors
        self.unit = unit
        self.nyquist = list(nyquist)
        self.spread = list(spread)
        self.conserved = list(conserved)
        self.middle = middle

    def forward(
        self, kappa: Float[Tensor, "D *K"], gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Complex[Tensor, "R b H *K"]:
        """g, with the channels of a field following each other."""
        functions = self.blocks(kappa, gamma).unflatten(2, (-1, self.tensors.blocks)).movedim(3, 0)
        matrix = self.matrix(functions, kappa)
        return matrix.movedim((2, 3, 0, 4, 1), (0, 1, 2, 3, 4)).flatten(2, 4)

    def matrix(self, functions: Float[Tensor, "n *K"], kappa: Float[Tensor, "D *M"]) -> Complex[Tensor, "C C *K"]:
        """Symbols of all pairs of a field and a nonlinearity from real functions, whose last axes are those of κ."""
        ends = kappa.new_tensor(self.nyquist).view(-1, *[1] * (kappa.ndim - 1))
        odd = torch.where(kappa.abs() > 0.9999 * ends, 0, kappa)
        modulus = kappa.square().sum(0).sqrt()
        direction = odd / modulus.clamp_min(torch.finfo(kappa.dtype).tiny)
        slow = (modulus / self.middle).square()
        rows = self._rows(iter(functions), odd / self.unit, direction, slow / (1 + slow))
        return torch.stack([torch.stack(row) for row in rows])

    def _rows(
        self,
        functions: Iterator[Tensor],
        kappa: Float[Tensor, "D *M"],
        direction: Float[Tensor, "D *M"],
        slow: Float[Tensor, "*M"],
    ) -> list[list[Complex[Tensor, "*K"]]]:
        """For each field, its symbols."""
        rows: list[list[Tensor]] = [[] for _ in range(self.tensors.fields)]
        for target, source in itertools.product(self.tensors.places, self.tensors.places):
            f = next(functions)
            longitudinal = next(functions) if len(target) == len(source) > 1 else f
            size = self.spread[target[0]] / self.spread[source[0]]
            rate = size * slow if self.conserved[target[0]] else size
            for i, place in enumerate(target):
                for j in range(len(source)):
                    if len(target) != len(source):
                        odd = f * (kappa[max(i, j)] * size)
                        rows[place].append(torch.complex(torch.zeros_like(odd), odd))
                        continue
                    along = direction[i] * direction[j] if len(target) > 1 else torch.zeros_like(direction[0])
                    even = (f * (float(i == j) - along) + longitudinal * along) * rate
                    rows[place].append(torch.complex(even, torch.zeros_like(even)))
        return rows


class VectorNonlinearity(nn.Module):
    """h of all scalars and vectors, once for each field that they change.

    Args:
        nonlinearity: of the scalars and the scalar products of the vectors, with a channel for each scalar and each
            vector in each term.
        tensors: scalars and vectors among the fields.
    """

    def __init__(self, nonlinearity: Nonlinearity, tensors: Tensors) -> None:
        super().__init__()
        self.nonlinearity = nonlinearity
        self.tensors = tensors

    def forward(
        self, u: Float[Tensor, "r B C *X"], gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Float[Tensor, "R B H *X"]:
        """h(u; γ)."""
        return self.features(u, gamma).repeat(1, 1, self.tensors.fields, *[1] * (u.ndim - 3))

    def features(
        self, u: Float[Tensor, "r B C *X"], gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Float[Tensor, "R B F *X"]:
        """The scalars and the components of the vectors, term by term."""
        vectors = [u[:, :, list(places)] for places in self.tensors.vectors]
        products = [(v * w).sum(2, keepdim=True) for v, w in itertools.combinations_with_replacement(vectors, 2)]
        values = self.nonlinearity(torch.cat([u[:, :, self.tensors.scalars], *products], 2), gamma)
        features = []
        for k, value in enumerate(values.split(1, 2)):
            vector = k % len(self.tensors.places) - len(self.tensors.scalars)
            features.append(value if vector < 0 else value * vectors[vector])
        return torch.cat(features, 2)


def along_first_axis(basis: Basis) -> Float[Tensor, "D S"]:
    """Wave vectors along the first axis, of every |κ| of the grid below that of the shortest wave along an axis."""
    modulus = shells(basis.wavenumbers)[0][0]
    ends = min(math.pi * N / L for N, L in zip(basis.points, basis.length, strict=True))
    modulus = modulus[modulus < 0.999 * ends]
    kappa = modulus.new_zeros(len(basis.points), len(modulus))
    kappa[0] = modulus
    return kappa
