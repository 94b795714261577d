"""What training estimates from the data before and beside its steps: always the same windows, evenly over the data."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from morlight.data.windows import MemoryFrames, Pairs, Windows

SAMPLED = 20_000  # windows that the noise of each mode is estimated from: 1 % of its variance
SAMPLED_VALUES = 8_000_000  # of a field that these windows have at most: 64 MB in double precision
SAMPLED_LEAST = 200


@dataclass(frozen=True)
class ShotNoise:
    """How particles were counted.

    Attributes:
        particles: P, number in each trajectory.
        kernel: histogram, linear, or fourier for the modes of a finer histogram, freed of its damping.
        finer: cells to one of the grid along each axis, of the finer histogram; None for the others.
        stated: whether the user states it; otherwise the file does, which is used where it can be.
    """

    particles: int
    kernel: str = "histogram"
    finer: int | None = None
    stated: bool = True


@dataclass(frozen=True)
class TrainingSample:
    """Some of the training data.

    Attributes:
        path: of the file, for complaints.
        part: the training windows, or pairs (u, f) without time.
        shot_noise: of binned particles, where it is to be subtracted.
    """

    path: Path
    part: Windows | Pairs
    shot_noise: ShotNoise | None = None
    _frames: dict[int, Tensor] = field(default_factory=dict, repr=False)

    @property
    def windows(self) -> Windows:
        """The training windows, of data that change in time."""
        assert isinstance(self.part, Windows)
        return self.part

    def frames(self, horizon: int) -> Float[Tensor, "3 B C *X"]:
        """Frames 0, 1 and m of some windows."""
        if horizon not in self._frames:
            if self.windows.count(horizon) == 0:
                raise ValueError(
                    f"{self.path}: {self.windows.length} frames are too few for model.horizons up to {horizon}"
                )
            index = self.windows.evenly(horizon, self._size(self.windows.frames.shape))
            if not isinstance(self.windows.frames, MemoryFrames):
                self._frames.clear()  # those of other horizons are read again where they are asked for
            self._frames[horizon] = self.windows.at(index, (0, 1, horizon))
        return self._frames[horizon]

    def parameters(self, horizon: int) -> Float[Tensor, "B P"]:
        """γ of these windows."""
        return self.windows.parameters(self.windows.evenly(horizon, self._size(self.windows.frames.shape)), horizon)

    def pairs(self) -> Float[Tensor, "2 B C *X"]:
        """Some fields u and their targets f, without time."""
        assert isinstance(self.part, Pairs)
        return self.part.at(self.part.evenly(self._size(tuple(self.part.u.shape[1:]))))

    def states(self, count: int) -> tuple[Float[Tensor, "n C *X"], Float[Tensor, "n P"]]:
        """Some fields, evenly over trajectories and time, and their parameters."""
        if isinstance(self.part, Pairs):
            index = self.part.evenly(count)
            return self.part.at(index)[0], self.part.gamma[self.part.rows[index]]
        index = self.part.evenly(1, count)
        return self.part.at(index, (0, 1))[0], self.part.parameters(index, 1)

    @staticmethod
    def _size(shape: tuple[int, ...]) -> int:
        """Number of windows to estimate noise from: enough for 1 % of a variance, but within some memory."""
        return max(SAMPLED_LEAST, min(SAMPLED, SAMPLED_VALUES // math.prod(shape)))
