"""Runs, metrics, checkpoints and pages in real stores: SQLite files and an `mlflow server`."""

import importlib.metadata
import json
import math
import os
import pickle
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytorch_lightning as lightning
import torch
from mlflow import MlflowClient
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from morlight.tracking import logger as tracking
from morlight.tracking.logger import Tracker, flatten
from morlight.tracking.store import connect, resolve, runs, tracking_uri, ui


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory):
    """MLflow's migrations take about a second: done once, copied for each test."""
    file = tmp_path_factory.mktemp("template") / "mlflow.db"
    connect(f"sqlite:///{file}")
    return file


@pytest.fixture
def folder(fresh_database, tmp_path, monkeypatch):
    """A working directory with an empty store; buffers are sent when full or told, never by the clock."""
    (tmp_path / "mlruns").mkdir()
    shutil.copy(fresh_database, tmp_path / "mlruns" / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(tracking, "INTERVAL", 3600.0)
    return tmp_path


def rows(query, *values):
    """From the database itself, past MLflow."""
    connection = sqlite3.connect("mlruns/mlflow.db")
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.close()


def metric_rows():
    return rows("SELECT key, step, value, is_nan FROM metrics ORDER BY step, key")


def status(tracker):
    return rows("SELECT status FROM runs WHERE run_uuid = ?", tracker.version)[0][0]


def python(code, **kwargs):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, **kwargs)


