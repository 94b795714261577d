"""What studies share: tables, kept fits, and data files that belong to their settings."""

import dataclasses
import json
from dataclasses import dataclass

import pytest

from experiments.support.fits import Fit, Kept
from experiments.support.study import Study
from experiments.support.tables import table
from morlight.data.trajectory_file import TrajectoryFile, digest
from morlight.simulate.random_fields import Fields, burgers
from morlight.simulate.walkers import Walkers, brownian, levy


@dataclass(frozen=True)
class Errors:
    """Of some realizations."""

    values: list[float]


def test_a_table_has_one_row_for_each_line_and_one_cell_for_each_title():
    assert table(["a", ""], [("1", ""), ("2", "3")]) == "| a | |\n|---|---|\n| 1 | |\n| 2 | 3 |"


def test_a_kept_fit_is_what_its_file_says():
    fit = Fit("lj", "lj", {"data.held_out": None, "model.horizons": [4], "model.bases": {"momentum": "sine"}})
    kept = Kept(fit, 1.5, Errors([0.1, float("inf")]), "model.ckpt")
    assert Kept.from_json(json.loads(json.dumps(kept.to_json())), Errors) == kept


@pytest.mark.parametrize(
    ("simulate", "setting", "other"),
    [
        (burgers, Fields(samples=2, points=48), Fields(samples=3, points=48)),
        (brownian, Walkers(sets=1, walkers=10, steps=2, bins=4), Walkers(sets=1, walkers=10, steps=2, bins=8)),
        (levy, Walkers(1, 10, 2, 4, drift=(0.0, 0.0)), Walkers(1, 10, 2, 4, drift=(1.0, -0.5))),
    ],
)
def test_data_are_simulated_again_only_with_other_settings(tmp_path, monkeypatch, capsys, simulate, setting, other):
    monkeypatch.chdir(tmp_path)
    study = Study("study", "small", Errors)
    path = study.data(simulate, setting)
    first = digest(path)
    assert "simulate study" in capsys.readouterr().out
    assert study.data(simulate, setting) == path
    assert capsys.readouterr().out == ""
    for changes in ({"setting": other}, {"setting": other, "seed": 1}):
        study.data(simulate, **changes)
        assert "simulate study" in capsys.readouterr().out
        assert digest(path) != first
        stored = TrajectoryFile.open(path).attributes["generator_parameters"]
        wanted = json.loads(json.dumps(dataclasses.asdict(other)))
        assert {name: stored[name] for name in wanted} == wanted


def test_a_fit_is_made_again_where_its_file_or_its_configuration_has_changed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    configuration = tmp_path / "own.yaml"
    configuration.write_text("model: {realizations: 1}")
    study = Study("study", "small", Errors)
    setting = Walkers(sets=1, walkers=100, steps=40, bins=8)
    few = {"model.horizons": [1], "data.validation": 0, "data.test": 0, "trainer.max_epochs": 1}

    def again(seed):
        fit = Fit(str(configuration), str(study.data(brownian, setting, seed=seed)), few)
        return study.fit("key", fit, lambda model: Errors([model.data.dt])).checkpoint

    first = again(seed=0)
    assert again(seed=0) == first
    assert list(study.current()) == ["key"]
    study.data(brownian, setting, seed=1)
    assert study.current() == {}
    second = again(seed=1)
    assert second != first
    configuration.write_text("model: {realizations: 1} # a comment")
    assert again(seed=1) == second
    configuration.write_text("model: {realizations: 2}")
    assert again(seed=1) != second
