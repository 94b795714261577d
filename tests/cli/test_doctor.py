"""`morlight doctor` as a user calls it."""

import json

import numpy as np
import pytest
from command import refused

import morlight
from morlight.cli import main as cli


def test_doctor_says_that_nothing_is_odd_about_a_set(capsys):
    cli.main(["doctor", "lj_refinement"])
    out = capsys.readouterr().out
    assert "lj_refinement: 16 trajectories, 41 frames, 80 cells" in out
    assert "nothing odd found" in out


def test_findings_are_no_error_and_json_has_their_numbers(tmp_path, capsys):
    path = str(tmp_path / "few.h5")
    cli.main(["simulate", "brownian", "--sets", "2", "--walkers", "50", "--steps", "20", "--bins", "32", "-o", path])
    capsys.readouterr()
    cli.main(["doctor", path, "--json"])
    report = json.loads(capsys.readouterr().out)
    (finding,) = report["findings"]
    assert finding["check"] == "particles a cell"
    assert finding["value"] == pytest.approx(50 / 32)
    assert set(finding) == {"check", "severity", "message", "value", "expected"}
    assert "frames" in report["passed"]


def test_a_fit_and_a_deposit_that_refuse_a_file_point_to_doctor(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    morlight.write("flat.h5", {"u": np.ones((4, 8, 16))}, dt=0.1, length=1.0, boundaries="periodic")
    said = refused("fit --data.path flat.h5", capsys)
    assert said.startswith("morlight: flat.h5: ")
    assert said.endswith("; `morlight doctor flat.h5` says what else is odd\n")
    box = "ITEM: BOX BOUNDS pp pp pp\n0 1\n0 1\n0 1\nITEM: ATOMS id type x\n"
    frames = [
        f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{count}\n{box}"
        + "".join(f"{i} 1 0.{i}\n" for i in range(1, count + 1))
        for step, count in ((0, 2), (1, 3))
    ]
    (tmp_path / "lost.dump").write_text("".join(frames))
    said = refused("deposit lost.dump -o out.h5 --bins 4 --timestep 1", capsys)
    assert said.endswith("; `morlight doctor lost.dump` says what else is odd\n")
    assert "doctor" not in refused("fit --data.path nowhere.h5", capsys)


@pytest.mark.parametrize("words", [["nothing.h5"], ["lj", "--bins", "0"]])
def test_a_file_that_is_not_there_or_no_cells_end_with_status_2(words, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["doctor", *words])
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("morlight: ")
