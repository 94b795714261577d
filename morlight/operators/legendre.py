"""Legendre polynomials: Π is an L² projection and S a differentiation matrix, in the same Eq. 10 (Sec. 2.3).

With ξ = 2x/L − 1 on [0, L], P_n the Legendre polynomials, ξ_j, w_j nodes and weights of Gauss on N points,

    u(x) = Σ_{n<N} c_n P_n(ξ),    c_n = (2n + 1)/2 ∫ u P_n dξ = (2n + 1)/2 Σ_j w_j u_j P_n(ξ_j).

The weight of Legendre polynomials is one, in contrast to that of Chebyshev polynomials. Π is therefore the projection
in L², Gauss quadrature is exact up to degree 2N − 1, and c_0 is the mean of u, which a symbol with g(0) = 0 conserves.

P_n is not an eigenfunction of ∂ₓ, so that S is a matrix. It is an eigenfunction of −∂ₓ(1 − ξ²)∂ₓ with the eigenvalue
n(n + 1)(2/L)², whose root takes the place of κ. The symbol −κ² is then diffusion with a coefficient that vanishes at
the walls, without a flux through them.
"""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from morlight.operators.bases import Axis, Basis, sides


class Legendre(Basis):
    """Polynomials of degree N − 1 on one axis [0, L], without conditions at the walls; `*` gives several axes.

    Attributes:
        differentiation: S of ∂ₓ = Π⁻¹ S Π: `c @ S.mT` are the coefficients of ∂ₓu.
    """

    analysis: Float[Tensor, "K X"]
    synthesis: Float[Tensor, "X K"]
    differentiation: Float[Tensor, "K K"]

    def __init__(self, points: int, length: float | int) -> None:
        [(N, L)] = sides(points, length)
        xi, weights = gauss(N)
        n = torch.arange(N, dtype=torch.float64, device="cpu")
        kappa = (n * (n + 1)).sqrt() * (2 / L)
        super().__init__([Axis(L, (xi + 1) * (L / 2), kappa, L / (2 * n + 1), torch.ones_like(n))])
        values = legendre(xi, N)
        self.hold(
            analysis=values.mT * weights * (n[:, None] + 0.5),
            synthesis=values,
            differentiation=derivative(N) * (2 / L),
        )

    def forward(self, u: Float[Tensor, "*u"]) -> Float[Tensor, "*u"]:
        return u @ self.analysis.mT

    def inverse(self, c: Float[Tensor, "*c"]) -> Float[Tensor, "*c"]:
        return c @ self.synthesis.mT


def gauss(N: int) -> tuple[Float64[Tensor, " N"], Float64[Tensor, " N"]]:
    """Nodes in (−1, 1) and weights of Gauss' quadrature, from the recurrence of P_n (Golub & Welsch 1969)."""
    n = torch.arange(1, N, dtype=torch.float64, device="cpu")
    off_diagonal = n / (4 * n.square() - 1).sqrt()
    nodes, vectors = torch.linalg.eigh(torch.diag(off_diagonal, 1) + torch.diag(off_diagonal, -1))
    weights = 2 * vectors[0].square()
    # as symmetric as they are, so that mirror images are so to rounding
    return (nodes - nodes.flip(0)) / 2, (weights + weights.flip(0)) / 2


def legendre(xi: Float64[Tensor, " X"], N: int) -> Float64[Tensor, "X {N}"]:
    """P_n(ξ) for n < N, by (n + 1) P_{n+1} = (2n + 1) ξ P_n − n P_{n−1}."""
    P = [torch.ones_like(xi), xi]
    for n in range(1, N - 1):
        P.append(((2 * n + 1) * xi * P[n] - n * P[n - 1]) / (n + 1))
    return torch.stack(P, -1)


def derivative(N: int) -> Float64[Tensor, "{N} {N}"]:
    """Coefficients of P_n′ = Σ (2m + 1) P_m over m = n − 1, n − 3, …, in column n."""
    m = torch.arange(N, device="cpu")
    below = (m > m[:, None]) & ((m - m[:, None]) % 2 == 1)
    return (below * (2 * m[:, None] + 1)).double()
