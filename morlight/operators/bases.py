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

The real transforms cost one FFT of N points (Makhoul 1980). With V the FFT of v = (u_0, u_2, …, u_3, u_1) and
w_k = 2 exp(−iπk/2N), the cosine coefficients are c_k = Re w_k V_k and c_{N−k} = −Im w_k V_k. And since
sin(πk x_j/L) = (−1)ʲ cos(π(N−k) x_j/L), sine coefficient k of u_j is cosine coefficient N−k of (−1)ʲ u_j.
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

from morlight.operators.kernels.filter import Filter

Points = int | Sequence[int]
Length = float | int | Sequence[float | int]  # int too, since beartype takes float by its word

# Up to here the matrix of a real transform beats its FFT. Forward, inverse and their gradients, (20, 100, N),
# one core of an EPYC, ms by FFT and by matrix, in float32 and in float64: N = 20 0.56, 0.12 and 0.66, 0.31;
# N = 96 1.6, 1.4 and 2.7, 2.5; N = 128 2.0, 2.4 and 3.6, 5.3. Fourier gains nothing, at N = 32 0.22, 0.25 and
# 0.27, 0.62, and has none.
MATRIX_POINTS = 96


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


class Exact(nn.Module):
    """Constants that are rounded from double precision whenever the module changes its precision."""

    def __init__(self) -> None:
        super().__init__()
        self._exact: dict[str, Tensor] = {}

    def hold(self, **constants: Float64[Tensor, "..."]) -> None:
        """Buffers of these names, in no checkpoint since they follow from the constructor's arguments."""
        for name, value in constants.items():
            self.register_buffer(name, value.to(torch.get_default_dtype()), persistent=False)
            self._exact[name] = value

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Exact":
        super()._apply(fn, recurse)
        for name, value in self._exact.items():
            setattr(self, name, value.to(getattr(self, name)))
        return self


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


class Derivative(Basis):
    """∂ₓ from one basis to another: the coefficients of ∂ₓu in its own basis, for fields u in the source basis.

    A sine series has a cosine series as its derivative, and the other way round,

        ∂ₓ Σ s_k sin(κ_k x) = Σ κ_k s_k cos(κ_k x),    ∂ₓ Σ c_k cos(κ_k x) = Σ −κ_k c_k sin(κ_k x),

    which no symbol of Eq. 27 can represent, since Π is the same on both sides there. In an operator,
    Π⁻¹ g ∂ₓ Π' h is the divergence of a flux h; for cosine fields, the flux through the walls is zero.

    Args:
        source: basis of u.
        axis: direction of the derivative.

    Raises:
        ValueError: if the source does not consist of sines, cosines or exponentials along this axis.
    """

    def __init__(self, source: Basis, axis: int = 0) -> None:
        factors = [type(factor)(N, L) for factor, N, L in _single(source)]  # type: ignore[arg-type, call-arg]
        kind = type(factors[axis])
        if kind not in (Fourier, Cosine, Sine):
            raise ValueError(
                f"∂ₓ along axis {axis} has no basis to go to from {kind.__name__}, expected Sine or Cosine"
            )
        other = {Sine: Cosine, Cosine: Sine}.get(kind, kind)
        factors[axis] = other(source.points[axis], source.length[axis])
        target = factors[0] if len(factors) == 1 else TensorProduct(*factors)
        super().__init__(target.axes)
        self.source, self.target, self.axis, self.kind, self.real = source, target, axis, kind, target.real

    def forward(self, u: Float[Tensor, "*u"]) -> Inexact[Tensor, "*c"]:
        c, kappa = self.source.forward(u), self.wavenumbers[self.axis]
        if self.kind is Fourier:
            return 1j * kappa * c
        place = self.last[self.axis]
        N, zero = c.shape[place], torch.zeros_like(c.narrow(place, 0, 1))
        if self.kind is Sine:
            return kappa * torch.cat([zero, c.narrow(place, 0, N - 1)], place)
        return -kappa * torch.cat([c.narrow(place, 1, N - 1), zero], place)

    def inverse(self, c: Inexact[Tensor, "*c"]) -> Float[Tensor, "*u"]:
        return self.target.inverse(c)


