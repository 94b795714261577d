"""Deposits against other histograms, streaming against memory, and reading of LAMMPS text against other readers.

Needs the optional `bench` and `md` packages; what is not installed is left out, and said.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fast_histogram
import numpy as np
import torch

from benchmarks.step import best
from morlight.data.particles import formats as particles
from morlight.data.particles.kernels import cloud, histogram, spectral
from morlight.data.streaming import FileFrames, PoolLoader
from morlight.data.trajectory_file import TrajectoryFile
from morlight.data.trajectory_writer import write
from morlight.data.windows import BatchLoader, MemoryFrames, Windows
from morlight.operators.description import Grid

PARTICLES, CELLS = 1_000_000, 256
ATOMS, FRAMES = 20_000, 20
MB = 1e6
Named = tuple[str, Callable[[], object]]


def installed(*names: str) -> set[str]:
    """Those that are there; the others are named on standard error."""
    found = {name for name in names if importlib.util.find_spec(name)}
    for name in sorted(set(names) - found):
        print(f"{name} is not installed: pip install 'morlight[bench,md]'", file=sys.stderr)
    return found


def deposits() -> Iterator[dict[str, Any]]:
    """A million particles into 256 cells of a line; fast-histogram is what ours calls."""
    x = np.random.default_rng(0).uniform(0, 2 * np.pi, PARTICLES)
    positions = torch.from_numpy(x)[None]
    L = 2 * np.pi
    works: list[Named] = [
        ("morlight histogram", lambda: histogram(positions, (CELLS,), (L,))),
        ("morlight linear", lambda: cloud(positions, (CELLS,), (L,))),
        ("morlight Fourier", lambda: spectral(positions, (CELLS,), (L,))),
        ("fast-histogram", lambda: fast_histogram.histogram1d(x, CELLS, (0, L))),
        ("numpy.histogram", lambda: np.histogram(x, CELLS, (0, L))),
        ("numpy.bincount", lambda: np.bincount((x * (CELLS / L)).astype(np.intp), minlength=CELLS)),
    ]
    if "boost_histogram" in installed("boost_histogram"):
        import boost_histogram

        axis = boost_histogram.axis.Regular(CELLS, 0, L)
        works.append(("boost-histogram", lambda: boost_histogram.Histogram(axis).fill(x)))
    yield from _rates("deposit", works, PARTICLES / 1e6, "million particles/s")


def windows(folder: str) -> Iterator[dict[str, Any]]:
    """One epoch of batches of windows, 20 trajectories of 1000 fields of 256 points."""
    path = Path(folder) / "windows.h5"
    u = np.random.default_rng(0).normal(size=(20, 1000, CELLS)).astype(np.float32)
    grid = Grid((CELLS,), (1.0,), ("PERIODIC",))
    times = np.arange(1000.0)
    write(path, name="noise", fields={"u": u}, grid=grid, times=times, provenance={"generator": "noise"})
    rows, gamma, offsets = torch.arange(20), torch.zeros(20, 0), (0, 4)
    whole = Windows(MemoryFrames(torch.from_numpy(u)[:, :, None]), rows, gamma)
    frames = FileFrames(TrajectoryFile.open(path), ("u",))
    parts = Windows(frames, rows, gamma)
    order = torch.randperm(whole.count(4), generator=torch.Generator().manual_seed(0))

    def memory() -> None:
        for _ in BatchLoader(whole, order, offsets, 100):
            pass

    def streamed() -> None:
        for _ in PoolLoader(parts, frames, offsets, 100, 2**23, seed=0):
            pass

    works: list[Named] = [("in memory", memory), ("streamed within 8 MiB", streamed)]
    yield from _rates("windows", works, whole.count(4) / 1e6, "million windows/s")


def write_dump(path: Path) -> None:
    """A dump of LAMMPS: positions and velocities of 20 000 atoms, 20 frames."""
    rng = np.random.default_rng(0)
    with open(path, "w", encoding="ascii") as file:
        for frame in range(FRAMES):
            file.write(f"ITEM: TIMESTEP\n{frame}\nITEM: NUMBER OF ATOMS\n{ATOMS}\n")
            file.write("ITEM: BOX BOUNDS pp pp pp\n" + "0.0 30.0\n" * 3 + "ITEM: ATOMS id type x y z vx vy vz\n")
            numbers = np.column_stack([np.arange(1, ATOMS + 1), np.ones(ATOMS), rng.uniform(0, 30, (ATOMS, 6))])
            np.savetxt(file, numbers, "%d %d %.6g %.6g %.6g %.6g %.6g %.6g")


def dumps(folder: str) -> Iterator[dict[str, Any]]:
    """All frames of a text dump, positions and velocities."""
    path = Path(folder) / "atoms.lammpstrj"
    write_dump(path)
    columns = ["x", "y", "z", "vx", "vy", "vz"]
    works: list[Named] = [("morlight", lambda: sum(len(frame) for frame in particles.frames(path, columns)))]
    there = installed("MDAnalysis", "ase")
    if "MDAnalysis" in there:
        import MDAnalysis

        def universe() -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for step in MDAnalysis.Universe(str(path), format="LAMMPSDUMP").trajectory:
                    _ = step.positions.sum()

        works.append(("MDAnalysis (positions only)", universe))
    if "ase" in there:
        import ase.io

        works.append(("ase", lambda: ase.io.read(path, index=":", format="lammps-dump-text")))
    rates = list(_rates("LAMMPS text", works, os.path.getsize(path) / MB, "MB/s"))
    yield from rates
    if shutil.which("lmp", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") is not None:
        value = os.path.getsize(path) / MB / native(path, folder)
        yield {
            "case": "LAMMPS text, LAMMPS read_dump",
            "value": value,
            "unit": "MB/s",
            "ours_over_it": rates[0]["value"] / value,
        }


def native(path: Path, folder: str) -> float:
    """Seconds of processor time in which LAMMPS itself reads all frames: a run with them less one with the first."""
    first = (
        "units lj\natom_style atomic\nregion all block 0 30 0 30 0 30\ncreate_box 1 all\nmass 1 1.0\n"
        f"pair_style zero 1.0\npair_coeff * *\nread_dump {path} 0 x y z vx vy vz box yes add yes\n"
    )
    others = "".join(f"read_dump {path} {frame} x y z vx vy vz box yes replace yes\n" for frame in range(1, FRAMES))
    program = shutil.which("lmp", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    taken = []
    for text in (first, first + others):
        deck = Path(folder) / "read.in"
        deck.write_text(text)
        begin = os.times()
        subprocess.run(
            [str(program), "-in", str(deck), "-log", "none"], cwd=folder, check=True, stdout=subprocess.DEVNULL
        )
        end = os.times()
        taken.append(end.children_user + end.children_system - begin.children_user - begin.children_system)
    return (taken[1] - taken[0]) * FRAMES / (FRAMES - 1)


def _rates(title: str, works: list[Named], amount: float, unit: str) -> Iterator[dict[str, Any]]:
    """Amounts a second, and ours over each."""
    ours = None
    for name, work in works:
        value = amount / (best(work, 0.5) / 1e3)
        ours = ours or value
        yield {"case": f"{title}, {name}", "value": value, "unit": unit, "ours_over_it": ours / value}


def measure() -> Iterator[dict[str, Any]]:
    """Deposits, windows, dumps."""
    yield from deposits()
    with tempfile.TemporaryDirectory() as folder:
        yield from windows(folder)
        yield from dumps(folder)
