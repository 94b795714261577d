"""g and h without networks: L/Δt = Σ_k Π⁻¹ g_k Π h_k(u) with h_k products of the fields and g_k polynomials of iκ."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Inexact
from torch import Tensor, nn

from morlight.operators.library import (
    Candidate,
    Differential,
    Exponents,
    Fractional,
    Laplacian,
    distinct,
    factor,
    monomial,
)
from morlight.operators.units import NO_GAMMA


class PolynomialSymbol(nn.Module):
    """g_k(κ; γ) = Δt Σ_p θ_kp γ^(m_p) G_p(iκ), the symbols of derivatives of the k-th product of the fields.

    Args:
        terms: G(∇) φ(u) of each field that changes.
        realizations: R sets of coefficients θ.
        dt: Δt.
        real: whether the basis has real coefficients, so that only even derivatives occur.
    """

    theta: Float[Tensor, "R P"]
    estimate: Float[Tensor, " P"]
    standard_error: Float[Tensor, " P"]

    def __init__(self, terms: Sequence[Sequence[Candidate]], realizations: int, dt: float, *, real: bool) -> None:
        super().__init__()
        products = distinct([term for own in terms for term in own])
        self.terms, self.dt, self.real = [tuple(own) for own in terms], dt, real
        self.channels = len(terms) * len(products)
        self.flat = [
            (c * len(products) + products.index(term.exponents), term) for c, own in enumerate(terms) for term in own
        ]
        self.theta = nn.Parameter(torch.zeros(realizations, len(self.flat)))
        self.register_buffer("estimate", torch.zeros(len(self.flat)))
        self.register_buffer("standard_error", torch.zeros(len(self.flat)))

    def forward(
        self, kappa: Float[Tensor, "D *K"], gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Inexact[Tensor, "R b H *K"]:
        """g at the wavenumbers κ and the parameters γ, in the units of the data."""
        shape = (len(self.theta), len(gamma), self.channels, *kappa.shape[1:])
        kind = self.theta.dtype if self.real else torch.complex(self.theta[:1, :1], self.theta[:1, :1]).dtype
        g = torch.zeros(shape, dtype=kind, device=kappa.device)
        for p, (channel, term) in enumerate(self.flat):
            column = self.theta[:, p, None] * factor(term.powers, gamma.to(self.theta))
            g[:, :, channel] += (self.dt * column).unflatten(1, (-1, *[1] * (kappa.ndim - 1))) * _symbol(
                term.derivative, kappa
            )
        return g


class Monomials(nn.Module):
    """h_k(u) = Π_c u_c^(n_c), once for each field that changes.

    Args:
        terms: G(∇) φ(u) of each of these fields, as for `PolynomialSymbol`.
    """

    def __init__(self, terms: Sequence[Sequence[Candidate]]) -> None:
        super().__init__()
        self.products: list[Exponents] = distinct([term for own in terms for term in own])
        self.fields = len(terms)

    def forward(
        self, u: Float[Tensor, "r B C *X"], gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Float[Tensor, "r B H *X"]:
        """The products of the fields."""
        axes = u.ndim - 3
        return torch.stack([monomial(exponents, u, axes) for exponents in self.products] * self.fields, 2)


def _symbol(derivative: Differential, kappa: Float[Tensor, "D *K"]) -> Inexact[Tensor, "*K"]:
    """G(iκ)."""
    if isinstance(derivative, Laplacian):
        return (-kappa.square().sum(0)) ** derivative.power
    if isinstance(derivative, Fractional):
        return -(kappa.square().sum(0) ** (derivative.alpha / 2))
    value = math.prod(
        (line**p for line, p in zip(kappa, derivative.orders, strict=True)), start=torch.ones_like(kappa[0])
    )
    return value * (1, 1j, -1, -1j)[derivative.order % 4]
