"""Viscosity and slip length of the steady profile between walls, v = f/(2ν) (b W + W²/4 − s²), s from the middle."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from experiments.support.equilibrium import Measured
from experiments.support.shear import WIDTH
from morlight.data.trajectory_file import TrajectoryFile

FORCE = 0.005  # as in the deck lj.in
STEADY, INNER = 5, 0.7  # last frames; share of the width, away from the layers at the walls


def poiseuille(file: TrajectoryFile, rows: Sequence[int]) -> tuple[Measured, Measured]:
    """η and b, means over some runs at one density, with their standard errors."""
    each = np.array([_parabola(file, row) for row in rows])
    errors = each.std(0, ddof=1) / math.sqrt(len(rows))
    return Measured(*map(float, (each[:, 0].mean(), errors[0]))), Measured(*map(float, (each[:, 1].mean(), errors[1])))


def _parabola(file: TrajectoryFile, row: int) -> tuple[float, float]:
    u = file.read(["density", "momentum"], slice(row, row + 1), slice(-STEADY, None))[0].mean(0)
    density, momentum = u
    s = ((np.arange(len(density)) + 0.5) / len(density) - 0.5) * WIDTH
    inner: Float[np.ndarray, " N"] = np.abs(s) < INNER / 2 * WIDTH
    curvature, _, middle = np.polyfit(s[inner], momentum[inner] / density[inner], 2, w=np.sqrt(density[inner]))
    zero = math.sqrt(-middle / curvature)  # distance of the zeros of the parabola from the middle
    eta = float(density[inner].mean()) * FORCE / (-2 * curvature)
    return eta, (zero**2 - WIDTH**2 / 4) / WIDTH
