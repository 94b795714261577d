"""Normal equations for the coefficients of candidate terms, and their likelihood under noise in every column.

With moments M(κ) of features and rates and symbols S_a(κ), the coefficients θ of one field minimize Σ_κ w(κ) Q_κ(θ),

    Q_κ(θ) = s − 2 θ·b + θ·Aθ,   A_ab = Re S_a* S_b M_ab,   b_a = Re S_a* M_ay,   s = M_yy,

where the corrected moments give the misfit without noise and the raw ones (A', b', s') with it. The features leave the
noise N_P = θ·Nθ in the predicted rate of power S_P = θ·Aθ (errors in variables), so that the best prediction from
noisy features is shrunk by c = S_P/(S_P + N_P), and

    −2 ln L(θ) = Σ_κ n_κ [ln v + R/v],   R = (s' − 2c θ·b' + c² θ·A'θ)/n,   v = ((s' − s) + c N_P)/n + τ² s'/n,

for n windows and n_κ effective real numbers at a mode. τ, profiled, is the relative error of the equation itself:
quadrature, products cut off by the grid, and rounding. Modes of nearly one |κ| are added up in shells.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from morlight.operators.library import Candidate, symbol
from morlight.training.least_squares.feature_moments import FeatureMoments

MODEL_ERRORS = torch.logspace(-3, 0, 13, dtype=torch.float64)  # τ
NEGLIGIBLE = 1e-10  # power of the strongest rate below which a rate is rounding
SHELLS = 64


@dataclass(frozen=True)
class Estimates:
    """Several subsets of the candidates side by side.

    Attributes:
        theta: coefficients of each subset.
        value: −2 ln L.
        weights: n_κ over the variance of the misfit, for the next estimate of θ.
    """

    theta: Float[Tensor, "S k"]
    value: Float[Tensor, " S"]
    weights: Float[Tensor, "S K"]


@dataclass(frozen=True)
class NormalEquations:
    """A, b, s of each shell of modes, corrected for the noise and raw.

    Attributes:
        A: (K, P, P).
        b: (K, P).
        s: (K,).
        raw_A: with the noise.
        raw_b: with the noise.
        raw_s: with the noise.
        noise_A: what noise and unresolved changes add to A.
        noise_s: and to s.
        windows: n.
        freedom: n_κ.
    """

    A: Float[Tensor, "K P P"]
    b: Float[Tensor, "K P"]
    s: Float[Tensor, " K"]
    raw_A: Float[Tensor, "K P P"]
    raw_b: Float[Tensor, "K P"]
    raw_s: Float[Tensor, " K"]
    noise_A: Float[Tensor, "K P P"]
    noise_s: Float[Tensor, " K"]
    windows: float
    freedom: Float[Tensor, " K"]

    def first_weights(self) -> Float[Tensor, "1 K"]:
        """n_κ over the misfit of all candidates together, with the noise in them."""
        floor = NEGLIGIBLE * self.raw_s.max() + float(MODEL_ERRORS[0]) ** 2 * self.raw_s
        weights = self.freedom / (self.raw_s + floor)
        for _ in range(3):
            A, b = torch.tensordot(weights, self.raw_A, 1), weights @ self.raw_b
            d = A.diagonal().clamp_min(1e-300).sqrt()
            theta = torch.linalg.pinv(A / d[:, None] / d, rcond=1e-12, hermitian=True) @ (b / d) / d
            misfit = self.raw_s - 2 * self.raw_b @ theta + (self.raw_A @ theta) @ theta
            weights = self.freedom / (misfit.clamp_min(0) + floor)
        return weights[None]

    def solve(self, subsets: Int[Tensor, "S k"], weights: Float[Tensor, "s K"]) -> Float[Tensor, "S k"]:
        """θ of each subset for one or for its own weights; NaN where the data cannot tell its terms apart."""
        A, b = torch.tensordot(weights, self.A, 1), weights @ self.b
        noisy = torch.tensordot(weights, self.raw_A.diagonal(dim1=1, dim2=2), 1).clamp_min(1e-300).sqrt()
        S, k = subsets.shape
        row = torch.arange(len(weights)).expand(S)[:, None] if len(weights) == S else torch.zeros(S, 1, dtype=torch.long)
        d = noisy[row, subsets]
        own = A[row[..., None], subsets[:, :, None], subsets[:, None, :]] / d[:, :, None] / d[:, None, :]
        values, vectors = torch.linalg.eigh(own)
        along = (vectors.mT @ (b[row, subsets] / d)[..., None])[..., 0]
        theta = (vectors @ (along / values)[..., None])[..., 0] / d
        return torch.where((values[:, :1] > SINGULAR) if k else torch.ones(S, 1) > 0, theta, torch.nan)

    def likelihood(self, subsets: Int[Tensor, "S k"], theta: Float[Tensor, "S k"]) -> Estimates:
        """−2 ln L of each subset at its best τ, infinite where θ is not finite."""
        linear = torch.einsum("kSa,Sa->Sk", self.raw_b[:, subsets], theta)
        rate_noise, rate = self.noise_s, self.raw_s
        power = torch.minimum(self._quadratic(self.A, subsets, theta), self.s).clamp_min(0)  # of P, no more than of the rate
        noisy = self._quadratic(self.raw_A, subsets, theta).clamp_min(0)
        noise = self._quadratic(self.noise_A, subsets, theta).clamp_min(0)
        shrunk = power / (power + noise).clamp_min(1e-300)
        misfit = (self.raw_s - 2 * shrunk * linear + shrunk.square() * noisy).clamp_min(0) / self.windows
        errors = (MODEL_ERRORS[:, None, None].square() * rate + NEGLIGIBLE * rate.max()) / self.windows
        v = (rate_noise + shrunk * noise) / self.windows + errors
        value = (self.freedom * (v.log() + misfit / v)).sum(2)
        value = torch.where(value.isfinite(), value, torch.inf)
        best = value.argmin(0)
        weights = self.freedom / (rate_noise + noise + self.windows * errors[best, 0])
        return Estimates(theta, value.gather(0, best[None])[0], weights)

    def estimates(self, subsets: Int[Tensor, "S k"], weights: Float[Tensor, "s K"], rounds: int) -> Estimates:
        """θ and −2 ln L of each subset, its own weights found in some rounds from those at the start."""
        found = self.likelihood(subsets, self.solve(subsets, weights))
        for _ in range(rounds):
            weights = found.weights.nan_to_num(0.0)
            again = self.likelihood(subsets, self.solve(subsets, weights))
            found = again
        return found

    def _quadratic(self, A: Tensor, subsets: Int[Tensor, "S k"], theta: Float[Tensor, "S k"]) -> Float[Tensor, "S K"]:
        P = A.shape[1]
        full = torch.zeros(len(subsets), P, dtype=torch.float64).scatter(1, subsets, theta)
        return torch.stack([((full @ matrix) * full).sum(1) for matrix in A], 1)


SINGULAR = 1e-14  # least eigenvalue of A, scaled by the noisy diagonal, of a subset that the data can tell apart


def normal_equations(moments: FeatureMoments, candidates: Sequence[Candidate], field: int) -> NormalEquations:
    """A, b and s of one field, summed over the blocks and within shells."""
    S, columns = _columns(moments, candidates)
    Q = len(moments.exponents)
    shell = _shells(moments)
    parts: list[Tensor] = []
    for M in (moments.corrected().sum(0), moments.total(), moments.unresolved):
        A = (S.conj()[:, :, None] * S[:, None, :] * M[:, columns[:, None], columns]).real
        b, s = (S.conj() * M[:, columns, Q + field]).real, M[:, Q + field, Q + field].real
        parts += [_summed(part, shell) for part in (A, b, s)]
    freedom = _summed(moments.basis.freedom.flatten()[moments.modes], shell) * moments.effective_windows()
    return NormalEquations(*parts[:7], parts[8], windows=moments.count(), freedom=freedom)


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
    w = weights[_shells(moments)]
    bread = torch.zeros(len(theta), len(theta), dtype=torch.float64)
    meat = torch.zeros_like(bread)
    for M in moments.corrected():
        A = (S.conj()[:, :, None] * S[:, None, :] * M[:, columns[:, None], columns]).real * w[:, None, None]
        score = w[:, None] * (S.conj() * M[:, columns, Q + field]).real - A @ theta
        bread += A.sum(0)
        meat += score.T @ score
    d = bread.diagonal().abs().clamp_min(1e-300).sqrt()
    inverse = torch.linalg.pinv(bread / d[:, None] / d, rcond=1e-15, hermitian=True) / d[:, None] / d
    return inverse @ meat @ inverse


def _columns(moments: FeatureMoments, candidates: Sequence[Candidate]) -> tuple[Complex[Tensor, "K P"], Tensor]:
    symbols = [symbol(term.derivative, moments.basis).flatten()[moments.modes] for term in candidates]
    places = [moments.exponents.index(term.exponents) for term in candidates]
    size = moments.total().shape[0]
    stacked = [s.to(torch.complex128) for s in symbols]
    return torch.stack(stacked, 1) if stacked else torch.zeros(size, 0, dtype=torch.complex128), torch.tensor(
        places, dtype=torch.long
    )


def _shells(moments: FeatureMoments) -> Int[Tensor, " K"]:
    """Shell of each mode: the mean alone, the others by |κ|."""
    modulus = moments.basis.wavenumbers.square().sum(0).sqrt().flatten()[moments.modes]
    place = (modulus / modulus.max() * SHELLS).ceil().long()
    return torch.unique(place, return_inverse=True)[1]


def _summed(values: Float[Tensor, "K *v"], shell: Int[Tensor, " K"]) -> Float[Tensor, "S *v"]:
    total = torch.zeros(int(shell.max()) + 1, *values.shape[1:], dtype=values.dtype)
    return total.index_add(0, shell, values)
