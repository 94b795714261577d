"""Which file has which γ is never decided by an order that nobody sees."""

import re

import numpy as np
import pytest

from morlight.cli import main as cli
from morlight.data.particles.pairing import matching, natural, pairing
from morlight.data.trajectory_file import TrajectoryFile
from tests.data.particles.test_lammps_dump import written

COUNT = 12


def runs(folder):
    """Twelve runs, run N with N atoms."""
    for count in range(1, COUNT + 1):
        text = ""
        for step in (0, 10):
            text += (
                f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{count}\nITEM: BOX BOUNDS pp pp pp\n0 10\n0 4\n-1 1\n"
            )
            text += "ITEM: ATOMS id type x y z\n" + "".join(f"{i} 1 {i / 2} 1 0\n" for i in range(1, count + 1))
        written(folder / f"run{count}.dump", text)
    rows = [f"run{count}.dump,{count},{count / 10}" for count in range(COUNT, 0, -1)]
    written(folder / "runs.csv", "\n".join(["file,n,rho", *rows]) + "\n")


VALUES = ",".join(str(n) for n in range(1, COUNT + 1))
SOURCES = {
    "a list": ["run*.dump", "--scalar", f"n={VALUES}"],
    "their names": ["run*.dump", "--name-pattern", "run{n}.dump"],
    "a table": ["run*.dump", "--table", "runs.csv"],
    "beside each": [f"run{n}.dump:n={n},rho={n / 10}" for n in (3, 1, 2, *range(4, COUNT + 1))],
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_run_has_its_own_value_and_the_pairs_are_shown(tmp_path, monkeypatch, capsys, source):
    monkeypatch.chdir(tmp_path)
    runs(tmp_path)
    cli.main(["deposit", *SOURCES[source], "-o", "a.h5", "--bins", "2"])
    held = TrajectoryFile.open("a.h5")
    atoms = TrajectoryFile.open("a.h5").read()[:, 0, 0].mean(-1) * 80
    np.testing.assert_allclose(held.parameters["n"], atoms, rtol=1e-6)
    shown = capsys.readouterr().err
    stored = held.attributes["files"]
    for n in range(1, COUNT + 1):
        assert re.search(rf"^run{n}\.dump +n = {n}( |$)", shown, re.MULTILINE)
        assert stored[f"run{n}.dump"]["n"] == n


def test_names_are_in_natural_order(tmp_path):
    names = [f"b{n}_{m}.dump" for n in (1, 2, 10) for m in (3, 20)]
    for name in reversed(names):
        written(tmp_path / name, "x")
    assert [path.name for path in matching([str(tmp_path / "*.dump")])] == names
    assert sorted(["a10", "a9", "a", "10", "9"], key=natural) == ["a", "a9", "a10", "9", "10"]


def test_an_alphabetical_order_with_a_list_of_values_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs(tmp_path)
    expanded = sorted(f"run{n}.dump" for n in range(1, COUNT + 1))  # as a shell does
    with pytest.raises(ValueError, match=r"the files are in alphabetical order, run10\.dump before"):
        pairing(expanded, scalars={"n": [float(n) for n in range(1, COUNT + 1)]})
    given = ["run2.dump", "run10.dump", "run1.dump"]
    assert [str(path) for path in pairing(given, scalars={"n": [2.0, 10.0, 1.0]}).files] == given


@pytest.mark.parametrize(
    ("name", "pattern", "due"),
    [
        ("shear_1.5_T0.7.dump", "shear_{speed}_T{T}.dump", {"speed": 1.5, "T": 0.7}),
        ("a-2e-3.dump", "a{speed}.dump", {"speed": -2e-3}),
        ("long_name_7.gz", "*_{n}.gz", {"n": 7}),
    ],
)
def test_numbers_in_names(tmp_path, name, pattern, due):
    path = written(tmp_path / name, "x")
    found = pairing([str(path)], name_pattern=pattern).parameters
    assert {key: values[0] for key, values in found.items()} == due


def test_folders_tell_runs_apart_where_names_do_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for speed in (1, 2, 10):
        (tmp_path / f"speed{speed}").mkdir()
        written(tmp_path / f"speed{speed}" / "a.dump", "x")
    written(tmp_path / "runs.csv", "file,speed\nspeed1/a.dump,1\nspeed10/a.dump,10\nspeed2/a.dump,2\n")
    written(tmp_path / "names.csv", "file,speed\na.dump,1\n")
    for source in (
        {"name_pattern": "speed{speed}/*.dump"},
        {"table": "runs.csv"},
        {"table": str(tmp_path / "runs.csv")},
    ):
        found = pairing(["speed*/a.dump"], **source)
        assert [str(path) for path in found.files] == [f"speed{n}/a.dump" for n in (1, 2, 10)]
        assert found.parameters["speed"] == (1, 2, 10)
    with pytest.raises(ValueError, match=r"names\.csv: has no row for the file speed1/a\.dump"):
        pairing(["speed*/a.dump"], table="names.csv")


BAD = {
    "two sources": ({"scalars": {"n": [1.0]}, "table": "runs.csv"}, ["run1.dump"], "from scalars and table, expected"),
    "another name": ({"name_pattern": "walk{n}.dump"}, ["run1.dump"], "does not match the name_pattern"),
    "no scalar in the pattern": ({"name_pattern": "run*.dump"}, ["run1.dump"], "expected {NAME} once for each scalar"),
    "too few values": ({"scalars": {"n": [1.0]}}, ["run1.dump", "run2.dump"], "n has 1 values, expected one for each"),
    "no row": ({"table": "short.csv"}, ["run2.dump"], "short.csv: has no row for the file run2.dump"),
    "a word in the table": ({"table": "words.csv"}, ["run1.dump"], "words.csv: line 2: 'many', expected a number"),
    "a row twice": ({"table": "twice.csv"}, ["run1.dump"], "twice.csv: line 3: run1.dump is there twice"),
    "no table": ({"table": "none.csv"}, ["run1.dump"], "none.csv: cannot be read"),
    "no column file": ({"table": "names.csv"}, ["run1.dump"], "names.csv: line 2: expected a value for each column"),
    "some beside": ({}, ["run1.dump:n=1", "run2.dump"], "some files have scalars beside them and some do not"),
    "others beside": ({}, ["run1.dump:n=1", "run2.dump:m=2"], "run2.dump: has the scalars m from"),
    "a word beside": ({}, ["run1.dump:n=fast"], "run1.dump:n=fast: 'fast', expected a number"),
    "a file twice": ({}, ["run1.dump", "run1.dump"], "run1.dump: is given twice"),
    "a bad name": ({"scalars": {"a/b": [1.0]}}, ["run1.dump"], "scalar: 'a/b', expected a name of letters"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_paired_is_refused(tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    runs(tmp_path)
    written(tmp_path / "short.csv", "file,n\nrun1.dump,1\n")
    written(tmp_path / "words.csv", "file,n\nrun1.dump,many\n")
    written(tmp_path / "twice.csv", "file,n\nrun1.dump,1\nrun1.dump,2\n")
    written(tmp_path / "names.csv", "name,n\nrun1.dump,1\n")
    options, files, said = BAD[case]
    with pytest.raises(ValueError, match=re.escape(said)):
        pairing(files, **options)


def test_one_trajectory_of_several_files_has_one_value(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs(tmp_path)
    cli.main(["deposit", "run1.dump:n=3", "run2.dump:n=3", "-o", "a.h5", "--bins", "2", "--mean"])
    assert TrajectoryFile.open("a.h5").parameters["n"].tolist() == [3]
    with pytest.raises(SystemExit):
        cli.main(["deposit", "run1.dump:n=3", "run2.dump:n=4", "-o", "b.h5", "--bins", "2", "--mean"])
