"""Whole fits through Lightning, data loading, checkpoints and MLflow included: their time, and the framework's share.

The share is all of the command's time, after its imports, that is not spent in forward, backward and optimiser. Case C
is trained as in Table 3 on as many fields as 40 runs of molecular dynamics make, for 100 epochs; case B as in Table 2,
on a tenth of the sets.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.cases import CASES
from benchmarks.step import timer
from benchmarks.tracking import Watch
from morlight.cli import main as cli
from morlight.data import trajectory_file as trajectories
from morlight.simulate.walkers import Walkers, brownian
from morlight.training.gradient_module import OperatorModule

WORK = ((OperatorModule, "_windows_loss"), (OperatorModule, "_bending"), (torch.Tensor, "backward"))
CONFIGS = {
    "B": """
data: {batch: 100}
model:
  biases: [conservation, reflection]
  symbol: plain
  horizons: [1, 2, 3, 4]
  loss: points
  smoothness: 0
  lr: 0.001
trainer: {max_epochs: 4, accelerator: cpu}
""",
    "C": """
data: {fields: [density, momentum], parameters: [rho], batch: 100}
model:
  biases: {density: [conservation]}
  bases: {momentum: sine}
  symbol: plain
  terms: 2
  horizons: [1, 2, 3, 4]
  loss: points
  smoothness: 0
  lr: 0.001
trainer: {max_epochs: 100, accelerator: cpu}
""",
}


def channel(path: str, runs: int = 40, frames: int = 41) -> None:
    """Density and momentum that relax between walls, with noise: in size what the channels of Sec. 6 make."""
    rng = np.random.default_rng(0)
    N = CASES["C"].data["points"][0]
    x, t = (np.arange(N) + 0.5) / N, np.arange(frames)[:, None] / (frames - 1)
    rho = np.resize([0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0], runs)
    waves = rng.normal(size=(runs, 1, 1)) * np.exp(-3 * t) * np.cos(np.pi * x)
    density = rho[:, None, None] * (1 + 0.2 * waves + 0.02 * rng.normal(size=(runs, frames, N)))
    momentum = (1 - np.exp(-3 * t)) * np.sin(np.pi * x) * density + 0.01 * rng.normal(size=(runs, frames, N))
    trajectories.write(
        path,
        name="channel",
        fields={"density": density, "momentum": momentum},
        grid=trajectories.Grid((N,), (1.0,), ("WALL",)),
        times=t[:, 0],
        provenance={"generator": "benchmark"},
        parameters={"rho": rho},
    )


@contextlib.contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Time everything that is work and not framework."""
    from torch.optim import adam

    places = [*WORK, (adam, "adam")]
    kept = [getattr(owner, name) for owner, name in places]
    for (owner, name), method in zip(places, kept, strict=True):
        setattr(owner, name, watch.over(method))
    try:
        yield
    finally:
        for (owner, name), method in zip(places, kept, strict=True):
            setattr(owner, name, method)


def measure() -> Iterator[dict[str, Any]]:
    """Cases B and C, one realisation and twenty, in single precision as by default and in double."""
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            brownian("B.h5", Walkers(sets=10))
            channel("C.h5")
            fit("C", 1, "32-true")  # makes the store
            for name, precision in (("C", "64-true"), ("C", "32-true"), ("B", "32-true")):
                for realizations in (20, 1):
                    yield fit(name, realizations, precision)
        finally:
            os.chdir(here)


def fit(name: str, realizations: int, precision: str) -> dict[str, Any]:
    """One fit."""
    Path("config.yaml").write_text(CONFIGS[name])
    words = ["--model.realizations", str(realizations), "--trainer.precision", precision]
    clock = timer()
    watch, start = Watch(clock), clock()
    with watching(watch):
        cli.main(["fit", "--config", "config.yaml", "--data.path", f"{name}.h5", "--name", name, *words])
    whole = clock() - start
    return {
        "case": name,
        "value": whole,
        "unit": "s a fit",
        "realizations": realizations,
        "precision": int(precision[:2]),
        "framework_share": 1 - watch.seconds / whole,
        "threads": torch.get_num_threads(),
    }
