"""Files of particles straight into training, and sets by their names."""

import re
from pathlib import Path

import numpy as np
import pytest

from morlight.data import location as source
from morlight.data.config import DataConfig
from morlight.data.datamodule import TrajectoryDataModule
from morlight.data.particles.convert import convert
from morlight.data.particles.settings import Deposit
from morlight.data.trajectory_file import TrajectoryFile
from tests.data.particles.test_lammps_dump import FRAME, written

HOW = {"fields": ["density", "momentum"], "bins": [2], "masses": {1: 1, 2: 3}, "bounds": [[0, 10]]}


def dump(folder, name="a.dump", at="5.5"):
    return written(folder / name, "".join(FRAME.format(step=k).replace(" 5.5", f" {at}") for k in range(6)))


def test_data_module_takes_dumps_as_deposit_makes_them(tmp_path):
    for name, at in (("a.dump", "5.5"), ("b.dump", "4.5")):
        dump(tmp_path, name, at)
    data = TrajectoryDataModule(
        DataConfig(path=str(tmp_path / "*.dump"), deposit={**HOW, "scalars": {"rho": [1, 2]}}, validation=0.0)
    )
    data.prepare_data()
    data.setup()
    paths = [tmp_path / "a.dump", tmp_path / "b.dump"]
    how = Deposit(**{**HOW, "masses": {1: 1.0, 2: 3.0}, "bounds": [(0.0, 10.0)]})
    convert(paths, tmp_path / "c.h5", how, parameters={"rho": [1.0, 2.0]})
    assert np.array_equal(TrajectoryFile.open(data.file.path).read(), TrajectoryFile.open(tmp_path / "c.h5").read())
    assert data.file.parameters["rho"].tolist() == [1, 2]
    assert data.file.path.parent == tmp_path


def test_a_pattern_does_not_take_what_was_kept_for_particles(tmp_path):
    for name in ("dump.1", "dump.2"):
        dump(tmp_path, name)
    kept = source.located(str(tmp_path / "dump.*"), HOW)
    assert source.located(str(tmp_path / "dump.*"), HOW) == kept
    assert len(TrajectoryFile.open(kept).read()) == 2


def test_files_of_a_pattern_are_paired_in_natural_order_and_the_pairs_are_shown(tmp_path, capsys):
    for run in (10, 1, 2):
        dump(tmp_path, f"run{run}.dump", at=f"{run / 2}")
    for sources in ({"scalars": {"n": [1, 2, 10]}}, {"name_pattern": "run{n}.dump"}):
        kept = source.located(str(tmp_path / "run*.dump"), {**HOW, **sources})
        held = TrajectoryFile.open(kept)
        assert held.parameters["n"].tolist() == [1, 2, 10]
        assert held.attributes["files"] == {"run1.dump": {"n": 1}, "run2.dump": {"n": 2}, "run10.dump": {"n": 10}}
        assert re.search(r"run10\.dump +n = 10", capsys.readouterr().err)
    assert TrajectoryFile.open(kept).read()[2, 0, 0] * 40 == pytest.approx([1, 2])  # run10: the atom at 5, not below


def test_fields_are_kept_until_file_or_settings_change(tmp_path):
    path = dump(tmp_path)
    kept = source.located(str(path), HOW)
    written_at = kept.stat().st_mtime_ns
    assert source.located(str(path), HOW) == kept
    assert kept.stat().st_mtime_ns == written_at
    assert source.located(str(path), {**HOW, "bins": [4]}) != kept
    dump(tmp_path, at="2.125")
    assert source.located(str(path), HOW) != kept


BAD = {
    "no file": ("b.dump", HOW, "b.dump: no such file, expected files of particles at data.path"),
    "unknown setting": (
        "a.dump",
        {"cells": 3},
        "data.deposit has cells, expected any of scalars, name_pattern, table",
    ),
    "unknown field": ("a.dump", {"fields": ["mass"]}, "fields: mass, expected any of density"),
    "a word for a number": ("a.dump", {"average": "two"}, "data.deposit: average is 'two', expected a whole number"),
    "a word for numbers": ("a.dump", {"bounds": ["low"]}, "data.deposit: bounds is ['low'], expected numbers"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_leaves_no_file(tmp_path, case):
    name, how, said = BAD[case]
    dump(tmp_path)
    with pytest.raises(ValueError, match=re.escape(said)):
        source.located(str(tmp_path / name), how)
    assert [path.name for path in tmp_path.iterdir()] == ["a.dump"]


def test_a_path_without_deposit_stays_as_it_is(tmp_path):
    assert source.located(str(tmp_path / "x.h5")) == Path(tmp_path / "x.h5")
