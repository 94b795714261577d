"""Sweeps over real fits: what they leave in Optuna's storage and in MLflow, and what they survive."""

import json
import math
import os
import shlex
import subprocess
import sys
from pathlib import Path

import channel
import optuna
import pytest
import torch
import yaml

from morlight.cli import main as cli
from morlight.sweep.plan import Dimension, Plan
from morlight.sweep.run import check
from morlight.tracking.checkpoints import resolve
from morlight.tracking.leaderboard import leaderboard
from morlight.tracking.runs import read_runs
from morlight.tracking.store import connect
from morlight.training import configurations

ROOT = Path(__file__).parents[2]
PATIENCE = 300  # s for a process on a machine that is busy otherwise
BASE = {
    "model": {"biases": ["conservation", "reflection"], "realizations": 2, "width": 3, "depth": 3, "horizons": [1]},
    "data": {"batch": 40, "test": 0.2, "validation": 0.2},
    "trainer": {"max_epochs": 1, "accelerator": "cpu"},
}
SPACE = {"model.lr": {"low": 1e-3, "high": 1e-1, "log": True}}
PLAN = {"config": "base.yaml", "space": SPACE, "objective": "rollout_end", "sampler": "random", "heartbeat": 1}


@pytest.fixture
def folder(tmp_path, monkeypatch, heat_file):
    """A working directory with a base configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    base = BASE | {"data": BASE["data"] | {"path": str(heat_file)}}
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(base))
    return tmp_path


def sweep(*words, name="search", **plan):
    Path(f"{name}.yaml").write_text(yaml.safe_dump(PLAN | plan))
    cli.main(["sweep", "--config", f"{name}.yaml", *map(str, words)])


def study(name="search"):
    backend = optuna.storages.journal.JournalFileBackend(f"mlruns/sweeps/{name}.journal")
    return optuna.load_study(storage=optuna.storages.JournalStorage(backend), study_name=name)


def finished(trials):
    return [t for t in trials if t.state in (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)]


def parent_and_children(name="search"):
    runs = read_runs("morlight")
    (parent,) = (run for run in runs if run.tags.get("kind") == "sweep" and run.name == name)
    children = [run for run in runs if run.tags.get("mlflow.parentRunId") == parent.run_id]
    return parent, sorted(children, key=lambda run: int(run.tags["trial"]))


def test_the_base_of_a_sweep_may_be_a_packaged_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("sweep.yaml").write_text("config: brownian\nspace: {model.width: [2, 4]}\nobjective: train_loss\ntrials: 2\n")
    assert Path(Plan.read("sweep.yaml").config) == configurations.located("brownian")


def test_a_sweep_is_a_parent_run_with_a_child_a_trial_and_goes_on_when_asked_for_more(folder, capsys):
    space = SPACE | {
        "model.horizons": {"low": 1, "high": 3, "as": "up_to"},
        "trainer.max_epochs": {"low": 1, "high": 2, "per": "model.horizons"},
        "model.symbol": ["dissipative", "plain"],
        "model.smoothness": {"low": 1e-3, "high": 1.0, "log": True, "when": {"model.symbol": "dissipative"}},
        "model.biases": [["conservation"], ["conservation", "reflection"]],
    }
    sweep("--json", "--register", "heat", space=space, trials=2)
    found = json.loads(capsys.readouterr().out)
    assert (found["trials"], found["pruned"], found["diverged"], found["refused"]) == (2, 0, 0, 0)
    parent, children = parent_and_children()
    assert parent.status == "FINISHED"
    assert parent.metrics["trials/finished"] == 2
    assert [(run.name, run.status) for run in children] == [
        ("search-000", "FINISHED"), ("search-001", "FINISHED"),
    ]  # fmt: skip
    for run, trial in zip(children, study().trials, strict=True):
        params, values = run.params, trial.params
        m = values["model.horizons"]
        assert params["model.horizons"] == str(list(range(1, m + 1)))
        assert int(params["trainer.max_epochs"]) == m * values["trainer.max_epochs"]
        assert float(params["model.lr"]) == values["model.lr"]
        assert params["model.biases"] == str(json.loads(values["model.biases"]))
        assert ("model.smoothness" in values) == (values["model.symbol"] == "dissipative")
        assert float(params["model.smoothness"]) == values.get("model.smoothness", 0.01)
        assert run.metrics["objective"] == pytest.approx(run.metrics["rollout_end/median"])
        assert trial.values == [pytest.approx(run.metrics["objective"])]
    best = min(children, key=lambda run: run.metrics["objective"])
    assert found["best"][0]["run_id"] == best.run_id
    assert resolve("models:/heat@best") == resolve(f"runs:/{best.run_id}")
    client = connect()
    assert {file.path for file in client.list_artifacts(parent.run_id, "figures")} >= {
        "figures/history.png", "figures/importances.png", "figures/slices.png",
    }  # fmt: skip
    curve = client.get_metric_history(parent.run_id, "trials/objective")
    assert [(m.step, m.value) for m in curve] == [(i, run.metrics["objective"]) for i, run in enumerate(children)]
    assert parent.metrics["objective"] == best.metrics["objective"]
    assert "to minimize rollout_end" in parent.tags["mlflow.note.content"]

    before = [run.run_id for run in children]
    sweep(space=space, trials=2)  # nothing left to do
    assert [run.run_id for run in parent_and_children()[1]] == before
    sweep(space=space, trials=3)
    parent, children = parent_and_children()
    assert [run.run_id for run in children][:2] == before
    assert [run.status for run in [parent, *children]] == ["FINISHED"] * 4
    assert len(finished(study().trials)) == 3


def test_a_grid_has_each_of_its_points_once(folder):
    space = {"model.lr": {"low": 1e-3, "high": 1e-1, "log": True, "points": 3}, "model.width": [2, 3]}
    sweep(space=space, sampler="grid")
    points = sorted((trial.params["model.width"], trial.params["model.lr"]) for trial in study().trials)
    rates = [1e-3, 1e-2, 1e-1]
    assert [width for width, _ in points] == [2] * 3 + [3] * 3
    assert [lr for _, lr in points] == pytest.approx(rates * 2)


def test_what_diverges_is_marked_and_the_sweep_goes_on(folder, capsys):
    change = {"model.symbol": "plain", "model.loss": "points", "trainer.max_epochs": 2}
    sweep(set=change, space={"model.lr": [1e30, 0.01]}, sampler="grid")
    worse, better = study().trials
    assert worse.values == [math.inf]
    assert "not finite at epoch" in worse.user_attrs["diverged"]
    assert math.isfinite(better.values[0])
    parent, (bad, good) = parent_and_children()
    assert (parent.status, bad.status, good.status) == ("FINISHED", "FAILED", "FINISHED")
    assert "not finite" in bad.tags["diverged"]
    assert parent.metrics["trials/diverged"] == 1
    assert leaderboard("morlight").rankings[0].runs[0].run_id == good.run_id


def test_an_objective_beyond_the_limit_counts_as_diverged(folder):
    sweep(trials=1, limit=1e-9)
    (trial,) = study().trials
    assert trial.values == [math.inf]
    assert "beyond 1e-09" in trial.user_attrs["diverged"]


def test_values_that_do_not_go_together_are_marked_and_told_where_nothing_else_comes(folder, capsys):
    change = {"model.horizons": [1, 2], "trainer.max_epochs": 2}
    sweep(set=change, space={"trainer.max_epochs": [2, 1]}, sampler="grid")  # 1 epoch is not two stages
    good, refused = study().trials
    assert math.isfinite(good.values[0])
    assert "max_epochs is 1" in refused.user_attrs["refused"]
    longer = {"model.horizons": [1, 2, 3, 4, 5], "trainer.max_epochs": 5}
    with pytest.raises(SystemExit) as ended:
        sweep(set=longer, space={"trainer.max_epochs": [1, 2, 3, 4]}, sampler="grid", name="never")
    assert ended.value.code == 2
    assert "none of 3 trials could be fitted" in capsys.readouterr().err


def test_two_objectives_leave_the_front_that_neither_beats(folder, capsys):
    sweep("--json", objective=["rollout_end", "val_loss"], trials=4)
    found = json.loads(capsys.readouterr().out)
    values = [tuple(trial.values) for trial in study().trials]
    front = {v for v in values if not any(o != v and o[0] <= v[0] and o[1] <= v[1] for o in values)}
    assert {tuple(trial["values"].values()) for trial in found["best"]} == front
    _, children = parent_and_children()
    logged = [[run.metrics[f"objective/{name}"] for name in ("rollout_end", "val_loss")] for run in children]
    assert logged == [pytest.approx(v) for v in values]


def test_a_trial_worse_than_the_others_is_pruned(folder):
    rates = [0.05, 0.04, 0.03, 0.02, 0.01, 1e-9]  # the median of five is known before the last one starts
    sweep("--pruner", "median", set={"trainer.max_epochs": 3}, space={"model.lr": rates}, sampler="grid")
    *others, last = study().trials
    assert {trial.state.name for trial in others} == {"COMPLETE"}
    assert last.state.name == "PRUNED"
    assert len(last.intermediate_values) < 3
    *_, run = parent_and_children()[1]
    assert (run.status, run.tags["pruned"]) == ("FINISHED", "true")


def command(*words, name="search", **plan):
    Path(f"{name}.yaml").write_text(yaml.safe_dump(PLAN | plan))
    return [sys.executable, "-m", "morlight", "sweep", "--config", f"{name}.yaml", *map(str, words)]


def test_workers_on_one_journal_end_with_exactly_the_trials_asked_for(folder):
    typed = command("--workers", "2", trials=5)
    done = subprocess.run(typed, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert len(study().trials) == len(finished(study().trials)) == 5
    parent, children = parent_and_children()
    assert [run.status for run in [parent, *children]] == ["FINISHED"] * 6
    assert {run.tags["command"] for run in [parent, *children]} == {shlex.join(typed)}  # and not that of a worker
    assert len({trial.params["model.lr"] for trial in study().trials}) == 5


def test_a_trial_in_two_processes_is_that_of_one(folder):
    both = {"space": {"model.lr": [0.02, 0.01]}, "sampler": "grid", "pruner": "median"}
    precise = {"trainer.precision": "64-true", "trainer.max_epochs": 2}
    pair = command(name="pair", set=precise | {"trainer.devices": 2}, **both)
    done = subprocess.run(pair, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    sweep(name="single", set=precise, **both)
    assert len(read_runs("morlight")) == 6
    for two, one in zip(parent_and_children("pair")[1], parent_and_children("single")[1], strict=True):
        assert two.status == "FINISHED"
        assert two.params["trainer.devices"] == "2"
        # Adam takes a gradient of rounding alone for a step
        assert two.metrics["objective"] == pytest.approx(one.metrics["objective"], rel=1e-6)
        assert two.metrics["val_loss/median"] == pytest.approx(one.metrics["val_loss/median"], rel=1e-6)


BAD = {
    "unknown parameter": ({"trials": 1, "space": {"model.wdth": [1]}}, [], "model.wdth is no key of `morlight fit`"),
    "value not taken": ({"trials": 1, "space": {"model.width": ["wide"]}}, [], "model.width"),
    "value out of place": ({"trials": 1, "space": {"model.activation": ["elu", "sine"]}}, [], "is 'sine'"),
    "base that does not fit": ({"trials": 1, "set": {"model.symbol": "round"}}, [], "the base configuration: "),
    "data not there": ({"trials": 1, "set": {"data.path": "absent.h5"}}, [], "absent.h5"),
    "base not there": ({"config": "absent.yaml"}, [], "config is absent.yaml"),
    "other data": ({"trials": 1, "space": {"data.path": ["a.h5", "b.h5"]}}, [], "space.data.path: objectives on"),
    "no trials": ({"trials": 0}, [], "trials is 0"),
    "no trials asked for": ({"trials": 3}, ["--trials", "0"], "trials is 0"),
    "trials left out": ({}, [], "trials is None"),
    "more than the grid": ({"sampler": "grid", "space": {"model.width": [1]}, "trials": 2}, [], "at most 1"),
    "unknown sampler": ({"trials": 1, "sampler": "cmaes"}, [], "sampler is 'cmaes'"),
    "unknown pruner": ({"trials": 1}, ["--pruner", "axe"], "pruner is 'axe'"),
    "unknown word": ({"trials": 1, "tirals": 3}, [], "tirals"),
    "no time": ({"trials": 1, "longest": 0, "sampler": "gp"}, [], "longest is 0"),
    "time in words": ({"trials": 1, "longest": "an hour", "sampler": "gp"}, [], "longest is 'an hour'"),
    "no limit": ({"trials": 1, "limit": None}, [], "limit is None"),
    "limit of nothing": ({"trials": 1, "limit": 0}, [], "limit is 0"),
    "range upside down": ({"trials": 1, "space": {"model.lr": {"low": 1, "high": 0.1}}}, [], "space.model.lr"),
    "logarithm of zero": ({"trials": 1, "space": {"model.lr": {"low": 0, "high": 1, "log": True}}}, [], "0 < low"),
    "condition on nothing": ({"space": {"model.lr": {"low": 1, "high": 2, "when": {"model.depth": 1}}}}, [], "when"),
    "empty space": ({"trials": 1, "space": {}}, [], "space is empty"),
    "three objectives": ({"trials": 1, "objective": ["a", "b", "c"]}, [], "one or two"),
    "no server": ({"trials": 1}, ["--storage", "postgresql://nobody@127.0.0.1:1/none"], "1:1/none: the storage"),
    "no database": ({"trials": 1}, ["--storage", "sqlite:////dev/null/x.db"], "cannot be reached"),
    "no url": ({"trials": 1}, ["--storage", "studies"], "storage is studies, expected sqlite:///FILE"),
}  # fmt: skip


@pytest.mark.parametrize(("plan", "words", "named"), BAD.values(), ids=BAD)
def test_bad_input_is_one_sentence_and_status_2_and_writes_nothing(folder, capsys, plan, words, named):
    with pytest.raises(SystemExit) as ended:
        sweep(*words, **plan)
    error = capsys.readouterr().err.strip()
    assert ended.value.code == 2
    assert error.startswith("morlight: ")
    assert named in error
    assert "\n" not in error
    assert not (folder / "mlruns").exists()


def test_an_objective_that_no_fit_logs_ends_the_sweep_with_those_that_are(folder, capsys):
    with pytest.raises(SystemExit) as ended:
        sweep(objective="beauty", trials=3)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert "objective is beauty, which the fits do not log; they log" in error
    assert "rollout_end" in error
    assert parent_and_children()[0].status == "KILLED"


def test_a_plan_written_out_reads_as_itself(folder):
    Path("plan.yaml").write_text(yaml.safe_dump(PLAN | {"trials": 3, "space": SPACE | {"model.width": [1, 2]}}))
    plan = Plan.read("plan.yaml")
    (folder / "elsewhere").mkdir()
    Path("elsewhere/copy.yaml").write_text(plan.text())
    copy = Plan.read("elsewhere/copy.yaml")
    assert copy.signature() == plan.signature()
    assert (copy.name, copy.trials, copy.config.resolve()) == ("plan", 3, plan.config.resolve())


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "sweeps").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_sweep_that_is_shipped_is_a_plan_whose_space_the_base_takes(folder, path):
    plan = Plan.read(path)
    channel.write_pairs(folder / "colloid", (0.1, 0.15))
    cli.main(["simulate", "brownian", "--sets", "10", "--walkers", "500", "--steps", "20", "--bins", "24", "-o",
              plan.set.get("data.path", "brownian.h5")])  # fmt: skip
    assert set(check(plan).settings) >= {dimension.key for dimension in plan.space}


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ({"low": 1, "high": 4}, [1, 2, 3, 4]),
        ({"low": 0.0, "high": 1.0, "step": 0.25}, [0.0, 0.25, 0.5, 0.75, 1.0]),
        ({"low": "1e-4", "high": 1, "log": True, "points": 5}, [1e-4, 1e-3, 1e-2, 1e-1, 1.0]),
        ({"low": 1, "high": 100, "log": True, "points": 3}, [1, 10, 100]),
        (["elu", None, [1, 2]], ["elu", None, [1, 2]]),
    ],
)
def test_grids_of_one_dimension(given, values):
    found = Dimension.read("key", given).grid()
    assert found == (values if isinstance(values[0], str) else pytest.approx(values))


def test_workers_have_a_gpu_each(monkeypatch):
    from morlight.sweep.run import surroundings

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [surroundings(i, 4)["CUDA_VISIBLE_DEVICES"] for i in range(4)] == ["0", "1", "2", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7,9")
    assert [surroundings(i, 3)["CUDA_VISIBLE_DEVICES"] for i in range(3)] == ["5", "7", "9"]
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert int(surroundings(0, 2)["OMP_NUM_THREADS"]) == max(1, os.cpu_count() // 2)
