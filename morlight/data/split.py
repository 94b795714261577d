"""Which trajectories and frames belong to training, validation and test."""

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from morlight.data.config import DataConfig
from morlight.data.ensembles import SEED, ensembles, where
from morlight.data.trajectory_file import Contents

PARTS = ("train", "validation", "test")
LISTED = 6  # trajectories whose numbers are listed
FRAMES = 20  # fewer are not split in time unless this is asked for


@dataclass(frozen=True, eq=False)
class Split:
    """Samples and frames of each part; disjoint, and the same for the same seed.

    A sample is a trajectory of the file, or the mean of those of one γ where ensembles are averaged. In a split in time
    the parts have the same samples, and frames that follow each other.

    Attributes:
        members: trajectories of the file behind each sample.
        train: samples that are trained on.
        validation: samples that choose the checkpoint.
        test: samples that nothing is chosen by.
        times: of the frames.
        ends: frames before which training and validation end, in a split in time.
        last: frame before which training ends in any case.
    """

    members: list[list[int]]
    train: Int[np.ndarray, " n"]
    validation: Int[np.ndarray, " v"]
    test: Int[np.ndarray, " t"]
    times: Float[np.ndarray, " time"]
    ends: tuple[int, int] | None = None
    last: int | None = None

    def __str__(self) -> str:
        """Of a split in time, in words."""
        parts = [f"{name} {self._span(name)}" for name in PARTS if len(self.part(name)) and self.frames(name)]
        return ", ".join(parts)

    def _span(self, name: str) -> str:
        frames = self.frames(name)
        return f"t = {self.times[frames[0]]:g} … {self.times[frames[-1]]:g}"

    def frames(self, name: str) -> range:
        """Frames of train, validation or test."""
        T = len(self.times)
        first, second = self.ends or (T, T)
        if self.ends is not None and name != "train":
            return range(first, second) if name == "validation" else range(second, T)
        return range(min(first, self.last or T)) if name == "train" else range(T)

    def part(self, name: str) -> Int[np.ndarray, " n"]:
        """Samples of train, validation or test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    def identity(self, name: str) -> str:
        """Which trajectories and frames belong to a part, in a few words; parts that differ have different ones."""
        rows, frames = sorted(self.trajectories(name)), self.frames(name)
        listed = ", ".join(map(str, rows))
        if len(rows) > LISTED:
            listed = f"{len(rows)} ({hashlib.sha256(listed.encode()).hexdigest()[:6]})"
        span = "" if self.ends is None else f", frames {frames.start} to {frames.stop - 1}"
        return f"trajectories {listed}{span}"

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
    last = _frames_of_training(contents, config)
    ends = _ends(contents, config, len(free))
    if ends is not None:
        first, second = ends
        none = free[:0]
        validation, test = free if second > first else none, free if len(contents.times) > second else none
        return Split(members, free, validation, np.union1d(test, held_out), contents.times, ends, last)
    order = np.random.default_rng(config.seed).permutation(len(free))
    tested, held_back = _held_back(len(free), config)
    return Split(
        members,
        train=np.sort(free[order[held_back:]]),
        validation=np.sort(free[order[tested:held_back]]),
        test=np.sort(np.concatenate([free[order[:tested]], held_out])),
        times=contents.times,
        last=last,
    )


def _held_back(trajectories: int, config: DataConfig) -> tuple[int, int]:
    """Number of trajectories for the test, and for test and validation together."""
    tested = round(trajectories * config.test)
    held_back = tested + round(trajectories * config.validation)
    return (tested, held_back) if held_back < trajectories else (0, 0)  # too few trajectories to hold any back


def _ends(contents: Contents, config: DataConfig, trajectories: int) -> tuple[int, int] | None:
    """Frames before which training and validation end, where the split is one in time."""
    if config.split == "trajectories" or config.targets or config.validation == config.test == 0:
        return None
    if config.split == "auto":  # particles relax, and the fields of each run have a noise of their own
        too_few_frames = len(contents.times) < FRAMES
        if contents.of_particles or too_few_frames or config.held_out or _held_back(trajectories, config)[1]:
            return None
    T = len(contents.times)
    tested = max(2, round(T * config.test)) if config.test else 0
    validated = max(2, round(T * config.validation)) if config.validation else 0
    first = T - tested - validated
    if first < 2:
        raise ValueError(
            f"{contents.path}: data.split is time, which needs two frames or more for each part, and there are {T}"
        )
    return first, T - tested


def _frames_of_training(contents: Contents, config: DataConfig) -> int | None:
    """Frames up to `cutoff`."""
    cutoff, times = config.cutoff, contents.times
    if cutoff is None:
        return None
    count = int((times <= times[0] + cutoff + 1e-6 * contents.dt).sum())
    if count < 2:
        raise ValueError(f"{contents.path}: data.cutoff is {cutoff}, expected {contents.dt:g} or more, one step")
    return count


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
