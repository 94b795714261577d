"""Sets of driven channels: what is in them, in figures of every system, and a data card (Sec. 6).

    morlight simulate lj --grid paper --atoms 1000 --seeds 2 -o lj.h5
    morlight simulate lj --density 0.02 --atoms 1000 --seed 3 --seeds 14 -o more.h5
    python -m experiments.studies.channel_sets lj.h5 more.h5 lj

puts the runs of all files among the sets of the package under a name, with its card, and the figures into docs/figures.
A file may be a set of the package, to which runs are added.
"""

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.support.channel_systems import BINS, STEADY, System, on_bins, system_table, systems
from experiments.support.joined_runs import joined
from experiments.support.results import FIGURES
from morlight.data import shipped
from morlight.data.ensembles import SEED
from morlight.data.trajectory_file import TrajectoryFile

SHOWN = (0, 1, 2, 5, 10, 40)  # frames drawn
LATTICE = "9.5 √2 (2d + 1.5) + 2d + 3 in σ, also in geometry.txt of each run"  # width of colloid.in


def profiles(every: Sequence[System], path: Path) -> None:
    """Density over its mean, velocity and temperature across the channel, a column for each system."""
    figure = Figure((2.1 * len(every) + 0.8, 6), layout="constrained")
    axes = figure.subplots(3, len(every), sharex=True, squeeze=False)
    for column, system in zip(axes.T, every, strict=True):
        column[0].set_title(system.label)
        rows = system.density.mean(0) / system.density.mean(), system.velocity, system.temperature
        for panel, values in zip(column, rows, strict=True):
            _over_time(panel, values)
        column[2].set_xlabel("x / width")
        column[2].set_ylim(*(np.nanmedian(rows[2]) * np.array([0.75, 1.25])))
    for panel, label in zip(axes[:, 0], ("density / mean", "velocity (σ/τ)", "temperature (ε)"), strict=True):
        panel.set_ylabel(label)
    _legend(figure, axes[0, 0])
    figure.savefig(path, dpi=90)


