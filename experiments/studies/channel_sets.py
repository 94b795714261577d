"""Sets of driven channels: what is in them, in figures of every system, and a data card (Sec. 6).

    morlight simulate lj --grid paper --seeds 2 -o lj.h5
    python -m experiments.channel_sets lj.h5 lj

puts the file among the sets of the package under a name, with its card, and the figures into docs/.
"""

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from morlight.data import shipped as sets
from morlight.data import trajectory_file as trajectories

DOCS = Path("docs")
BINS = 20  # of the table: the paper's
SHOWN = (0, 1, 2, 5, 10, 40)  # frames drawn
STEADY = 5  # last frames, averaged
MASS = {"large": 10.0}  # of a particle, in that of the others; as the deck says


@dataclass(frozen=True, eq=False)
class System:
    """One γ and one species: fields of all seeds, and the numbers that tell whether they are what they should be.

    Attributes:
        label: γ in words.
        species: its name; empty where there is one.
        density, momentum, heat: number density, momentum density, density × temperature.
        noise: standard error of the momentum in a frame and bin, from the blocks of the average.
    """

    label: str
    species: str
    density: Float[np.ndarray, "S T N"]
    momentum: Float[np.ndarray, "S T N"]
    heat: Float[np.ndarray, "S T N"]
    noise: Float[np.ndarray, "S T N"]

    @property
    def mass(self) -> float:
        """Of one particle."""
        return MASS.get(self.species, 1.0)

    @property
    def velocity(self) -> Float[np.ndarray, "T n"]:
        """Mean velocity along the channel; nan where there was nobody."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return _coarse(self.momentum).sum(0) / (self.mass * _coarse(self.density).sum(0))

    @property
    def temperature(self) -> Float[np.ndarray, "T n"]:
        """Of the two directions without flow."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return _coarse(self.heat).sum(0) / _coarse(self.density).sum(0)

    @cached_property
    def flow(self) -> Float[np.ndarray, "S T"]:
        """Velocity of all particles together."""
        return self.momentum.sum(2) / (self.mass * self.density.sum(2))

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
        momentum, density = (_coarse(u)[:, -STEADY:].sum((0, 1)) for u in (self.momentum, self.density))
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
        momentum = _coarse(self.momentum)[:, -STEADY:]
        return float(np.sqrt((momentum**2).mean()) / self.scatter())

    def scatter(self) -> float:
        """Of the momentum between the seeds, in one frame and bin, at the end; nan for one seed."""
        if len(self.momentum) < 2:
            return float("nan")
        return float(np.sqrt(_coarse(self.momentum)[:, -STEADY:].var(0, ddof=1).mean()))

    def blocks(self) -> float:
        """The same from the blocks of a frame's average, over what it is between the seeds: 1 where blocks forget."""
        noise = _coarse(self.noise, errors=True)[:, -STEADY:]
        return float(np.sqrt((noise**2).mean()) / self.scatter())

    def ceiling(self, u: Float[np.ndarray, "S T N"], frame: int) -> float:
        """Standard error of the ensemble's mean over its size, from two halves: ‖a − b‖ / ‖a + b‖."""
        if len(u) < 2:
            return float("nan")
        a, b = (_coarse(half)[:, frame].mean(0) for half in (u[::2], u[1::2]))
        return float(np.linalg.norm(a - b) / np.linalg.norm(a + b))


def _coarse(u: Float[np.ndarray, "S T N"], *, errors: bool = False) -> Float[np.ndarray, "S T n"]:
    """Means over neighbouring bins, `BINS` of them; of standard errors, that of the mean."""
    factor = u.shape[2] // BINS
    return np.sqrt(trajectories.coarse(u**2, factor, 1) / factor) if errors else trajectories.coarse(u, factor, 1)


