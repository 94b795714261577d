"""The curriculum of Eq. 21: stages of equal length, each with its horizon m."""

from morlight.data.schedule import Schedule
from morlight.training.config import LossConfig


def curriculum(objective: LossConfig, epochs: int) -> Schedule:
    """One stage for each horizon, the epochs divided evenly among them.

    Raises:
        ValueError: where the epochs cannot be divided evenly.
    """
    count = len(objective.horizons)
    if epochs < 1 or epochs % count:
        raise ValueError(
            f"trainer.max_epochs is {epochs}, expected a positive multiple of {count}, the number of model.horizons"
        )
    stages = tuple(objective.offsets(horizon) for horizon in objective.horizons)
    return Schedule(stages, epochs // count, (0, objective.longest))


def at_once(objective: LossConfig, epochs: int) -> Schedule:
    """All horizons in each epoch, for moments over several steps.

    Raises:
        ValueError: where there is no epoch.
    """
    if epochs < 1:
        raise ValueError(f"trainer.max_epochs is {epochs}, expected at least 1")
    return Schedule(((0, *sorted(set(objective.horizons))),), epochs, (0, objective.longest))
