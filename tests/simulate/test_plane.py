"""A real run of waves in the plane, short: what is conserved, what flows at the start, and where the cells are."""

import math

import numpy as np
import pytest

from morlight.cli import main as cli
from morlight.data.particles import lammps_average
from morlight.data.trajectory_file import TrajectoryFile
from morlight.simulate import lammps

LENGTH, BINS, DENSITY, FRAMES = 20.0, 6, 0.2, 3
SHORT = f"--length {LENGTH:g} --bins {BINS} --atoms 600 --frames {FRAMES} --every 50 --waves 1 --amplitude 1"


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    path = tmp_path_factory.mktemp("plane") / "out.h5"
    cli.main(["simulate", "plane", "--density", str(DENSITY), *SHORT.split(), "-o", str(path)])
    file = TrajectoryFile.open(path)
    return file, dict(zip(file.fields, file.read()[0].transpose(1, 0, 2, 3), strict=True))


def test_file_is_a_periodic_square_in_the_units_of_the_fluid(plane):
    file, u = plane
    assert file.grid.points == (BINS, BINS)
    assert file.grid.boundaries == ("PERIODIC", "PERIODIC")
    assert file.grid.length == pytest.approx((LENGTH, LENGTH))
    assert file.times == pytest.approx(50 * lammps.TIMESTEP * np.arange(FRAMES + 1))
    assert sorted(u) == ["density", "energy", "momentum_x", "momentum_y"]


def test_atoms_and_momentum_are_conserved_and_energy_up_to_the_time_step(plane):
    _, u = plane
    assert u["density"].mean((1, 2)) == pytest.approx([DENSITY] * (FRAMES + 1), rel=1e-6)
    for name in ("momentum_x", "momentum_y"):
        assert np.ptp(u[name].mean((1, 2))) < 1e-6  # single precision
    energy = u["energy"].mean((1, 2))
    assert energy[0] / DENSITY == pytest.approx(3.0, abs=0.8)  # 3/2 T, attraction, and the flow
    assert np.ptp(energy) < 5e-3 * energy[0]  # the potential is cut off without a shift


def test_flow_is_in_the_waves_asked_for_along_both_axes(plane):
    _, u = plane
    flow = np.stack([u["momentum_x"], u["momentum_y"]])[:, 0] / DENSITY
    size = 2 * np.abs(np.fft.fft2(flow)) / BINS**2
    noise = math.sqrt(2 * 2.0 / 600)  # thermal velocity of a wave
    driven = [np.hypot(*size[:, p, q]) for p, q in ((0, 1), (1, 0), (1, 1))]
    assert min(driven) > 5 * noise  # 1 at the start, a part of which has decayed or turned into sound
    assert np.hypot(*size[:, 2, 0]) < 5 * noise


def test_first_axis_of_the_fields_is_x(plane):
    file, u = plane
    (profile,) = file.path.with_suffix(".runs").glob("*/profile.txt.gz")
    read = lammps_average.read(profile)
    cell = (LENGTH / BINS) ** 2 * 600 / (DENSITY * LENGTH**2)
    x = (np.arange(BINS) + 0.5) * LENGTH / BINS
    for row in read.values[0]:
        i, j = (int(np.abs(x - row[read.columns.index(name)]).argmin()) for name in ("Coord1", "Coord2"))
        assert u["density"][0, i, j] == pytest.approx(row[read.columns.index("Ncount")] / cell, rel=1e-5)
