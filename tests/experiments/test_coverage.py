"""The study of error bars: its arithmetic on normal numbers, and a study that is continued."""

import math

import numpy as np
import pytest

from benchmarks.equation_sets import dispersion
from experiments import coverage
from experiments.support import intervals, json_lines, noisy_equations, walkers_on_a_line


def test_the_summary_of_normal_numbers_with_half_their_error_is_known():
    rng, sets = np.random.default_rng(0), 4000
    values = [{"value": 3 + 0.1 + 2 * z, "error": 1.0, "truth": 3.0} for z in rng.normal(size=sets)]
    found = coverage.summary(values)
    for share, reach in intervals.NORMAL.items():
        known = math.erf(reach / 2 / math.sqrt(2))
        assert found[f"coverage_{share:g}"] == pytest.approx(known, abs=4 * math.sqrt(known * (1 - known) / sets))
    assert found["bias"] == pytest.approx(0.1, abs=8 / math.sqrt(sets))
    assert found["ratio"] == pytest.approx(2, rel=0.05)


def test_a_study_is_continued_and_every_set_has_numbers_with_errors(tmp_path, monkeypatch, capsys):
    small = {"sets": 12, "walkers": 2000, "steps": 15, "bins": 12, "deposit": "fourier"}
    monkeypatch.setattr(walkers_on_a_line, "SIZE", small)
    monkeypatch.setitem(walkers_on_a_line.SETTINGS, "model.iterations", 15)
    monkeypatch.setitem(walkers_on_a_line.SETTINGS, "model.width", 3)
    results = tmp_path / "results.jsonl"
    coverage.main([str(results), "--sets", "1", "--only", "drift"])
    first = results.read_text()
    results.write_text(first + '{"case": "drift", "se')  # killed
    coverage.main([str(results), "--sets", "2", "--only", "drift"])
    lines = json_lines.read(results)
    assert [line["seed"] for line in lines] == [0, 1]
    assert results.read_text().startswith(first)
    numbers = [each for line in lines for each in line["estimates"] + line["rollouts"]]
    assert all(each.get("error", 1) > 0 for each in numbers)
    assert [each["length"] for each in lines[0]["rollouts"]] == [0.1, 1.0, 10.0]
    assert {"D", "Re G(1)"} <= {each["name"] for each in lines[0]["estimates"]}
    assert "| drift | 10 | 2 |" in capsys.readouterr().out


def test_an_equation_with_noise_has_coefficients_and_roll_outs_with_errors_that_fit_the_truth(tmp_path):
    case = noisy_equations.NoisyEquation(dispersion, noise=0.01)
    estimates, rollouts = case.measured(3, tmp_path)
    assert [(each.name, each.truth) for each in estimates] == [("∂³ₓu", -0.02)]
    assert 0 < abs(estimates[0].value - estimates[0].truth) < 4 * estimates[0].error
    assert [each["length"] for each in rollouts] == [0.1, 1.0, 10.0]
    off = abs(estimates[0].value - estimates[0].truth) / estimates[0].error
    for each in rollouts:  # of one coefficient: every point is off by as many standard errors as the coefficient
        assert each["error"] == pytest.approx(off * each["sd"], rel=0.05)
