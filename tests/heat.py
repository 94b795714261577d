"""An operator and solutions of the heat equation on the same 16 points: files that fit together."""

import math
from pathlib import Path

import numpy as np
import small

from morlight.data import trajectory_writer
from morlight.operators import build

GRID = small.grid((16,))
DT = 0.01
OPTIONS = {
    "biases": ["conservation", "reflection"],
    "symbol": "dissipative",
    "width": 3,
    "depth": 3,
    "activation": "tanh",
}


def description(**more):
    """Of values between 0.1 and 2, with the root mean square 1.3."""
    return small.description([small.field(low=0.1, high=2.0, scale=1.3)], where=GRID, dt=DT, **more)


def checkpoint(path, data=None, modes=None, **options) -> Path:
    """A checkpoint of a freshly initialized operator, which does not know its losses."""
    data, options = data or description(), OPTIONS | options
    made = build.operator(small.config(**options), data)
    return small.mark(small.save(path, made, data, modes, **options), losses=None)


def wave(*lead):
    """1 + sin(x)/2 with some axes in front."""
    return np.broadcast_to(1 + 0.5 * np.sin(np.arange(16) * math.tau / 16), (*lead, 16))


def write(folder, **attributes) -> Path:
    """A trajectory file of two waves that decay as those of ∂ₜu = ∇²u."""
    x, times = np.arange(16) * math.tau / 16, np.arange(101) * DT
    u = 1 + 0.5 * np.exp(-times[:, None]) * np.sin(x) + 0.2 * np.exp(-9 * times[:, None]) * np.cos(3 * x)
    path = Path(folder) / "heat.h5"
    provenance = {"generator": "test"} | attributes
    trajectory_writer.write(
        path, name="heat", fields={"density": u[None]}, grid=GRID, times=times, provenance=provenance
    )
    return path
