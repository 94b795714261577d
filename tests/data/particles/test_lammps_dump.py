"""Dumps of LAMMPS: what the installed LAMMPS writes, and what is wrong with a file told by its place."""

import re

import numpy as np
import pytest

from morlight.data.particles import formats, lammps_dump

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
COLUMNS = ["x", "y", "z", "vx", "vy", "vz", "type", "mass"]


def written(path, text):
    path.write_text(text)
    return path


def same(one, other, columns, rtol=1e-14):
    assert len(one) == len(other) == 256
    assert one.box.periodic == other.box.periodic == (True, True, True)
    for column in columns:
        np.testing.assert_allclose(one.columns[column], other.columns[column], rtol=rtol, atol=1e-13)


@pytest.mark.parametrize("style", ["lj", "real"])
def test_text_and_binary_hold_the_same_frames_times_and_units(runs, style):
    text, binary = (list(formats.frames(runs[style] / name, COLUMNS)) for name in ("text.dump", "dump.bin"))
    assert [frame.clock for frame in text] == [frame.clock for frame in binary]
    assert [frame.clock.step for frame in text] == [0, 5, 10, 15, 20]
    assert {frame.units for frame in (*text, *binary)} == {style}  # stated in the first frame only
    for one, other in zip(text, binary, strict=True):
        same(one, other, COLUMNS)


def test_scaled_positions_are_those_of_the_box_of_each_frame(runs):
    for one, other in zip(
        formats.frames(runs["lj"] / "scaled.dump", ["x", "type"]),
        formats.frames(runs["lj"] / "text.dump", ["x", "type"]),
        strict=True,
    ):
        x, due = (np.sort(frame.columns["x"] % 8) for frame in (one, other))
        np.testing.assert_allclose(x, due, atol=1e-4)  # dump atom has 6 digits


def test_elements_are_types_by_name(runs):
    named, numbered = (
        next(formats.frames(runs["lj"] / name, [*COLUMNS, "element"])) for name in ("element.dump", "text.dump")
    )
    assert np.array_equal(np.where(named.columns["element"] == "Ar", 1, 2), numbered.columns["type"])


@pytest.mark.parametrize("ahead", [1, 7, 50, 10_000])
@pytest.mark.parametrize(
    "before", ["", "ITEM: UNITS\nlj\n", "ITEM: UNITS\nlj\nITEM: TIME\n0.05\n", "ITEM: TIME\n0.05\n"]
)
def test_frames_do_not_depend_on_how_much_is_read_at_a_time(tmp_path, monkeypatch, ahead, before):
    time = "ITEM: TIME\n0.1\n" if "TIME" in before else ""
    path = written(tmp_path / "a.dump", before + FRAME.format(step=0) + time + FRAME.format(step=10))
    monkeypatch.setattr(lammps_dump, "AHEAD", ahead)
    frames = list(formats.frames(path, ["x", "type"]))
    assert [frame.clock.step for frame in frames] == [0, 10]
    assert [frame.clock.time for frame in frames] == ([0.05, 0.1] if time else [None, None])
    assert {frame.units for frame in frames} == {"lj" if "UNITS" in before else None}
    assert frames[1].columns["x"].tolist() == [0.5, 5.5, 9.5]
    assert frames[1].columns["type"].tolist() == [1, 1, 2]
    assert frames[0].box.periodic == (False, True, True)
    assert (frames[0].box.low.tolist(), frames[0].box.sides.tolist()) == ([0, 0, -1], [10, 4, 2])
    assert frames[1].where == f"{path}: line {1 + FRAME.count(chr(10)) + before.count(chr(10))}"


