"""Bases Π of sines, cosines and exponentials on a box, and their tensor products (Sec. 2.3, Eq. 10).

Π maps the values u_j of a field to the coefficients c_k of its series, and Π⁻¹ evaluates the series. In between,
a differential operator is a symbol S(κ): ∂ᵅ = Π⁻¹ (iκ)ᵅ Π. On an axis of length L, with x_j = (j + ½) L/N,

    Fourier  κ = 2πk/L             c_k = Σ_j u_j exp(−2πi jk/N)  N u_j = Σ_k c_k exp(2πi jk/N)
    Cosine   κ = πk/L, 0 ≤ k < N   c_k = 2 Σ_j u_j cos(κ x_j)    N u_j = c_0/2 + Σ_{k>0} c_k cos(κ x_j)
    Sine     κ = πk/L, 0 < k ≤ N   c_k = 2 Σ_j u_j sin(κ x_j)    N u_j = Σ_{k<N} c_k sin(κ x_j) + (−1)ʲ c_N/2

so that each state is periodic, has zero slope (Neumann), or is zero (Dirichlet) at the walls x = 0 and L, which lie
half a cell outside the points (j = −½ and N − ½). The coefficients are not normalized: they are those of
`torch.fft.rfftn`, `scipy.fft.dctn(type=2)` and `scipy.fft.dstn(type=2)`. Fourier keeps k ≥ 0 of its last axis; the
other modes are their complex conjugates. Its phases are relative to x_0 and not to x = 0, which no symbol depends on.
For even N, the Nyquist mode represents κ and −κ, and only the even part of a symbol acts on it.
"""

import itertools
import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Complex, Float, Float64, Inexact
from torch import Tensor, nn

from morlight.operators.exact import Exact
from morlight.operators.kernels.filter import Filter
from morlight.operators.real_transforms import AlongAxes, dct, dst, idct, idst

Points = int | Sequence[int]
Length = float | int | Sequence[float | int]  # int too, since beartype takes float by its word


class Axis(NamedTuple):
    """One axis of a basis, in double precision.

    Attributes:
        length: L.
        x: of each point.
        kappa: κ of each coefficient.
        energy: w of each coefficient in Parseval's ∫ u² dx = Σ w_k |c_k|².
        freedom: number of real numbers in each coefficient: 2 for a complex one whose conjugate is not stored.
    """

    length: float
    x: Float64[Tensor, " X"]
    kappa: Float64[Tensor, " K"]
    energy: Float64[Tensor, " K"]
    freedom: Float64[Tensor, " K"]


@runtime_checkable
class Transform(Protocol):
    """Π, its inverse and its wavenumbers, as the steps of an operator use them."""

    def forward(self, u: Tensor) -> Tensor:
        """Coefficients Π u."""

    def inverse(self, c: Tensor) -> Tensor:
        """Values Π⁻¹ c."""

    def filtered(self, v: Tensor, g: Tensor, fields: int) -> Tensor:
        """Π⁻¹ Σ_k g_k Π v_k for each of T fields."""

    def symbol(self, g: Callable[[Tensor], Tensor]) -> Tensor:
        """A symbol g(κ) at the wavenumbers."""


