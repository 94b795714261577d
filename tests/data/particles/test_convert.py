"""Particles in files to fields in a file: against LAMMPS's own averages of the same run, and by hand."""

import math
import re

import h5py
import numpy as np
import pytest

from morlight.cli import main as cli
from morlight.data.particles import lammps_average as chunks
from morlight.data.particles.convert import Deposit, convert
from morlight.data.trajectory_file import TrajectoryFile
from morlight.operators.description import Grid
from tests.data.particles.test_lammps_dump import FRAME, TEXT, lammps, written

assert lammps  # a fixture

ALL = ["density", "momentum", "density_temperature"]


def test_deposit_of_a_dump_is_what_lammps_averages_itself(lammps, tmp_path):
    side = 4 * (4 / 0.5) ** (1 / 3)
    bins = 8  # of 1.0 in a box of 8
    assert side == pytest.approx(8)
    how = Deposit(fields=["density", "momentum"], bins=(bins,), axes=["z"], walls=[])
    convert([lammps / "dump.txt"], tmp_path / "ours.h5", how)
    convert(
        [lammps / "profile.txt"], tmp_path / "theirs.h5", Deposit(fields=["density", "momentum"], axes=["z"], walls=[])
    )
    ours, theirs = TrajectoryFile.open(tmp_path / "ours.h5").read(), TrajectoryFile.open(tmp_path / "theirs.h5").read()
    assert ours.shape == (1, 5, 2, bins)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)  # written in single precision
    held = TrajectoryFile.open(tmp_path / "theirs.h5")
    assert (held.grid.length[0], held.dt) == (pytest.approx(8), pytest.approx(5))


def test_chunk_files_are_read_as_they_stand(lammps):
    read = chunks.read(lammps / "profile.txt")
    assert read.columns == ("Chunk", "Coord1", "Ncount", "density/number", "vy", "temp", "density/mass")
    assert read.steps.tolist() == [0, 5, 10, 15, 20]
    assert read.column("Ncount").sum(1).tolist() == [256] * 5


def test_fields_are_sums_over_the_particles(tmp_path):
    path = written(tmp_path / "a.dump", TEXT)
    how = Deposit(fields=ALL, bins=(2,), species={"light": [1], "heavy": [2]}, masses={2: 3.0}, timestep=0.1)
    convert([path], tmp_path / "a.h5", how)
    held = TrajectoryFile.open(tmp_path / "a.h5")
    assert held.grid == Grid((2,), (10.0,), ("WALL",))
    assert held.dt == pytest.approx(1.0)
    u = dict(zip(held.fields, TrajectoryFile.open(tmp_path / "a.h5").read()[0, 0], strict=True))
    volume = 5 * 4 * 2
    assert u["density_light"] == pytest.approx(np.array([1, 1]) / volume)
    assert u["density_heavy"] == pytest.approx(np.array([0, 1]) / volume)
    assert u["momentum_light"] == pytest.approx(np.array([2, 0]) / volume)
    assert u["momentum_heavy"] == pytest.approx(np.array([0, 3e-3]) / volume)
    assert u["density_temperature_light"] == pytest.approx(np.array([(1 + 9) / 2, 1 / 2]) / volume)
    assert u["density_temperature_heavy"] == pytest.approx(np.array([0, 3 * 4 / 2]) / volume)


@pytest.mark.parametrize("kernel", ["histogram", "linear", "spectral"])
@pytest.mark.parametrize("axes", [["x"], ["y"], ["x", "y"]])
def test_every_kernel_keeps_the_number_of_particles(tmp_path, kernel, axes):
    path = written(tmp_path / "a.dump", TEXT)
    convert([path], tmp_path / "a.h5", Deposit(bins=(8,) * len(axes), axes=axes, kernel=kernel))
    mean = TrajectoryFile.open(tmp_path / "a.h5").read()[0, 0, 0].mean()
    assert mean == pytest.approx(3 / (10 * 4 * 2), rel=1e-6)  # written in single precision


