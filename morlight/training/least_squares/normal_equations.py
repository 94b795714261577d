"""Moment conditions for the coefficients of candidate terms, and how precise they are.

With moments M(κ) of features and rates and symbols S_a(κ), the noise-free misfit of one field's rate is orthogonal to
every candidate, whether the equation has it or not,

    g(θ) = Σ_κ w(κ) (b − Aθ) = 0,    A_ab = Re S_a* S_b M_ab,   b_a = Re S_a* M_ay.

The moments are free of the noise on average, and so θ is not attenuated. The covariance Ω of g is the sum of squares of
the terms of single modes in single blocks of windows: modes are uncorrelated where the statistics do not depend on the
place, windows of one block are not. Where these N terms are few, Ω is shrunk, by P/(P + N), towards the covariance that
misfits independent of the features have. To it comes what an error of the equation itself, τ of the rate (quadrature,
products cut off by the grid), would leave. Weights are those of generalized least squares, w = n_κ/v_κ, with v the
misfit of each shell of nearly equal |κ|, noise included.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from morlight.operators.library import Candidate, symbol
from morlight.training.least_squares.feature_moments import FeatureMoments

MODEL_ERROR = 1e-3  # τ
NEGLIGIBLE = 1e-10  # power of the strongest rate below which a rate is rounding
SHELLS = 64


@dataclass(frozen=True)
class Conditions:
    """g(θ) = b − Aθ with covariance Ω, whitened: ‖L⁻¹(b − Aθ)‖² is χ² with P − k degrees for the true k terms.

    Attributes:
        matrix: AᵀΩ⁻¹A.
        vector: AᵀΩ⁻¹b.
        square: bᵀΩ⁻¹b.
        clusters: number of modes and blocks that Ω rests on.
    """

    matrix: Float[Tensor, "P P"]
    vector: Float[Tensor, " P"]
    square: float
    clusters: int


class NormalEquations:
    """Moment conditions of one field for a list of candidates.

    Args:
        moments: of features and rates.
        candidates: terms.
        field: whose rate is explained.
    """

    def __init__(self, moments: FeatureMoments, candidates: Sequence[Candidate], field: int) -> None:
        self.features, self.candidates = len(moments.features), len(candidates)
        self.field, self.windows = field, moments.count()
        self.place = torch.tensor([moments.features.index((term.exponents, term.powers)) for term in candidates])
        symbols = [symbol(term.derivative, moments.basis).flatten()[moments.modes] for term in candidates]
        self.S = torch.stack([s.to(torch.complex128) for s in symbols], 1)
        self.shell = _shells(moments)
        freedom = moments.basis.freedom.flatten()[moments.modes]
        self.freedom = _summed(freedom, self.shell) * moments.effective_windows()
        self.blocks = moments.corrected()
        self.A, self.b, self.s = self._equations(self.blocks.sum(0))
        self.raw_A, self.raw_b, self.raw_s = self._equations(moments.total())

    def misfit(self, theta: Float[Tensor, " P"]) -> Float[Tensor, " K"]:
        """Sum of squares of each shell, noise included."""
        return (self.raw_s - 2 * self.raw_b @ theta + (self.raw_A @ theta) @ theta).clamp_min(0)

    def first_weights(self, floor: float) -> Float[Tensor, " K"]:
        """Those of no terms at all, led by waves whose rate is stronger than a floor (power, of the strongest)."""
        return self.freedom / (self.raw_s + floor * self.raw_s.max())

    def weights(self, theta: Float[Tensor, " P"], *, noise_alone: bool = False) -> Float[Tensor, " K"]:
        """n_κ/v_κ for coefficients of all candidates, most of them zero.

        Args:
            theta: θ of every candidate.
            noise_alone: take for v what white noise leaves in place of the misfit.
        """
        floor = MODEL_ERROR**2 * self.raw_s + NEGLIGIBLE * self.raw_s.max()
        return self.freedom / ((self.noise(theta) if noise_alone else self.misfit(theta)) + floor)

    def noise(self, theta: Float[Tensor, " P"]) -> Float[Tensor, " K"]:
        """Sum of squares of each shell that white noise leaves on average."""
        noise = self.raw_s - self.s - 2 * (self.raw_b - self.b) @ theta + ((self.raw_A - self.A) @ theta) @ theta
        return noise.clamp_min(0)

    def of_noise(self, theta: Float[Tensor, " P"]) -> Conditions:
        """The moment conditions with the covariance that white noise alone gives them.

        Where θ leaves out a strong term, the covariance of its misfit hides every term; this one does not.
        """
        weights = self.weights(theta, noise_alone=True)
        spread = self.noise(theta) + MODEL_ERROR**2 * self.raw_s
        omega = torch.tensordot(weights.square() * spread / self.freedom, self.raw_A, 1)
        return self._whitened(weights, omega, len(self.blocks) * self.blocks.shape[1])

    def conditions(self, theta: Float[Tensor, " P"], weights: Float[Tensor, " K"]) -> Conditions:
        """The moment conditions with the covariance that belongs to θ."""
        scores = torch.cat([self._scores(block, theta, weights) for block in self.blocks])
        few = len(theta) / (len(theta) + len(scores))
        spread = few * self.misfit(theta) + MODEL_ERROR**2 * self.raw_s
        alike = torch.tensordot(weights.square() * spread / self.freedom, self.raw_A, 1)
        return self._whitened(weights, (1 - few) * scores.T @ scores + alike, len(scores))

    def _whitened(self, weights: Float[Tensor, " K"], omega: Float[Tensor, "P P"], clusters: int) -> Conditions:
        A, b = torch.tensordot(weights, self.A, 1), weights @ self.b
        d = omega.diagonal().clamp_min(1e-300).sqrt()
        values, vectors = torch.linalg.eigh(omega / d[:, None] / d)
        whiten = (vectors / values.clamp_min(1e-12 * float(values.max())).sqrt()).T / d
        white_A, white_b = whiten @ A, whiten @ b
        return Conditions(white_A.T @ white_A, white_A.T @ white_b, float(white_b @ white_b), clusters)

    def share(self, theta: Float[Tensor, " P"]) -> Float[Tensor, " P"]:
        """Rms of each term over that of the rate."""
        size = self.A.diagonal(dim1=1, dim2=2).sum(0).clamp_min(0).sqrt()
        return theta.abs() * size / self.s.sum().clamp_min(1e-300).sqrt()

    def _scores(
        self, M: Complex[Tensor, "N Z Z"], theta: Float[Tensor, " P"], weights: Float[Tensor, " K"]
    ) -> Float[Tensor, "N P"]:
        """w Re S_a* (M_ay − Σ_b M_ab S_b θ_b) of each mode."""
        Q = self.features
        along = torch.zeros(len(M), Q, dtype=torch.complex128).index_add(1, self.place, self.S * theta)
        rest = M[:, :Q, Q + self.field] - (M[:, :Q, :Q] @ along[..., None])[..., 0]
        return weights[self.shell, None] * (self.S.conj() * rest[:, self.place]).real

    def _equations(self, M: Complex[Tensor, "K Z Z"]) -> tuple[Tensor, Tensor, Tensor]:
        Q, S, place = self.features, self.S, self.place
        A = (S.conj()[:, :, None] * S[:, None, :] * M[:, place[:, None], place]).real
        b, s = (S.conj() * M[:, place, Q + self.field]).real, M[:, Q + self.field, Q + self.field].real
        return _summed(A, self.shell), _summed(b, self.shell), _summed(s, self.shell)


def _shells(moments: FeatureMoments) -> Int[Tensor, " K"]:
    """Shell of each mode: the mean alone, the others by |κ|."""
    modulus = moments.basis.wavenumbers.square().sum(0).sqrt().flatten()[moments.modes]
    place = (modulus / modulus.max() * SHELLS).ceil().long()
    return torch.unique(place, return_inverse=True)[1]


def _summed(values: Float[Tensor, "K *v"], shell: Int[Tensor, " K"]) -> Float[Tensor, "S *v"]:
    total = torch.zeros(int(shell.max()) + 1, *values.shape[1:], dtype=values.dtype)
    return total.index_add(0, shell, values)
