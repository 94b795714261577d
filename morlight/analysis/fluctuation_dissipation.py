"""The noise of slow waves over the noise that their damping needs at equilibrium, Σ / (S (1 − |G|²)).

Slow waves are those that keep half of their variance in a step, |G|² > 1/2, with |G|² = e^{−2λΔt} for the rate of decay
λ. If λ = νκ², the ratio is that of the viscosity that belongs to the noise to the viscosity of the mean operator. It
needs no temperature: the spectrum S is either that of the data (see `noise_diagnostics`), or, if it is the same for all
waves that are forgotten within a step, as with equipartition, it is taken to be that of the slow waves as well.
"""

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from morlight.operators.noise_diagnostics import KEPT, jackknife_error

FORGOTTEN = 0.1  # largest |G|² of fast waves
LEAST = 5  # |κ| of fast waves that show whether S is the same for all
MISFIT = 2.0  # largest mean square deviation of S from its mean that is still called flat, in units of the errors


@dataclass(frozen=True)
class Ratio:
    """Noise over the noise that is in balance with the damping.

    Attributes:
        value: 1 in balance.
        error: its standard error.
    """

    value: float
    error: float


def of_data(sums: Float[Tensor, "R sets 2"]) -> Ratio | None:
    """With the spectrum of the data, from the sums of `NoiseDiagnostics.balance`; the median of the realizations.

    None if the data do not show that the mean steps take variance away.
    """
    noise, dissipated = sums.unbind(-1)
    if not (dissipated > 0).all():
        return None
    ratio = (noise / dissipated).quantile(0.5, 0)
    return Ratio(float(ratio[0]), float(jackknife_error(ratio[1:])))


@dataclass(frozen=True)
class Waves:
    """Noise and decay of the waves of each |κ| > 0.

    Attributes:
        freedom: number of real numbers of these waves.
        noise: Σ of each realization.
        errors: standard errors of Σ.
        left: |G|² of each realization.
        rate_errors: relative standard errors of the rates of decay; infinite where the data do not identify them.
    """

    freedom: Float[Tensor, " S"]
    noise: Float[Tensor, "R S"]
    errors: Float[Tensor, " S"]
    left: Float[Tensor, "R S"]
    rate_errors: Float[Tensor, " S"]

    def equipartition(self) -> Ratio | None:
        """With the S of fast waves for slow ones; the median of the realizations; None if S is not the same for all."""
        fast, slow = (self.left < FORGOTTEN).all(0), (self.left > KEPT).all(0) & (self.left < 1).all(0)
        slow &= self.rate_errors.isfinite()
        if int(fast.sum()) < LEAST or not slow.any():
            return None
        spectrum, error = (self.noise / (1 - self.left))[:, fast].quantile(0.5, 0), self.errors[fast]
        weights = self.freedom[fast] / self.freedom[fast].sum()
        level, level_error = float((weights * spectrum).sum()), float((weights * error).square().sum().sqrt())
        if not level > 0 or ((spectrum - level) / error).square().mean() > MISFIT:
            return None
        return self._relative_to(level, level_error, slow)

    def _relative_to(self, level: float, level_error: float, slow: Tensor) -> Ratio:
        f, left = self.freedom[slow], self.left[:, slow]
        noise, needed = (f * self.noise[:, slow]).sum(1) / level, (f * (1 - left)).sum(1)
        value = float((noise / needed).quantile(0.5))
        of_rates = -left.log() * left * self.rate_errors[slow]  # error of 1 − e^{−2λΔt}
        relative = (
            level_error / level,
            float((f * self.errors[slow] / level).square().sum().sqrt() / noise.quantile(0.5)),
            float(((f * of_rates).square().sum(1).sqrt() / needed).quantile(0.5)),
        )
        return Ratio(value, value * math.hypot(*relative))
