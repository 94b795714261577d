"""Steps a second of trained models against the molecular dynamics they replace, a Fourier neural operator, and DMD.

The Lennard-Jones channel is a small one, 500 atoms and 500 steps a frame where the paper's scale has 10 000: the
dynamics cost in proportion to atoms and steps, the model's step does not, so its lead here is the least it has. Times
are those of the processor.
"""

import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

import morlight
from benchmarks.data import installed
from benchmarks.step import best
from morlight.analysis.model import Model
from morlight.data.trajectory_file import TrajectoryFile
from morlight.simulate import lammps
from morlight.simulate.walkers import Walkers, brownian
from morlight.training.fit import FitResult

RUNS, FRAMES, EVERY, ATOMS = 4, 20, 500, 500
STEPS = 200
COMMON: dict[str, Any] = {"trainer.accelerator": "cpu"}
CHANNEL: dict[str, Any] = {
    "name": "channel",
    "data.fields": ["density", "momentum"],
    "data.batch": 10,
    "data.validation": 0.0,
    "data.test": 0.0,
    "model.biases": {"density": ["conservation"]},
    "model.bases": {"momentum": "sine"},
    "model.terms": 2,
    "model.realizations": 5,
    "model.horizons": [1, 2, 3, 4],
    "model.loss": "points",
    "model.smoothness": 0,
    "trainer.max_epochs": 20,
}
LINE: dict[str, Any] = {
    "name": "line",
    "data.batch": 100,
    "model.biases": ["conservation", "reflection"],
    "model.realizations": 1,
    "model.optimizer": "moments",
    "model.horizons": [4],
    "model.smoothness": 1e-4,
    "trainer.max_epochs": 1,
}


def spent(work: Callable[[], object]) -> float:
    """Processor seconds of a call, its child processes included."""
    before = os.times()
    work()
    after = os.times()
    return sum(after[:4]) - sum(before[:4])


def fitted(settings: Mapping[str, Any], path: str) -> tuple[Model, float]:
    """The model of a fit, and what it took."""
    results: list[FitResult] = []
    seconds = spent(lambda: results.append(morlight.fit(path, {**COMMON, **settings})))
    model = results[0].model
    assert model is not None
    return model, seconds


def channel() -> Iterator[dict[str, Any]]:
    """The model of a channel against LAMMPS, and after how many runs it has paid for itself."""
    settings = {"every": EVERY, "average": 100, "atoms": ATOMS}
    ensemble = lammps.Ensemble(lammps.LJ, [(0.1,)], range(1, RUNS + 1), settings, frames=FRAMES, bins=20)
    data = spent(lambda: lammps.simulate("lj.h5", ensemble))
    model, training = fitted(CHANNEL, "lj.h5")
    u = TrajectoryFile.open("lj.h5").read(model.data.field_names, slice(1), slice(1))[0, 0]
    one = best(lambda: model.predict(u, FRAMES, finite=False)) / 1e3
    run = data / RUNS
    yield {"case": "LAMMPS, a run", "value": FRAMES / run, "unit": "frames/s", "seconds": run}
    yield {
        "case": "morlight, 5 realizations",
        "value": FRAMES / one,
        "unit": "frames/s",
        "seconds": one,
        "over_lammps": run / one,
        "data_seconds": data,
        "training_seconds": training,
        "break_even_runs": (data + training) / (run - one),
    }


def line() -> Iterator[dict[str, Any]]:
    """One field of walkers, 256 points, stepped on from the same start by three models."""
    brownian("line.h5", Walkers(sets=10, steps=400))
    model, seconds = fitted(LINE, "line.h5")
    fields = TrajectoryFile.open("line.h5").read(model.data.field_names, slice(10))[:, :, 0]
    ours = steps_a_second(lambda: model.predict(fields[0, 0], STEPS, every=STEPS))
    yield {"case": "morlight", "value": ours, "unit": "steps/s", "ours_over_it": 1.0, "training_seconds": seconds}
    there = installed("neuralop", "pydmd")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "neuralop" in there:
            value = neural_operator(fields[0, 0])
            yield {"case": "neuraloperator FNO", "value": value, "unit": "steps/s", "ours_over_it": ours / value}
        if "pydmd" in there:
            value, seconds = dynamic_modes(fields[0].astype(np.float64))
            result = {"case": "PyDMD", "value": value, "unit": "steps/s", "ours_over_it": ours / value}
            yield result | {"training_seconds": seconds}


def steps_a_second(roll: Callable[[], object]) -> float:
    """Of a roll-out of `STEPS` steps."""
    return STEPS / (best(roll) / 1e3)


def neural_operator(u: np.ndarray) -> float:
    """Steps a second of a Fourier neural operator with fresh weights."""
    from neuralop.models import FNO

    network = FNO(n_modes=(16,), in_channels=1, out_channels=1, hidden_channels=32, n_layers=4).eval()
    start = torch.from_numpy(u).float()[None, None]

    def roll() -> None:
        with torch.inference_mode():
            field = start
            for _ in range(STEPS):
                field = network(field)

    return steps_a_second(roll)


def dynamic_modes(frames: np.ndarray) -> tuple[float, float]:
    """Steps a second of dynamic mode decomposition, and seconds of its fit."""
    from pydmd import DMD

    made = DMD(svd_rank=40)
    begin = time.process_time()
    made.fit(frames.T)
    seconds = time.process_time() - begin

    def roll() -> None:
        u = frames[0]
        for _ in range(STEPS):
            u = made.predict(u).real

    return steps_a_second(roll), seconds


def measure() -> Iterator[dict[str, Any]]:
    """Channel and line."""
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield from channel()
            yield from line()
        finally:
            os.chdir(here)
