"""What the trials of a sweep must have in common, so that their objectives can be compared."""

import shutil
from pathlib import Path

import h5py
import pytest
import yaml

from morlight.sweep import study as studies
from morlight.sweep.parent import Parent
from morlight.sweep.plan import Plan
from morlight.sweep.run import check
from morlight.sweep.worker import Hopeless, Worker
from tests.sweep.test_sweep import BASE, PLAN, SPACE, finished, folder, study, sweep

__all__ = ["folder"]  # a fixture


def test_the_split_of_trials_may_be_searched_and_it_says_that_their_errors_can_hardly_be_compared(folder, capsys):
    sweep(trials=1, space=SPACE | {"data.seed": [0, 1]})
    assert "trials with different values of data.seed are tested on different trajectories" in capsys.readouterr().err
    sweep(trials=1, space=SPACE | {"data.batch": [10, 20]}, name="other")
    assert "tested on different" not in capsys.readouterr().err


def test_a_study_of_an_older_version_is_joined_and_has_settings_from_then_on(folder, capsys):
    sweep(trials=1)
    old = study()
    plan = old.user_attrs["plan"]
    old.set_user_attr("plan", {key: plan[key] for key in ("space", "objective", "direction")})
    sweep(trials=2)
    assert study().user_attrs["plan"] == plan


def test_a_study_of_another_search_space_is_not_joined(folder, capsys):
    sweep(trials=1)
    other = {"model.lr": {"low": 1e-3, "high": 1.0, "log": True}}
    for change, named in (({"space": other}, "another search space: model.lr"), ({"objective": "x"}, "objective")):
        with pytest.raises(SystemExit) as ended:
            sweep(trials=1, **change)
        assert ended.value.code == 2
        assert named in capsys.readouterr().err
    assert len(study().trials) == 1


def test_a_study_whose_trials_had_other_settings_or_other_data_is_not_continued(folder, capsys, heat_file):
    data = BASE["data"] | {"path": "copy.h5"}

    def write_base(**change):
        Path("base.yaml").write_text(yaml.safe_dump(BASE | {"data": data} | change))

    shutil.copy(heat_file, "copy.h5")
    write_base()
    sweep(trials=1)
    write_base(trainer=BASE["trainer"] | {"max_epochs": 2})
    with pytest.raises(SystemExit) as ended:
        sweep(trials=2)
    assert ended.value.code == 2
    assert "has trials with trainer.max_epochs 1, not 2" in capsys.readouterr().err
    write_base()
    with h5py.File(shutil.copy(heat_file, "other.h5"), "r+") as file:
        file.attrs["note"] = "another run"
    Path("other.h5").replace("copy.h5")
    with pytest.raises(SystemExit) as ended:
        sweep(trials=2)
    assert ended.value.code == 2
    assert "has trials on other data than data.path contains now" in capsys.readouterr().err
    assert len(study().trials) == 1
    shutil.copy(heat_file, "moved.h5")
    data["path"] = "moved.h5"
    write_base(trainer=BASE["trainer"] | {"enable_progress_bar": False}, model=BASE["model"] | {"lr": 0.5})
    sweep(trials=2)
    assert len(finished(study().trials)) == 2


def test_the_base_of_a_study_counts_where_a_key_is_searched_only_under_a_condition(folder, capsys):
    space = {
        "model.lr": [0.01],
        "model.symbol": ["dissipative", "plain"],
        "model.smoothness": {"low": 1e-3, "high": 1.0, "log": True, "when": {"model.symbol": "dissipative"}},
    }
    sweep(trials=1, space=space)
    with pytest.raises(SystemExit) as ended:
        sweep(trials=2, space=space, set={"model.smoothness": 0.5})
    assert ended.value.code == 2
    assert "has trials with model.smoothness 0.01, not 0.5" in capsys.readouterr().err


def test_pruners_do_not_compare_values_of_two_metrics(folder, capsys):
    sweep(trials=1, pruner="median")
    with pytest.raises(SystemExit) as ended:
        sweep(trials=2, pruner="median", watch="val_loss/min")
    assert ended.value.code == 2
    assert 'has trials with watch "val_loss/median", not "val_loss/min"' in capsys.readouterr().err


def begun():
    """A worker of a study that has just begun."""
    Path("search.yaml").write_text(yaml.safe_dump(PLAN | {"trials": 4}))
    plan = Plan.read("search.yaml")
    common = check(plan)
    study, _ = studies.open_study(plan, common)
    parent = Parent(plan, study, common.settings)
    parent.begin(new=True)
    studies.fill(study, plan)
    return Worker(plan, study, parent, common)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning", "ignore:Heartbeat of storage")
def test_a_trial_with_a_base_or_with_data_that_have_changed_meanwhile_ends_the_sweep(folder, heat_file):
    shutil.copy(heat_file, "copy.h5")
    base = BASE | {"data": BASE["data"] | {"path": "copy.h5"}}
    Path("base.yaml").write_text(yaml.safe_dump(base))
    worker = begun()
    Path("base.yaml").write_text(yaml.safe_dump(base | {"trainer": BASE["trainer"] | {"max_epochs": 2}}))
    with pytest.raises(Hopeless, match=r"base.yaml: trainer.max_epochs has changed since the sweep began"):
        worker.work()
    Path("base.yaml").write_text("model: [")
    with pytest.raises(Hopeless, match=r"base.yaml.*when the sweep began, there was no such error"):
        worker.work()
    Path("base.yaml").write_text(yaml.safe_dump(base))
    Path("copy.h5").rename("away.h5")
    with pytest.raises(Hopeless, match=r"copy.h5.*when the sweep began, there was no such error"):
        worker.work()
    with h5py.File(shutil.copy(heat_file, "other.h5"), "r+") as file:
        file.attrs["note"] = "another run"
    Path("other.h5").replace("copy.h5")
    with pytest.raises(Hopeless, match=r"copy.h5: has changed since the sweep began"):
        worker.work()
    assert not finished(worker.study.trials)
