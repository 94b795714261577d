"""Files of fix ave/chunk: every header is read by its own columns, and what no column states is asked for."""

import re

import numpy as np
import pytest

from morlight.data.particles import lammps_average
from morlight.data.particles.convert import convert
from morlight.data.particles.settings import Deposit
from morlight.data.trajectory_file import TrajectoryFile
from tests.data.particles.simulation import LJ
from tests.data.particles.test_lammps_dump import written

TITLES = "# Chunk-averaged data for fix p and group all\n# Timestep Number-of-chunks Total-count\n"
HEAD = f"{TITLES}# Chunk Coord1 Ncount density/number vx\n"
SWAPPED = f"{TITLES}# Chunk Coord1 Ncount vx density/number\n"


def samples(*steps, swapped=False, shift=0.0):
    """Samples of two cells of density 0.4 and 0.6, velocity 1 and 2."""
    text = ""
    for step in steps:
        text += f"{step} 2 10\n"
        for cell, (place, count, n, v) in enumerate(((0.5, 4, 0.4, 1.0), (1.5, 6, 0.6, 2.0)), 1):
            last = f"{v} {n}" if swapped else f"{n} {v}"
            text += f"  {cell} {place + shift} {count} {last}\n"
    return text


def density(path, folder, **options):
    target = folder / "a.h5"
    convert([path], target, Deposit(**{"walls": ["x"], **options}), overwrite=True)
    return TrajectoryFile.open(target).read()[0, :, 0]


def test_every_sample_is_read_by_the_header_before_it(tmp_path):
    text = HEAD + samples(0, 10) + SWAPPED + samples(20, 30, swapped=True)
    assert density(written(tmp_path / "a.txt", text), tmp_path) == pytest.approx(np.array([[0.4, 0.6]] * 4))


def test_columns_that_one_header_lacks_are_missing(tmp_path):
    text = HEAD + samples(0, 10) + HEAD.replace("vx", "vz") + samples(20, 30)
    path = written(tmp_path / "a.txt", text)
    assert density(path, tmp_path).shape == (4, 2)
    with pytest.raises(ValueError, match="there is no column 'vx'; the file has Chunk, Coord1, Ncount, density/number"):
        density(path, tmp_path, fields=["momentum_x"], masses={"all": 1.0})


@pytest.mark.parametrize("scale", [1e-9, 1.0])
def test_cells_that_move_are_refused(tmp_path, scale):
    text = (HEAD + samples(0) + samples(10, shift=0.5)).replace("0.5 4", f"{0.5 * scale} 4")
    for place in ("1.5", "1.0 4", "2.0"):
        number, _, rest = place.partition(" ")
        text = text.replace(f" {place}", f" {float(number) * scale!r} {rest}".rstrip() or place)
    with pytest.raises(ValueError, match="the cells of step 10 are at"):
        density(written(tmp_path / "a.txt", text), tmp_path)


@pytest.mark.parametrize("title", ["# my channel, T=1.5", "my channel 1.5 2", "", "# 10 bins"])
def test_the_first_title_is_the_users(tmp_path, title):
    text = HEAD.replace("# Chunk-averaged data for fix p and group all", title) + samples(0, 10)
    assert density(written(tmp_path / "a.txt", text), tmp_path) == pytest.approx(np.array([[0.4, 0.6]] * 2))


def test_the_names_of_columns_may_be_the_users(tmp_path):
    path = written(tmp_path / "a.txt", f"{TITLES}# id z N rho v\n" + samples(0, 10))
    with pytest.raises(ValueError, match="no column Coord1 with the centers of cells; the file has id, z, N, rho, v"):
        density(path, tmp_path)
    with pytest.raises(ValueError, match="no column 'density/number'; the file has id, z, N, rho, v"):
        density(path, tmp_path, columns={"Coord1": "z"})
    columns = {"Coord1": "z", "density": "rho"}
    assert density(path, tmp_path, columns=columns) == pytest.approx(np.array([[0.4, 0.6]] * 2))


