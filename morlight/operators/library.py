"""Candidate terms G(∇) φ(u) of the class ∂ₜu_c = Σ_a G_a(∇) φ_a(u) (Eq. 27), with G a derivative and φ a monomial.

    Partial(p, q, …)    ∂ₓᵖ ∂ᵧ^q …     symbol (iκₓ)ᵖ (iκᵧ)^q …
    Laplacian(n)        Δⁿ             symbol (−|κ|²)ⁿ
    Fractional(α)       −(−Δ)^(α/2)    symbol −|κ|^α

and φ(u) = Π_c u_c^(n_c), times powers of the parameters γ where these differ. All of them are diagonal in the basis Π,
so that walls limit them: between walls (cosines, sines) an odd derivative leaves the basis, and a field without value
at the walls (sines) keeps to odd nonlinearities.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from morlight.operators.bases import Basis, Fourier, Sine, TensorProduct


@dataclass(frozen=True)
class Partial:
    """Π_d ∂_d^(p_d); all orders zero is the identity."""

    orders: tuple[int, ...]

    @property
    def order(self) -> int:
        """Total order of the derivative."""
        return sum(self.orders)


@dataclass(frozen=True)
class Laplacian:
    """Δⁿ with n ≥ 1."""

    power: int

    @property
    def order(self) -> int:
        """Total order of the derivative."""
        return 2 * self.power


@dataclass(frozen=True)
class Fractional:
    """−(−Δ)^(α/2) with α > 0.

    Attributes:
        alpha: α.
        slope: whether ∂/∂α of it is meant, by which α is estimated.
        standard_error: of α, where it was estimated.
    """

    alpha: float
    slope: bool = False
    standard_error: float = field(default=0.0, compare=False)

    @property
    def order(self) -> float:
        """Total order of the derivative."""
        return self.alpha


Differential = Partial | Laplacian | Fractional
Exponents = tuple[int, ...]


@dataclass(frozen=True)
class Candidate:
    """Π_p γ_p^(m_p) G(∇) Π_c u_c^(n_c).

    Attributes:
        derivative: G.
        exponents: n_c by field; all zero for a constant.
        powers: m_p by parameter; empty where no parameter enters.
    """

    derivative: Differential
    exponents: Exponents
    powers: Exponents = ()

    @property
    def linear(self) -> bool:
        """Whether the term is linear in one of the fields."""
        return sum(self.exponents) == 1


def symbol(derivative: Differential, basis: Basis) -> Inexact[Tensor, "*K"]:
    """G(κ) at the wavenumbers of a basis; real between walls.

    The Nyquist mode of an even number of points stands for κ and −κ, so an odd derivative along its axis is zero there.

    Raises:
        ValueError: for an odd derivative along an axis with walls, or orders that do not match the axes.
    """
    kappa = basis.wavenumbers
    if isinstance(derivative, Laplacian):
        return (-kappa.square().sum(0)) ** derivative.power
    if isinstance(derivative, Fractional):
        square = kappa.square().sum(0)
        power = -(square ** (derivative.alpha / 2))
        return power * torch.where(square > 0, square, 1).log() / 2 if derivative.slope else power
    if len(derivative.orders) != len(kappa):
        raise ValueError(f"derivative {derivative.orders}: one order for each of the {len(kappa)} axes is expected")
    value = torch.ones_like(kappa[0])
    for line, p, periodic, N, L in zip(
        kappa, derivative.orders, periodic_axes(basis), basis.points, basis.length, strict=True
    ):
        if p % 2 and not periodic:
            raise ValueError(f"derivative {derivative.orders}: between walls only even orders keep to the basis")
        nyquist = (line.abs() > math.pi * N / L * (1 - 1e-9)) if p % 2 and not N % 2 else torch.zeros_like(line) > 0
        value = value * torch.where(nyquist, 0.0, line**p)
    phase = (1, 1j, -1, -1j)[derivative.order % 4]
    return value * phase


def periodic_axes(basis: Basis) -> list[bool]:
    """Of each axis whether it is periodic."""
    factors = basis.factors if isinstance(basis, TensorProduct) else [basis]
    return [isinstance(factor, Fourier) for factor in factors for _ in factor.axes]


def monomial(exponents: Exponents, u: Float[Tensor, "*u"], axes: int) -> Float[Tensor, "*v"]:
    """Π_c u_c^(n_c) of fields whose C axis stands before the `axes` axes of the grid."""
    fields = u.unbind(-axes - 1)
    value = torch.ones_like(fields[0])
    for u_c, n in zip(fields, exponents, strict=True):
        for _ in range(n):
            value = value * u_c
    return value


def monomials(fields: int, degree: int, *, odd: bool = False) -> list[Exponents]:
    """All exponents of total degree 1 … `degree`, low degrees first; `odd` keeps the odd ones."""
    totals = [total for total in range(1, degree + 1) if total % 2 or not odd]
    return [
        exponents
        for total in totals
        for exponents in sorted(itertools.product(range(total + 1), repeat=fields), reverse=True)
        if sum(exponents) == total
    ]


def derivatives(basis: Basis, order: int) -> list[Differential]:
    """The identity, ∂_d of each periodic axis, and Δⁿ up to the order; along a single axis every ∂ₓᵖ."""
    periodic = periodic_axes(basis)
    D = len(periodic)
    if D == 1:
        return [Partial((p,)) for p in range(order + 1) if periodic[0] or not p % 2]
    first = [tuple(int(axis == d) for axis in range(D)) for d in range(D) if periodic[d] and order]
    powers: list[Differential] = [Laplacian(n) for n in range(1, order // 2 + 1)]
    return [Partial((0,) * D), *[Partial(orders) for orders in first], *powers]


def factor(powers: Exponents, gamma: Float[Tensor, "b P"]) -> Float[Tensor, " b"]:
    """Π_p γ_p^(m_p)."""
    value = gamma.new_ones(len(gamma))
    for column, m in zip(gamma.unbind(1), powers, strict=False):  # no powers: 1
        value = value * column**m
    return value


def library(
    basis: Basis, fields: int, *, degree: int = 3, order: int = 4, parameters: int = 0, parameter_degree: int = 1
) -> list[Candidate]:
    """All candidates G(∇) φ(u) of some degree and order that keep to the basis, a constant included.

    Args:
        basis: Π of the fields.
        fields: C.
        degree: largest total power of the fields.
        order: largest order of the derivatives.
        parameters: number of parameters γ, of which each term may have powers as a factor.
        parameter_degree: largest total power of the parameters.
    """
    sines = any(isinstance(factor, Sine) for factor in getattr(basis, "factors", [basis]))
    found = [
        (derivative, exponents)
        for exponents in monomials(fields, degree, odd=sines)
        for derivative in derivatives(basis, order)
    ]
    constant: list[tuple[Differential, Exponents]] = [(Partial((0,) * len(basis.points)), (0,) * fields)]
    factors = [(0,) * parameters, *(monomials(parameters, parameter_degree) if parameters else [])]
    return [Candidate(*term, powers) for powers in factors for term in ([] if sines else constant) + found]


def distinct(candidates: Sequence[Candidate]) -> list[Exponents]:
    """The monomials of the candidates, each once."""
    return list(dict.fromkeys(candidate.exponents for candidate in candidates))


def products(candidates: Sequence[Candidate]) -> list[tuple[Exponents, Exponents]]:
    """The monomials of the candidates with their powers of γ, each once."""
    return list(dict.fromkeys((candidate.exponents, candidate.powers) for candidate in candidates))
