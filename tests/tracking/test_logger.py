"""The logger of fits on real stores: SQLite files and an `mlflow server`."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import pytorch_lightning as lightning
import torch
from mlflow import MlflowClient
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from morlight.tracking import logger as tracking
from morlight.tracking.checkpoints import resolve
from morlight.tracking.logger import Tracker
from morlight.tracking.runs import read_runs
from morlight.tracking.store import connect, tracking_uri
from tests.tracking.stores import folder, free_port, fresh_database, metric_rows, rows, served

__all__ = ["folder", "fresh_database"]  # fixtures


def status(tracker):
    return rows("SELECT status FROM runs WHERE run_uuid = ?", tracker.version)[0][0]


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
    (run,) = read_runs("lines")
    assert (run.run_id, run.name, run.status) == (tracker.version, "short", "FINISHED")
    assert run.metrics["epoch"] == 2
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
    (run,) = read_runs("burgers")
    assert run.status == "FINISHED"
    assert run.params == {"model.width": "8", "epochs": "4"}
    assert [row[2] for row in metric_rows()] == [1.0, 0.5]
    tags = dict(rows("SELECT key, value FROM tags"))
    assert (tags["study"], tags["changed.epochs"]) == ("a", "6")
    assert tags["continued.command"] == tags["command"]


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


def test_runs_that_cannot_be_continued_are_told(folder):
    with pytest.raises(ValueError, match="no run '0123' in sqlite"):
        _ = Tracker(run_id="0123").experiment
    tracker = Tracker()
    connect().delete_run(tracker.run_id)
    with pytest.raises(ValueError, match="was deleted"):
        _ = Tracker(run_id=tracker.version).experiment


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
        "from morlight.tracking.logger import Tracker\n"
        "assert 'mlflow' not in __import__('sys').modules\n"
        "trainer = lightning.Trainer(accelerator='cpu', devices=2, strategy='ddp', logger=Tracker('pair'),\n"
        "    max_epochs=1, limit_train_batches=4, limit_val_batches=0, enable_progress_bar=False)\n"
        "trainer.fit(BoringModel())\n"
        "trainer.logger.log_metrics({'seen': 1.0}, 4)\n"
    )
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (run,) = read_runs("pair")
    assert (run.status, run.metrics) == ("FINISHED", {"seen": 1.0})
    assert len(metric_rows()) == 1
    assert resolve(f"runs:/{run.run_id}").name == "last.ckpt"
