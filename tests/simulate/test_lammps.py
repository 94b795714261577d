"""Real runs of LAMMPS, short: the fluid stays in its channel, flows where it is pushed, and goes on when stopped."""

import fcntl
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from morlight.cli import main as cli
from morlight.data.trajectory_file import TrajectoryFile
from morlight.operators.description import Grid
from morlight.simulate import lammps as channels

SHORT = "--every 400 --average 200 --frames 6 --bins 20 --atoms 400"


def simulated(folder, words):
    path = folder / "out.h5"
    system, *options = words.split()
    cli.main(["simulate", system, *SHORT.split(), *options, "-o", str(path)])
    held = TrajectoryFile.open(path)
    return held, dict(zip(held.fields, TrajectoryFile.open(path).read().transpose(2, 0, 1, 3), strict=True))


@pytest.fixture(scope="module")
def lj(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lj")
    return folder, *simulated(folder, "lj --density 0.2 0.5 --seeds 2 --width 12 --force 0.2")


def test_file_has_a_trajectory_for_each_density_and_seed(lj):
    _, held, u = lj
    assert held.parameters["density"].tolist() == [0.2, 0.2, 0.5, 0.5]
    assert held.parameters["seed"].tolist() == [1, 2, 1, 2]
    assert held.grid == Grid((20,), (1.0,), ("WALL",))
    unit = 40 * 10_000 * 0.005  # of the deck, whatever the number of frames and the steps between them
    assert held.times == pytest.approx(np.arange(7) * 400 * 0.005 / unit)
    assert (held.attributes["unit_length"], held.attributes["unit_time"]) == (12, unit)
    assert held.attributes["deck"] == channels.deck_text(channels.LJ)
    assert held.attributes["mirror"] == dict.fromkeys(("density", "momentum", "density_temperature"), "even")
    assert not np.allclose(u["density"][0], u["density"][1])  # another seed, other places


def test_particles_stay_in_the_channel_with_the_density_asked_for(lj):
    _, held, u = lj
    number = u["density"].mean(2)
    assert np.ptp(number, axis=1).max() < 1e-6  # single precision
    assert number[:, 0] == pytest.approx(held.parameters["density"], rel=2e-3)  # whole numbers of atoms


def test_fluid_is_at_rest_at_first_and_follows_the_force(lj):
    _, held, u = lj
    velocity = u["momentum"].sum(2) / u["density"].sum(2)
    atoms = 12 * 12 * 12 * held.parameters["density"]
    assert np.all(np.abs(velocity[:, 0]) < 5 * np.sqrt(2.0 / atoms))  # of thermal noise
    assert np.all(velocity[:, -1] > 0.3)
    assert np.all(velocity[:, -1] < 0.2 * 12)  # less than a free fall


def test_thermostat_holds_the_temperature_across_the_flow(lj):
    _, _, u = lj
    temperature = u["density_temperature"].sum(2) / u["density"].sum(2)
    assert temperature.mean(1) == pytest.approx([2.0] * 4, abs=0.1)


def test_standard_errors_are_those_of_the_blocks(lj):
    _, _, u = lj
    assert np.all(u["density_error"].mean(2) > 0)
    assert np.all(u["density_error"].mean((1, 2)) < 0.2 * u["density"].mean((1, 2)))


def test_finished_runs_are_not_repeated_and_seeds_can_be_added(lj):
    folder, _, u = lj
    runs = sorted((folder / "out.runs").iterdir())
    before = {run.name: (run / "finished.json").stat().st_mtime_ns for run in runs}
    _, more = simulated(folder, "lj --density 0.2 --seeds 3 --width 12 --force 0.2 --overwrite")
    assert {name: (folder / "out.runs" / name / "finished.json").stat().st_mtime_ns for name in before} == before
    assert len(list((folder / "out.runs").iterdir())) == len(runs) + 1
    assert np.array_equal(more["momentum"][:2], u["momentum"][:2])


def test_the_same_seed_gives_the_same_run(lj, tmp_path):
    _, _, u = lj
    _, again = simulated(tmp_path, "lj --density 0.2 --width 12 --force 0.2")
    assert np.array_equal(again["density"][0], u["density"][0])


@pytest.mark.parametrize("cores", ["--ranks 2", "--threads 2"])
def test_several_cores_run_the_same_fluid(tmp_path, monkeypatch, cores):
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")  # threads that spin wait for each other on a busy machine
    _, u = simulated(tmp_path, f"lj --density 0.5 --width 12 --force 0.2 {cores}")
    log = next(tmp_path.glob("out.runs/*/log.lammps")).read_text()
    assert re.search(r"on 2 procs for" if "ranks" in cores else r"2 OpenMP threads", log)
    assert np.ptp(u["density"].mean(2)) < 1e-6
    velocity = u["momentum"].sum(2) / u["density"].sum(2)
    assert 0.3 < velocity[0, -1] < 2.4


def test_interrupted_run_goes_on_after_its_last_frame(tmp_path):
    words = (
        "simulate lj --density 0.2 --width 12 --every 4000 --average 200 --frames 3 --bins 20 --atoms 2000 -o out.h5"
    )
    command = [sys.executable, "-m", "morlight", *words.split()]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, start_new_session=True)
    restart = None
    end = time.monotonic() + 300
    while restart is None and time.monotonic() < end:
        restart = next(tmp_path.glob("out.runs/*/restart.lmp"), None)
        time.sleep(0.05)
    assert restart is not None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130, said.decode()
    assert not (tmp_path / "out.h5").exists()
    done = (restart.parent / "profile.txt").read_text().count("\n")
    assert done > 0
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    log = (restart.parent / "log.lammps").read_text()
    assert "read_restart" in log or "Reading restart file" in log
    density = TrajectoryFile.open(tmp_path / "out.h5").read(["density"])[0, :, 0]
    assert density.shape == (4, 20)
    assert np.ptp(density.mean(1)) < 1e-6