def systems(held: trajectories.Trajectories) -> list[System]:
    """All γ of a set, and their species."""
    names = [name for name in held.parameters if name != "seed"]
    u = dict(zip(held.fields, held.read().transpose(2, 0, 1, 3).astype(np.float64), strict=True))
    gammas = np.stack([held.parameters[name] for name in names], 1)
    ends = [name.removeprefix("density") for name in held.fields if name.startswith("density")]
    species = [end for end in ends if "error" not in end and "temperature" not in end]
    found = []
    for gamma in np.unique(gammas, axis=0):
        rows = (gammas == gamma).all(1)
        label = ", ".join(f"{_symbol(name)} = {value:g}" for name, value in zip(names, gamma, strict=True))
        for end in species:
            words = [f"{name}{end}" for name in ("density", "momentum", "density_temperature")]
            fields = [u[word][rows] for word in (*words, f"momentum{end}_error")]
            found.append(System(label, end.lstrip("_"), *fields))
    return found


def _symbol(name: str) -> str:
    return {"density": "ρ*", "concentration": "c", "radius": "d"}[name]


COLUMNS = (
    "system",
    "particles lost",
    "velocity at rest",
    "at the end (σ/τ)",
    "frames to 90 %",
    "at the walls / middle",
    "peak density / middle",
    "mean T",
    "signal / noise",
    "noise of blocks / of seeds",
    "noise ceiling at t = 1: momentum, density",
)


def table(found: Sequence[System]) -> str:
    """A row for each system."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for one in found:
        cells = (
            f"{one.label}{', ' + one.species if one.species else ''}",
            f"{one.lost():.0e}",
            f"{one.start():.2f}",
            f"{one.flow[:, -STEADY:].mean():.2f}",
            f"{one.transient():.0f}",
            f"{one.slip():.2f}",
            f"{one.layering():.2f}",
            f"{one.warmth():.2f}",
            f"{one.signal():.1f}",
            f"{one.blocks():.2f}",
            " %, ".join(f"{100 * one.ceiling(u, -1):.1f}" for u in (one.momentum, one.density)) + " %",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def profiles(found: Sequence[System], path: Path) -> None:
    """Density over its mean, velocity and temperature across the channel, a column for each system."""
    figure = Figure((2.1 * len(found) + 0.8, 6), layout="constrained")
    axes = figure.subplots(3, len(found), sharex=True, squeeze=False)
    for column, one in zip(axes.T, found, strict=True):
        column[0].set_title(one.label)
        rows = one.density.mean(0) / one.density.mean(), one.velocity, one.temperature
        for panel, values in zip(column, rows, strict=True):
            _over_time(panel, values)
        column[2].set_xlabel("x / width")
        column[2].set_ylim(0, 1.5 * np.nanmedian(rows[2]))
    for panel, label in zip(axes[:, 0], ("density / mean", "velocity (σ/τ)", "temperature (ε)"), strict=True):
        panel.set_ylabel(label)
    axes[0, 0].legend(title="frame", fontsize="x-small", ncols=2)
    figure.savefig(path, dpi=90)


def maps(found: Sequence[System], path: Path, *, columns: int = 5) -> None:
    """Density over its mean (dashed, at the end) and momentum density over time, a panel for each system."""
    figure = Figure((2.6 * columns, 2.1 * -(-len(found) // columns)), layout="constrained")
    axes = figure.subplots(-(-len(found) // columns), columns, sharex=True, squeeze=False)
    for panel, one in zip(axes.flat, found, strict=True):
        panel.set_title(one.label, fontsize="small")
        _over_time(panel, _coarse(one.momentum).mean(0))
        twin = panel.twinx()
        density = _coarse(one.density)[:, -STEADY:].mean((0, 1))
        twin.plot(_centres(BINS), density / density.mean(), "--", color="tab:red", lw=1)
        twin.set_ylim(0, 2.5)
        twin.tick_params(labelsize="x-small", colors="tab:red")
        panel.tick_params(labelsize="x-small")
    for panel in axes[-1]:
        panel.set_xlabel("x / width")
    for panel in axes[:, 0]:
        panel.set_ylabel("momentum density\n(m/σ²τ)", fontsize="small")
    for panel in axes[:, -1]:
        panel.annotate("density / mean", (1.22, 0.5), xycoords="axes fraction", rotation=90, va="center",
                       fontsize="small", color="tab:red")  # fmt: skip
    axes[0, 0].legend(title="frame", fontsize="xx-small", title_fontsize="xx-small", ncols=2)
    figure.savefig(path, dpi=90)


def _centres(bins: int) -> Float[np.ndarray, " N"]:
    return (np.arange(bins) + 0.5) / bins


def _over_time(panel: Axes, values: Float[np.ndarray, "T N"]) -> None:
    shown = [frame for frame in SHOWN if frame < len(values)]
    colors = mpl.colormaps["viridis"](np.linspace(0, 0.9, len(shown)))
    for frame, color in zip(shown, colors, strict=True):
        panel.plot(_centres(values.shape[1]), values[frame], color=color, lw=1, label=str(frame))


def card(name: str, held: trajectories.Trajectories, found: Sequence[System]) -> str:
    """What a set holds, how it was made, what it costs, and its table."""
    told = held.attributes
    settings: dict[str, Any] = told["generator_parameters"]
    seeds = len(set(held.parameters["seed"]))
    flags = " ".join(f"--{key} {value}" for key, value in settings.items() if key not in ("frames", "bins"))
    gammas = [name for name in held.parameters if name != "seed"]
    values = {key: sorted(set(held.parameters[key].tolist())) for key in gammas}
    whole = len(found) > 1 + ("radius" in gammas)
    which = "--grid paper" if whole else " ".join(f"--{key} {value[0]:g}" for key, value in values.items())
    system = str(told["generator"]).split()[-1]
    hours = sum(told["core_seconds"]) / 3600
    width = f"{told['unit_length']:g} σ" if "unit_length" in told else "that of the lattice, in geometry.txt of the run"
    return f"""# {name}

