"""The curriculum of Eq. 21: stages of equal length, each with its horizon m."""

from collections.abc import Sequence


def stage_of(epoch: int, *, epochs: int, stages: int) -> int:
    """Which stage an epoch belongs to.

    Raises:
        ValueError: where the epochs cannot be divided evenly among the stages.
    """
    if epochs < 1 or epochs % stages:
        raise ValueError(
            f"trainer.max_epochs is {epochs}, expected a positive multiple of {stages}, the number of model.horizons"
        )
    return min(epoch, epochs - 1) // (epochs // stages)


def check(horizons: Sequence[int]) -> None:
    """Refuse an empty list of horizons and horizons below one step."""
    if not horizons or min(horizons) < 1:
        raise ValueError(f"model.horizons is {list(horizons)}, expected at least one horizon, each 1 or more steps")