class Basis(Exact, ABC):
    """Transform Π from points to coefficients, and its inverse, over the last D axes; `a * b` is the tensor product.

    The arguments are N and L, or one N for each axis and one L for each or all axes. Fewer than two points or a length
    that is not positive raises a ValueError.

    Attributes:
        points: N of each axis.
        length: L of each axis.
        last: the axes transformed, −D … −1.
        coordinates: x of each point.
        wavenumbers: κ of each coefficient.
        energy: w of each coefficient, ∫ u² dx = Σ w_k |c_k|² (Parseval).
        freedom: real numbers that each coefficient stands for.
        real: whether coefficients, and therefore symbols, are real.
    """

    real = True
    coordinates: Float[Tensor, "D *X"]
    wavenumbers: Float[Tensor, "D *K"]
    energy: Float[Tensor, "*K"]
    freedom: Float[Tensor, "*K"]

    def __init__(self, axes: Sequence[Axis]) -> None:
        super().__init__()
        self.axes = tuple(axes)
        self.points = tuple(len(axis.x) for axis in axes)
        self.length = tuple(axis.length for axis in axes)
        self.last = tuple(range(-len(axes), 0))
        self.hold(coordinates=_grid(axis.x for axis in axes), wavenumbers=_grid(axis.kappa for axis in axes))
        self.hold(
            energy=_grid(axis.energy for axis in axes).prod(0), freedom=_grid(axis.freedom for axis in axes).prod(0)
        )

    @abstractmethod
    def forward(self, u: Float[Tensor, "*u"]) -> Inexact[Tensor, "*c"]:
        """Coefficients Π u."""

    @abstractmethod
    def inverse(self, c: Inexact[Tensor, "*c"]) -> Float[Tensor, "*u"]:
        """Values Π⁻¹ c."""

    def filtered(
        self, v: Float[Tensor, "r B H *X"], g: Inexact[Tensor, "R b h *K"], fields: int
    ) -> Float[Tensor, "S B T *X"]:
        """Π⁻¹ Σ_k g_k Π v_k for each of T fields; the K terms of a field are consecutive among the H = T·K channels."""
        c = g * self.forward(v)
        return self.inverse(c if c.shape[2] == fields else c.unflatten(2, (fields, -1)).sum(3))

    def symbol(self, g: Callable[[Float[Tensor, "D *K"]], Inexact[Tensor, "R b H *K"]]) -> Inexact[Tensor, "R b H *K"]:
        """A symbol g(κ) at the wavenumbers."""
        return g(self.wavenumbers)

    def evaluated(self) -> Transform:
        """Π for many steps, with what depends on learned parameters computed once."""
        return self

    @property
    def slip(self) -> Float64[Tensor, "R 2"] | None:
        """Slip lengths at the walls, in a basis that has them."""
        return None

    @property
    def reference(self) -> "Basis":
        """The basis without what is learned of it: the same for all realizations, at any time of the training."""
        return self

    @property
    def middle(self) -> "Basis":
        """The basis in the middle of the realizations."""
        return self

    def __mul__(self, other: "Basis") -> "TensorProduct":
        return TensorProduct(self, other)

    def extra_repr(self) -> str:
        return f"points={self.points}, length={self.length}"