SPELLINGS = {
    "two spaces and tabs": lambda text: text.replace(" 0 ", "  0\t"),
    "a space at one end": lambda text: text.replace("3\n2 1", "3 \n2 1"),
    "a space at every end": lambda text: text.replace("\n", " \n").replace("vz \n", "vz\n"),
    "the line ends of Windows": lambda text: text.replace("\n", "\r\n"),
    "zero tilt": lambda text: re.sub(
        r"BOUNDS ff pp pp\n(.*)\n(.*)\n(.*)\n", r"BOUNDS xy xz yz ff pp pp\n\1 0\n\2 0.0\n\3 0e0\n", text
    ),
    "edges and origin": lambda text: re.sub(
        r"BOUNDS ff pp pp\n.*\n.*\n.*\n", r"BOUNDS abc origin ff pp pp\n10 0 0 0\n0 4 0 0\n0 0 2 -1\n", text
    ),
    "other columns between": lambda text: re.sub(
        r"^(\d) (\d) (\S+ \S+ \S+)", r"\1 \2 word \3", text.replace("type x", "type mol x"), flags=re.MULTILINE
    ).replace("ITEM: NUMBER", "ITEM: NUMBER"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_same_frame_in_other_spellings(tmp_path, spelling):
    path = tmp_path / "a.dump"
    path.write_bytes(SPELLINGS[spelling](FRAME.format(step=0)).encode())
    frame = next(formats.frames(path, ["x", "vz", "type"]))
    assert frame.columns["x"].tolist() == [0.5, 5.5, 9.5]
    assert frame.columns["vz"].tolist() == [3, 0, -2]
    assert frame.columns["type"].tolist() == [1, 1, 2]
    assert (frame.box.low.tolist(), frame.box.sides.tolist()) == ([0, 0, -1], [10, 4, 2])
    assert frame.box.periodic == (False, True, True)


def test_types_may_have_labels(tmp_path):
    text = re.sub(r"^(\d) 1 ", r"\1 OW ", re.sub(r"^(\d) 2 ", r"\1 HW ", FRAME, flags=re.M), flags=re.M)
    path = written(tmp_path / "a.dump", text.format(step=0).replace("3\nITEM: BOX", "3\nITEM: BOX"))
    assert next(formats.frames(path, ["x", "type"])).columns["type"].tolist() == ["OW", "OW", "HW"]


TEXT = FRAME.format(step=0) + FRAME.format(step=10)
WRONG = {
    "cut within a frame": (TEXT[:-43], "line 13: the frame of step 10 has 1 of its 3 atoms"),
    "cut within a line": (TEXT[:-20], "line 24: '3 2', expected 8 values: id type x y z vx vy vz"),
    "cut within a number": (TEXT[:-1], "line 24: the last line has no end, its last number may be cut short"),
    "cut within a header": (TEXT + "ITEM: TIMESTEP\n20\nITEM: NUMB", "line 25: 'ITEM: TIMESTEP', expected a frame"),
    "cut after a time": (TEXT + "ITEM: TIME\n0.1\n", "line 25: the file ends within the header of a frame"),
    "a word for a number": (TEXT.replace("5.5", "here"), "line 11: '2 1 here 2 0 -1 0 0', expected 8 values"),
    "missing column": (TEXT.replace(" vx vy vz\n", " fx fy fz\n"), "line 1: there is no column vx; the file has"),
    "not finite": (TEXT.replace("5.5", "nan"), "line 1: column x of particle 2 of the frame is not finite"),
    "no bounds": (TEXT.replace("BOX BOUNDS", "BOX"), "line 1: expected a frame with a step, a number of atoms and"),
    "tilted box": (TEXT.replace("0 10\n", "0 10 1\n").replace("0 4\n", "0 4 0\n").replace("-1 1\n", "-1 1 0\n"),
                   "line 1: the box is tilted"),
    "a flat box": (TEXT.replace("-1 1\n", "1 1\n"), "line 1: the box has the sides [10.0, 4.0, 0.0]"),
    "no names": (TEXT.replace(" id type x y z vx vy vz", ""), "line 1: 'ITEM: ATOMS' names no columns"),
    "a column twice": (TEXT.replace("y z vx", "y x vx"), "line 9: column x is there twice, expected each column once"),
    "another atom": (TEXT.replace("3\nITEM: BOX", "4\nITEM: BOX", 1), "the frame of step 0 has 3 of its 4 atoms"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_with_its_line(tmp_path, case):
    text, said = WRONG[case]
    path = written(tmp_path / "a.dump", text)
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        _ = [(frame.column("x"), frame.column("vx")) for frame in formats.frames(path, ["x", "vx"])]
    assert str(error.value).startswith(f"{path}: ")


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        next(formats.frames(tmp_path / "absent.dump", ["x"]))
    with pytest.raises(ValueError, match="is a directory"):
        next(formats.frames(tmp_path, ["x"]))
