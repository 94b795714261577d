"""Runs of the viscous Burgers equation with several viscosities, whose equation is known.

    ∂ₜu = ν ∂²ₓu − ½ ∂ₓu²

All runs start from the same smooth random field, and white noise is added to them. The unseen run of each viscosity
starts from another field and has no noise. Several draws of the noise show how much of an error is luck.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.equation_sets import frames, solution, waves
from experiments.support.replay import Replay, System
from morlight.data.ensembles import SEED
from morlight.data.trajectory_writer import write
from morlight.operators.bases import Fourier
from morlight.operators.description import Grid
from morlight.operators.library import Candidate, Partial

VISCOSITIES = (0.2, 0.36, 0.66, 1.2, 2.2, 4.0)  # ν, with equal ratios; shocks are as wide as a cell or wider
LENGTH, POINTS, TIME, FRAMES = 16.0, 64, 2.0, 41
WAVES = 2.0  # largest number of waves in the length at the start, roughly
NOISE = 0.2  # of the root mean square at the start, which is 1
SUBSTEPS = 40
SETTINGS: dict[str, Any] = {
    "data.parameters": ["nu"],
    "data.particles": None,
    "data.validation": 0,
    "data.test": 0,
    "model.degree": 2,
    "model.derivatives": 3,
    "model.realizations": 16,  # the estimate, and draws of the coefficients
    "trainer.max_epochs": 1,
}
EQUATION = [{Candidate(Partial((2,)), (1,), (1,)): 1.0, Candidate(Partial((1,)), (2,), (0,)): -0.5}]


def burgers_runs(path: Path, seed: int) -> None:
    """Write a noisy run (seed 1) and an unseen one (seed 2) of each viscosity.

    Args:
        path: trajectory file.
        seed: of the noise; the fields without it are always the same.
    """
    basis, times = Fourier(POINTS, LENGTH).double(), frames(TIME, FRAMES)
    starts = waves(basis, 2, WAVES, torch.Generator().manual_seed(0))
    nu = torch.tensor(VISCOSITIES, dtype=torch.float64).repeat_interleave(2)[:, None]
    u = solution(EQUATION, basis, starts.repeat(len(VISCOSITIES), 1, 1), times, SUBSTEPS, nu).clone()
    generator = torch.Generator().manual_seed(1 + seed)
    u[::2] += NOISE * torch.randn(u[::2].shape, generator=generator, dtype=torch.float64)
    write(
        path, name="burgers", fields={"u": u[:, :, 0].numpy()}, grid=Grid((POINTS,), (LENGTH,), ("PERIODIC",)),
        times=times.numpy(), provenance={}, overwrite=True,
        parameters={"nu": nu[:, 0].numpy(), SEED: np.tile([1.0, 2.0], len(VISCOSITIES))},
    )  # fmt: skip


def burgers_replays(folder: Path, draws: int) -> list[Replay]:
    """Replays of the runs with some draws of the noise, whose outcomes are kept in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    replays = []
    for draw in range(draws):
        path = folder / f"burgers_{draw}.h5"
        burgers_runs(path, draw)
        replays.append(Replay(System("own", str(path), SETTINGS), path.with_suffix(".jsonl")))
    return replays


def share_errors(replays: Sequence[Replay]) -> None:
    """Give each subset of runs the mean square error over the draws, of which those of one draw are a random part.

    A square error above 1, of an equation that is wrong, counts as 1.
    """
    for runs in replays[0].known:
        errors = np.mean([np.minimum(each.known[runs].errors, 1) for each in replays], 0)
        for each in replays:
            each.known[runs] = replace(each.known[runs], errors=tuple(errors.tolist()))
