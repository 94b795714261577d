"""Noise of the frames of driven channels: what mirror images save, and what longer averages would save.

    python -m experiments.studies.channel_noise FOLDER

prints the tables of docs/channels.md. Mirror images are measured in the set `lj`. For the averages, LAMMPS carries out
the runs that are missing in the folder: one at each of three densities, with all 10 000 steps of a frame averaged.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from experiments.support.channel_systems import System, on_bins, systems
from experiments.support.tables import table
from morlight.data import mirror
from morlight.data.trajectory_file import TrajectoryFile
from morlight.simulate import lammps

DENSITIES = (0.02, 0.1, 0.2)
SEED, ATOMS, EVERY, BLOCKS = 21, 1000, 10_000, 10  # of the long averages; 1000 atoms as in the set
FRAMES = 30
SETTLED = 15  # last frames, in which the flow is steady
COUNTS = (1, 2, 5, 10)  # blocks that are averaged


def mirror_table(every: Sequence[System]) -> str:
    """Noise of one run, and of one run averaged with its mirror image."""
    head = ["system", "runs", "density", "with its image", "momentum", "with its image", "variance before / after"]
    return table(head, map(_mirror_row, every))


def _mirror_row(system: System) -> tuple[str, ...]:
    cells, gains = [], []
    for u in (system.density, system.momentum):
        runs = on_bins(u)[:, -SETTLED:]
        image = mirror.symmetric(runs[:, :, None], [1])[:, :, 0]
        plain, mirrored = (np.sqrt(each.var(0, ddof=1).sum() / np.square(runs.mean(0)).sum()) for each in (runs, image))
        cells += [f"{100 * plain:.1f} %", f"{100 * mirrored:.1f} %"]
        gains.append((plain / mirrored) ** 2)
    return (system.label, str(len(system.momentum)), *cells, " and ".join(f"{gain:.2f}" for gain in gains))


def average_table(folder: Path) -> str:
    """Variance of a frame over the number of averaged steps, relative to that of 1000 steps."""
    head = ["ρ*", "field", *(f"{count * EVERY // BLOCKS} steps" for count in COUNTS), "correlation of frames"]
    return table(head, [row for density in DENSITIES for row in _average_rows(folder, density)])


def _average_rows(folder: Path, density: float) -> Iterator[tuple[str, ...]]:
    settings = {"atoms": ATOMS, "average": EVERY}
    ensemble = lammps.Ensemble(lammps.LJ, [(density,)], (SEED,), settings, frames=FRAMES)
    lammps.simulate(folder / f"long_{density:g}.h5", ensemble, folder / "runs_long", overwrite=True)
    run = lammps.Run(ensemble, (density,), SEED, folder / "runs_long")
    for name in ("density", "momentum"):
        blocks = on_bins(run.in_blocks()[name][-SETTLED:])
        variances = [_variance(blocks, count) for count in COUNTS]
        kept = [f"{value / variances[0]:.2f}" for value in variances]
        yield f"{density:g}", name, *kept, f"{_correlation(blocks.mean(1)):.2f}"


def _variance(blocks: Float[np.ndarray, "T b n"], count: int) -> float:
    """Of the mean of some neighboring blocks, over time."""
    frames, total, cells = blocks.shape
    means = blocks.reshape(frames * total // count, count, cells).mean(1)
    return float(means.var(0, ddof=1).sum())


def _correlation(frames: Float[np.ndarray, "T n"]) -> float:
    """Of the noise of neighboring frames."""
    noise = frames - frames.mean(0)
    return float((noise[1:] * noise[:-1]).sum() / np.square(noise).sum())


def main(words: Sequence[str] | None = None) -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the runs")
    options = parser.parse_args(words)
    print(mirror_table(systems(TrajectoryFile.open("lj"))), average_table(options.folder), sep="\n\n")


if __name__ == "__main__":
    main()
