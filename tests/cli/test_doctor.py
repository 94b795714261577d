"""`morlight doctor` as a user calls it."""

import json

import pytest

from morlight.cli import main as cli


def test_doctor_says_that_nothing_is_odd_about_a_set(capsys):
    cli.main(["doctor", "lj_refinement"])
    out = capsys.readouterr().out
    assert "lj_refinement: 4 trajectories, 41 frames, 80 cells" in out
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


@pytest.mark.parametrize("words", [["nothing.h5"], ["lj", "--bins", "0"]])
def test_a_file_that_is_not_there_or_no_cells_end_with_status_2(words, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["doctor", *words])
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("morlight: ")
