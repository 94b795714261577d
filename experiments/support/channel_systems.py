"""Systems of driven channels: fields of all seeds, and the numbers that show whether they are what they should be."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float

from experiments.support.tables import table
from morlight.data.ensembles import SEED, coarse
from morlight.data.mirror import asymmetry, symmetric
from morlight.data.trajectory_file import TrajectoryFile

BINS = 20  # of the table: the paper's
STEADY = 5  # last frames, averaged
ROUNDING = 1e-6  # of a total in single precision
MASS = {"large": 10.0}  # of a particle, in that of the others; as the deck says
SYMBOLS = {"density": "ρ*", "concentration": "c", "radius": "d"}


@dataclass(frozen=True, eq=False)
class System:
    """One γ and one species: fields of all seeds, and the numbers that show whether they are what they should be.

    Attributes:
        label: γ as text.
        species: its name; empty where there is one.
        density, momentum, heat: number density, momentum density, density × temperature.
    """

    label: str
    species: str
    density: Float[np.ndarray, "S T N"]
    momentum: Float[np.ndarray, "S T N"]
    heat: Float[np.ndarray, "S T N"]

    @property
    def mass(self) -> float:
        """Of one particle."""
        return MASS.get(self.species, 1.0)

    @property
    def velocity(self) -> Float[np.ndarray, "T n"]:
        """Mean velocity along the channel; nan where there was nobody."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return on_bins(self.momentum).sum(0) / (self.mass * on_bins(self.density).sum(0))

    @property
    def temperature(self) -> Float[np.ndarray, "T n"]:
        """Of the two directions without flow."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return on_bins(self.heat).sum(0) / on_bins(self.density).sum(0)

    @cached_property
    def flow(self) -> Float[np.ndarray, "S T"]:
        """Velocity of all particles together."""
        return self.momentum.sum(2) / (self.mass * self.density.sum(2))

    def with_images(self) -> "System":
        """Each run averaged with its mirror image."""
        density, momentum, heat = (
            symmetric(u[:, :, None], [1])[:, :, 0] for u in (self.density, self.momentum, self.heat)
        )
        return replace(self, density=density, momentum=momentum, heat=heat)

    def lost(self) -> float:
        """Largest change of the number of particles, relative."""
        number = self.density.sum(2)
        return float(np.abs(number / number[:, :1] - 1).max())

    def start(self) -> float:
        """Mean velocity in frame 0, of the seed where it is largest."""
        return float(np.abs(self.flow[:, 0]).max())

    def transient(self) -> float:
        """Frames until the flow has 90 % of what it ends with."""
        mean = self.flow.mean(0)
        return float(np.argmax(mean > 0.9 * mean[-STEADY:].mean()))

    def slip(self) -> float:
        """Velocity in the outermost cell at both walls over that of the middle half, at the end; 1 is plug flow.

        nan where nobody was in one of the outermost cells.
        """
        momentum, density = (on_bins(u)[:, -STEADY:].sum((0, 1)) for u in (self.momentum, self.density))
        quarter = BINS // 4
        inner = slice(quarter, -quarter)
        with np.errstate(invalid="ignore", divide="ignore"):
            velocity = momentum / density
        return float(velocity[[0, -1]].mean() / (momentum[inner].sum() / density[inner].sum()))

    def layering(self) -> float:
        """Largest density over that of the middle half, at the end."""
        profile = self.density[:, -STEADY:].mean((0, 1))
        quarter = len(profile) // 4
        return float(profile.max() / profile[quarter:-quarter].mean())

    def warmth(self) -> float:
        """Mean temperature of all frames."""
        return float((self.heat.sum(2) / self.density.sum(2)).mean())

    def signal(self) -> float:
        """Momentum over its scatter between the seeds, in one frame and bin, at the end."""
        momentum = on_bins(self.momentum)[:, -STEADY:]
        return float(np.sqrt((momentum**2).mean()) / self.scatter())

    def scatter(self) -> float:
        """Of the momentum between the seeds, in one frame and bin, at the end; nan for one seed."""
        if len(self.momentum) < 2:
            return float("nan")
        return float(np.sqrt(on_bins(self.momentum)[:, -STEADY:].var(0, ddof=1).mean()))

    def ceiling(self, *fields: Float[np.ndarray, "S T N"]) -> float:
        """Standard error over its size of the mean of the runs and their mirror images, root mean square over fields.

        It is that of one frame at the end, from the scatter of the runs in the last frames.
        """
        squares = []
        for u in fields if len(self.momentum) > 1 else ():
            runs = symmetric(on_bins(u)[:, -STEADY:, None], [1])[:, :, 0]
            squares.append(runs.var(0, ddof=1).sum() / len(runs) / np.square(runs.mean(0)).sum())
        return float(np.sqrt(np.mean(squares))) if squares else float("nan")

    def asymmetry(self, u: Float[np.ndarray, "S T N"]) -> float:
        """Squared mean difference of a field from its mirror image, over that of noise, which is 1 on average."""
        (found,) = asymmetry(on_bins(u)[:, :, None], [1])
        return found.ratio


def on_bins(u: Float[np.ndarray, "S T N"]) -> Float[np.ndarray, "S T n"]:
    """Means over neighboring bins, `BINS` of them."""
    return coarse(u, u.shape[2] // BINS, 1)


def systems(file: TrajectoryFile) -> list[System]:
    """All γ of a set, and their species."""
    names = [name for name in file.parameters if name != SEED]
    u = dict(zip(file.fields, file.read().transpose(2, 0, 1, 3).astype(np.float64), strict=True))
    gammas = np.stack([file.parameters[name] for name in names], 1)
    ends = [name.removeprefix("density") for name in file.fields if name.startswith("density")]
    species = [end for end in ends if "temperature" not in end]
    every = []
    for gamma in np.unique(gammas, axis=0):
        rows = (gammas == gamma).all(1)
        label = ", ".join(f"{SYMBOLS[name]} = {value:g}" for name, value in zip(names, gamma, strict=True))
        for end in species:
            kinds = [f"{name}{end}" for name in ("density", "momentum", "density_temperature")]
            every.append(System(label, end.lstrip("_"), *(u[name][rows] for name in kinds)))
    return every


COLUMNS = (
    "system",
    "runs",
    "particles lost",
    "velocity in frame 0 (σ/τ)",
    "at the end (σ/τ)",
    "frames to 90 %",
    "at the walls / middle",
    "peak density / middle",
    "mean T",
    "signal / noise",
    "asymmetry: momentum, density",
    "noise ceiling at t = 1: momentum, density, both",
)


def system_table(every: Sequence[System]) -> str:
    """A row for each system."""
    return table(COLUMNS, [_row(system) for system in every])


def _row(system: System) -> tuple[str, ...]:
    both = (system.momentum, system.density)
    ceilings = [system.ceiling(u) for u in both] + [system.ceiling(*both)]
    return (
        f"{system.label}{', ' + system.species if system.species else ''}",
        str(len(system.momentum)),
        f"{lost:.0e}" if (lost := system.lost()) > ROUNDING else "0",
        f"{system.start():.2f}",
        f"{system.flow[:, -STEADY:].mean():.2f}",
        f"{system.transient():.0f}",
        f"{system.slip():.2f}",
        f"{system.layering():.2f}",
        f"{system.warmth():.2f}",
        f"{system.signal():.1f}",
        ", ".join(f"{system.asymmetry(u):.1f}" for u in both),
        " %, ".join(f"{100 * ceiling:.1f}" for ceiling in ceilings) + " %",
    )
