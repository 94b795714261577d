"""The options of the data, each with its default: the only definition of them."""

import math
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which trajectories are used, and how they are split.

    Args:
        path: trajectory file, name of a data set of the package, or, with `deposit`, files of particles.
        fields: names of the fields to learn; by default all scalar fields.
        batch: number of windows in a step, over all processes.
        validation: fraction of the trajectories that is used for validation, or of the time (see split).
        test: fraction of the trajectories that is used for the test, or of the time.
        split: trajectories, so that whole trajectories are used for validation and test; time, so that each trajectory
            is divided into training, validation and test, in this order; or auto, which is time if there are too few
            trajectories to hold one back, 20 frames or more, and no fields of particles, and otherwise trajectories.
        trajectories: use only this number of trajectories, from the first on; by default all.
        seed: seed of the split and of the order of the windows.
        targets: names of the images L u of the fields, for an operator without time (Eq. 7); only the first frame of
            each trajectory is used.
        parameters: names of the scalars γ of the trajectories on which the operator depends.
        particles: number of independent particles in each trajectory, whose histogram is the field; file if the file
            states their number and how they were deposited; or auto, which is file where that is so, and null
            elsewhere. The shot noise of binning is then subtracted, and the size of the fluctuations is used (only with
            `model.optimizer: moments`). With null, neither is done.
        cutoff: train only on frames up to this time; by default on all. Validation and test use all frames.
        held_out: γ of the trajectories that are used for the test, such as {density: 0.1}.
        left_out: γ of the trajectories that are not used at all, such as those of the test in a hyperparameter search.
        ensemble: all uses each trajectory separately; mean averages those that differ only in their seed.
        mirror: true averages each trajectory with its mirror image x → L − x, if the file states that its walls and
            forces are symmetric; {FIELD: even or odd} states it for other files, such as {density: even}.
        coarsen: number of cells of the file, along each axis, that are averaged into one cell (Sec. 6.3.1).
        scaling: global uses one unit for each field; power uses a unit that is a power of each γ.
        memory: GiB that the fields may take in memory; larger files are read in blocks in every epoch.
        deposit: how files of particles or of averages (LAMMPS, H5MD, …) are converted to fields, as for `morlight
            deposit`: fields, bins, axes, species, …; the fields are stored beside the files.
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
    particles: int | Literal["auto", "file"] | None = "auto"
    cutoff: float | None = None
    held_out: dict[str, float] | None = None
    left_out: dict[str, float] | None = None
    ensemble: Literal["all", "mean"] = "all"
    mirror: bool | dict[str, Literal["even", "odd"]] = False
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
            raise ValueError(f"data.particles is {self.particles!r}, expected a number above 0, file or auto")
        if self.targets and (self.cutoff is not None or self.coarsen != 1 or self.ensemble != "all" or self.mirror):
            raise ValueError(
                "data.cutoff, data.coarsen, data.ensemble and data.mirror are for fields that change in time, not for"
                " data.targets"
            )
        if min(self.validation, self.test) < 0 or self.validation + self.test >= 1:
            shares = (self.validation, self.test)
            raise ValueError(f"data.validation and data.test are {shares}, expected shares ≥ 0 with a sum below 1")