def test_two_commands_do_not_run_in_the_same_folder(tmp_path, capsys):
    ensemble = channels.Ensemble(channels.LJ, [(0.2,)], settings={"every": 400, "average": 200, "atoms": 400}, frames=6)
    folder = channels.Run(ensemble, (0.2,), 1, tmp_path / "out.runs").folder
    folder.mkdir(parents=True)
    words = f"--every 400 --average 200 --frames 6 --atoms 400 -o {tmp_path / 'out.h5'}".split()
    with open(folder / "running.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SystemExit, match="2"):
            cli.main(["simulate", "lj", "--density", "0.2", *words])
    assert f"{folder}: LAMMPS is running there already, expected one at a time" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["running.lock"]


@pytest.mark.parametrize("pair", ["0.2 5", "0.025 2"])
def test_colloids_keep_both_species(tmp_path, pair):
    concentration, radius = pair.split()
    words = f"colloid --concentration {concentration} --radius {radius} --force 0.05 --cells 4"
    held, u = simulated(tmp_path, words)
    assert held.parameters["radius"].tolist() == [float(radius)]
    large, small = u["density_large"].mean(2)[0], u["density_small"].mean(2)[0]
    assert np.ptp(large) < 1e-6 * large[0] + 1e-9
    assert large[0] / (large[0] + small[0]) == pytest.approx(float(concentration), abs=2e-3)  # whole numbers of atoms
    assert u["momentum_large"][0, -1].sum() > 0


def test_deck_runs_under_lammps_alone(tmp_path):
    deck = channels.DECKS / "lj.in"
    given = "-var every 200 -var average 100 -var frames 1 -var rest 1 -var atoms 300 -var width 12 -var density 0.3"
    program = Path(sys.executable).with_name("lmp")
    command = [program, "-in", deck, "-log", "none", *given.split()]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "profile.txt").exists()


def test_complaints_of_lammps_reach_the_user(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        simulated(tmp_path, "lj --density 3 --width 12 --force 1e9")
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert "LAMMPS stopped: ERROR" in said
    assert not (tmp_path / "out.h5").exists()


def test_a_file_that_is_there_is_refused_before_any_run(tmp_path, capsys):
    (tmp_path / "out.h5").write_text("precious")
    with pytest.raises(SystemExit) as end:
        simulated(tmp_path, "lj")
    assert end.value.code == 2
    assert "out.h5: exists already, expected another name, or --overwrite to replace it" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["out.h5"]


def test_without_lammps_a_sentence_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SystemExit) as end:
        simulated(tmp_path, "lj")
    assert end.value.code == 2
    assert "pip install 'morlight[md]'" in capsys.readouterr().err


BAD = {
    "lj --density -1": "density is -1.0, expected more than 0",
    "lj --seeds 0": "expected at least one system and seeds from 1 on",
    "lj --jobs 0": "jobs is 0, expected at least 1",
    "lj --force -1": "force is -1.0, expected more than 0",
    "colloid --radius 0": "radius is 0.0, expected more than 0",
    "lj --width 0.5": "width is 0.5, expected at least 5",
    "colloid --cells 1": "cells is 1, expected at least 2",
    "lj --every 100": "average is 200, expected at most every, 100",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_one_sentence(tmp_path, capsys, words):
    with pytest.raises(SystemExit) as end:
        simulated(tmp_path, words)
    assert end.value.code == 2
    assert BAD[words] in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("system", [channels.SHEAR, channels.PLANE], ids=lambda each: each.deck)
def test_boxes_exceed_two_cutoffs_and_waves_are_resolved(system):
    with pytest.raises(ValueError, match="length is 2, expected at least 5"):
        channels.Ensemble(system, [(0.1,)], settings={"length": 2})
    with pytest.raises(ValueError, match="waves is 9, expected at most a quarter of the 32 bins"):
        channels.Ensemble(system, [(0.1,)], settings={"waves": 9}, bins=32)


def test_grids_of_the_paper_are_whole():
    assert len(list(channels.grid(channels.LJ))) == 8
    assert len(set(channels.grid(channels.COLLOID))) == 25


def test_folder_of_a_run_tells_what_was_run(lj):
    folder, _, _ = lj
    run = next((folder / "out.runs").glob("lj_density0.5_seed2_*"))
    told = json.loads((run / "finished.json").read_text())
    assert told["variables"]["density"] == 0.5
    assert told["variables"]["seed"] == 2


def test_the_fluid_follows_the_wall_that_moves_and_is_never_faster(tmp_path):
    held, u = simulated(tmp_path, "couette --speed 3 --density 0.6 --width 6")
    assert held.attributes["mirror"] == {}  # no symmetry
    momentum, density = (u[name][0, 4:].mean(0) for name in ("momentum", "density"))
    outer, middle = (momentum[part].sum() / density[part].sum() for part in (slice(14, None), slice(6, 14)))
    assert middle == pytest.approx(1.5, abs=0.3)  # half the speed of the wall, within thermal noise
    assert middle < outer < 3.0
