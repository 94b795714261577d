"""The curriculum of Eq. 21: stages of equal length, the last with the remainder, each with its horizon m."""

from morlight.data.schedule import Schedule
from morlight.training.config import LossConfig


def curriculum(objective: LossConfig, epochs: int) -> Schedule:
    """One stage for each horizon, the epochs divided evenly among them; those that are left belong to the last.

    Raises:
        ValueError: for fewer epochs than stages.
    """
    count = len(objective.horizons)
    if epochs < count:
        raise ValueError(f"trainer.max_epochs is {epochs}, expected at least {count}, one for each of model.horizons")
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
