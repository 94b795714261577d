"""Particles in files to fields in a file: by hand, and what a file can have instead of them."""

import re

import numpy as np
import pytest

from morlight.cli import main as cli
from morlight.data.particles.convert import convert
from morlight.data.particles.settings import Deposit
from morlight.data.trajectory_file import TrajectoryFile
from morlight.operators.description import Grid
from tests.data.particles.test_lammps_dump import FRAME, TEXT, written

ALL = ["density", "momentum", "density_temperature"]


def test_fields_are_sums_over_the_particles(tmp_path):
    path = written(tmp_path / "a.dump", TEXT)
    how = Deposit(
        fields=ALL, bins=(2,), species={"light": [1], "heavy": [2]}, masses={1: 1.0, 2: 3.0}, timestep=0.1, units="lj"
    )
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


@pytest.mark.parametrize("labels", [{"o": ["OW"], "h": ["HW"]}, {"water": ["OW", "HW"]}])
def test_species_are_types_by_number_or_label(tmp_path, labels):
    text = re.sub(r"^(\d) 1 ", r"\1 OW ", re.sub(r"^(\d) 2 ", r"\1 HW ", TEXT, flags=re.MULTILINE), flags=re.MULTILINE)
    numbers = {name: [{"OW": 1, "HW": 2}[label] for label in kinds] for name, kinds in labels.items()}
    convert([written(tmp_path / "a.dump", text)], tmp_path / "a.h5", Deposit(bins=(2,), species=labels))
    convert([written(tmp_path / "b.dump", TEXT)], tmp_path / "b.h5", Deposit(bins=(2,), species=numbers))
    assert np.array_equal(TrajectoryFile.open(tmp_path / "a.h5").read(), TrajectoryFile.open(tmp_path / "b.h5").read())


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
    assert held.attributes["field_units"] == {"density": "length-3", "density_error": "length-3"}
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
    "no such folder": (TEXT, "-o none/a.h5", "none/a.h5: the folder none does not exist"),
    "a folder": (TEXT, "-o .", ".: is a directory, expected the name of a file to write"),
    "no masses": (TEXT, "--fields momentum", "types 1, 2 and no column mass, which momentum and temperature need"),
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
    assert [path.name for path in tmp_path.iterdir()] == ["a.dump"]


def test_particles_that_come_go_or_leave_are_taken_where_that_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "a.dump", BAD["atoms come and go"][0].replace("9.5", "10.5"))
    cli.main(["deposit", "a.dump", "-o", "a.h5", "--bins", "2", "--changing", "--drop-outside"])
    counts = TrajectoryFile.open("a.h5").read()[0, :, 0].sum(1) * 40
    assert counts == pytest.approx([2, 2, 2])


def test_an_existing_file_is_kept_and_a_file_that_is_read_always(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "a.dump", TEXT)
    (tmp_path / "link").symlink_to("a.dump")
    cli.main(["deposit", "a.dump", "-o", "a.h5", "--bins", "2"])
    first = (tmp_path / "a.h5").read_bytes()
    for words, said in (
        (["-o", "a.h5"], "a.h5: exists already, expected another name, or --overwrite"),
        (["-o", "a.dump", "--overwrite"], "a.dump: is one of the files to read"),
        (["-o", "link", "--overwrite"], "link: is one of the files to read"),
    ):
        with pytest.raises(SystemExit):
            cli.main(["deposit", "a.dump", "--bins", "4", *words])
        assert said in capsys.readouterr().err
    assert (tmp_path / "a.h5").read_bytes() == first
    assert (tmp_path / "a.dump").read_text() == TEXT
    cli.main(["deposit", "a.dump", "--bins", "4", "-o", "a.h5", "--overwrite"])
    assert TrajectoryFile.open("a.h5").grid.points == (4,)
