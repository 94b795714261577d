"""Whole fits through Lightning, data loading, checkpoints and MLflow included: their time, and the framework's share.

The share is all of the command's time, after its imports, that is not spent in forward, backward and optimizer. The
report at the end (errors on held-out data, figures, the model for serving) costs the same however long the fit is.
Case C is trained as in Table 3 on as many fields as 40 runs of molecular dynamics make, for 100 epochs; case B as in
Table 2, on a tenth of the sets.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

import morlight
from benchmarks.cases import CASES
from benchmarks.step import timer
from benchmarks.tracking import Watch
from morlight.data.trajectory_writer import write
from morlight.operators.description import Grid
from morlight.operators.kernels.recorded_gradient import Replays
from morlight.simulate.walkers import Walkers, brownian
from morlight.training.callbacks.report import FinalReport
from morlight.training.gradient_module import GradientModule
from morlight.training.window_loss import WindowLoss

WORK = ((WindowLoss, "__call__"), (GradientModule, "_bending"), (Replays, "__call__"), (torch.Tensor, "backward"))
COMMON: dict[str, Any] = {
    "data.batch": 100,
    "model.symbol": "plain",
    "model.horizons": [1, 2, 3, 4],
    "model.loss": "points",
    "model.smoothness": 0,
    "model.lr": 0.001,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "B": {"model.biases": ["conservation", "reflection"], "trainer.max_epochs": 4},
    "C": {
        "data.fields": ["density", "momentum"],
        "data.parameters": ["rho"],
        "model.biases": {"density": ["conservation"]},
        "model.bases": {"momentum": "sine"},
        "model.terms": 2,
        "trainer.max_epochs": 100,
    },
}


def channel(path: str, runs: int = 40, frames: int = 41) -> None:
    """Density and momentum that relax between walls, with noise: in size what the channels of Sec. 6 make."""
    rng = np.random.default_rng(0)
    N = CASES["C"].data.grid.points[0]
    x, t = (np.arange(N) + 0.5) / N, np.arange(frames)[:, None] / (frames - 1)
    rho = np.resize([0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0], runs)
    waves = rng.normal(size=(runs, 1, 1)) * np.exp(-3 * t) * np.cos(np.pi * x)
    density = rho[:, None, None] * (1 + 0.2 * waves + 0.02 * rng.normal(size=(runs, frames, N)))
    momentum = (1 - np.exp(-3 * t)) * np.sin(np.pi * x) * density + 0.01 * rng.normal(size=(runs, frames, N))
    write(
        path,
        name="channel",
        fields={"density": density, "momentum": momentum},
        grid=Grid((N,), (1.0,), ("WALL",)),
        times=t[:, 0],
        provenance={"generator": "benchmark"},
        parameters={"rho": rho},
    )


@contextlib.contextmanager
def watching(watch: Watch, *places: tuple[Any, str]) -> Iterator[None]:
    """Time some methods."""
    kept = [getattr(owner, name) for owner, name in places]
    for (owner, name), method in zip(places, kept, strict=True):
        setattr(owner, name, watch.over(method))
    try:
        yield
    finally:
        for (owner, name), method in zip(places, kept, strict=True):
            setattr(owner, name, method)


def measure() -> Iterator[dict[str, Any]]:
    """Cases B and C, one realization and twenty, in single precision as by default and in double."""
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


def fit(name: str, realizations: int, precision: str, accelerator: str = "cpu") -> dict[str, Any]:
    """One fit."""
    from torch.optim import adam

    case = {
        "name": name,
        "model.realizations": realizations,
        "trainer.precision": precision,
        "trainer.accelerator": accelerator,
    }
    clock = timer()
    watch, report, start = Watch(clock), Watch(clock), clock()
    with watching(watch, *WORK, (adam, "adam")), watching(report, (FinalReport, "on_fit_end")):
        morlight.fit(f"{name}.h5", {**COMMON, **SETTINGS[name], **case})
    whole = clock() - start
    return {
        "case": name,
        "value": whole,
        "unit": "s a fit",
        "realizations": realizations,
        "precision": int(precision[:2]),
        "framework_share": 1 - watch.seconds / whole,
        "report_seconds": report.seconds,
        "threads": torch.get_num_threads(),
    }
