"""Every fault that is put into a clean gas is found by the check that it is meant for; real LAMMPS passes."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from morlight.analysis.doctor.examination import examine

L, P, FRAMES = 10.0, 2000, 12


@pytest.fixture
def gas():
    """An ideal gas in a periodic box: times, boxes, types, positions and velocities of each frame, to be spoiled."""
    rng = np.random.default_rng(0)
    x, v = rng.uniform(0, L, (P, 3)), rng.normal(size=(P, 3))
    v -= v.mean(0)
    return {
        "time": [10.0 * t for t in range(FRAMES)],
        "side": [L] * FRAMES,
        "x": [(x + 0.1 * t * v) % L for t in range(FRAMES)],
        "v": [v.copy() for _ in range(FRAMES)],
        "type": [np.repeat([1, 2], P // 2) for _ in range(FRAMES)],
    }


def written(path, gas):
    with path.open("w") as file:
        for t, side, x, v, kind in zip(*gas.values(), strict=True):
            file.write(f"ITEM: TIMESTEP\n{t:g}\nITEM: NUMBER OF ATOMS\n{len(x)}\nITEM: BOX BOUNDS pp pp pp\n")
            file.write(f"0 {side}\n" * 3 + "ITEM: ATOMS id type x y z vx vy vz\n")
            for i, row in enumerate(np.concatenate([x, v], 1)):
                file.write(f"{i + 1} {kind[i]} {' '.join(f'{value:.6g}' for value in row)}\n")
    return path


def findings(tmp_path, gas, cells=(64,)):
    return examine(written(tmp_path / "gas.dump", gas), cells).findings


def test_nothing_is_odd_about_an_ideal_gas(tmp_path, gas):
    assert findings(tmp_path, gas) == []


@pytest.mark.parametrize(("time", "word"), [(55.0, "too close"), (75.0, "missing"), (50.0, "doubled")])
def test_frames_out_of_step_are_found(tmp_path, gas, time, word):
    gas["time"][6:] = [time + 10.0 * t for t in range(6)]
    (finding,) = findings(tmp_path, gas)
    assert (finding.check, finding.severity) == ("frames", "refused")
    assert word in finding.message
    assert finding.value == time - 50


def test_a_frame_with_the_particles_of_the_one_before_is_found(tmp_path, gas):
    for key in "xv":
        gas[key][5] = gas[key][4]
    assert "frames" in {finding.check for finding in findings(tmp_path, gas)}


def test_a_box_that_changes_is_found_with_both_lengths(tmp_path, gas):
    gas["side"][8] = 10.5
    (finding,) = findings(tmp_path, gas)
    assert finding.check == "box"
    assert finding.value == pytest.approx(0.05)


def test_a_particle_lost_is_told_from_a_particle_that_changes_its_type(tmp_path, gas):
    gas["type"][7][:3] = 2
    (finding,) = findings(tmp_path, gas)
    assert finding.message == "species change: 1000 particles of type 1 in frame 0, 997 in frame 7"
    for key in ("x", "v", "type"):
        gas[key][4] = gas[key][4][1:]
    (finding,) = findings(tmp_path, gas)
    assert finding.message.startswith("particle number is not conserved: 2000 in frame 0, 1999 in frame 4")


def test_a_gas_that_is_pushed_gains_momentum(tmp_path, gas):
    for t, v in enumerate(gas["v"]):
        v[:, 1] += 0.001 * t
    (finding,) = findings(tmp_path, gas)
    assert finding.check == "momentum"
    assert finding.value == pytest.approx(0.011 * math.sqrt(P), rel=0.05)  # v_thermal is 1


def test_a_gas_that_is_heated_is_found(tmp_path, gas):
    for t, v in enumerate(gas["v"]):
        v *= 1 + 0.02 * t
    (finding,) = findings(tmp_path, gas)
    assert finding.check == "temperature"
    assert finding.value == pytest.approx((1.2 / 1.02) ** 2 - 1, rel=0.02)  # means of frames 0 to 2 and 9 to 11


def test_a_thermostat_that_misses_an_axis_is_found(tmp_path, gas):
    for v in gas["v"]:
        v[:, 2] *= 1.2
    (finding,) = findings(tmp_path, gas)
    assert finding.check == "temperature"
    assert finding.value == pytest.approx(1 / 1.44, rel=0.1)


@pytest.mark.parametrize(("across", "along"), [(0, 1), (1, 0), (2, 0)])
def test_a_flow_is_not_taken_for_heat(tmp_path, gas, across, along):
    for x, v in zip(gas["x"], gas["v"], strict=True):
        v[:, along] += 2 * np.sin(2 * np.pi * x[:, across] / L)
    assert "temperature" not in {finding.check for finding in findings(tmp_path, gas)}


def test_velocities_too_small_for_the_displacements_are_found_with_their_factor(tmp_path, gas):
    gas["time"] = [0.1 * t for t in range(FRAMES)]
    gas["time"] = [round(10 * t) for t in gas["time"]]  # steps of 0.1
    gas["v"] = [v / 100 for v in gas["v"]]
    finding = next(finding for finding in findings(tmp_path, gas) if finding.check == "units")
    assert finding.value == pytest.approx(10, rel=0.01)  # 0.1 v moved in a time of 1 at v / 100


def test_positions_in_a_larger_unit_than_the_box_are_found(tmp_path, gas):
    gas["x"] = [x / 10 for x in gas["x"]]  # nm in a box of Å
    gas["v"] = [v / 10 for v in gas["v"]]
    (finding,) = findings(tmp_path, gas)
    assert finding.check == "units"
    assert finding.value == pytest.approx(0.1, rel=0.01)


def test_the_particles_a_cell_are_those_of_the_chosen_cells(tmp_path, gas):
    assert findings(tmp_path, gas, (64,)) == []
    (finding,) = findings(tmp_path, gas, (64, 64))
    assert finding.check == "particles a cell"
    assert finding.value == pytest.approx(1000 / 64**2)


def test_a_dump_that_is_cut_short_is_examined_up_to_there(tmp_path, gas):
    path = written(tmp_path / "gas.dump", gas)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    report = examine(path)
    assert report.refused
    assert report.examined.startswith("5 frames") or report.examined.startswith("6 frames")


FLUID = """
units lj
atom_style atomic
lattice fcc 0.8
region box block 0 6 0 6 0 6
create_box 1 box
create_atoms 1 box
mass 1 1.0
velocity all create 1.5 87287 mom yes
pair_style lj/cut 2.5
pair_coeff 1 1 1.0 1.0
timestep 0.005
thermo_modify lost error
fix motion all {integrator}
run 1500
dump frames all custom 50 {name} id type x y z vx vy vz
dump_modify frames sort id
run 750
"""


@pytest.mark.parametrize(
    ("integrator", "odd"),
    [("nve", set()), ("npt temp 1.0 1.0 0.5 iso 5.0 5.0 1.0", {"box"}), ("nvt temp 1.0 1.0 0.5", set())],
)
def test_lammps_conserves_what_it_should_and_a_barostat_changes_the_box(tmp_path, integrator, odd):
    name = tmp_path / "fluid.dump"
    (tmp_path / "in.lmp").write_text(FLUID.format(integrator=integrator, name=name))
    program = Path(sys.executable).with_name("lmp")
    subprocess.run([program, "-in", "in.lmp", "-log", "none"], cwd=tmp_path, check=True, capture_output=True)
    report = examine(name, (16,))
    assert {finding.check for finding in report.findings} == odd
    assert set(report.passed) | odd == {
        "frames", "box", "species", "momentum", "temperature", "units", "particles a cell",
    }  # fmt: skip
