"""Fields on the grid that their waves need, and what is known of their noise there."""

import math
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from morlight.operators.bases import Basis
from morlight.operators.grids import share_of_band
from morlight.training.least_squares.band import resampled, signal_band
from morlight.training.least_squares.noise import noise_variance


@dataclass(frozen=True)
class Signal:
    """A grid with the modes that carry signal.

    Attributes:
        basis: Π in double precision.
        variance: σ² of the noise of each field on this grid.
        modes: those that carry signal.
    """

    basis: Basis
    variance: tuple[float, ...]
    modes: Bool[Tensor, "*K"]


def prepare(u: Float[Tensor, "B T C *X"], basis: Basis) -> tuple[Signal, Float[Tensor, "B T C *Y"], tuple[float, ...]]:
    """Estimate the noise, find the waves that carry signal, and thin the grid to them.

    Returns:
        The signal, the fields on its grid, and σ of each field in the data.
    """
    variance = noise_variance(basis, u)
    share = signal_band(basis, u, variance)
    coarse, v = resampled(basis, u, share)
    ratio = math.prod(coarse.points) / math.prod(basis.points)
    lowest = min(n / N for n, N in zip(coarse.points, basis.points, strict=True))
    modes = share_of_band(coarse) <= min(1.0, share / lowest)
    return Signal(coarse, tuple(ratio * s2 for s2 in variance), modes), v, tuple(math.sqrt(s2) for s2 in variance)
