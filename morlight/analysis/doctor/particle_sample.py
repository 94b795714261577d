"""What the checks know of a file of particles: a few numbers for each frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

AXES = "xyz"


@dataclass(frozen=True, eq=False)
class Moment:
    """Numbers of one frame.

    Attributes:
        time: of the frame, or its time step.
        sides: of the box.
        counts: particles of each type.
        velocity: mean over the particles, weighted by mass.
        thermal: m ⟨(v − flow)²⟩ along each axis.
        extent: of the positions, in units of the sides.
        displacement: root mean square since the frame before.
        speed: root mean square, the larger one of this frame and the one before.
        repeated: whether all columns are those of the frame before.
    """

    time: float
    sides: Float[np.ndarray, "3"]
    counts: Mapping[str, int]
    velocity: Float[np.ndarray, "3"] | None
    thermal: Float[np.ndarray, "3"] | None
    extent: Float[np.ndarray, "3"]
    displacement: float | None
    speed: float | None
    repeated: bool

    @property
    def number(self) -> int:
        """Particles of all types."""
        return sum(self.counts.values())


@dataclass(frozen=True, eq=False)
class ParticleSample:
    """All frames, and the cells that the particles will be deposited in."""

    moments: Sequence[Moment]
    periodic: Bool[np.ndarray, "3"]
    cells: tuple[int, ...]
