"""Steps a second of trained models against the molecular dynamics they replace, a Fourier neural operator, and DMD.

The Lennard-Jones channel is a small one, 500 atoms and 500 steps a frame where the paper's scale has 10 000: the
dynamics cost in proportion to atoms and steps, the model's step does not, so its lead here is the least it has. Times
are those of the processor.
"""

import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.data import installed
from benchmarks.step import best
from morlight.analysis import model as prediction
from morlight.cli import main as cli
from morlight.data import trajectory_file as trajectories
from morlight.simulate.walkers import Walkers, brownian

RUNS, FRAMES, EVERY, ATOMS = 4, 20, 500, 500
STEPS = 200
CHANNEL = """
data: {fields: [density, momentum], batch: 10, validation: 0, test: 0}
model:
  biases: {density: [conservation]}
  bases: {momentum: sine}
  terms: 2
  realizations: 5
  horizons: [1, 2, 3, 4]
  loss: points
  smoothness: 0
trainer: {max_epochs: 20, accelerator: cpu}
"""
LINE = """
data: {batch: 100}
model: {biases: [conservation, reflection], realizations: 1, optimizer: moments, horizons: [4], smoothness: 1.0e-4}
trainer: {max_epochs: 1, accelerator: cpu}
"""


def spent(work: Callable[[], object]) -> float:
    """Processor seconds of a call, its child processes included."""
    before = os.times()
    work()
    after = os.times()
    return sum(after[:4]) - sum(before[:4])


def fitted(config: str, path: str, name: str) -> tuple[prediction.Model, float]:
    """The model of a fit, and what it took."""
    Path(f"{name}.yaml").write_text(config)
    seconds = spent(lambda: cli.main(["fit", "--config", f"{name}.yaml", "--data.path", path]))
    return prediction.load(next(Path("mlruns", "fits", name).glob("*/last.ckpt"))), seconds


def channel() -> Iterator[dict[str, Any]]:
    """The model of a channel against LAMMPS, and after how many runs it has paid for itself."""
    size = ["--frames", str(FRAMES), "--every", str(EVERY), "--average", "100", "--bins", "20", "--atoms", str(ATOMS)]
    words = ["simulate", "lj", "-o", "lj.h5", "--density", "0.1", "--seeds", str(RUNS), *size]
    data = spent(lambda: cli.main(words))
    model, training = fitted(CHANNEL, "lj.h5", "channel")
    u = trajectories.read("lj.h5", model.data["fields"], slice(1), slice(1))[0, 0]
    one = best(lambda: model.predict(u, FRAMES, finite=False)) / 1e3
    run = data / RUNS
    yield {"case": "LAMMPS, a run", "value": FRAMES / run, "unit": "frames/s", "seconds": run}
    yield {
        "case": "morlight, 5 realisations",
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
    model, seconds = fitted(LINE, "line.h5", "line")
    fields = trajectories.read("line.h5", model.data["fields"], slice(10))[:, :, 0]
    ours = STEPS / (best(lambda: model.predict(fields[0, 0], STEPS, every=STEPS)) / 1e3)
    yield {"case": "morlight", "value": ours, "unit": "steps/s", "ours_over_it": 1.0, "training_seconds": seconds}
    there = installed("neuralop", "pydmd")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "neuralop" in there:
            from neuralop.models import FNO

            network = FNO(n_modes=(16,), in_channels=1, out_channels=1, hidden_channels=32, n_layers=4).eval()
            start = torch.from_numpy(fields[0, 0]).float()[None, None]

            def roll() -> None:
                with torch.inference_mode():
                    u = start
                    for _ in range(STEPS):
                        u = network(u)

            value = STEPS / (best(roll) / 1e3)
            yield {"case": "neuraloperator FNO", "value": value, "unit": "steps/s", "ours_over_it": ours / value}
        if "pydmd" in there:
            from pydmd import DMD

            made = DMD(svd_rank=40)
            begin = time.process_time()
            made.fit(fields[0].T.astype(np.float64))
            taken = time.process_time() - begin

            def forward() -> None:
                u = fields[0, 0].astype(np.float64)
                for _ in range(STEPS):
                    u = made.predict(u).real

            value = STEPS / (best(forward) / 1e3)
            result = {"case": "PyDMD", "value": value, "unit": "steps/s", "ours_over_it": ours / value}
            yield result | {"training_seconds": taken}


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
