"""Which frames of a window are served in which epoch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Which frames of a window the data module serves.

    Attributes:
        stages: offsets of the frames of a training window, 0 first and the horizon last, for each stage.
        epochs: of each stage; the last one goes on as long as the fit does.
        held_back: offsets of the frames of windows for validation and test.
    """

    stages: tuple[tuple[int, ...], ...]
    epochs: int
    held_back: tuple[int, ...]

    def training(self, epoch: int) -> tuple[int, ...]:
        """Offsets of an epoch."""
        return self.stages[min(epoch // self.epochs, len(self.stages) - 1)]

    def begins(self, epoch: int) -> bool:
        """Whether a stage begins with this epoch."""
        stage, place = divmod(epoch, self.epochs)
        return place == 0 and stage < len(self.stages)
