"""The studies at their small scale: everything runs, is kept, goes on where it stopped, and is drawn."""

import json
from pathlib import Path

import pytest

from experiments import brownian, burgers, laplacian, levy
from morlight.tracking.runs import read_runs

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "configs").symlink_to(CONFIGS)
    return tmp_path


@pytest.mark.parametrize(
    ("study", "name"), [(burgers, "burgers"), pytest.param(laplacian, "laplacian", marks=pytest.mark.slow)]
)
def test_study_runs_continues_and_draws_its_figure(folder, capsys, study, name):
    study.main(["--scale", "small"])
    shown = capsys.readouterr().out
    results = json.loads(Path(f"mlruns/studies/{name}/small/results.json").read_text())
    curves = [key for key, recipe in study.RECIPES.items() if recipe.curve]
    assert all(f"{key}/{size}" in results for key in curves for size in (50, 100, 200))
    assert len(results) == len(study.RECIPES) + 2 * len(curves)
    assert max(results["default/200"]["errors"]) < 0.5 < min(results["paper/200"]["errors"])
    assert Path(f"mlruns/studies/{name}/small/{name}.png").stat().st_size > 50_000
    runs = read_runs(name)
    assert len(runs) == len(results) + 1
    assert {run.status for run in runs} == {"FINISHED"}
    assert "| samples | median error |" in shown

    for key in ("paper/50", "default/50"):  # as if the first run had been stopped between the two
        results.pop(key)
    Path(f"mlruns/studies/{name}/small/results.json").write_text(json.dumps(results))
    study.main(["--scale", "small", "--figure", "figure.png"])
    assert capsys.readouterr().out.count("$ morlight fit") == 2
    assert Path("figure.png").exists()
    again = json.loads(Path(f"mlruns/studies/{name}/small/results.json").read_text())
    assert {key: again[key] for key in results} == results
    assert set(again) - set(results) == {"paper/50", "default/50"}


def test_claims_about_isotropy_are_judged_by_the_errors():
    found = {
        f"{name}/{beta}/{size}": {"symbol": [error, 2 * error, 3 * error], "impulse": [1.0 / (isotropic + 1)]}
        for beta in levy.ANISOTROPIES
        for isotropic, name in enumerate(("anisotropic", "isotropic"))
        for size, error in {1: 0.4, 10: 0.1 if isotropic else 40.0}.items()
    }
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in levy.claims(found, (1, 10)).splitlines()[2:]]
    assert [line[1:] for line in lines] == [
        ["g", "1.0…400.0, 1.0…400.0, 1.0…400.0", "no"],  # equal at one set: not better at every size
        ["g", "400.0, 400.0, 400.0", "yes"],
        ["g", "4.0", "no"],
        ["the impulse", "2.0…2.0, 2.0…2.0, 2.0…2.0", "yes"],
        ["the impulse", "2.0, 2.0, 2.0", "no"],
        ["the impulse", "1.0", "yes"],
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("study", "name", "fits"), [(brownian, "brownian", 6), (levy, "levy", 27)])
def test_studies_of_walkers_run_and_draw_all_their_figures(folder, capsys, study, name, fits):
    study.main(["--scale", "small"])
    shown = capsys.readouterr().out
    results = json.loads(Path(f"mlruns/studies/{name}/small/results.json").read_text())
    assert len(results) == fits
    figures = list(Path(f"mlruns/studies/{name}/small").glob("*.png"))
    assert len(figures) == {"brownian": 6, "levy": 5}[name]
    assert min(figure.stat().st_size for figure in figures) > 20_000
    assert {run.status for run in read_runs(name)} == {"FINISHED"}
    assert {"brownian": "| claim of Sec. 5.2 |", "levy": "| learned from |"}[name] in shown
    study.main(["--scale", "small"])
    assert "$ morlight fit" not in capsys.readouterr().out  # everything is kept
