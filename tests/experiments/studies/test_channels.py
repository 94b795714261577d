"""The studies of channels: their verdicts, their page, and all of them at a small scale on a made-up fluid."""

import json
from pathlib import Path

import channel
import pytest

from experiments import colloid_models, generalization, lj_models, lj_refinement, results
from morlight.tracking.runs import read_runs

ROOT = Path(__file__).parents[2]


def made(values, models, name):
    """Results of models with these medians, the same for every realisation."""
    return {
        f"{label}/{cutoff}": {
            "errors": {name(fields): [error] * 3},
            "noise": {name(fields): 0.05},
            "baselines": {"linear": {name(fields): 0.2}, "persistence": {name(fields): 1.0}},
        }
        for (label, fields), errors in zip(models.items(), values, strict=True)
        for cutoff, error in zip((0.1, 0.2, 0.5, 1.0), errors, strict=True)
    }


def verdicts(claims):
    return [claim.holds for claim in claims]


def test_claims_about_the_fluid_are_judged_by_the_numbers():
    curve, poor = [0.4, 0.2, 0.11, 0.1], [0.8, 0.6, 0.5, 0.5]
    as_printed = made(
        [poor, curve, [0.39, 0.21, 0.1, 0.11], curve, [0.39, 0.21, 0.1, 0.11]], lj_models.MODELS, lj_models.momentum
    )
    assert verdicts(lj_models.claims(as_printed)) == [True, True, True, True]
    other = made([curve, curve[::-1], [2 * e for e in curve[::-1]], poor, poor], lj_models.MODELS, lj_models.momentum)
    assert verdicts(lj_models.claims(other)) == [False, False, True, True]
    assert "| not reproduced |" in lj_models.page(other)


def test_claims_about_the_colloid_are_judged_by_the_numbers():
    curve, poor = [0.4, 0.2, 0.11, 0.1], [0.8, 0.6, 0.5, 0.5]
    worse = [1.2 * error for error in curve]
    as_printed = made(
        [curve, worse, curve, worse, poor, [1.1 * e for e in poor]], colloid_models.MODELS, colloid_models.concentration
    )
    assert verdicts(colloid_models.claims(as_printed)) == [True] * 4
    other = made([worse, curve, poor[::-1], poor, curve, curve], colloid_models.MODELS, colloid_models.concentration)
    assert verdicts(colloid_models.claims(other)) == [False, False, False, False]


def test_generalisation_is_judged_by_the_noise():
    told = {
        "errors": {"t=0.025": [0.15, 0.3, 0.9], "t=1": [0.25, 0.3, 0.3], "eq35": [0.1] * 3, "steady": [0.1] * 3},
        "noise": {"t=0.025": 0.1, "t=1": 0.1}, "baselines": {"linear": {}, "persistence": {}},
        "bounded": 3, "steps": 400, "mass_drift": 0.0,
    }  # fmt: skip
    found = {f"lj/{label}": dict(told) for label in ("default", "searched", "without stability", "paper")}
    assert verdicts(generalization.claims(found)) == [True, False, True, False]
    found["lj/searched"]["bounded"] = 2
    found["lj/paper"] = told | {"errors": told["errors"] | {"eq35": [0.5] * 3}}
    assert verdicts(generalization.claims(found)) == [True, False, False, True]
    found["lj/searched"] = found["lj/searched"] | {"noise": {}}
    assert verdicts(generalization.claims(found))[:2] == [None, None]


def test_the_page_is_that_of_the_kept_results():
    assert results.PAGE.read_text() == results.page()
    for path in results.FOLDER.glob("*.json"):
        for figure in json.loads(path.read_text())["figures"]:
            assert (ROOT / "docs" / figure).is_file(), figure


@pytest.mark.slow
def test_studies_run_at_their_small_scale_and_are_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    fluid = channel.write("fluid.h5", bins=80, densities=(0.01, 0.02, 0.05, 0.1, 0.2))
    one = channel.write("one.h5", bins=80, seeds=4, densities=(0.01,))
    lj_models.main(["--data", str(fluid)])
    lj_refinement.main(["--data", str(one)])
    generalization.main(["--data", str(fluid), "--system", "lj", "--search", "2"])
    assert {run.status for name in ("lj_models", "lj_refinement") for run in read_runs(name)} == {"FINISHED"}
    for name in ("lj_models", "lj_refinement", "generalization"):
        pictures = list(Path(f"mlruns/studies/{name}/small").glob(f"{name}*.png"))
        assert pictures
        assert min(picture.stat().st_size for picture in pictures) > 20_000
    assert list(Path("mlruns/studies/generalization/small/search_lj").glob("*.png"))
    assert "| claim | numbers | verdict |" in capsys.readouterr().out
    lj_models.main(["--data", str(fluid)])
    assert "$ morlight fit" not in capsys.readouterr().out  # everything is kept
