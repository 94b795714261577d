"""Which trajectories belong to training, validation and test."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from morlight.data.config import DataConfig
from morlight.data.ensembles import SEED, ensembles, where
from morlight.data.trajectory_file import Contents


@dataclass(frozen=True, eq=False)
class Split:
    """Samples of each part; disjoint, and the same for the same seed.

    A sample is a trajectory of the file, or the mean of those of one γ where ensembles are averaged.

    Attributes:
        members: trajectories of the file behind each sample.
        train: samples that are trained on.
        validation: samples that choose the checkpoint.
        test: samples that nothing is chosen by.
    """

    members: list[list[int]]
    train: Int[np.ndarray, " n"]
    validation: Int[np.ndarray, " v"]
    test: Int[np.ndarray, " t"]

    def part(self, name: str) -> Int[np.ndarray, " n"]:
        """Samples of train, validation or test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    def trajectories(self, name: str) -> list[int]:
        """Trajectories of the file that belong to train, validation or test."""
        return [row for sample in self.part(name).tolist() for row in self.members[sample]]


def split(contents: Contents, config: DataConfig) -> Split:
    """The split that a configuration asks for.

    Raises:
        ValueError: naming the file and the key, where nothing is left or a selection does not exist.
    """
    members = _members(contents, config)
    left_out = _selected(contents, config.left_out, members, "data.left_out")
    held_out = np.setdiff1d(_selected(contents, config.held_out, members, "data.held_out"), left_out)
    free = np.setdiff1d(np.arange(len(members)), [*held_out, *left_out])
    if not len(free):
        raise ValueError(f"{contents.path}: data.held_out and data.left_out leave no trajectory to train on")
    order = np.random.default_rng(config.seed).permutation(len(free))
    test = round(len(free) * config.test)
    held_back = test + round(len(free) * config.validation)
    if held_back >= len(free):
        held_back = test = 0  # too few trajectories to hold any back
    return Split(
        members,
        train=np.sort(free[order[held_back:]]),
        validation=np.sort(free[order[test:held_back]]),
        test=np.sort(np.concatenate([free[order[:test]], held_out])),
    )


def _members(contents: Contents, config: DataConfig) -> list[list[int]]:
    """Trajectories behind each sample: one, or all of the same γ where they are averaged."""
    if config.trajectories is not None and not 1 <= config.trajectories <= contents.trajectories:
        raise ValueError(
            f"{contents.path}: data.trajectories is {config.trajectories}, expected 1 to {contents.trajectories}"
        )
    rows = range(config.trajectories or contents.trajectories)
    if config.ensemble == "all":
        return [[row] for row in rows]
    if SEED not in contents.parameters:
        raise ValueError(f"{contents.path}: data.ensemble is mean, the file has no scalar 'seed' to average over")
    return list(ensembles(contents, rows).values())


def _selected(
    contents: Contents, wanted: dict[str, float] | None, members: list[list[int]], key: str
) -> Int[np.ndarray, " n"]:
    """Samples with these γ."""
    if not wanted:
        return np.arange(0)
    first = [rows[0] for rows in members]
    return where(contents, wanted, key)[first].nonzero()[0]