def test_frames_are_averaged_with_the_error_of_their_mean(tmp_path):
    text = "".join(FRAME.format(step=k).replace(" 5.5", f" {5.5 - (k % 2)}") for k in range(6))
    convert([written(tmp_path / "a.dump", text)], tmp_path / "a.h5", Deposit(bins=(2,), average=2))
    held = TrajectoryFile.open(tmp_path / "a.h5")
    assert held.fields == ("density", "density_error")
    assert (len(held.times), held.times[0]) == (3, 1)
    density, error = TrajectoryFile.open(tmp_path / "a.h5").read()[0].transpose(1, 0, 2) * 40
    assert density[0] == pytest.approx([1.5, 1.5])  # one particle crosses the middle in every second frame
    assert error[0] == pytest.approx([0.5, 0.5])


def test_several_files_are_an_ensemble_a_mean_or_one_series(tmp_path):
    one = written(tmp_path / "a.dump", TEXT)
    two = written(tmp_path / "b.dump", TEXT.replace(" 5.5", " 4.5"))
    convert([one, two], tmp_path / "each.h5", Deposit(bins=(2,)), parameters={"density": [0.1, 0.2]})
    held = TrajectoryFile.open(tmp_path / "each.h5")
    assert held.trajectories == 2
    assert held.parameters["density"].tolist() == [0.1, 0.2]
    convert([one, two], tmp_path / "mean.h5", Deposit(bins=(2,)), mean=True)
    assert TrajectoryFile.open(tmp_path / "mean.h5").read()[0, 0] * 40 == pytest.approx(
        np.array([[1.5, 1.5], [0.5, 0.5]])
    )
    later = written(tmp_path / "c.dump", FRAME.format(step=20))
    convert([one, later], tmp_path / "series.h5", Deposit(bins=(2,)), series=True)
    assert TrajectoryFile.open(tmp_path / "series.h5").times.tolist() == [0, 10, 20]


def test_length_and_time_may_be_scaled_to_one(tmp_path):
    path = written(tmp_path / "a.dump", TEXT + FRAME.format(step=20))
    convert([path], tmp_path / "a.h5", Deposit(bins=(2,), timestep=0.5, normalize=True))
    held = TrajectoryFile.open(tmp_path / "a.h5")
    assert (held.grid.length, held.times.tolist()) == ((1.0,), [0, 0.5, 1])
    assert (held.attributes["unit_length"], held.attributes["unit_time"]) == (10, 10)


def test_the_empty_first_sample_of_a_chunk_file_is_left_out(tmp_path):
    head = "# Chunk-averaged data for fix p and group all\n# Timestep Number-of-chunks Total-count\n"
    head += "# Chunk Coord1 Ncount density/number\n"
    path = written(tmp_path / "p.txt", head + "0 2 0\n 1 0.5 0 0\n 2 1.5 0 0\n10 2 4\n 1 0.5 3 0.3\n 2 1.5 1 0.1\n")
    convert([path], tmp_path / "p.h5", Deposit())
    assert TrajectoryFile.open(tmp_path / "p.h5").read()[0, :, 0] == pytest.approx(np.array([[0.3, 0.1]]))


HEAD = "# Chunk-averaged data\n# Timestep Number-of-chunks Total-count\n# Chunk Coord1 Ncount\n"
CHUNKS = {
    "cut short": (HEAD + "0 2 4\n 1 0.5 3\n", "line 5: the file ends 1 lines before its last sample"),
    "a word": (HEAD + "0 2 4\n 1 0.5 3\n 2 1.5 here\n", "line 6: '2 1.5 here', expected 3 numbers"),
    "too few numbers": (HEAD + "0 2 4\n 1 0.5 3\n 2 1.5\n", "line 6: '2 1.5', expected 3 numbers"),
    "other chunks": (HEAD + "0 2 4\n 1 0.5 3\n 2 1.5 1\n9 3 4\n", "line 7: 3 chunks, expected 2 in every sample"),
    "no columns": ("# Chunk-averaged data\n1 2 3\n", "expected the names of columns"),
}


