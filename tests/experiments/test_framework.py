"""Runs compared, repeated and registered; servers that go away; jobs of a cluster; the tab key."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from morlight.cli import main as cli
from morlight.tracking.checkpoints import resolve
from morlight.tracking.runs import read_runs
from tests.sweep.test_sweep import PLAN, folder, parent_and_children
from tests.tracking.stores import free_port, fresh_database
from tests.tracking.stores import served as mlflow_server

__all__ = ["folder", "fresh_database"]  # fixtures

ROOT = Path(__file__).parents[2]


def fit(*words):
    cli.main(["fit", "--config", "base.yaml", "--trainer.enable_progress_bar=false", *words])


def test_runs_are_repeated_registered_and_compared(folder, capsys):
    fit("--name", "first", "--model.lr", "0.003", "--register", "heat")
    fit("--name", "worse", "--model.lr", "1e-9", "--register", "heat")
    first, worse = (next(run for run in read_runs("morlight") if run.name == name) for name in ("first", "worse"))

    # the command that its page shows
    note = first.tags["mlflow.note.content"]
    (command,) = re.findall(r"Repeat this run: `morlight (fit --config \S+)`", note)
    assert command == f"fit --config runs:/{first.run_id}"
    cli.main([*command.split(), "--experiment", "again"])
    (again,) = read_runs("again")
    assert again.name == "first"
    assert again.metrics == first.metrics
    assert {k: v for k, v in again.params.items() if k != "experiment"} == {
        k: v for k, v in first.params.items() if k not in ("experiment", "register")
    }

    # the better one keeps the alias
    assert resolve("models:/heat@best") == resolve(f"runs:/{first.run_id}")
    assert resolve("models:/heat/2") == resolve(f"runs:/{worse.run_id}")

    capsys.readouterr()
    cli.main(["compare", "--json"])
    board = json.loads(capsys.readouterr().out)
    assert board["experiment"] == "morlight"
    assert [entry["run_id"] for entry in board["runs"]] == [first.run_id, worse.run_id]
    assert set(board["runs"][0]) == {"run_id", "name", "status", "metrics", "params"}
    cli.main(["compare", "--by", "rollout_end", "--largest"])
    criterion, head, top, _ = capsys.readouterr().out.splitlines()
    assert criterion == "data set heat.h5: 2 runs ranked by rollout_end/median, largest first"
    assert "rollout_end/median" in head
    assert "model.lr" in head
    assert worse.run_id in top
    with pytest.raises(SystemExit) as ended:
        cli.main(["compare", "--by", "beauty"])
    assert ended.value.code == 2
    assert "no run with the metric beauty; there are: " in capsys.readouterr().err
    for word in ("runs:/0123", f"runs:/{first.run_id}/x"):
        with pytest.raises(SystemExit) as ended:
            cli.main(["fit", "--config", word])
        assert ended.value.code == 2


def test_a_fit_has_its_roll_out_beside_the_data_as_a_figure(folder):
    fit()
    (run,) = read_runs("morlight")
    figure = resolve(f"runs:/{run.run_id}/figures/rollout.png")
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert figure.stat().st_size > 20_000


AWAY = pytest.param(60.0, marks=pytest.mark.slow)


@pytest.mark.parametrize("seconds", [3.0, AWAY])
def test_a_fit_goes_on_without_its_server_and_sends_everything_afterwards(folder, fresh_database, monkeypatch, seconds):
    port = free_port()
    (folder / "mlruns").mkdir()
    (folder / "mlruns" / "mlflow.db").write_bytes(fresh_database.read_bytes())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    epochs = 10_000
    words = ["--trainer.max_epochs", str(epochs), "--trainer.enable_progress_bar=false", "--trainer.max_time"]
    words += [f"00:00:00:{round(seconds) + 12}" if seconds < 45 else "00:00:01:20"]
    command = [sys.executable, "-m", "morlight", "fit", "--config", "base.yaml", *words]
    with mlflow_server(folder, port):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while not logged() and process.poll() is None:
            time.sleep(0.2)
    before = len(logged())
    assert before
    time.sleep(seconds)
    with mlflow_server(folder, port):
        said = process.communicate(timeout=300)[1]
        assert process.returncode == 0, said
        assert "does not answer" in said
        (run,) = read_runs("morlight")
    assert run.status == "FINISHED"
    steps = [step for step, _ in logged()]
    done = int(run.metrics["epoch"]) + 1
    assert len(steps) == len(set(steps)) == done > before
    times = [stamp for _, stamp in logged()]
    assert times == sorted(times)


def logged():
    """Steps and times of the training loss, from the database itself."""
    import sqlite3

    connection = sqlite3.connect("mlruns/mlflow.db", timeout=30)
    try:
        query = "SELECT step, timestamp FROM metrics WHERE key = 'train_loss/median' ORDER BY step"
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_help_answers_in_under_half_a_second():
    command = [sys.executable, "-m", "morlight", "--help"]
    used = []
    for _ in range(3):
        before = os.times()
        subprocess.run(command, check=True, capture_output=True)
        after = os.times()
        used.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(used) < 0.5  # of the processor, which others may be using as well


def test_the_tab_key_knows_commands_options_and_keys_of_configurations(folder, capsys):
    cli.main(["completion", "bash"])
    Path("words").write_text(capsys.readouterr().out)

    def completed(*words):
        line = " ".join(f"'{word}'" for word in words)
        code = f"source words; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _shtab_morlight"
        done = subprocess.run(["bash", "-c", f'{code}; echo "${{COMPREPLY[@]}}"'], capture_output=True, text=True)
        return done.stdout.split()

    assert "sweep" in completed("morlight", "sw")
    assert completed("morlight", "fit", "--model.wid") == ["--model.width"]
    assert "--storage" in completed("morlight", "sweep", "--")
    assert "levy" in completed("morlight", "simulate", "")
    for shell in ("zsh", "tcsh"):
        cli.main(["completion", shell])
        assert "model.width" in capsys.readouterr().out


SLURM = re.search(r"```bash\n(#!/bin/bash\n#SBATCH.*?)```", (ROOT / "docs" / "sweeps.md").read_text(), re.DOTALL)[1]


def test_the_script_for_slurm_is_sound_bash():
    done = subprocess.run(["bash", "-n"], input=SLURM, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_the_script_for_slurm_works_with_tasks_as_local_processes(folder):
    """The stand-in does what sbatch does with an array: a task a number, each with the words of SLURM around it."""
    Path("search.yaml").write_text(yaml.safe_dump(PLAN | {"trials": 4}))
    Path("job.sbatch").write_text(SLURM)
    Path("bin").mkdir()
    Path("bin/morlight").write_text(f'#!/bin/bash\nexec {sys.executable} -m morlight "$@"\n')
    Path("bin/morlight").chmod(0o755)
    first, last = map(int, re.search(r"#SBATCH --array=(\d+)-(\d+)", SLURM).groups())
    cores = re.search(r"#SBATCH --cpus-per-task=(\d+)", SLURM)[1]
    assert last - first == 7
    surroundings = os.environ | {
        "PATH": f"{folder}/bin:{os.environ['PATH']}", "SLURM_SUBMIT_DIR": str(folder), "SLURM_CPUS_PER_TASK": cores,
        "SWEEP": "search.yaml", "STORAGE": f"journal:///{folder}/shared.journal",
    }  # fmt: skip
    tasks = [
        subprocess.Popen(["bash", "job.sbatch"], env=surroundings | {"SLURM_ARRAY_TASK_ID": str(i)},
                         stderr=subprocess.PIPE, text=True)
        for i in range(first, first + 3)
    ]  # fmt: skip
    said = [task.communicate(timeout=500)[1] for task in tasks]
    assert [task.returncode for task in tasks] == [0] * 3, said
    parent, children = parent_and_children()
    assert [run.status for run in [parent, *children]] == ["FINISHED"] * 5


def test_torchrun_fits_in_two_processes_as_one_does(folder):
    precise = ["--trainer.precision=64-true", "--trainer.max_epochs=2", "--trainer.enable_progress_bar=false"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    words = ["fit", "--config", "base.yaml", *precise]
    pair = [*torchrun, "-m", "morlight", *words, "--trainer.devices", "2", "--name", "two"]
    done = subprocess.run(pair, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    cli.main([*words, "--name", "one"])
    one, two = sorted(read_runs("morlight"), key=lambda run: run.name)
    assert (one.name, two.name, two.status) == ("one", "two", "FINISHED")
    checkpoints = [list(Path("mlruns/fits", name).glob("*/last.ckpt")) for name in ("one", "two")]
    assert [len(found) for found in checkpoints] == [1, 1]
    for key in ("train_loss/median", "val_loss/median", "rollout_end/median"):
        assert two.metrics[key] == pytest.approx(one.metrics[key], rel=1e-6)  # Adam, on rounding alone
