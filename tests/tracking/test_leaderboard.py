"""Rankings of runs in a real store."""

import math

import pytest
from mlflow.entities import Dataset, DatasetInput

from morlight.tracking.experiments import experiment_id
from morlight.tracking.leaderboard import leaderboard
from morlight.tracking.store import connect
from tests.tracking.stores import folder, fresh_database

__all__ = ["folder", "fresh_database"]  # fixtures

HEAT, LEVY = ("heat", "00"), ("levy", "11")


def log_run(name, metrics, *, data=HEAT, params=None, tags=None, status="FINISHED"):
    """A run of the store; its id."""
    client = connect()
    where = experiment_id(client, "morlight", create=True)
    run_id = client.create_run(where, run_name=name, tags=tags or {}).info.run_id
    for key, value in metrics.items():
        client.log_metric(run_id, key, value)
    for key, value in (params or {}).items():
        client.log_param(run_id, key, value)
    if data is not None:
        client.log_inputs(run_id, datasets=[DatasetInput(Dataset(*data, "local", "{}"))])
    client.set_terminated(run_id, status)
    return run_id


def log_sweep(name, objective="rollout_end", space=("model.width",), **params):
    """The run of a sweep; the tags of its trials."""
    params |= {f"space.{key}": "{}" for key in space} | {"objective": objective}
    parent = log_run(name, {}, data=None, params=params, tags={"kind": "sweep", "sweep": name})
    return {"mlflow.parentRunId": parent, "sweep": name}


def names(ranking):
    return [run.name for run in ranking.runs]


def test_runs_without_a_finite_value_come_last_and_sweeps_are_left_out(folder):
    log_sweep("search")
    log_run("infinite", {"eq35/median": math.inf})
    log_run("second", {"eq35/median": 0.2})
    log_run("undefined", {"eq35/median": math.nan})
    log_run("first", {"eq35/median": 0.1})
    log_run("without", {"train_loss/median": 1e-9})
    (ranking,) = leaderboard("morlight").rankings
    assert names(ranking)[:2] == ["first", "second"]
    assert set(names(ranking)[2:]) == {"infinite", "undefined", "without"}
    assert (ranking.metric, ranking.ranked) == ("eq35/median", 2)


def test_each_data_set_is_ranked_by_itself_and_by_its_own_metric(folder):
    log_run("walkers", {"square_wave_t1/median": 0.5, "train_loss/median": 1e-9})
    log_run("channel", {"eq35/median": 0.1, "train_loss/median": 1e-3}, data=LEVY)
    log_run("other file", {"square_wave_t1/median": 0.1}, data=("heat", "22"))
    board = leaderboard("morlight")
    assert [(names(r), r.metric) for r in board.rankings] == [
        (["other file"], "square_wave_t1/median"),
        (["channel"], "eq35/median"),
        (["walkers"], "square_wave_t1/median"),
    ]
    plain = board.to_json()
    assert plain["by"] is None
    assert [(r["data"], r["digest"], r["by"], len(r["run_ids"])) for r in plain["rankings"]] == [
        ("heat", "22", "square_wave_t1/median", 1),
        ("levy", "11", "eq35/median", 1),
        ("heat", "00", "square_wave_t1/median", 1),
    ]
    assert set(plain["runs"][0]) == {"run_id", "name", "status", "metrics", "params"}


def test_one_run_without_the_objective_does_not_make_the_loss_the_metric(folder):
    tags = log_sweep("search")
    for trial, value in enumerate((0.3, 0.1, 0.2)):
        metrics = {"objective": value, "rollout_end/median": value, "train_loss/median": 1 - value}
        log_run(f"trial {trial}", metrics, tags=tags)
    log_run("by hand", {"rollout_end/median": 0.15, "train_loss/median": 0.0})
    log_run("stopped", {"train_loss/median": 0.0}, status="KILLED")
    (ranking,) = leaderboard("morlight").rankings
    assert ranking.metric == "rollout_end/median"
    assert names(ranking) == ["trial 1", "by hand", "trial 2", "trial 0", "stopped"]
    (trials,) = leaderboard("morlight", sweep="search").rankings
    assert (trials.metric, names(trials)) == ("objective", ["trial 1", "trial 2", "trial 0"])


def test_objectives_of_different_meaning_are_not_compared(folder):
    for objective, value in (("rollout_end", 0.1), ("val_loss", 1e-6)):
        metrics = {"objective": value, "rollout_end/median": 0.1 + value}
        log_run(objective, metrics, tags=log_sweep(f"by {objective}", objective))
    (ranking,) = leaderboard("morlight").rankings
    assert ranking.metric == "rollout_end/median"
    assert names(ranking) == ["val_loss", "rollout_end"]


