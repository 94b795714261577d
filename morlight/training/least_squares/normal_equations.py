"""Normal equations for the coefficients of candidate terms, and their likelihood under noise in every column.

With moments M(κ) of features and rates and symbols S_a(κ), the coefficients θ of one field minimize Σ_κ w(κ) Q_κ(θ),

    Q_κ(θ) = s − 2 θ·b + θ·Aθ,   A_ab = Re S_a* S_b M_ab,   b_a = Re S_a* M_ay,   s = M_yy,

where the corrected moments give the misfit without noise and the raw ones with it. Their difference is the variance
v_κ(θ) that noise in fields and features leaves (errors in variables), so that

    −2 ln L(θ) = Σ_κ n_κ [ln v_κ(θ) + R_κ(θ)/(n v_κ(θ))],    v_κ = (R_κ − Q_κ)/n + τ² s_κ/n,

with R the raw misfit, n windows, n_κ effective real numbers at a mode, and τ, profiled, the relative error of the equation
itself: quadrature, products cut off by the grid, and rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from morlight.operators.library import Candidate, symbol
from morlight.training.least_squares.feature_moments import FeatureMoments

MODEL_ERRORS = torch.logspace(-3, 0, 25, dtype=torch.float64)  # τ
NEGLIGIBLE = 1e-10  # power of the strongest rate below which a rate is rounding


@dataclass(frozen=True)
class ModeEquations:
    """A, b, s of each mode, corrected for the noise and raw.

    Attributes:
        A: (K, P, P).
        b: (K, P).
        s: (K,).
        raw_A: with the noise.
        raw_b: with the noise.
        raw_s: with the noise.
        windows: n.
        freedom: n_κ.
    """

    A: Float[Tensor, "K P P"]
    b: Float[Tensor, "K P"]
    s: Float[Tensor, " K"]
    raw_A: Float[Tensor, "K P P"]
    raw_b: Float[Tensor, "K P"]
    raw_s: Float[Tensor, " K"]
    windows: float
    freedom: Float[Tensor, " K"]

    def weighted(self, weights: Float[Tensor, " K"]) -> tuple[Tensor, Tensor, Tensor]:
        """A, b and s over all modes."""
        return (
            torch.einsum("k,kab->ab", weights, self.A),
            torch.einsum("k,ka->a", weights, self.b),
            (weights * self.s).sum(),
        )

    def scale(self, weights: Float[Tensor, " K"]) -> Float[Tensor, " P"]:
        """Root of the raw diagonal of A, by which coefficients are made dimensionless."""
        diagonal = torch.einsum("k,kaa->a", weights, self.raw_A)
        return diagonal.clamp_min(1e-300).sqrt()

    def misfits(self, chosen: Sequence[int], theta: Float[Tensor, " p"]) -> tuple[Tensor, Tensor]:
        """R_κ and Q_κ of some terms."""
        own = torch.tensor(list(chosen), dtype=torch.long)

        def misfit(A: Tensor, b: Tensor, s: Tensor) -> Tensor:
            A, b = A[:, own][:, :, own], b[:, own]
            return s - 2 * b @ theta + torch.einsum("a,kab,b->k", theta, A, theta)

        return misfit(self.raw_A, self.raw_b, self.raw_s), misfit(self.A, self.b, self.s)

    def likelihood(self, chosen: Sequence[int], theta: Float[Tensor, " p"]) -> tuple[float, Float[Tensor, " K"]]:
        """−2 ln L at its best τ, and v_κ there."""
        raw, corrected = self.misfits(chosen, theta)
        noise = (raw - corrected).clamp_min(0) / self.windows
        model = self.raw_s / self.windows
        floor = NEGLIGIBLE * float(model.max())
        v = noise + MODEL_ERRORS[:, None].square() * model + floor
        value = (self.freedom * (v.log() + raw.clamp_min(0) / self.windows / v)).sum(1)
        best = int(value.argmin())
        return float(value[best]), v[best]


def mode_equations(moments: FeatureMoments, candidates: Sequence[Candidate], field: int) -> ModeEquations:
    """A, b and s of one field, summed over the blocks."""
    S, columns = _columns(moments, candidates)
    Q = len(moments.exponents)
    pairs = []
    for M in (moments.corrected().sum(0), moments.total()):
        A = (S.conj()[:, :, None] * S[:, None, :] * M[:, columns[:, None], columns]).real
        pairs.append((A, (S.conj() * M[:, columns, Q + field]).real, M[:, Q + field, Q + field].real))
    freedom = moments.basis.freedom.flatten()[moments.modes] * moments.effective_windows()
    return ModeEquations(*pairs[0], *pairs[1], windows=moments.count(), freedom=freedom)


def coefficient_covariance(
    moments: FeatureMoments, candidates: Sequence[Candidate], field: int, *,
    theta: Float[Tensor, " p"], weights: Float[Tensor, " K"],
) -> Float[Tensor, "p p"]:  # fmt: skip
    """Sandwich covariance of θ, with the scores of each mode in each block of windows as independent.

    Scores of different modes are uncorrelated where the statistics do not depend on the place; those of overlapping
    windows of one mode are correlated, and stand together in a block.
    """
    S, columns = _columns(moments, candidates)
    Q = len(moments.exponents)
    bread = torch.zeros(len(theta), len(theta), dtype=torch.float64)
    meat = torch.zeros_like(bread)
    for M in moments.corrected():
        A = (S.conj()[:, :, None] * S[:, None, :] * M[:, columns[:, None], columns]).real * weights[:, None, None]
        score = weights[:, None] * (S.conj() * M[:, columns, Q + field]).real - A @ theta
        bread += A.sum(0)
        meat += score.T @ score
    d = bread.diagonal().abs().clamp_min(1e-300).sqrt()
    inverse = torch.linalg.pinv(bread / d[:, None] / d, hermitian=True) / d[:, None] / d
    return inverse @ meat @ inverse


def _columns(moments: FeatureMoments, candidates: Sequence[Candidate]) -> tuple[Complex[Tensor, "K P"], Tensor]:
    symbols = [symbol(term.derivative, moments.basis).flatten()[moments.modes] for term in candidates]
    places = [moments.exponents.index(term.exponents) for term in candidates]
    return torch.stack([s.to(torch.complex128) for s in symbols], 1), torch.tensor(places)
