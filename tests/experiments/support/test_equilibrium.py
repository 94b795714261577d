"""Estimators of viscosity and diffusivity, on series and profiles whose coefficients are known."""

import math

import numpy as np
import pytest

from experiments.support import equilibrium
from experiments.support.poiseuille import FORCE, poiseuille
from experiments.support.shear import WIDTH
from morlight.data.trajectory_file import TrajectoryFile
from morlight.data.trajectory_writer import write
from morlight.operators.description import Grid


def test_images_in_a_cube_hold_a_particle_back_as_yeh_and_hummer_found():
    assert equilibrium.images((7.0, 7.0, 7.0)) == pytest.approx(-2.837297 / (6 * math.pi * 7.0), rel=1e-4)


KEPT, STEPS = 0.6, 800


def relaxing(series, seed):
    """Series of variance 1 with the autocorrelations `KEPT`ⁿ."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(STEPS, series))
    noise = math.sqrt(1 - KEPT**2) * x
    for step in range(1, STEPS):
        x[step] = KEPT * x[step - 1] + noise[step]
    return x


def test_viscosity_is_the_integral_of_the_correlations_of_the_stress(tmp_path):
    density, dt = 0.4, equilibrium.STRESS_STEPS * 0.005
    stress, normal = np.zeros((STEPS, 7)), relaxing(2, seed=0)
    stress[:, 4:] = relaxing(3, seed=1)  # xy, xz, yz
    trace = np.random.default_rng(2).normal(size=STEPS)  # which the viscosity does not see
    stress[:, 1] = trace + 2 / math.sqrt(3) * normal[:, 0]
    stress[:, 2] = trace - normal[:, 0] / math.sqrt(3) + normal[:, 1]
    stress[:, 3] = trace - normal[:, 0] / math.sqrt(3) - normal[:, 1]
    np.savetxt(tmp_path / "stress.txt", stress)
    found = equilibrium.viscosity(tmp_path, equilibrium.State(density))
    exact = equilibrium.ATOMS / density / equilibrium.State.temperature * dt * (0.5 + KEPT / (1 - KEPT))
    assert abs(found.value - exact) < 4 * found.error
    assert found.error < 0.15 * exact


def test_diffusivity_is_that_of_walkers_without_their_images(tmp_path):
    frames, D, dt = 100, 0.7, equilibrium.POSITION_STEPS * 0.005
    steps = np.random.default_rng(0).normal(scale=math.sqrt(2 * D * dt), size=(frames, equilibrium.ATOMS, 3))
    rows = np.cumsum(steps, 0)
    with open(tmp_path / "positions.txt", "w", encoding="utf-8") as file:
        for place in rows:
            file.write("ITEM: ATOMS xu yu zu\n")
            np.savetxt(file, place, fmt="%.4f")
    found = equilibrium.diffusivity(tmp_path, equilibrium.State(0.5), eta=1e9)  # so stiff that the images are at rest
    assert abs(found.value - D) < 4 * found.error
    assert found.error < 0.05 * D


def test_parabola_has_the_viscosity_and_slip_length_of_the_flow(tmp_path):
    x = (np.arange(40) + 0.5) / 40 * WIDTH
    density, eta, slip = 0.3, 0.8, 2.5
    flow = density * density * FORCE / (2 * eta) * (x * (WIDTH - x) + slip * WIDTH)
    fields = {"density": np.full((2, 6, 40), density), "momentum": np.tile(flow, (2, 6, 1))}
    where = {"grid": Grid((40,), (1.0,), ("WALL",)), "times": np.arange(6) / 5, "parameters": {}, "provenance": {}}
    write(tmp_path / "flow.h5", name="flow", fields=fields, **where)
    found, beyond = poiseuille(TrajectoryFile.open(tmp_path / "flow.h5"), [0, 1])
    assert found.value == pytest.approx(eta, rel=1e-6)
    assert beyond.value == pytest.approx(slip, rel=1e-4)