class Line(lightning.LightningModule):
    """y = w x; may be stopped by an exception, or a signal, at its second step."""

    def __init__(self, stop=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.stop = stop

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.arange(1.0, 5.0))

    def training_step(self, batch, index):
        if index == 1 and self.stop:
            self.stop()
        loss = torch.square(self.weight * batch).mean()
        self.log("loss", loss)
        self.log("weight", self.weight.detach(), on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def fit(tracker, stop=None, callbacks=None, epochs=1):
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=tracker,
        callbacks=callbacks,
        enable_checkpointing=bool(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    trainer.fit(Line(stop))


def fitting(test):
    """Marks tests that fit: Lightning 2.6 advises more workers, and uses what torch 2.13 deprecates."""
    advice = pytest.mark.filterwarnings("ignore:.*does not have many workers")
    return advice(pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")(test))


def test_looking_at_results_needs_neither_mlflow_nor_torch_to_start():
    heavy = "{'mlflow', 'torch', 'pytorch_lightning'} & set(sys.modules)"
    assert python(f"import sys, morlight.store; print({heavy})").stdout == "set()\n"


def test_nothing_is_reported_to_the_makers_of_mlflow():
    code = "import morlight.store, mlflow, mlflow.telemetry as t; print(t.get_telemetry_client() is None)"
    surroundings = {
        k: v for k, v in os.environ.items() if k not in ("CI", "PYTEST_CURRENT_TEST", "MLFLOW_TRACKING_URI")
    }
    assert python(code, env=surroundings).stdout == "True\n"


def test_processes_that_start_together_share_one_database_and_say_nothing(tmp_path):
    code = (
        "import logging, time, mlflow, mlflow.store.db.utils; logging.basicConfig(level=logging.INFO)\n"
        "from morlight.store import connect, experiment_id\n"
        f"time.sleep(max(0, {time.time() + 1} - time.time()))\n"
        "client = connect(); client.create_run(experiment_id(client, 'rush', create=True))"
    )
    surroundings = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    both = [
        subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=surroundings, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [process.communicate(timeout=60)[1] for process in both] == [b"", b""]
    client = connect(f"sqlite:///{tmp_path}/mlruns/mlflow.db", create=False)
    experiment = client.get_experiment_by_name("rush")
    assert experiment.artifact_location == (tmp_path / "mlruns" / "artifacts").as_uri()
    assert len(client.search_runs([experiment.experiment_id])) == 2
    assert [file.name for file in (tmp_path / "mlruns").iterdir()] == ["mlflow.db"]


def test_store_is_named_by_the_environment_or_lies_in_the_working_directory(folder, monkeypatch):
    assert tracking_uri() == f"sqlite:///{folder}/mlruns/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:1")
    assert tracking_uri() == "http://localhost:1"


def test_a_store_survives_spaces_and_signs_in_its_path(fresh_database, tmp_path, monkeypatch):
    place = tmp_path / "a b" / "50% #1"
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    tracker = Tracker()
    tracker.log_text("weights", "checkpoints/best.ckpt")
    assert resolve(f"runs:/{tracker.run_id}").read_text() == "weights"
    assert sorted(file.name for file in (place / "mlruns").iterdir()) == ["artifacts", "mlflow.db"]


def test_nothing_is_written_before_first_use(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tracker = Tracker(name="idle", tags={"a": "b"})
    tracker.save()
    tracker.finalize("success")
    assert tracker.version is None
    assert tracker.name == "morlight"
    assert list(tmp_path.iterdir()) == []


def test_metrics_travel_by_the_thousand_and_all_arrive(folder):
    tracker = Tracker()
    assert tracker.run_id == tracker.version
    for step in range(999):
        tracker.log_metrics({"loss": step / 7}, step)
        tracker.save()  # as Lightning does each time
    assert metric_rows() == []
    tracker.log_metrics({"loss": 999 / 7}, 999)
    assert len(metric_rows()) == 1000
    for step in range(1000, 5000):
        tracker.log_metrics({"loss": step / 7}, step)
    tracker.log_metrics({"last": 1.0}, 5000)
    assert len(metric_rows()) == 5000
    tracker.finalize("success")
    assert metric_rows() == [("loss", step, step / 7, 0) for step in range(5000)] + [("last", 5000, 1.0, 0)]


def test_metrics_are_sent_when_the_interval_has_passed(folder, monkeypatch):
    monkeypatch.setattr(tracking, "INTERVAL", 0.0)
    tracker = Tracker()
    tracker.log_metrics({"loss": 1.0}, 0)
    assert len(metric_rows()) == 1


def test_metrics_bear_the_time_of_logging_not_of_sending(folder):
    tracker = Tracker()
    begin = time.time_ns() // 1_000_000
    tracker.log_metrics({"loss": 1.0}, 0)
    end = time.time_ns() // 1_000_000
    time.sleep(0.05)
    tracker.flush()
    assert begin <= rows("SELECT timestamp FROM metrics")[0][0] <= end


def test_tensors_are_taken_at_their_value_when_logged(folder):
    tracker = Tracker()
    running = torch.tensor([2.5], dtype=torch.float64)
    tracker.log_metrics({"sum": running, "half": torch.tensor(0.5), "count": torch.tensor(3), "plain": 7}, 0)
    running += 1
    tracker.log_metrics({"sum": running}, 1)
    tracker.flush()
    assert metric_rows() == [
        ("count", 0, 3.0, 0),
        ("half", 0, 0.5, 0),
        ("plain", 0, 7.0, 0),
        ("sum", 0, 2.5, 0),
        ("sum", 1, 3.5, 0),
    ]


def test_values_and_names_that_mlflow_refuses_are_put_right(folder):
    tracker = Tracker()
    tracker.log_metrics({"error/t=0.5": math.nan, "a//b": math.inf, "../c": -1.0, "κ": 2.0, "x" * 300: 3.0}, 0)
    tracker.flush()
    # MLflow keeps NaN as a flag, infinity as the largest double
    largest = sys.float_info.max
    assert metric_rows() == [
        ("a/b", 0, largest, 0),
        ("c", 0, -1.0, 0),
        ("error/t_0.5", 0, 0.0, 1),
        ("x" * 250, 0, 3.0, 0),
        ("κ", 0, 2.0, 0),
    ]


def test_only_the_first_process_writes(folder, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    tracker = Tracker()
    tracker.log_metrics({"loss": 1.0}, 0)
    tracker.log_hyperparams({"width": 8})
    tracker.log_text("a", "b.txt")
    tracker.experiment.anything_at_all()
    tracker.finalize("success")
    assert tracker.run_id is None
    assert rows("SELECT * FROM runs") == []


def test_a_tracker_goes_to_another_process_without_its_connections(folder):
    tracker = Tracker()
    run_id = tracker.run_id
    assert pickle.loads(pickle.dumps(tracker)).run_id == run_id
    assert len(rows("SELECT * FROM runs")) == 1


@fitting
def test_a_fit_that_ends_is_finished_with_all_it_logged(folder):
    tracker = Tracker(name="short", experiment="lines")
    fit(tracker, epochs=3)
    (run,) = runs("lines")
    assert (run["run_id"], run["name"], run["status"]) == (tracker.version, "short", "FINISHED")
    assert run["metrics"]["epoch"] == 2
    weight, losses = 1.0, []  # gradient descent on (w x)²: w ← w (1 − 2 · 0.01 x²)
    for x in (1, 2, 3, 4) * 3:
        losses.append((weight * x) ** 2)
        weight *= 1 - 0.02 * x**2
    found = rows("SELECT value FROM metrics WHERE key = 'loss' ORDER BY step")
    assert [value for (value,) in found] == pytest.approx(losses, rel=1e-5)  # 12 steps of float32


@fitting
def test_a_fit_that_raises_has_failed_and_stays_so(folder):
    def stop():
        raise RuntimeError("diverged")

    tracker = Tracker()
    with pytest.raises(RuntimeError, match="diverged"):
        fit(tracker, stop)
    assert status(tracker) == "FAILED"
    assert [row[0] for row in metric_rows()] == ["epoch", "loss"]  # what was logged before
    tracker.finalize("success")
    assert status(tracker) == "FAILED"


@fitting
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_fit_that_is_stopped_from_outside_was_killed(folder, number):
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    tracker = Tracker()
    try:
        with pytest.raises(SystemExit):
            fit(tracker, lambda: os.kill(os.getpid(), number))
    finally:  # Lightning leaves Ctrl-C switched off
        for each, handler in before.items():
            signal.signal(each, handler)
    assert status(tracker) == "KILLED"


@pytest.mark.parametrize(
    ("says", "means"),
    [("success", "FINISHED"), ("failed", "FAILED"), ("interrupted", "KILLED"), ("finished", "SCHEDULED")],
)
def test_words_of_lightning_become_states_of_mlflow(folder, says, means):
    tracker = Tracker()
    assert tracker.run_id
    assert status(tracker) == "RUNNING"
    tracker.finalize(says)
    assert status(tracker) == means


def test_what_is_logged_after_the_end_is_sent_at_once(folder):
    tracker = Tracker()
    assert tracker.run_id
    tracker.finalize("success")
    tracker.log_metrics({"test": 1.0}, 0)
    assert len(metric_rows()) == 1


def test_a_continued_run_is_running_again_and_keeps_what_it_had(folder):
    first = Tracker("burgers", tags={"study": "a"})
    first.log_hyperparams({"model": {"width": 8}, "epochs": 4})
    first.log_metrics({"loss": 1.0}, 0)
    first.finalize("failed")
    second = Tracker("another", run_id=first.version)
    assert second.run_id == first.version
    assert second.name == "burgers"
    assert status(second) == "RUNNING"
    second.log_hyperparams({"model": {"width": 8}, "epochs": 6})
    second.log_metrics({"loss": 0.5}, 1)
    second.finalize("success")
    (run,) = runs("burgers")
    assert run["status"] == "FINISHED"
    assert run["params"] == {"model.width": "8", "epochs": "4"}
    assert [row[2] for row in metric_rows()] == [1.0, 0.5]
    tags = dict(rows("SELECT key, value FROM tags"))
    assert (tags["study"], tags["changed.epochs"]) == ("a", "6")
    assert tags["continued.command"] == tags["command"]


def test_parameters_of_any_number_and_length_are_kept(folder):
    tracker = Tracker()
    many = {f"p{i}": i for i in range(250)}
    odd = {
        "text": "x" * 7000,
        "none": None,
        "list": [1, 2.5, "c"],
        "empty": {},
        "t=1": True,
        "_instantiator": "f",
    }
    for _ in range(2):
        tracker.log_hyperparams({"many": many, "odd": odd})
    (run,) = runs("morlight")
    assert {k: v for k, v in run["params"].items() if k.startswith("many.")} == {
        f"many.{k}": str(v) for k, v in many.items()
    }
    assert {k: v for k, v in run["params"].items() if k.startswith("odd.")} == {
        "odd.text": "x" * 6000,
        "odd.none": "None",
        "odd.list": "[1, 2.5, 'c']",
        "odd.empty": "{}",
        "odd.t_1": "True",
    }


def test_namespaces_of_the_command_line_are_flattened():
    from jsonargparse import Namespace

    assert flatten(Namespace(model=Namespace(width=8), seed=1)) == {"model.width": "8", "seed": "1"}


def test_data_sets_are_shown_with_their_digest(folder):
    tracker = Tracker()
    digest = "0123456789abcdef" * 4
    for _ in range(2):
        tracker.log_dataset("walkers.h5", "brownian", digest, {"frames": 101, "fields": ["density"]})
    (found,) = MlflowClient(tracking_uri()).get_run(tracker.run_id).inputs.dataset_inputs
    assert (found.dataset.name, found.dataset.digest) == ("brownian", digest[:36])
    assert json.loads(found.dataset.source) == {"uri": str(folder / "walkers.h5")}
    assert json.loads(found.dataset.profile) == {"frames": 101, "fields": ["density"]}
    assert [(tag.key, tag.value) for tag in found.tags] == [("mlflow.data.context", "training")]


def git(folder, *command):
    done = subprocess.run(["git", *command], cwd=folder, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def test_runs_know_where_they_come_from(folder):
    git(folder, "init")
    (folder / "notes").write_text("1")
    git(folder, "add", "notes")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "first")
    (folder / "notes").write_text("2")
    tracker = Tracker(tags={"study": "levy"})
    tags = MlflowClient(tracking_uri()).get_run(tracker.run_id).data.tags
    checkout = next(place for place in (Path(tracking.__file__).parent, folder) if git(place, "rev-parse", "HEAD"))
    assert tags["mlflow.source.git.commit"] == git(checkout, "rev-parse", "HEAD")
    assert tags["mlflow.source.git.dirty"] == str(bool(git(checkout, "status", "-s", "-uno"))).lower()
    for package in ("torch", "pytorch-lightning", "mlflow", "numpy", "morlight"):
        assert tags[f"version.{package}"] == importlib.metadata.version(package)
    assert tags["command"] == shlex.join(sys.orig_argv)[: tracking.TAG_LENGTH]
    assert tags["study"] == "levy"
    assert tags["mlflow.user"]


def test_files_folders_and_texts_are_kept(folder):
    tracker = Tracker()
    (folder / "pages").mkdir()
    (folder / "pages" / "a.html").write_text("a")
    tracker.log_artifact("pages/a.html", "single")
    tracker.log_artifact(folder / "pages", "all")
    tracker.log_text("seed: 1", "config.yaml")
    root = folder / "mlruns" / "artifacts" / tracker.run_id / "artifacts"
    assert sorted(str(file.relative_to(root)) for file in root.rglob("*.*")) == [
        "all/a.html",
        "config.yaml",
        "single/a.html",
    ]
    with pytest.raises(FileNotFoundError, match=r"absent.png: no such file"):
        tracker.log_artifact("absent.png")


@fitting
def test_the_best_and_the_last_checkpoint_are_kept_at_the_end(folder):
    tracker = Tracker("lines")
    keeper = ModelCheckpoint(monitor="weight", mode="min", save_last=True, filename="{epoch}")
    fit(tracker, callbacks=[keeper], epochs=3)
    assert Path(keeper.best_model_path).parent == folder / "mlruns" / "lines" / tracker.version / "checkpoints"
    best = resolve(f"runs:/{tracker.version}")
    assert best == folder / "mlruns" / "artifacts" / tracker.version / "artifacts" / "checkpoints" / "best.ckpt"
    assert best.read_bytes() == Path(keeper.best_model_path).read_bytes()
    last = resolve(f"runs:/{tracker.version}/checkpoints/last.ckpt")
    assert last.read_bytes() == Path(keeper.last_model_path).read_bytes()


@fitting
def test_without_a_quantity_to_judge_by_the_checkpoint_is_the_last(folder):
    tracker = Tracker()
    fit(tracker, callbacks=[ModelCheckpoint()])
    assert resolve(f"runs:/{tracker.version}").name == "last.ckpt"


@pytest.fixture
def kept(folder):
    """Id of a run with checkpoints, of which three versions of a model are made."""
    tracker = Tracker()
    for path in ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "top.ckpt", "model/artifacts/best.ckpt"):
        tracker.log_text(path, path)
    client = tracker.experiment
    client.create_registered_model("burgers")
    for source in ("checkpoints/best.ckpt", "checkpoints", "model"):
        client.create_model_version("burgers", f"runs:/{tracker.run_id}/{source}", tracker.run_id)
    client.set_registered_model_alias("burgers", "champion", "3")
    client.create_registered_model("empty")
    tracker.log_text("no weights", "notes/a.txt")
    client.create_model_version("empty", f"runs:/{tracker.run_id}/notes", tracker.run_id)
    return tracker.run_id


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("runs:/ID", "checkpoints/best.ckpt"),
        ("runs:/ID/checkpoints/last.ckpt", "checkpoints/last.ckpt"),
        ("runs:/ID/top.ckpt", "top.ckpt"),
        ("models:/burgers/1", "checkpoints/best.ckpt"),
        ("models:/burgers/2", "checkpoints/best.ckpt"),
        ("models:/burgers/3", "model/artifacts/best.ckpt"),
        ("models:/burgers@champion", "model/artifacts/best.ckpt"),
    ],
)
def test_names_lead_to_the_files_themselves(folder, kept, name, file):
    root = folder / "mlruns" / "artifacts" / kept / "artifacts"
    assert resolve(name.replace("ID", kept)) == root / file


def test_paths_are_taken_as_they_are(tmp_path):
    path = tmp_path / "a.ckpt"
    path.touch()
    assert resolve(str(path)) == resolve(path) == path


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("absent.ckpt", "absent.ckpt: not a file; expected a checkpoint"),
        ("mlruns", "mlruns: not a file"),
        ("runs:/", "runs:/: expected runs:/ID"),
        ("runs://ID", "expected runs:/ID"),
        ("runs:/0123", "runs:/0123: no run '0123' in sqlite:///"),
        ("runs:/ID/absent.ckpt", "the run holds no absent.ckpt"),
        ("runs:/ID/../ID/top.ckpt", "the run holds no|cannot be listed"),
        ("models:/burgers", "expected models:/NAME@ALIAS or models:/NAME/VERSION"),
        ("models:/burgers/latest", "VERSION a number"),
        ("models:/burgers/9", "models:/burgers/9: no such model in sqlite:///"),
        ("models:/burgers@loser", "no such model"),
        ("models:/lj/1", "no such model"),
        ("models:/empty/1", "models:/empty/1: the model holds no checkpoint"),
    ],
)
def test_names_that_lead_nowhere_are_named_in_one_sentence(folder, kept, name, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        resolve(name.replace("ID", kept))
    assert "\n" not in str(caught.value)


def test_a_run_without_checkpoints_is_told(folder):
    tracker = Tracker()
    with pytest.raises(ValueError, match=r"holds no checkpoints/best.ckpt and no checkpoints/last.ckpt"):
        resolve(f"runs:/{tracker.run_id}")


def test_reading_makes_no_database(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(ValueError, match=r"mlflow.db: no tracking database; fit a model first"):
        resolve("runs:/0123")
    with pytest.raises(ValueError, match="no tracking database"):
        runs("morlight")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/notes.txt")
    (tmp_path / "notes.txt").write_text("buy milk\n" * 500)
    with pytest.raises(ValueError, match=r"notes.txt: .*file is not a database") as caught:
        connect()
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there_is_told_at_once(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    begin = time.monotonic()
    with pytest.raises(ValueError, match=r"127.0.0.1:\d+: the tracking store does not answer"):
        resolve("runs:/0123")
    assert time.monotonic() - begin < 30  # MLflow alone: four minutes


def test_runs_that_cannot_be_continued_are_told(folder):
    with pytest.raises(ValueError, match="no run '0123' in sqlite"):
        _ = Tracker(run_id="0123").experiment
    tracker = Tracker()
    connect().delete_run(tracker.run_id)
    with pytest.raises(ValueError, match="was deleted"):
        _ = Tracker(run_id=tracker.version).experiment


def test_experiments_that_are_missing_or_deleted_are_told(folder):
    assert Tracker("levy").run_id
    with pytest.raises(ValueError, match=r"experiment 'burgers' is not in sqlite.*; there are: Default, levy"):
        runs("burgers")
    client = connect()
    client.delete_experiment(client.get_experiment_by_name("levy").experiment_id)
    with pytest.raises(ValueError, match="experiment 'levy' was deleted"):
        _ = Tracker("levy").experiment


def test_runs_are_listed_whatever_their_number_the_latest_first(folder):
    client = connect()
    first = client.create_run(client.create_experiment("many"), run_name="0", start_time=1).info.run_id
    connection = sqlite3.connect("mlruns/mlflow.db")
    names = [row[1] for row in connection.execute("PRAGMA table_info(runs)")]
    new = {"run_uuid": "printf('%032d', ?1)", "name": "?1", "start_time": "?1 + 1"}
    copy = f"INSERT INTO runs SELECT {', '.join(new.get(n, n) for n in names)} FROM runs WHERE run_uuid = ?2"
    connection.executemany(copy, [(i, first) for i in range(1, 1001)])  # MLflow's page holds 1000
    connection.commit()
    connection.close()
    assert [run["name"] for run in runs("many")] == [str(i) for i in reversed(range(1001))]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def served(folder, port):
    """An `mlflow server` of one worker on the store of `folder`; killed, not asked, at the end."""
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlruns/mlflow.db"]
    command += ["--artifacts-destination", f"{folder}/remote"]
    surroundings = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    del surroundings["MLFLOW_TRACKING_URI"]
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen(command, cwd=folder, env=surroundings, stdout=log, stderr=log, start_new_session=True)
    try:
        while not listens(port):
            assert server.poll() is None, (folder / "server.log").read_text()
            time.sleep(0.1)
        yield
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_metrics_logged_while_the_server_was_away_arrive_complete_and_in_order(folder, monkeypatch, capsys):
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    tracker = Tracker()
    with served(folder, port):
        tracker.log_text("weights", "checkpoints/best.ckpt")
        copy = resolve(f"runs:/{tracker.run_id}")
        assert copy.read_text() == "weights"
        assert folder not in copy.parents
        with pytest.raises(ValueError, match="no run '0123' in http"):
            resolve("runs:/0123")
        for step in range(1500):
            tracker.log_metrics({"loss": step}, step)
        assert len(metric_rows()) == 1000
    with pytest.warns(RuntimeWarning, match=r"the tracking store does not answer.*kept and sent later"):
        tracker.flush()
    for step in range(1500, 4000):  # no second warning: it would be an error
        tracker.log_metrics({"loss": step}, step)
    assert not tracker.flush()
    assert len(metric_rows()) == 1000
    with served(folder, port):
        tracker.log_metrics({"loss": 4000}, 4000)
        tracker.finalize("success")
        unlucky = Tracker()
        assert unlucky.run_id
    assert [(step, value) for _, step, value, _ in metric_rows()] == [(step, step) for step in range(4001)]
    times = [row[0] for row in rows("SELECT timestamp FROM metrics ORDER BY step")]
    assert times == sorted(times)
    assert capsys.readouterr() == ("", "")
    assert status(tracker) == "FINISHED"
    ends_in_a_file(unlucky, folder, monkeypatch)


def ends_in_a_file(tracker, folder, monkeypatch):
    """What a server that never comes back did not take is kept, and said to be kept."""
    monkeypatch.setattr(tracking, "PATIENCE", 0.5)
    tracker.log_metrics({"loss": torch.tensor(0.5)}, 7)
    with pytest.warns(RuntimeWarning) as told:
        tracker.finalize("success")
    path = folder / "mlruns" / "morlight" / tracker.version / "unsent_metrics.jsonl"
    assert [str(warning.message).partition("; ")[2] for warning in told][1:] == [
        f"run {tracker.version} lacks its last 1 metrics, which are in {path}",
        f"run {tracker.version} still counts as RUNNING there",
    ]
    (line,) = path.read_text().splitlines()
    found = json.loads(line)
    assert (found["run_id"], found["name"], found["value"], found["step"]) == (
        tracker.version,
        "loss",
        0.5,
        7,
    )


def test_a_fit_goes_on_without_a_file_that_the_store_refuses(folder):
    tracker = Tracker()
    assert tracker.run_id
    (folder / "mlruns" / "artifacts").write_text("in the way")
    with pytest.warns(RuntimeWarning, match="goes on without figure.txt: sqlite.* did not take it"):
        tracker.log_text("a", "figure.txt")


def test_two_processes_make_one_run(folder):
    (folder / "script.py").write_text(
        "import pytorch_lightning as lightning\n"
        "from pytorch_lightning.demos.boring_classes import BoringModel\n"
        "from morlight.tracking import Tracker\n"
        "assert 'mlflow' not in __import__('sys').modules\n"
        "trainer = lightning.Trainer(accelerator='cpu', devices=2, strategy='ddp', logger=Tracker('pair'),\n"
        "    max_epochs=1, limit_train_batches=4, limit_val_batches=0, enable_progress_bar=False)\n"
        "trainer.fit(BoringModel())\n"
        "trainer.logger.log_metrics({'seen': 1.0}, 4)\n"
    )
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (run,) = runs("pair")
    assert (run["status"], run["metrics"]) == ("FINISHED", {"seen": 1.0})
    assert len(metric_rows()) == 1
    assert resolve(f"runs:/{run['run_id']}").name == "last.ckpt"


def test_the_pages_are_served_until_ctrl_c(folder):
    port = free_port()
    code = f"from morlight.store import ui; ui('127.0.0.1', {port})"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        line = process.stdout.readline()
        assert line.startswith(f"MLflow on sqlite:///{folder}/mlruns/mlflow.db: http://127.0.0.1:{port} ")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as page:
            assert b"MLflow" in page.read()
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0
    assert not listens(port)


def test_addresses_that_cannot_be_served_are_told(folder, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"127.0.0.1:{port} cannot be served .*in use.*; choose another --port"):
            ui("127.0.0.1", port)
    with pytest.raises(ValueError, match=r"192.0.2.1:\d+ cannot be served"):
        ui("192.0.2.1", port)  # an address of no machine (RFC 5737)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    with pytest.raises(ValueError, match="the tracking server shows its own pages"):
        ui()
