"""The error that a fit by least squares minimizes, as moments of the data or of a block of them."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.training.least_squares.fluctuations import Fluctuations
from morlight.training.least_squares.gatherer import Gatherer, Shape
from morlight.training.least_squares.moments import Moments
from morlight.training.least_squares.shot_noise import IndependentParticles


@dataclass(frozen=True)
class Objective:
    """The error of the increments over several numbers of steps.

    Attributes:
        horizons: numbers m of steps of the increments.
        weights: inverse variance of the noise of each mode, for each m; None for 1.
        particles: the particles whose density the field is; None if shot noise is not subtracted.
        smoothness: weight of the curvatures, relative to the error.
    """

    horizons: Sequence[int]
    weights: Float[Tensor, "H *K"] | None
    particles: IndependentParticles | None
    smoothness: float

    def moments(self, gatherer: Gatherer, shape: Shape | None = None) -> dict[int, Moments]:
        """Moments for each m, of all the data or of a block of them.

        Args:
            gatherer: sums over pairs.
            shape: values of u and projections for h; by default those of these pairs.
        """
        if self.particles is None:
            return dict(zip(self.horizons, gatherer.moments(self.weights, shape=shape), strict=True))
        counted = torch.from_numpy(self.particles.counted())
        aliases = [(counted, torch.from_numpy(self.particles.remembered(m))) for m in self.horizons]
        found = dict(zip(self.horizons, gatherer.moments(self.weights, aliases, shape), strict=True))
        if self.particles.law is None or self.weights is None:
            return found
        return {
            m: dataclasses.replace(each, fluctuations=self._fluctuations(gatherer, self.particles, place, each.size))
            for place, (m, each) in enumerate(found.items())
        }

    def _fluctuations(
        self, gatherer: Gatherer, particles: IndependentParticles, place: int, size: float
    ) -> Fluctuations:
        m = self.horizons[place]
        pairs = particles.corrected(gatherer.pair_moments(place, m))
        variance = particles.variance * particles.aliases.own
        return Fluctuations.of(pairs, variance, particles.residual(m), gatherer.basis, size)
