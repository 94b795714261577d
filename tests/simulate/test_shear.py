"""Real runs of shear waves, short: what is conserved, what the flow is at the start, and how it decays."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from morlight.cli import main as cli
from morlight.data.particles import lammps_average
from morlight.data.trajectory_file import TrajectoryFile
from morlight.operators.description import Grid
from morlight.simulate import lammps

LENGTH, BINS, DENSITY, FRAMES = 20.0, 16, 0.5, 4
SHORT = f"--length {LENGTH:g} --bins {BINS} --atoms 1000 --frames {FRAMES} --every 100 --waves 2 --amplitude 1"


@pytest.fixture(scope="module")
def waves(tmp_path_factory):
    path = tmp_path_factory.mktemp("shear") / "out.h5"
    cli.main(["simulate", "shear", "--density", str(DENSITY), *SHORT.split(), "-o", str(path)])
    file = TrajectoryFile.open(path)
    return file, dict(zip(file.fields, file.read()[0].transpose(1, 0, 2), strict=True))


def amplitudes(u):
    """Amplitude of each wave in each frame."""
    return 2 * np.abs(np.fft.rfft(u, axis=1)) / u.shape[1]


def test_file_is_periodic_in_the_units_of_the_fluid(waves):
    file, _ = waves
    assert file.grid == Grid((BINS,), (LENGTH,), ("PERIODIC",))
    assert file.times == pytest.approx(100 * lammps.TIMESTEP * np.arange(FRAMES + 1))
    assert file.fields == ("density", "density_labels", "density_temperature", "momentum")


def test_atoms_labels_and_momentum_are_conserved(waves):
    _, u = waves
    assert u["density"].mean(1) == pytest.approx([DENSITY] * (FRAMES + 1), rel=1e-6)
    for name in ("density_labels", "momentum"):
        assert np.ptp(u[name].mean(1)) < 1e-6  # single precision


def test_flow_and_labels_have_the_waves_asked_for(waves):
    _, u = waves
    momentum, labels = amplitudes(u["momentum"])[0], amplitudes(u["density_labels"])[0]
    noise = math.sqrt(2 * 2.0 / 1000)  # thermal velocity of a wave
    kappa, settled = 2 * math.pi / LENGTH * np.arange(1, 3), 3 * 100 * lammps.TIMESTEP
    flow, mixed = (np.exp(-rate * kappa**2 * settled) for rate in (1.3, 0.43))  # ν and D from the literature
    assert np.all(np.abs(momentum[1:3] / DENSITY - flow) < 5 * noise)
    assert np.all(momentum[3:5] / DENSITY < 5 * noise)
    assert np.all(np.abs(labels[1:3] / DENSITY - mixed / 2) < 5 * noise)  # 1/waves each


def test_flow_decays_and_the_heat_is_taken_out(waves):
    _, u = waves
    # ν = 1.3, and κ² = 0.1 and 0.4: exp(-νκ²t) = 0.77 and 0.35
    left = amplitudes(u["momentum"])[-1, 1:3] / amplitudes(u["momentum"])[0, 1:3]
    assert left == pytest.approx([0.77, 0.35], abs=0.3)  # five times the noise of a wave
    assert u["density_temperature"].sum(1) / u["density"].sum(1) == pytest.approx(2.0, abs=0.25)


def test_a_run_goes_on_with_the_same_labels(tmp_path):
    words = (
        "-var density 0.5 -var atoms 300 -var length 12 -var bins 6 -var every 20 -var rest 2 -var settle 1 -log none"
    )
    program, deck = Path(sys.executable).with_name("lmp"), lammps.DECKS / "shear.in"
    for more in ("-var frames 1", "-var frames 2 -var start restart"):
        command = [program, "-in", deck, *words.split(), *more.split()]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    read = lammps_average.read(tmp_path / "profile.txt")
    labels = read.values[..., read.columns.index("v_label")].sum(1)
    assert read.steps.tolist() == [40, 60, 60, 80]
    assert np.ptp(labels) == 0