def test_whether_the_axis_is_periodic_and_how_long_is_asked_for(runs, tmp_path):
    path, how = runs["lj"] / "all.txt", {"axes": ("z",), "timestep": LJ["timestep"]}
    with pytest.raises(ValueError, match="averages do not state whether axis z is periodic, expected --walls z"):
        density(path, tmp_path, walls=None, **how)
    with pytest.raises(ValueError, match="averages do not state the length of a periodic box"):
        density(path, tmp_path, walls=[], **how)
    with pytest.raises(ValueError, match="the cells fill 0 to 8, expected the bounds 0 to 9"):
        density(path, tmp_path, walls=[], bounds=[(0.0, 9.0)], **how)
    due = density(path, tmp_path, walls=[], bounds=[(0.0, 8.0)], **how)
    assert TrajectoryFile.open(tmp_path / "a.h5").grid.boundaries == ("PERIODIC",)
    reduced = runs["lj"] / "reduced.txt"
    with pytest.raises(ValueError, match="the cells fill 0 to 1, as they do with 'units reduced', expected --bounds"):
        density(reduced, tmp_path, walls=["z"], **how)
    np.testing.assert_allclose(density(reduced, tmp_path, walls=[], bounds=[(0.0, 8.0)], **how), due, rtol=1e-6)
    assert TrajectoryFile.open(tmp_path / "a.h5").grid.length == (8,)


def test_columns_of_a_real_file_are_numbers(runs):
    read = lammps_average.read(runs["lj"] / "all.txt")
    assert read.columns == ("Chunk", "Coord1", "Ncount", "density/number", "density/mass", "v_p", "temp")
    assert read.steps.tolist() == [0, 5, 10, 15, 20]
    assert read.column("Ncount").sum(1).tolist() == [256] * 5


def test_the_empty_first_sample_is_left_out(tmp_path):
    head = HEAD.replace(" vx", "")
    path = written(tmp_path / "p.txt", head + "0 2 0\n 1 0.5 0 0\n 2 1.5 0 0\n10 2 4\n 1 0.5 3 0.3\n 2 1.5 1 0.1\n")
    assert density(path, tmp_path) == pytest.approx(np.array([[0.3, 0.1]]))


WRONG = {
    "cut short": (HEAD + samples(0)[:-19] + "\n", "line 5: the file ends 1 lines before its last sample"),
    "cut within a number": (HEAD + samples(0, 10)[:-1], "line 9: the last line has no end"),
    "a word": (HEAD + samples(0).replace("0.6", "here"), "line 6: '2 1.5 6 here 2.0', expected 5 numbers: Chunk"),
    "too few numbers": (HEAD + samples(0).replace(" 2.0", ""), "line 6: '2 1.5 6 0.6', expected 5 numbers"),
    "other chunks": (
        HEAD + samples(0) + "9 3 4\n 1 0.5 4 0.4 1\n 2 1.5 4 0.4 1\n 3 2.5 4 0.4 1\n",
        "line 7: 3 chunks, expected 2 in every sample",
    ),
    "a lost line": (HEAD + samples(0).replace("  1 ", "  2 ", 1), "line 5: '2 0.5 4 0.4 1.0', expected chunk 1"),
    "a lost line before a restart": (HEAD + samples(0)[:-18] + samples(10), "line 7: '1 0.5 4 0.4 1.0', expected"),
    "a column twice": (HEAD.replace("vx", "density/number") + samples(0), "column 'density/number' is there twice"),
    "no columns": ("# Chunk-averaged data\n1 2 3\n", "the file ends 2 lines before its last sample"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_with_its_line(tmp_path, case):
    text, said = WRONG[case]
    with pytest.raises(ValueError, match=re.escape(said)):
        lammps_average.read(written(tmp_path / "p.txt", text)).column("density/number")


def test_two_axes_and_species_do_not_fit_averages(tmp_path):
    path = written(tmp_path / "a.txt", HEAD + samples(0, 10))
    for options in ({"species": {"a": [1]}}, {"axes": ["x", "y"], "bins": [2, 2]}):
        with pytest.raises(
            ValueError, match="holds averages over cells along one axis, expected one axis and no species"
        ):
            density(path, tmp_path, **options)
    with pytest.raises(ValueError, match="has 2 cells, expected 3 as in bins"):
        density(path, tmp_path, bins=[3])
