"""Shot noise of independent particles in the modes of a density, within a frame and from frame to frame.

A density of mean ū from P particles, each distributed over cells of width h by a kernel, has the coefficients

    û(κ) = Σ_q W(κ + 2πq/h) ρ̂(κ + 2πq/h),    W(k) = ∏_d sinc^p(k_d h_d/2),    p = 1 histogram, 2 linear,

with integer vectors q: the mode itself (q = 0) and its aliases, waves shorter than the cells. If the particles are
independent, every ρ̂ has the shot noise σ² = ū² N/P (in units of white noise on N cells), whatever the density; short
waves contain nothing else. Let a wave decay by the factor λ(k) over m steps. To the moments of û_j and û_{j+m}, aliases
add

    E |û|²          A(κ) = σ² Σ_{q≠0} W_q²         within a frame,
    E û_j* û_{j+m}  C(κ) = σ² Σ_{q≠0} W_q² λ_q     from frame to frame.

A is known. C vanishes if the aliases decay within m steps; otherwise it requires λ of waves shorter than the cells,
which is extrapolated with the law λ = exp(−(c|k|^α + iV·k) m Δt), fitted to all modes of the grid and their aliases.
Modes that were computed from finer cells and corrected for the damping by these have the aliases of the finer cells,
with W_q/W_0 instead of W_q.

The motion of the particles between two frames gives û_{j+m} − λ û_j the variance σ² W² (1 − |λ|²). The size of the
fluctuations therefore determines |λ|, as their decay does (see `fluctuations`), and the number of particles can be
checked.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float
from scipy.optimize import least_squares

from morlight.data.sample import ShotNoise
from morlight.operators.bases import Basis
from morlight.operators.grids import share_of_band
from morlight.training.least_squares.pair_moments import PairMoments

REACH = {1: 32, 2: 8, 3: 2}  # largest |q| of the aliases that are summed, by dimension
POWERS = {"histogram": 1, "linear": 2, "fourier": 1}  # p of each kernel
MISFIT = 0.05  # largest relative deviation of the rates from the law with which it is still extrapolated
DECAYED = 0.05  # a wave counts as decayed if less than this share of it is left
EDGE = 0.7  # modes above this share of the band count as short as the cells
STRONG = 10.0  # ratio of energy to shot noise above which a mode is dominated by the mean density
AGREEMENT = 0.1  # accepted relative deviation of the fluctuations from those of the given number of particles
SURE = 5.0  # standard deviations


@dataclass(frozen=True)
class Law:
    """λ(k) = exp(−(c|k|^α + iV·k) m), with the time in steps."""

    coefficient: float
    exponent: float
    velocity: Float[np.ndarray, " D"]

    def decay(self, k: Float[np.ndarray, "D *K"], steps: int) -> Complex[np.ndarray, "*K"]:
        """Factor λ by which waves decay over some steps."""
        modulus = np.sqrt((k**2).sum(0))
        size = self.coefficient * np.where(modulus > 0, modulus, 1) ** self.exponent * (modulus > 0)
        rate = size + 1j * np.tensordot(self.velocity, k, 1)
        return np.exp(-rate * steps)


class Aliases:
    """W_q² of all modes of a basis and their aliases.

    Args:
        basis: Π in double precision.
        noise: number of particles and kernel of the deposit.
    """

    def __init__(self, basis: Basis, noise: ShotNoise) -> None:
        kappa = basis.wavenumbers.flatten(1)
        power = 2 * POWERS[noise.kernel]
        cells = [N * (noise.finer or 1) for N in basis.points]
        width = torch.tensor([L / M for L, M in zip(basis.length, cells, strict=True)], dtype=kappa.dtype)[:, None]
        reach = REACH[len(cells)]
        shifts = torch.tensor([q for q in itertools.product(range(-reach, reach + 1), repeat=len(cells)) if any(q)])
        turns = kappa * width / (2 * math.pi)
        shifted = turns[None] + shifts[..., None]
        own = torch.sinc(turns).pow(power).prod(0)
        of_aliases = torch.sinc(shifted).pow(power).prod(1)
        # Σ_q over all q: 1 for sinc², 1 − (2/3) sin² for sinc⁴
        everything = torch.ones_like(own) if power == 2 else (1 - (math.pi * turns).sin().square() / 1.5).prod(0)
        total = everything - own
        if noise.finer is not None:
            # the deposit leaves out modes at the Nyquist wavenumber
            inside = (share_of_band(basis) < 1 - 1e-9).flatten()
            of_aliases, total = (torch.where(inside, w / own, 0) for w in (of_aliases, total))
            own = inside.to(own.dtype)
        self.own, self.total, self.weights = own.numpy(), total.numpy(), of_aliases.numpy()
        self.kappa = kappa.numpy()
        self.wavenumbers = (shifted * (2 * math.pi) / width).transpose(0, 1).numpy()

    def remembered(self, law: Law, steps: int) -> Complex[np.ndarray, " K"]:
        """C/σ², Σ_{q≠0} W_q² λ_q."""
        total: np.ndarray = (self.weights * law.decay(self.wavenumbers, steps)).sum(0)
        return total


class IndependentParticles:
    """Statistics of the modes of a density whose particles are independent.

    Attributes:
        aliases: aliases of the kernel.
        law: power law of the decay; None if the modes do not follow one.
        decayed: whether waves as short as the cells decay within the shortest horizon.
    """

    def __init__(self, basis: Basis, noise: ShotNoise, mean: float, pairs: PairMoments) -> None:
        self.aliases = Aliases(basis, noise)
        self.particles, self.horizon = noise.particles, pairs.horizon
        size = math.prod(basis.length) / math.prod(basis.points)
        white = (basis.freedom * size / basis.energy).flatten().numpy()
        self.variance = mean**2 * math.prod(basis.points) / noise.particles * white
        share = share_of_band(basis).flatten().numpy()
        self.used = (share < 1 - 1e-9) & (self.aliases.kappa**2).sum(0).astype(bool)
        self.freedom = basis.freedom.flatten().numpy()
        edge = self.used & (share > EDGE)
        left = float(np.abs(pairs.product[edge]).sum() / pairs.first[edge].sum()) if edge.any() else 1.0
        self.decayed = bool(left ** (noise.finer or 1) < DECAYED)
        law = self._fitted(pairs, turns=not basis.real)
        misfit, *agreement = self._agreement(law, pairs)
        self.law = law if misfit < MISFIT else None
        if self.law is None:  # the number of particles is only known from waves that decay between two frames
            agreement = [*self._level(pairs, edge)] if left < DECAYED else [1.0, math.inf]
        self.ratio, self.ratio_error = agreement

    def refusal(self) -> str | None:
        """Why the shot noise cannot be subtracted, or None if it can."""
        if self.law is None and not self.decayed:
            return (
                "waves shorter than the cells do not decay within a window, and the longer ones do not follow the power"
                f" law of {self.particles} independent particles, which could be extrapolated; expected smaller cells,"
                " longer model.horizons or a deposit in Fourier space (morlight simulate --deposit fourier)"
            )
        if abs(self.ratio - 1) > max(AGREEMENT, SURE * self.ratio_error):
            return (
                f"the fluctuations are not those of {self.particles} independent particles in each trajectory; expected"
                " data.particles to be their number, or null if the particles are not independent"
            )
        return None

    def counted(self) -> Float[np.ndarray, " K"]:
        """A, which aliases add to E |û|²."""
        return self.variance * self.aliases.total

    def remembered(self, steps: int) -> Complex[np.ndarray, " K"]:
        """C, which aliases add to E û_j* û_{j+m}."""
        if self.law is None:
            return np.zeros(len(self.variance), complex)
        return self.variance * self.aliases.remembered(self.law, steps)

    def corrected(self, pairs: PairMoments) -> PairMoments:
        """The moments with A and C subtracted."""
        A, C = self.counted(), self.remembered(pairs.horizon)
        return PairMoments(pairs.first - A, pairs.product - C, pairs.last - A, pairs.pairs, pairs.horizon)

    def residual(self, steps: int) -> Float[np.ndarray, " K"]:
        """Variance of û_{j+m} − λ û_j according to the law, aliases included; infinite for modes that are left out."""
        assert self.law is not None
        return np.where(self.used, self._residual(self.law, steps), np.inf)

    def rate_errors(self, pairs: PairMoments, *, fluctuations: bool) -> Float[np.ndarray, " K"]:
        """Relative standard error of the rate of each mode by itself, from the law and the mean squares of the data.

        Args:
            pairs: moments of the pairs from which the rates are estimated.
            fluctuations: whether the size of the fluctuations is used, and not only their decay.
        """
        assert self.law is not None
        use, m = self.used, pairs.horizon
        size = np.abs(self.law.decay(self.aliases.kappa, m))[use]
        slope = size * np.log(np.maximum(size, 1e-300))  # derivative of |λ| with respect to the logarithm of the rate
        V, before = self._residual(self.law, m)[use], pairs.first[use]
        information = (slope * (before - self.counted()[use])) ** 2 / (V * before)
        if fluctuations:
            information += (2 * size * slope * (self.variance * self.aliases.own)[use] / V) ** 2 / 2
        errors = np.full(len(use), np.inf)
        # windows that overlap share their noise: m of them contain little more information than one
        errors[use] = np.sqrt(m / (pairs.pairs * self.freedom[use] * np.maximum(information, 1e-300)))
        return errors

    def _residual(self, law: Law, steps: int) -> Float[np.ndarray, " K"]:
        decay, A = law.decay(self.aliases.kappa, steps), self.counted()
        C = self.variance * self.aliases.remembered(law, steps)
        squared = np.abs(decay) ** 2
        return self.variance * self.aliases.own * (1 - squared) + A * (1 + squared) - 2 * (decay.conj() * C).real

    def _fitted(self, pairs: PairMoments, *, turns: bool) -> Law:
        """The law, fitted by weighted least squares to all modes, aliases included."""
        D, use, A = len(self.aliases.kappa), self.used, self.counted()
        m = pairs.horizon

        def law(p: Float[np.ndarray, " Q"]) -> Law:
            return Law(math.exp(p[0]), p[1], p[2:] if turns else np.zeros(D))

        def rest(p: Float[np.ndarray, " Q"], weight: Float[np.ndarray, " K"]) -> Float[np.ndarray, " n"]:
            C = self.variance * self.aliases.remembered(law(p), m)
            r = (pairs.product - C - law(p).decay(self.aliases.kappa, m) * (pairs.first - A))[use] * weight
            return np.concatenate([r.real, r.imag]) if turns else r.real

        start = self._start(pairs)
        p = np.array([math.log(start.coefficient), start.exponent, *(start.velocity if turns else [])])
        for _ in range(3):
            noise = np.maximum(self._residual(law(p), m) * pairs.first, 1e-300)[use]
            weight = np.sqrt(self.freedom[use] * pairs.pairs / noise)
            scale, free = np.maximum(np.abs(p), 1e-3), [math.inf] * (len(p) - 2)
            limits = ([-60.0, 0.05, *(-x for x in free)], [10.0, 6.0, *free])  # of ln c and α, against overflow
            p = least_squares(rest, np.clip(p, *limits), args=(weight,), x_scale=scale, bounds=limits).x
        return law(p)

    def _start(self, pairs: PairMoments) -> Law:
        """A power law through the rates of the modes that are dominated by the mean density, as a first guess."""
        modulus = np.sqrt((self.aliases.kappa**2).sum(0))
        level = self.variance * (self.aliases.own + self.aliases.total)
        leading = self.used & (pairs.first > STRONG * level)
        if leading.sum() < 3:
            leading = self.used & (modulus <= np.sort(modulus[self.used])[min(8, self.used.sum() - 1)])
        decay = pairs.product[leading] / pairs.first[leading]
        rate = np.maximum(-np.log(np.maximum(np.abs(decay), 1e-12)) / pairs.horizon, 1e-12)
        logs, weight = np.log(modulus[leading]), np.sqrt(pairs.first[leading] / self._floor(pairs)[leading])
        exponent = 2.0
        if np.ptp(logs) > 0.3:
            exponent = float(np.clip(np.polyfit(logs, np.log(rate), 1, w=weight)[0], 0.5, 3.0))
        coefficient = float(np.exp(np.average(np.log(rate) - exponent * logs, weights=weight)))
        velocity = np.linalg.lstsq(self.aliases.kappa[:, leading].T, -np.angle(decay) / pairs.horizon, rcond=None)[0]
        return Law(coefficient, exponent, velocity)

    def _floor(self, pairs: PairMoments) -> Float[np.ndarray, " K"]:
        """Variance of û_{j+m} − λ û_j, with λ estimated for each mode by itself."""
        left = pairs.last - np.abs(pairs.product) ** 2 / np.maximum(pairs.first, 1e-300)
        return np.maximum(left, 1e-9 * pairs.last + 1e-300)

    def _level(self, pairs: PairMoments, edge: Bool[np.ndarray, " K"]) -> tuple[float, float]:
        """Ratio of the energy of the shortest modes to the shot noise of P particles, with its standard error.

        What the earlier frame contains beside shot noise has decayed in the later one.
        """
        freedom = self.freedom[edge]
        level = (self.variance * (self.aliases.own + self.aliases.total))[edge]
        ratio = float((freedom * pairs.last[edge] / level).sum() / freedom.sum())
        return ratio, math.sqrt(2 * pairs.horizon / (pairs.pairs * freedom.sum()))

    def _agreement(self, law: Law, pairs: PairMoments) -> tuple[float, float, float]:
        """Deviation of the rates from the law, and ratio of the fluctuations to those of P particles with its error."""
        use, m = self.used, pairs.horizon
        A, C = self.counted()[use], (self.variance * self.aliases.remembered(law, m))[use]
        decay, V = law.decay(self.aliases.kappa[:, use], m), self._residual(law, m)[use]
        before, product, after = pairs.first[use], pairs.product[use], pairs.last[use]
        first, squared, freedom = np.maximum(before - A, 0), np.abs(decay) ** 2, self.freedom[use]
        each = freedom * pairs.pairs / (m * V * before)
        squares = (np.abs(product - C - decay * first) ** 2 * each).sum()
        known = ((np.abs(decay * np.log(np.maximum(np.abs(decay), 1e-300))) * first) ** 2 * each).sum()
        misfit = math.sqrt(max(0.0, squares - freedom.sum()) / known) if known > 0 else math.inf
        owned = (self.variance * self.aliases.own)[use] * (1 - squared)
        seen = after - 2 * (decay.conj() * (product - C)).real + squared * before - A * (1 + squared)
        information = (freedom * (owned / V) ** 2).sum()
        ratio = float((freedom * owned * seen / V**2).sum() / information)
        return misfit, ratio, math.sqrt(2 * m / (pairs.pairs * information))
