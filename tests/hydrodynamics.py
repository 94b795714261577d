"""Exact waves of a viscous fluid in the plane, and an operator that makes exactly these."""

import math

import numpy as np
import scipy.linalg
import small
import torch

C, NU, GAMMA = 1.9, 2.5, 3.0  # speed of sound, kinematic viscosity, sound attenuation
LENGTH, DT, FIELDS = 40.0, 1.0, ("density", "momentum_x", "momentum_y")
VECTORS = {"vectors": [["momentum_x", "momentum_y"]], "biases": ["isotropy", "conservation"], "symbol": "plain"}


def generator(kappa):
    """Of density and momentum at one wave vector."""
    even = -NU * (kappa @ kappa) * np.eye(2) - (2 * GAMMA - NU) * np.outer(kappa, kappa)
    return np.block([[np.zeros((1, 1)), -1j * kappa[None]], [-1j * C**2 * kappa[:, None], even]])


def frames(points=9, steps=8, trajectories=4, noise=0.0, seed=0):
    """Density and momentum (R, T, 3, N, N) of random waves."""
    k = 2 * math.pi * np.fft.fftfreq(points, LENGTH / points)
    step = np.array([[scipy.linalg.expm(generator(np.array([p, q])) * DT) for q in k] for p in k])
    rng = np.random.default_rng(seed)
    waves = np.fft.fft2(
        rng.normal(size=(trajectories, 3, points, points)) * np.array([0.01, 0.02, 0.02])[:, None, None]
    )
    waves[:, :, 0, 0] = np.array([0.1, 0.0, 0.0]) * points**2
    found = []
    for _ in range(steps + 1):
        found.append(np.fft.ifft2(waves).real)
        waves = np.einsum("ijab,rbij->raij", step, waves)
    u = np.stack(found, 1)
    return u + noise * rng.normal(size=u.shape)


def description(u):
    """Of these fields."""
    points = u.shape[-1]
    sizes = [(name, u[:, :, place]) for place, name in enumerate(FIELDS)]
    fields = [
        small.field(
            name,
            float(values.min()),
            float(values.max()),
            float(np.sqrt((values**2).mean())),
            spread=float(values.std()),
        )
        for name, values in sizes
    ]
    return small.description(fields, where=small.grid((points, points), length=LENGTH), dt=DT)


class Known(torch.nn.Module):
    """The functions of |κ| of a linear model in place of networks."""

    def __init__(self, moduli, functions):
        super().__init__()
        self.moduli, self.functions = moduli, functions

    def forward(self, kappa, gamma):
        places = (kappa[0][:, None] - self.moduli[None]).abs().argmin(1)
        return self.functions[None, None, :, places]


class Unchanged(torch.nn.Module):
    """Pointwise functions that make h(u) = u."""

    def __init__(self, scalars):
        super().__init__()
        self.scalars = scalars

    def forward(self, invariants, gamma):
        scalars = invariants[:, :, : self.scalars]
        return torch.cat([scalars, torch.ones_like(scalars[:, :, :1])], 2)
