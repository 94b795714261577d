"""Channels of a made-up fluid, driven from rest, whose equation is known: data for tests that want no molecules."""

import itertools
from pathlib import Path

import numpy as np
from scipy.fft import idst

from morlight.data.trajectory_file import TrajectoryFile
from morlight.data.trajectory_writer import write as write_file
from morlight.operators.description import Grid

DENSITIES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def viscosity(density):
    """ν of the made-up fluid: thin fluids are at rest sooner, as gases are."""
    return 0.3 / np.sqrt(density)


def write(path, *, seeds=2, noise=0.02, bins=20, densities=DENSITIES, species=("",), frames=40) -> Path:  # noqa: PLR0913
    """∂ₜp = ν ∂ₓₓp + ρ f, solved mode by mode; ρ has layers at the walls and keeps its mean; T = 2.

    Noise of every value is a share of its field's size.
    """
    rng = np.random.default_rng(0)
    times = np.arange(frames + 1) / frames
    grid = Grid((bins,), (1.0,), ("WALL",))
    (x,) = grid.coordinates
    pairs = [(density, seed) for density in densities for seed in range(1, seeds + 1)]
    fields = {}
    for k, word in enumerate(species):
        rho = np.stack([np.broadcast_to(layers(density * (1 + k), x), (frames + 1, bins)) for density, _ in pairs])
        p = np.stack([density * (1 + k) * speed(density, times, bins) for density, _ in pairs])
        for name, u in (("density", rho), ("momentum", p), ("density_temperature", 2 * rho)):
            size = np.abs(u).max((1, 2), keepdims=True)
            label = f"{name}_{word}" if word else name
            fields[label] = (u + noise * size * rng.normal(size=u.shape)).astype(np.float32)
            fields[f"{label}_error"] = np.full_like(fields[label], noise) * size.astype(np.float32)
    parameters = {
        "density": np.array([density for density, _ in pairs]),
        "seed": np.array([float(seed) for _, seed in pairs]),
    }
    told = {"parameters": parameters, "provenance": {"mirror": dict.fromkeys(fields, "even")}}
    write_file(path, name="channel", fields=fields, grid=grid, times=times, **told)
    return Path(path)


def write_pairs(path, concentrations=(0.15, 0.2), radii=(2.5, 3.0)) -> Path:
    """Two species in two concentrations and two radii, which tell the fluid of `write` apart by their product."""
    c, d = (np.array(values) for values in zip(*itertools.product(concentrations, radii), strict=True))
    write(path, seeds=1, densities=tuple(c * d), species=("large", "small"), frames=12)
    held = TrajectoryFile.open(path)
    u = held.read()
    fields = {name: u[:, :, c] for c, name in enumerate(held.fields)}
    parameters = {"concentration": c, "radius": d, "seed": np.ones(4)}
    provenance = {"mirror": held.attributes["mirror"]}
    told = {"grid": held.grid, "times": held.times, "parameters": parameters, "provenance": provenance}
    write_file(path, name="pairs", fields=fields, **told, overwrite=True)
    return Path(path)


def layers(density, x):
    """A profile that is 10 % higher at the walls of a dense fluid, with mean ρ*."""
    excess = np.exp(-x / 0.1) + np.exp(-(1 - x) / 0.1)
    return density * (1 + 0.1 * density * (excess - excess.mean()))


def speed(density, times, bins):
    """v(t) = Σ_k f_k/(νκ²) (1 − exp(−νκ²t)) sin κx for a force of 1."""
    kappa = np.pi * np.arange(1, bins + 1)
    # orthogonal expansion of 1 in sines of odd k: 4/(πk)
    force = np.where(np.arange(1, bins + 1) % 2, 4 / kappa, 0.0)
    force[bins // 2 :] = 0
    rate = viscosity(density) * kappa**2
    modes = force / rate * (1 - np.exp(-rate * times[:, None]))
    weights = np.append(np.full(bins - 1, bins), 2 * bins)  # scipy's inverse has 1/N, and 1/2N for the last
    return idst(modes * weights, type=2, axis=1)
