"""What a run would teach, from the disagreement of the realizations and the noise of a run.

The realizations of a model are regarded as draws of a Gaussian process q(γ), with the covariance

    C(γ, γ′) = 1/(R − 1) Σ_r δq_r(γ) · δq_r(γ′)

summed over the components of q. A run at γ_c measures q(γ_c) with an error of variance N, and leaves the covariance

    C(γ, γ′) − C(γ, γ_c) C(γ_c, γ′) / (C(γ_c, γ_c) + N),  N = C(γ_c, γ_c) / S.

The signal S is the disagreement of the roll-outs at γ_c in units of the noise of a run, Σ_i ⟨δu_i²⟩/σ_i², for each of
the directions in which the realizations disagree. Their number is (tr K)²/tr K², where K is the covariance of the
roll-outs in these units. A run that shows less, or more, than the cells of the model has the covariance K′ and the
signal tr K K′/tr K.
"""

import warnings
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

FEWEST = 5  # realizations; fewer are correlated by chance at every γ
FAR = 1e6  # sizes
ROUNDING = 1e-12


def axes_but(walks: np.ndarray, but: tuple[int, ...]) -> tuple[int, ...]:
    """All axes of an array except some."""
    return tuple(axis for axis in range(walks.ndim) if axis not in but)


def relative(
    values: Float[np.ndarray, "R *n"], axes: tuple[int, ...]
) -> tuple[Float[np.ndarray, "R *n"], Float[np.ndarray, "*sizes"]]:
    """Deviations from the mean over the realizations in units of the size, and the size.

    The size is the root of the sum of squares of the median over the realizations. Values that are not finite are off
    by `FAR` sizes, as is what is off by more.

    Args:
        values: of each realization.
        axes: over which the squares are summed.
    """
    usable = np.isfinite(values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where no realization is finite
        median = np.nan_to_num(np.nanmedian(np.where(usable, values, np.nan), 0, keepdims=True))
    size = np.sqrt(np.square(median).sum(axes, keepdims=True))
    far = FAR / np.sqrt(np.prod([values.shape[axis] for axis in axes]))
    with np.errstate(over="ignore"):
        deviation = np.where(usable, values - median, np.inf) / np.maximum(size, np.finfo(np.float64).tiny)
    deviation = deviation.clip(-far, far)
    deviation -= deviation.mean(0)
    return np.where(np.abs(deviation) > ROUNDING, deviation, 0), size[0]


def signal(
    deviation: Float[np.ndarray, "R n"],
    noise: Float[np.ndarray, " #n"],
    whole: Float[np.ndarray, "R N"] | None = None,
) -> float:
    """S, the disagreement in units of the variance of the noise, for each direction in which there is disagreement.

    Args:
        deviation: of the values that are measured.
        noise: their variance.
        whole: deviations whose directions count, in units of the noise; by default those that are measured.
    """
    scaled = deviation / np.sqrt(noise)
    gram = scaled @ scaled.T / (len(scaled) - 1)
    of_whole = gram if whole is None else whole @ whole.T / (len(whole) - 1)
    squares = float((gram * of_whole).sum())
    return 0.0 if squares == 0 else squares / float(np.trace(of_whole))


@dataclass(frozen=True, eq=False)
class Disagreement:
    """Covariance of a quantity between values of γ, and the signal of one run at each.

    Attributes:
        covariance: C, in the square of the unit of the quantity.
        weights: of each γ in the expected square error, Σ w C(γ, γ).
        prior: C(γ, γ) before any of the runs; with the signal, it is the error of a run.
    """

    covariance: Float[np.ndarray, "G G"]
    weights: Float[np.ndarray, " G"]
    prior: Float[np.ndarray, " G"]

    @classmethod
    def of(cls, deviation: Float[np.ndarray, "R G n"], weights: Float[np.ndarray, " G"]) -> "Disagreement":
        """The covariance over the realizations."""
        flat = deviation.transpose(1, 0, 2).reshape(deviation.shape[1], -1)
        covariance = flat @ flat.T / (len(deviation) - 1)
        return cls(covariance, weights, covariance.diagonal().copy())

    @property
    def error(self) -> float:
        """Expected error, the root of the weighted mean of the variances."""
        return float(np.sqrt(max(0.0, self.weights @ self.covariance.diagonal())))

    def after(self, place: int, signal: float) -> "Disagreement":
        """The disagreement that a run leaves.

        Args:
            place: of its γ.
            signal: S of the run; of n equal runs, n S.
        """
        variance = self.covariance[place, place]
        if signal <= 0 or variance <= 0:
            return self
        column = self.covariance[:, place]
        reduced = self.covariance - np.outer(column, column) / (variance + self.prior[place] / signal)
        return replace(self, covariance=reduced)