{held.trajectories} runs of LAMMPS ({told["lammps_version"]}), {seeds} seeds of each system.
{len(held.times)} frames, frame 0 at rest, each the average of 1000 time steps, 10 000 steps apart;
{held.grid.points[0]} cells across the channel, walls excluded.
Length is in widths ({width}), time in {told["unit_time"]:g} τ.
Fields are in Lennard-Jones units: number density (1/σ³), momentum density along the flow (m/σ²τ), and number density
times the temperature of the two directions without flow (ε/σ³). NAME_error is the standard error of a frame's mean,
from the ten blocks that it is the mean of.

- Parameters: {"; ".join(f"{key}: {', '.join(f'{v:g}' for v in vs)}" for key, vs in values.items())}; and the seed.
- Made in {hours:.1f} hours of a core by `morlight simulate {system} {which} {flags} --seeds {seeds} -o {name}.h5`,
  this card by `python -m experiments.channel_sets {name}.h5 {name}`.
- The input of LAMMPS stands in the attribute `deck` of the file.
- On the walls densities have no slope (cosine), momenta vanish (sine) as far as there is no slip.

{table(found)}

*Velocity at rest*: mean of all particles in frame 0, of the seed where it is largest. *At the walls / middle*: velocity
in the outermost of {BINS} cells over that of the middle half, in the last {STEADY} frames; near 1 the fluid slips,
nan where none of the species was there.
*Signal / noise*: momentum over its scatter between the seeds, one frame, one of {BINS} cells, one seed. *Noise of
blocks / of seeds*: below 1 where neighbouring blocks still see the same particles in the same place, so that NAME_error
is too small. *Noise ceiling*: standard error of the mean over the seeds, from two halves a and b of them,
‖a − b‖ / ‖a + b‖ over {BINS} cells.
"""


def main(words: Sequence[str] | None = None) -> None:
    """Adopt a file as a set."""
    parser = argparse.ArgumentParser(prog="python -m experiments.channel_sets", description=__doc__.split("\n")[0])
    parser.add_argument("file", help="that `morlight simulate lj` or `colloid` wrote")
    parser.add_argument("name", help="of the set")
    options = parser.parse_args(words)
    held = trajectories.describe(options.file)
    found = systems(held)
    sets.FOLDER.mkdir(exist_ok=True)
    (sets.FOLDER / f"{options.name}.md").write_text(card(options.name, held, found), encoding="utf-8")
    shutil.copyfile(held.path, sets.FOLDER / f"{options.name}.h5")
    if found[0].species:
        for species in dict.fromkeys(one.species for one in found):
            maps([one for one in found if one.species == species], DOCS / f"channel_{options.name}_{species}.png")
    else:
        profiles(found, DOCS / f"channel_{options.name}.png")
    print(table(found))


if __name__ == "__main__":
    main()