def maps(every: Sequence[System], path: Path, *, columns: int = 5) -> None:
    """Density over its mean (dashed, at the end) and momentum density over time, a panel for each system."""
    figure = Figure((2.6 * columns, 2.1 * -(-len(every) // columns)), layout="constrained")
    axes = figure.subplots(-(-len(every) // columns), columns, sharex=True, squeeze=False)
    for panel, system in zip(axes.flat, every, strict=True):
        panel.set_title(system.label, fontsize="small")
        _over_time(panel, on_bins(system.momentum).mean(0))
        twin = panel.twinx()
        density = on_bins(system.density)[:, -STEADY:].mean((0, 1))
        twin.plot(_centers(BINS), density / density.mean(), "--", color="tab:red", lw=1)
        twin.set_ylim(0, 2.5)
        twin.tick_params(labelsize="x-small", colors="tab:red")
        panel.tick_params(labelsize="x-small")
    for panel in axes[-1]:
        panel.set_xlabel("x / width")
    for panel in axes[:, 0]:
        panel.set_ylabel("momentum density\n(m/σ²τ)", fontsize="small")
    for panel in axes[:, -1]:
        panel.annotate("density / mean\n(cut off at 2.5)", (1.22, 0.5), xycoords="axes fraction", rotation=90,
                       va="center", ha="left", fontsize="small", color="tab:red")  # fmt: skip
    _legend(figure, axes[0, 0])
    figure.savefig(path, dpi=90)


def _centers(bins: int) -> Float[np.ndarray, " N"]:
    return (np.arange(bins) + 0.5) / bins


def _legend(figure: Figure, panel: Axes) -> None:
    """Of the frames, above all panels."""
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, [f"frame {label}" for label in labels], loc="outside upper center", ncols=len(labels))


def _over_time(panel: Axes, values: Float[np.ndarray, "T N"]) -> None:
    shown = [frame for frame in SHOWN if frame < len(values)]
    colors = mpl.colormaps["viridis"](np.linspace(0, 0.9, len(shown)))
    for frame, color in zip(shown, colors, strict=True):
        panel.plot(_centers(values.shape[1]), values[frame], color=color, lw=1, label=str(frame))


def card(name: str, file: TrajectoryFile, every: Sequence[System]) -> str:
    """What a set holds, how it was made, what it costs, and its table."""
    attributes = file.attributes
    counts = sorted(len(system.momentum) for system in every)
    hours = sum(attributes["core_seconds"]) / 3600
    values = "; ".join(f"{key}: {', '.join(f'{v:g}' for v in vs)}" for key, vs in _gammas(file).items())
    made = f"`{_command(file, every)} --seeds {counts[0]} -o {name}.h5`{_more(file, counts)}"
    width = f"{attributes['unit_length']:g} σ" if "unit_length" in attributes else LATTICE
    return f"""# {name}

{file.trajectories} runs of LAMMPS ({attributes["lammps_version"]}), {_span(counts)} seeds of each system.
{len(file.times)} frames, frame 0 at rest, each the average of 1000 time steps, 10 000 steps apart;
{file.grid.points[0]} cells across the channel, walls excluded.
Length is in widths ({width}), time in {attributes["unit_time"]:g} τ.
Fields are in Lennard-Jones units: number density (1/σ³), momentum density along the flow (m/σ²τ), and number density
times the temperature of the two directions without flow (ε/σ³). All are even in the mirror x → 1 − x
(`data.mirror: true`).

- Parameters: {values}; and the seed.
- Made in {hours:.1f} core hours by {made};
  this card by `python -m experiments.studies.channel_sets FILE … {name}`.
- The attribute `deck` of the file is the input of LAMMPS.
- At the walls, densities have zero slope (cosine), and momenta vanish (sine) if there is no slip.

{system_table(every)}

*Velocity in frame 0*, *at the end*: mean of all particles, in frame 0 of the seed where it is largest, and in the last
{STEADY} frames. *At the walls / middle*: velocity in the outermost of {BINS} cells over that of the middle half, in the
last {STEADY} frames; 1 is perfect slip, and nan means that the cell is empty.
*Signal / noise*: momentum over its scatter between the seeds, one frame, one of {BINS} cells, one seed. *Asymmetry*:
squared mean over the runs of the difference between a field and its mirror image, in units of that of noise, which
is 1 on average. *Noise ceiling*: standard error of the mean of the runs and their mirror images over its size, one
frame, {BINS} cells, from the scatter between the seeds in the last {STEADY} frames; both: root mean square.
"""


def _span(counts: Sequence[int]) -> str:
    return f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"


def _more(file: TrajectoryFile, counts: Sequence[int]) -> str:
    """The command that added seeds to some of the systems."""
    if counts[0] == counts[-1]:
        return ""
    flags = " ".join(f"--{key} {key.upper()}" for key in _gammas(file))
    deck = str(file.attributes["generator"]).split()[-1]
    command = f"morlight simulate {deck} {flags} {_settings(file)} --seed {counts[0] + 1} --seeds … -o FILE"
    return f" and, for further seeds,\n  `{command}`"


def _gammas(file: TrajectoryFile) -> dict[str, list[float]]:
    """Values of each parameter."""
    return {key: sorted(set(column.tolist())) for key, column in file.parameters.items() if key != SEED}


def _command(file: TrajectoryFile, every: Sequence[System]) -> str:
    """The command that made the runs, without seeds and output."""
    values = _gammas(file)
    whole = len(every) > 1 + ("radius" in values)
    which = "--grid paper" if whole else " ".join(f"--{key} {value[0]:g}" for key, value in values.items())
    return f"morlight simulate {str(file.attributes['generator']).split()[-1]} {which} {_settings(file)}"


def _settings(file: TrajectoryFile) -> str:
    """Options with values of their own."""
    settings: dict[str, Any] = file.attributes["generator_parameters"]
    return " ".join(f"--{key} {value}" for key, value in settings.items() if key not in ("frames", "bins"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Adopt a file as a set."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+", help="that `morlight simulate lj` or `colloid` wrote, or sets")
    parser.add_argument("name", help="of the set")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        file = joined(options.files, Path(folder) / f"{options.name}.h5")
        every = systems(file)
        (shipped.FOLDER / f"{options.name}.md").write_text(card(options.name, file, every), encoding="utf-8")
        shutil.copyfile(file.path, shipped.FOLDER / f"{options.name}.h5")
    drawn = [system.with_images() for system in every]
    if every[0].species:
        for species in dict.fromkeys(system.species for system in every):
            shown = [system for system in drawn if system.species == species]
            maps(shown, FIGURES / f"channel_{options.name}_{species}.png")
    else:
        profiles(drawn, FIGURES / f"channel_{options.name}.png")
    print(system_table(every))


if __name__ == "__main__":
    main()
