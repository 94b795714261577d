"""The options of the data, each with its default: the only definition of them."""

import math
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which trajectories are learned from, and how they are split.

    Args:
        path: trajectory file, name of a set that comes with the package, or, with `deposit`, files of particles.
        fields: names of the fields to learn; all scalar fields by default.
        batch: windows a step, all processes together.
        validation: share of the trajectories kept for validation, or of the time (see split).
        test: share of the trajectories kept for test, or of the time.
        split: trajectories, validation and test are whole ones; time, they are the end of each: first the training,
            then the validation, then the test; auto, time where there are too few trajectories to hold one back, but
            not for fields of particles.
        trajectories: use only so many of them, from the first on; all by default.
        seed: of the split and of the order of the windows.
        targets: names of what an operator without time makes of each field (Eq. 7); the first frames are used.
        parameters: names of the scalars γ of the trajectories that the operator may depend on.
        particles: number of particles of which the field is a histogram with mean 1, or file where the file states
            them and their deposit: the shot noise of binning is then subtracted (model.optimizer moments only); valid
            where waves shorter than the cells decay within one step.
        cutoff: train on frames up to this time only; all by default. Validation and test keep theirs.
        held_out: γ of trajectories that belong to the test, such as {density: 0.1}.
        left_out: γ of trajectories that are not used at all, such as those of the test in a hyperparameter search.
        ensemble: all, each trajectory by itself, or mean, those that differ in their seed alone are averaged.
        coarsen: cells of the file averaged to one of the fields, along each axis (Sec. 6.3.1).
        scaling: global, each field in one unit, or power, its unit follows a power of each γ.
        memory: GiB that the fields may take; those of larger files are read in blocks, again for every epoch.
        deposit: how files of particles or of averages (LAMMPS, H5MD, …) become fields, as for `morlight deposit`:
            fields, bins, axes, species, …; the fields are kept beside them.
    """

    path: str
    fields: list[str] | None = None
    batch: int = 100
    validation: float = 0.1
    test: float = 0.1
    split: Literal["auto", "trajectories", "time"] = "auto"
    trajectories: int | None = None
    seed: int = 0
    targets: list[str] | None = None
    parameters: list[str] | None = None
    particles: int | Literal["file"] | None = None
    cutoff: float | None = None
    held_out: dict[str, float] | None = None
    left_out: dict[str, float] | None = None
    ensemble: Literal["all", "mean"] = "all"
    coarsen: int = 1
    scaling: Literal["global", "power"] = "global"
    memory: float = 4.0
    deposit: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        for key in ("validation", "test", "memory", "cutoff"):
            value = getattr(self, key)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"data.{key} is {value}, expected a finite number")
        if self.seed < 0:
            raise ValueError(f"data.seed is {self.seed}, expected 0 or more")
        if not self.memory > 0:
            raise ValueError(f"data.memory is {self.memory}, expected GiB above 0")
        if self.batch < 1:
            raise ValueError(f"data.batch is {self.batch}, expected at least 1")
        if isinstance(self.particles, int) and self.particles < 1:
            raise ValueError(f"data.particles is {self.particles!r}, expected a number above 0, or file")
        if self.targets and (self.cutoff is not None or self.coarsen != 1 or self.ensemble != "all"):
            raise ValueError(
                "data.cutoff, data.coarsen and data.ensemble are for fields that change in time, not for data.targets"
            )
        if min(self.validation, self.test) < 0 or self.validation + self.test >= 1:
            shares = (self.validation, self.test)
            raise ValueError(f"data.validation and data.test are {shares}, expected shares ≥ 0 with a sum below 1")