@pytest.mark.parametrize("case", CHUNKS)
def test_what_is_wrong_with_a_chunk_file_is_told_with_its_line(tmp_path, case):
    text, said = CHUNKS[case]
    with pytest.raises(ValueError, match=re.escape(said)):
        chunks.read(written(tmp_path / "p.txt", text))


LAST = "3 2 9.5 3 0.5 0 1e-3 -2\n"
FEWER = FRAME.format(step=20).replace("3\nITEM: BOX", "2\nITEM: BOX").replace(LAST, "")
BAD = {
    "atoms come and go": (TEXT + FEWER, "", "line 25: 2 particles, expected 3 as in the first frame"),
    "outside the box": (TEXT.replace("9.5", "10.5"), "", "line 1: 1 of 3 particles are behind the walls of axis x"),
    "mixed steps": (TEXT + FRAME.format(step=25), "", "frames 1 and 2 are at 10 and 25, expected frames as far apart"),
    "backwards": (TEXT + FRAME.format(step=5), "", "frames 1 and 2 are at 10 and 5"),
    "unknown field": (TEXT, "--fields mass", "fields: mass, expected any of density"),
    "no such axis": (TEXT, "--axis w", "axes: w, expected any of x, y, z"),
    "half a bound": (TEXT, "--bounds 0", "--bounds has 1 numbers"),
    "a species without a type": (TEXT, "--species large", "--species has 'large', expected NAME=VALUE"),
    "too many scalars": (TEXT, "--scalar rho=1,2", "rho has 2 values, expected one for each of 1 trajectories"),
    "too few frames": (TEXT, "--average 3", "average is 3, expected at most the 2 frames"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_leaves_no_file(tmp_path, monkeypatch, capsys, case):
    text, words, said = BAD[case]
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "a.dump", text)
    with pytest.raises(SystemExit) as end:
        cli.main(["deposit", "a.dump", "-o", "a.h5", "--bins", "4", *words.split()])
    assert end.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "a.h5").exists()


def test_particles_that_come_go_or_leave_are_taken_where_that_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "a.dump", BAD["atoms come and go"][0].replace("9.5", "10.5"))
    cli.main(["deposit", "a.dump", "-o", "a.h5", "--bins", "2", "--changing", "--drop-outside"])
    counts = TrajectoryFile.open("a.h5").read()[0, :, 0].sum(1) * 40
    assert counts == pytest.approx([2, 2, 2])


def test_h5md_and_what_else_mdanalysis_reads(tmp_path):
    path = tmp_path / "a.h5md"
    x = np.random.default_rng(0).uniform(0, 5, (3, 20, 3)).astype(np.float32)
    with h5py.File(path, "w") as file:
        file.create_group("h5md").attrs["version"] = [1, 1]
        for name in ("author", "creator"):
            file["h5md"].create_group(name).attrs["name"] = "test"
        group = file.create_group("particles/trajectory")
        box = group.create_group("box")
        box.attrs["dimension"], box.attrs["boundary"] = 3, ["periodic"] * 3
        for key, value in (
            ("box/edges", np.tile(5 * np.eye(3, dtype=np.float32), (3, 1, 1))),
            ("position", x),
            ("velocity", x),
        ):
            node = group.create_group(key)
            node["value"], node["step"], node["time"] = value, np.arange(3), np.arange(3) * 0.5
    convert([path], tmp_path / "a.h5", Deposit(fields=["density", "momentum_x"], bins=(5,)))
    held = TrajectoryFile.open(tmp_path / "a.h5")
    assert (held.grid.boundaries, held.dt) == (("PERIODIC",), pytest.approx(0.5))
    u = TrajectoryFile.open(tmp_path / "a.h5").read()[0]
    for frame in range(3):
        count, _ = np.histogram(x[frame, :, 0], 5, (0, 5))
        assert u[frame, 0] * 25 == pytest.approx(count)
        moved, _ = np.histogram(x[frame, :, 0], 5, (0, 5), weights=x[frame, :, 0])
        assert u[frame, 1] * 25 == pytest.approx(moved, rel=1e-5)
    assert math.isclose(held.grid.length[0], 5)