def test_a_sweep_that_maximizes_has_its_largest_objective_first(folder):
    tags = log_sweep("search", direction="maximize")
    for value in (1.0, 3.0, 2.0):
        log_run(str(value), {"objective": value}, tags=tags)
    (ranking,) = leaderboard("morlight").rankings
    assert names(ranking) == ["3.0", "2.0", "1.0"]


def test_options_are_those_of_the_sweep_or_those_that_differ(folder):
    swept = log_sweep("search", space=("model.width", "model.lr"))
    log_run("trial", {"rollout_end/median": 1.0}, tags=swept, params={"model.width": "3", "model.depth": "2"})
    for depth in "345":
        log_run(
            depth, {"eq35/median": 1.0}, data=LEVY, params={"model.depth": depth, "model.terms": "1", "name": depth}
        )
    levy, heat = leaderboard("morlight").rankings
    assert heat.options == ("model.lr", "model.width")
    assert levy.options == ("model.depth",)


def test_errors_on_training_data_are_not_ranked_among_those_on_data_held_back(folder):
    log_run("old", {"rollout_end/median": 0.3})
    log_run("fair", {"rollout_end/median": 0.2}, tags={"errors_on": "data held back"})
    log_run("easy", {"rollout_end/median": 0.1}, tags={"errors_on": "training data"})
    board = leaderboard("morlight")
    assert [names(ranking) for ranking in board.rankings] == [["easy"], ["fair", "old"]]
    assert [each["errors_on"] for each in board.to_json()["rankings"]] == ["training data", "data held back"]


def test_errors_on_other_trajectories_or_frames_are_ranked_separately(folder):
    for name, tested in (("a", "trajectories 1"), ("b", "trajectories 1"), ("c", "trajectories 1, frames 30 to 40")):
        log_run(name, {"rollout_end/median": 0.2}, tags={"errors_on": "data held back", "test_data": tested})
    board = leaderboard("morlight")
    assert [sorted(names(ranking)) for ranking in board.rankings] == [["c"], ["a", "b"]]
    assert [each["test_data"] for each in board.to_json()["rankings"]] == [
        "trajectories 1, frames 30 to 40", "trajectories 1",
    ]  # fmt: skip


def test_a_data_set_that_was_moved_is_the_same_data_set(folder):
    for name, data in (("a", ("heat", "12ab")), ("b", ("moved", "12ab"))):
        log_run(name, {"rollout_end/median": 0.2}, data=data)
    (ranking,) = leaderboard("morlight").rankings
    assert (ranking.dataset.name, len(ranking.runs)) == ("moved", 2)


def test_references_belong_to_the_error_that_is_ranked_by(folder):
    metrics = {"objective": 0.2, "linear/t_80": 0.4, "noise_ceiling/t_80": 0.1, "noise_ceiling/other": 0.9}
    log_run("trial", metrics, tags=log_sweep("search", "t=80"))
    (ranking,) = leaderboard("morlight").rankings
    (run,) = ranking.runs
    assert ranking.error == "t=80"
    assert ranking.reference("linear", run) == 0.4
    assert ranking.reference("noise_ceiling", run) == 0.1


@pytest.mark.parametrize("name", ["heat", "data/heat_small.h5", "heat_small.h5", "heat_small"])
def test_data_sets_are_chosen_by_name_or_path(folder, name):
    log_run("wanted", {"eq35/median": 1.0}, params={"data.path": "data/heat_small.h5"})
    log_run("other", {"eq35/median": 1.0}, data=LEVY)
    (ranking,) = leaderboard("morlight", data=name).rankings
    assert names(ranking) == ["wanted"]


def test_what_is_not_there_is_named_with_the_closest_match(folder):
    log_run("trial", {"eq35/median": 1.0}, tags=log_sweep("search"))
    with pytest.raises(ValueError, match=r"no run of the sweep 'serch'; did you mean search\?"):
        leaderboard("morlight", sweep="serch")
    with pytest.raises(ValueError, match="no fit to the data set 'argon'; there are: heat"):
        leaderboard("morlight", data="argon")
    with pytest.raises(ValueError, match="has no run with the metric beauty; there are: eq35"):
        leaderboard("morlight", "beauty")


def test_a_metric_is_taken_by_any_of_its_names(folder):
    log_run("trial", {"t_80/median": 1.0, "loss": 2.0})
    spelled = [leaderboard("morlight", by).rankings[0].metric for by in ("t=80", "t_80", "t_80/median", "loss")]
    assert spelled == ["t_80/median"] * 3 + ["loss"]
