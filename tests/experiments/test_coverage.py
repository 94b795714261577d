"""The study of error bars: its arithmetic on normal numbers, and a study that is continued."""

import math

import numpy as np
import pytest

from experiments import coverage


def test_the_summary_of_normal_numbers_with_half_their_error_is_known():
    rng, sets = np.random.default_rng(0), 4000
    values = [{"value": 3 + 0.1 + 2 * z, "error": 1.0, "truth": 3.0} for z in rng.normal(size=sets)]
    found = coverage.summary(values)
    for share, reach in coverage.NORMAL.items():
        known = math.erf(reach / 2 / math.sqrt(2))
        assert found[f"coverage_{share:g}"] == pytest.approx(known, abs=4 * math.sqrt(known * (1 - known) / sets))
    assert found["bias"] == pytest.approx(0.1, abs=8 / math.sqrt(sets))
    assert found["ratio"] == pytest.approx(2, rel=0.05)


def test_a_study_is_continued_and_every_set_has_numbers_with_errors(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(coverage, "SIZE", {"sets": 12, "walkers": 2000, "steps": 15, "bins": 12, "deposit": "fourier"})
    monkeypatch.setitem(coverage.SETTINGS, "model.iterations", 15)
    monkeypatch.setitem(coverage.SETTINGS, "model.width", 3)
    results = tmp_path / "results.jsonl"
    coverage.main([str(results), "--sets", "1", "--only", "drift"])
    first = results.read_text()
    results.write_text(first + '{"case": "drift", "se')  # killed
    coverage.main([str(results), "--sets", "2", "--only", "drift"])
    lines = coverage.read(results)
    assert [line["seed"] for line in lines] == [0, 1]
    assert results.read_text().startswith(first)
    numbers = [each for line in lines for each in line["estimates"] + line["rollouts"]]
    assert all(each.get("error", 1) > 0 for each in numbers)
    assert [each["length"] for each in lines[0]["rollouts"]] == [0.1, 1.0, 10.0]
    assert "| drift | 10 | 2 |" in capsys.readouterr().out