class Fourier(Basis):
    """Periodic fields: c = rfftn(u), with κ = 2πk/L."""

    real = False

    def __init__(self, points: Points, length: Length) -> None:
        *others, (N, L) = sides(points, length)
        axes = [self._axis(N, L, _signed(N), torch.ones_like(_range(N))) for N, L in others]
        half = _range(N // 2 + 1)
        super().__init__([*axes, self._axis(N, L, half, torch.where((half == 0) | (2 * half == N), 1.0, 2.0).double())])

    @staticmethod
    def _axis(N: int, L: float, k: Float64[Tensor, " K"], freedom: Float64[Tensor, " K"]) -> Axis:
        return Axis(L, _midpoints(N, L), math.tau / L * k, freedom * (L / N**2), freedom)

    def forward(self, u: Float[Tensor, "*u"]) -> Complex[Tensor, "*c"]:
        return torch.fft.rfftn(u, dim=self.last)

    def inverse(self, c: Complex[Tensor, "*c"]) -> Float[Tensor, "*u"]:
        return torch.fft.irfftn(c, s=self.points, dim=self.last)

    def filtered(
        self, v: Float[Tensor, "r B H *X"], g: Inexact[Tensor, "R b h *K"], fields: int
    ) -> Float[Tensor, "S B T *X"]:
        """As any basis does, with derivatives that spare half of the transforms (see `filtering`)."""
        filtered, _ = Filter.apply(v, g, self.freedom / math.prod(self.points), fields)
        return filtered


class Cosine(Basis):
    """Fields with zero slope at the walls (Neumann): c = dctn(u, type=2), with κ = πk/L, k = 0 … N − 1."""

    def __init__(self, points: Points, length: Length) -> None:
        super().__init__([_wall(N, L, _range(N), constant=0) for N, L in sides(points, length)])
        self.analysis, self.synthesis = AlongAxes(dct, self.points), AlongAxes(idct, self.points)

    def forward(self, u: Float[Tensor, "*u"]) -> Float[Tensor, "*u"]:
        return self.analysis(u)

    def inverse(self, c: Float[Tensor, "*c"]) -> Float[Tensor, "*c"]:
        return self.synthesis(c)


class Sine(Basis):
    """Fields that are zero at the walls (Dirichlet): c = dstn(u, type=2), with κ = πk/L, k = 1 … N."""

    def __init__(self, points: Points, length: Length) -> None:
        super().__init__([_wall(N, L, _range(N) + 1, constant=N - 1) for N, L in sides(points, length)])
        self.analysis, self.synthesis = AlongAxes(dst, self.points), AlongAxes(idst, self.points)

    def forward(self, u: Float[Tensor, "*u"]) -> Float[Tensor, "*u"]:
        return self.analysis(u)

    def inverse(self, c: Float[Tensor, "*c"]) -> Float[Tensor, "*c"]:
        return self.synthesis(c)


class TensorProduct(Basis):
    """Product basis: real transforms along their axes, then one rfftn over the periodic axes.

    The last Fourier axis is the one that keeps only k ≥ 0.
    A product of products is the product of all their factors.
    """

    def __init__(self, *factors: Basis) -> None:
        flat: list[Basis] = []
        for factor in factors:
            flat += factor.factors if isinstance(factor, TensorProduct) else [factor]
        if any(factor.slip is not None for factor in flat):
            raise ValueError("a basis with slip lengths has one axis, expected no product with others")
        axes = [axis for factor in flat for axis in factor.axes]
        free = iter(range(-len(axes), 0))
        places = [tuple(itertools.islice(free, len(factor.axes))) for factor in flat]
        placed = zip(flat, places, strict=True)
        periodic = [place for factor, at in placed if isinstance(factor, Fourier) for place in at]
        if periodic:
            held = [axes[place] for place in periodic]
            together = Fourier([len(axis.x) for axis in held], [axis.length for axis in held])
            for place, axis in zip(periodic, together.axes, strict=True):
                axes[place] = axis
        super().__init__(axes)
        self.factors: Iterable[Basis] = nn.ModuleList(flat)  # type: ignore[assignment]
        self._places, self._periodic = places, periodic
        self.real = not periodic

    def forward(self, u: Float[Tensor, "*u"]) -> Inexact[Tensor, "*c"]:
        for factor, places in self._real():
            u = factor.forward(u.movedim(places, factor.last)).movedim(factor.last, places)
        return torch.fft.rfftn(u, dim=self._periodic) if self._periodic else u

    def inverse(self, c: Inexact[Tensor, "*c"]) -> Float[Tensor, "*u"]:
        if self._periodic:
            c = torch.fft.irfftn(c, s=[self.points[place] for place in self._periodic], dim=self._periodic)
        for factor, places in self._real():
            c = factor.inverse(c.movedim(places, factor.last)).movedim(factor.last, places)
        return c

    def _real(self) -> Iterator[tuple[Basis, tuple[int, ...]]]:
        placed = zip(self.factors, self._places, strict=True)
        return ((factor, places) for factor, places in placed if not isinstance(factor, Fourier))


def sides(points: Points, length: Length) -> list[tuple[int, float]]:
    """(N, L) of each axis."""
    counts = [operator.index(N) for N in (points if isinstance(points, Sequence) else [points])]
    lengths = [float(L) for L in (length if isinstance(length, Sequence) else [length] * len(counts))]
    if len(counts) != len(lengths) or not counts:
        raise ValueError(f"points {points} and length {length} differ in their number of axes")
    if min(counts) < 2:
        raise ValueError(f"points {points}: at least 2 are due along each axis")
    if not all(0 < L < math.inf for L in lengths):
        raise ValueError(f"length {length}: a positive, finite number is due along each axis")
    return list(zip(counts, lengths, strict=True))


def _wall(N: int, L: float, k: Float64[Tensor, " N"], constant: int) -> Axis:
    """Axis between walls; the coefficient in this place belongs to a function whose modulus is constant."""
    energy = torch.full_like(k, L / (2 * N**2))
    energy[constant] /= 2
    return Axis(L, _midpoints(N, L), math.pi / L * k, energy, torch.ones_like(k))


def _grid(lines: Iterable[Tensor]) -> Float64[Tensor, "D *N"]:
    return torch.stack(torch.meshgrid(*lines, indexing="ij"))


def _range(N: int) -> Float64[Tensor, " N"]:
    return torch.arange(N, dtype=torch.float64, device="cpu")


def _signed(N: int) -> Float64[Tensor, " N"]:
    """0, 1, …, −2, −1: the modes of a complex FFT in its order."""
    return (_range(N) + N // 2) % N - N // 2


def _midpoints(N: int, L: float) -> Float64[Tensor, " N"]:
    return (_range(N) + 0.5) * (L / N)