def _single(basis: Basis) -> Iterator[tuple[Basis, int, float]]:
    """Of each axis the factor that it is transformed by, N and L."""
    factors = basis.factors if isinstance(basis, TensorProduct) else [basis]
    for factor in factors:
        for N, L in zip(factor.points, factor.length, strict=True):
            yield factor, N, L


class AlongAxes(Exact):
    """A real transform along each of the last axes; of few points by its matrix.

    The matrix transforms the unit vectors. Fields of another precision than the module's do without it.
    """

    def __init__(self, transform: Callable[[Tensor], Tensor], points: Sequence[int]) -> None:
        super().__init__()
        self.transform = transform
        self.last = tuple(range(-len(points), 0))
        small = {N for N in points if N <= MATRIX_POINTS}
        self.hold(**{f"matrix_{N}": transform(torch.eye(N, dtype=torch.float64, device="cpu")) for N in small})

    def forward(self, u: Float[Tensor, "*u"]) -> Float[Tensor, "*u"]:
        for place in self.last:
            u = u.movedim(place, -1)
            matrix = getattr(self, f"matrix_{u.shape[-1]}", None)
            if matrix is None or matrix.dtype != u.dtype:
                u = self.transform(u)
            else:  # one product of matrices, where `u @ matrix` makes one for each row of a u that is not contiguous
                u = (u.reshape(-1, u.shape[-1]) @ matrix).view(u.shape)
            u = u.movedim(-1, place)
        return u


def dct(u: Float[Tensor, "*u"]) -> Float[Tensor, "*u"]:
    """Coefficients of the cosine series along the last axis, by FFT."""
    N = u.shape[-1]
    V = torch.fft.rfft(torch.cat([u[..., ::2], u[..., 1::2].flip(-1)], -1))
    c = 2 * _half_cell(N, u).conj() * V
    return torch.cat([c.real, -c.imag[..., 1 : (N + 1) // 2].flip(-1)], -1)


def idct(c: Float[Tensor, "*c"]) -> Float[Tensor, "*c"]:
    """Values of the cosine series along the last axis, by FFT."""
    N, K, half = c.shape[-1], c.shape[-1] // 2 + 1, (c.shape[-1] + 1) // 2
    mirrored = nn.functional.pad(c[..., N - K + 1 :].flip(-1), (1, 0))  # c_{N−k}, where c_N = 0
    v = torch.fft.irfft(_half_cell(N, c) / 2 * torch.complex(c[..., :K], -mirrored), n=N)
    odd = nn.functional.pad(v[..., half:].flip(-1), (0, N % 2))
    return torch.stack([v[..., :half], odd], -1).flatten(-2)[..., :N]


def dst(u: Float[Tensor, "*u"]) -> Float[Tensor, "*u"]:
    """Coefficients of the sine series along the last axis, by FFT."""
    return dct(_alternate(u)).flip(-1)


def idst(c: Float[Tensor, "*c"]) -> Float[Tensor, "*c"]:
    """Values of the sine series along the last axis, by FFT."""
    return _alternate(idct(c.flip(-1)))


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


def _half_cell(N: int, like: Tensor) -> Complex[Tensor, " K"]:
    """exp(iπk/2N) for the modes of rfft."""
    angle = torch.arange(N // 2 + 1, dtype=like.dtype, device=like.device) * (math.pi / 2 / N)
    return torch.polar(torch.ones_like(angle), angle)


def _alternate(u: Float[Tensor, "*u"]) -> Float[Tensor, "*u"]:
    """(−1)ʲ u_j."""
    return u * (1 - 2 * (torch.arange(u.shape[-1], device=u.device) % 2))


def _grid(lines: Iterable[Tensor]) -> Float64[Tensor, "D *N"]:
    return torch.stack(torch.meshgrid(*lines, indexing="ij"))


def _range(N: int) -> Float64[Tensor, " N"]:
    return torch.arange(N, dtype=torch.float64, device="cpu")


def _signed(N: int) -> Float64[Tensor, " N"]:
    """0, 1, …, −2, −1: the modes of a complex FFT in its order."""
    return (_range(N) + N // 2) % N - N // 2


def _midpoints(N: int, L: float) -> Float64[Tensor, " N"]:
    return (_range(N) + 0.5) * (L / N)
