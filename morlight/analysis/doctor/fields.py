"""The fields of a trajectory file, as the checks take them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from morlight.analysis.doctor.findings import NotApplicable
from morlight.data.trajectory_file import TrajectoryFile
from morlight.operators.description import Grid

VALUES = 2**25  # that are read of a file at most, spread over its trajectories
AXES = ("x", "y", "z")

Field = Float[np.ndarray, "S T *X"]


@dataclass(frozen=True, eq=False)
class FieldSample:
    """Fields of some trajectories of a file.

    Attributes:
        fields: by name, without standard errors.
        grid: cells.
        times: of the frames.
        rows: numbers of the trajectories in the file.
        parameters: γ of these trajectories.
        attributes: of the file.
    """

    fields: Mapping[str, Field]
    grid: Grid
    times: Float[np.ndarray, " T"]
    rows: tuple[int, ...]
    parameters: Mapping[str, Float[np.ndarray, " S"]]
    attributes: Mapping[str, Any]

    @property
    def densities(self) -> dict[str, Field]:
        """Number densities: of all particles, or of each species."""
        return {
            name: u
            for name, u in self.fields.items()
            if name.startswith("density") and not name.startswith("density_temperature")
        }

    @property
    def temperatures(self) -> dict[str, Float[np.ndarray, "S T"]]:
        """Temperature of the particles of each density in each frame, Σ ρT / Σ ρ, where there are any."""
        found = {}
        for name, density in self.densities.items():
            energy = self.fields.get(name.replace("density", "density_temperature", 1))
            if energy is not None:
                axes = tuple(range(2, energy.ndim))
                found[name] = energy.sum(axes) / np.where(density.sum(axes) > 0, density.sum(axes), np.nan)
        return found

    def momentum_of(self, density: str) -> dict[str, Field]:
        """Momentum densities of the particles of a density."""
        species = density.removeprefix("density")
        names = [f"momentum{along}{species}" for along in ("", *(f"_{axis}" for axis in AXES))]
        return {name: self.fields[name] for name in names if name in self.fields}

    def along(self, u: Field, axis: int) -> Float[np.ndarray, "S T N"]:
        """Mean over all axes but one."""
        return u.mean(tuple(i for i in range(2, u.ndim) if i != axis + 2))

    def require_frames(self, number: int) -> None:
        """Leave a check that needs more frames."""
        if len(self.times) < number:
            raise NotApplicable(f"{len(self.times)} frames, {number} are needed")


def load(file: TrajectoryFile) -> FieldSample:
    """Fields of as many trajectories as `VALUES` allows, evenly spread over the file.

    Raises:
        ValueError: naming the file, where frames are not equally spaced, and the field, where a value is not finite.
    """
    file.dt  # noqa: B018 - refuses frames at any times
    names = [name for name in file.fields if not name.endswith("_error")] or list(file.fields)
    size = len(names) * len(file.times) * int(np.prod(file.grid.points))
    count = min(file.trajectories, max(1, VALUES // size))
    rows = tuple(int(row) for row in np.linspace(0, file.trajectories - 1, count).round())
    values = [file.read(names, slice(row, row + 1))[0] for row in rows]
    u = np.stack(values).astype(np.float64)
    return FieldSample(
        {name: u[:, :, c] for c, name in enumerate(names)},
        file.grid,
        file.times,
        rows,
        {key: np.asarray(gamma, np.float64)[list(rows)] for key, gamma in file.parameters.items()},
        file.attributes,
    )
