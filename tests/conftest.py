"""What several test files share: operators with every parameter redrawn, and a small file of walkers."""

import os
import signal
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two processes of two threads each on two cores wait for each other

import numpy as np
import pytest
import torch

from morlight.data import trajectory_file as trajectories
from morlight.operators import SpectralOperator, build

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs, and theirs, start without Ctrl-C

MODEL = {
    "biases": [],
    "symbol": "plain",
    "width": 4,
    "depth": 3,
    "activation": "elu",
    "realizations": 2,
    "seed": 0,
    "literal": False,
}


@pytest.fixture
def make_operator():
    """Operator with the words given; fresh networks have zero offsets, so every parameter is redrawn."""

    def make(points=(32,), seed=0, scale=1.7, **words) -> SpectralOperator:
        data = {
            "fields": ["density"],
            "points": list(points),
            "length": [2 * np.pi] * len(points),
            "boundaries": ["PERIODIC"] * len(points),
            "scale": [scale],
            "low": [-2.0],
            "high": [3.0],
        }
        operator = build.operator(MODEL | words, data).double()
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in operator.parameters():
                parameter.uniform_(-0.5, 0.5, generator=generator)
        return operator

    return make


@pytest.fixture(scope="session")
def heat_file(tmp_path_factory) -> Path:
    """Noisy solutions of the heat equation, 6 trajectories of 31 frames on 32 points; made in a blink."""
    path = tmp_path_factory.mktemp("data") / "heat.h5"
    rng = np.random.default_rng(3)
    grid = trajectories.Grid((32,), (2 * np.pi,), ("PERIODIC",))
    times = np.arange(31) * 0.01
    kappa = np.arange(17)
    start = rng.normal(size=(6, 17)) + 1j * rng.normal(size=(6, 17))
    start[:, 0], start[:, 8:] = 32, 0
    decay = np.exp(-np.square(kappa) * times[:, None])
    u = np.fft.irfft(start[:, None] * decay, n=32) + 1e-3 * rng.normal(size=(6, 31, 32))
    trajectories.write(path, name="heat", fields={"density": u.astype(np.float32)}, grid=grid, times=times,
                       provenance={"generator": "test"})  # fmt: skip
    return path
