"""The studies of Sections 4 and 5 at their small scale: all runs, is kept, goes on where it stopped, is drawn."""

import json
from pathlib import Path

import pytest

from experiments.studies import brownian, burgers, laplacian, levy
from experiments.studies.brownian_trial import WaveErrors
from experiments.studies.levy_trial import Case, FlightErrors
from morlight.tracking.runs import read_runs


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def kept(name):
    """The file of results of a study at its small scale."""
    return Path(f"mlruns/studies/{name}/small/fits.json")


@pytest.mark.parametrize(
    ("study", "name"), [(burgers, "burgers"), pytest.param(laplacian, "laplacian", marks=pytest.mark.slow)]
)
def test_study_runs_continues_and_draws_its_figure(folder, capsys, study, name):
    study.main(["--scale", "small"])
    shown = capsys.readouterr().out
    results = json.loads(kept(name).read_text())
    curves = [key for key, recipe in study.RECIPES.items() if recipe.curve]
    assert all(f"{key}/{size}" in results for key in curves for size in (50, 100, 200))
    assert len(results) == len(study.RECIPES) + 2 * len(curves)
    least = min(results["paper/200"]["measured"]["errors"])
    assert max(results["default/200"]["measured"]["errors"]) < 0.5 < least
    assert Path(f"mlruns/studies/{name}/small/{name}.png").stat().st_size > 50_000
    runs = read_runs(name)
    assert len(runs) == len(results) + 1
    assert {run.status for run in runs} == {"FINISHED"}
    assert "| samples | median error |" in shown

    for key in ("paper/50", "default/50"):  # as if the first run had been stopped between the two
        results.pop(key)
    kept(name).write_text(json.dumps(results))
    study.main(["--scale", "small", "--figure", "figure.png"])
    assert capsys.readouterr().out.count(f"{name}: fit ") == 2
    assert Path("figure.png").exists()
    again = json.loads(kept(name).read_text())
    assert {key: again[key] for key in results} == results
    assert set(again) - set(results) == {"paper/50", "default/50"}


def cells(text):
    """Rows of a table."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:]]


def test_claims_about_biases_are_judged_by_the_errors():
    def errors(square, drift, below, symbol):
        return WaveErrors([0.1] * 3, [square] * 3, [drift] * 3, [0.0] * 3, [below] * 3, [symbol] * 3)

    none, conserved, odd = brownian.LEVELS
    as_printed = {none: errors(5, 0.4, 0.9, 0.03), conserved: errors(0.8, 1e-16, 0.9, 0.03)}
    as_printed[odd] = errors(0.01, 1e-16, 0.01, 0.05)
    other = {none: errors(5, 0.005, 0.9, 0.03), conserved: errors(0.3, 1e-6, 0.7, 0.03)}
    other[odd] = errors(0.2, 1e-6, 0.1, 0.3)
    rows = cells(brownian.claims({"default": as_printed, "paper": other}))
    assert [row[2] for row in rows] == ["default: yes; paper: no"] * 5
    assert rows[3][1] == "default: 0.8 → 0.01; paper: 0.3 → 0.2"


def test_claims_about_isotropy_are_judged_by_the_errors():
    results = {
        Case(name, beta, size): FlightErrors([], [error, 2 * error, 3 * error], [1.0 / (isotropic + 1)])
        for beta in levy.ANISOTROPIES
        for isotropic, name in enumerate(("anisotropic", "isotropic"))
        for size, error in {1: 0.4, 10: 0.1 if isotropic else 40.0}.items()
    }
    assert [row[1:] for row in cells(levy.claims(results))] == [
        ["g", "1.0…400.0, 1.0…400.0, 1.0…400.0", "no"],  # equal at one set: not better at every size
        ["g", "400.0, 400.0, 400.0", "yes"],
        ["g", "4.0", "no"],
        ["the impulse", "2.0…2.0, 2.0…2.0, 2.0…2.0", "yes"],
        ["the impulse", "2.0, 2.0, 2.0", "no"],
        ["the impulse", "1.0", "yes"],
    ]
    assert cells(levy.ratios(results))[1] == ["0.0", "10", "80 / 0.2", "400.0", "1 / 0.5", "2.0"]


@pytest.mark.slow
@pytest.mark.parametrize(("study", "name", "fits"), [(brownian, "brownian", 6), (levy, "levy", 27)])
def test_studies_of_walkers_run_and_draw_all_their_figures(folder, capsys, study, name, fits):
    study.main(["--scale", "small"])
    shown = capsys.readouterr().out
    assert len(json.loads(kept(name).read_text())) == fits
    figures = list(Path(f"mlruns/studies/{name}/small").glob("*.png"))
    assert len(figures) == {"brownian": 6, "levy": 5}[name]
    assert min(figure.stat().st_size for figure in figures) > 20_000
    assert {run.status for run in read_runs(name)} == {"FINISHED"}
    assert {"brownian": "| claim of Sec. 5.2 |", "levy": "| learned from |"}[name] in shown
    study.main(["--scale", "small"])
    assert ": fit " not in capsys.readouterr().out  # everything is kept
