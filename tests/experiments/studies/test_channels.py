"""The studies of channels: their verdicts, their page, and all of them at a small scale on a made-up fluid."""

import dataclasses
from pathlib import Path

import channel
import pytest

from experiments import page
from experiments.studies import colloid_models, generalization, lj_models, lj_refinement
from experiments.support import results
from experiments.support.channels import ChannelErrors
from experiments.support.claims import claims_table
from morlight.tracking.runs import read_runs


def made(values, names):
    """Errors of models with these medians, the same for every realization."""
    return {
        label: {
            cutoff: ChannelErrors({name: [error] * 3}, {name: 0.05}, {"linear": {name: 0.2}}, 3, 400)
            for cutoff, error in zip((0.1, 0.2, 0.5, 1.0), errors, strict=True)
        }
        for (label, name), errors in zip(names.items(), values, strict=True)
    }


def verdicts(claims):
    return [claim.holds for claim in claims]


CURVE, POOR = [0.4, 0.2, 0.11, 0.1], [0.8, 0.6, 0.5, 0.5]


def test_claims_about_the_fluid_are_judged_by_the_numbers():
    without = [0.39, 0.21, 0.1, 0.11]
    as_printed = made([POOR, CURVE, without, CURVE, without], lj_models.STEADY)
    assert verdicts(lj_models.claims(as_printed)) == [True, True, True, True]
    other = made([CURVE, CURVE[::-1], [2 * e for e in CURVE[::-1]], POOR, POOR], lj_models.STEADY)
    assert verdicts(lj_models.claims(other)) == [False, False, True, True]
    assert "| not reproduced |" in claims_table(lj_models.claims(other))


def test_claims_about_the_colloid_are_judged_by_the_numbers():
    worse = [1.2 * error for error in CURVE]
    as_printed = made([CURVE, worse, CURVE, worse, POOR, [1.1 * e for e in POOR]], colloid_models.STEADY)
    assert verdicts(colloid_models.claims(as_printed)) == [True] * 4
    assert verdicts(colloid_models.beside_others(as_printed)) == [False, False]
    other = made([worse, CURVE, POOR[::-1], POOR, CURVE, CURVE], colloid_models.STEADY)
    assert verdicts(colloid_models.claims(other)) == [False, False, False, False]
    poor = made([worse, [2 * e for e in POOR], POOR, POOR, POOR, POOR], colloid_models.STEADY)
    poor["2 fields, conservation"][1.0].errors["steady density_large"][:] = [0.15] * 3
    assert verdicts(colloid_models.beside_others(poor)) == [True, True]


def test_generalization_is_judged_by_the_noise():
    one = ChannelErrors(
        {"t=0.025": [0.15, 0.3, 0.9], "t=1": [0.25, 0.3, 0.3], "eq35": [0.1] * 3, "steady": [0.1] * 3},
        {"t=0.025": 0.1, "t=1": 0.1}, {"linear": {}, "persistence": {}}, 3, 400, 0.0,
    )  # fmt: skip
    models = dict.fromkeys(("default", "searched", "without stability", "paper"), one)
    assert verdicts(generalization.claims({"lj": models})) == [True, False, True, False]
    models["searched"] = dataclasses.replace(one, bounded=2)
    models["paper"] = dataclasses.replace(one, errors={**one.errors, "eq35": [0.5] * 3})
    assert verdicts(generalization.claims({"lj": models})) == [True, False, False, True]
    models["searched"] = dataclasses.replace(models["searched"], noise={})
    assert verdicts(generalization.claims({"lj": models}))[:2] == [None, None]


def test_the_page_is_that_of_the_kept_results():
    assert page.PAGE.read_text() == page.page()
    for name in (study.__name__.rpartition(".")[2] for study in page.STUDIES):
        for figure in results.load(name).figures:
            assert (results.FIGURES / figure).is_file(), figure


@pytest.mark.slow
def test_studies_run_at_their_small_scale_and_are_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
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
    assert ": fit " not in capsys.readouterr().out  # everything is kept
