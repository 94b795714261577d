"""The model of a run as MLflow serves it: asked over HTTP, by the command line, and by name."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import mlflow.pyfunc
import numpy as np
import pytest
import torch
from systems import made, start

from morlight.analysis.export import pyfunc
from morlight.analysis.model import load
from morlight.cli import main as cli
from morlight.tracking.checkpoints import resolve
from morlight.tracking.runs import read_runs
from morlight.tracking.store import connect, tracking_uri
from tests.tracking.stores import folder, free_port, fresh_database  # noqa: F401 - fixtures

TUNED = ["--data.batch", "16", "--trainer.max_epochs", "1", "--model.horizons", "[1]", "--trainer.accelerator", "cpu"]


@pytest.fixture
def run(folder, heat_file):  # noqa: F811
    """A run of a short fit in the store of the working directory."""
    words = [
        "--data.path",
        str(heat_file),
        "--model.biases",
        "[conservation]",
        "--trainer.enable_progress_bar",
        "false",
    ]
    cli.main(["fit", *words, "--model.realizations", "2", *TUNED])
    return read_runs("morlight")[0].run_id


def surroundings():
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])  # MLflow starts uvicorn by its name
    return os.environ | {"MLFLOW_TRACKING_URI": tracking_uri(), "PYTHONWARNINGS": "ignore", "PATH": path}


def ask(port, question):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", json.dumps(question).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.load(answer)


def wait_for(port, server):
    end = time.monotonic() + 300
    while time.monotonic() < end:
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=30).close()
        except OSError:
            assert server.poll() is None, server.stderr.read()
            time.sleep(0.1)
    raise AssertionError("the server does not answer")


def test_the_model_of_a_run_is_served_over_http_and_by_the_command_line(run, tmp_path):
    model = load(resolve(f"runs:/{run}"))
    u = 1 + 0.3 * np.sin(np.arange(32) * np.pi / 16) * np.array([[1.0], [2.0]])
    expected = model.predict(u[:, None], 40, every=20)[:, :, :, 0].swapaxes(0, 1)
    question = {"inputs": {"density": u.tolist()}, "params": {"steps": 40, "every": 20}}
    port = free_port()
    words = [sys.executable, "-m", "mlflow", "models"]
    where = ["-m", f"runs:/{run}/model", "--env-manager", "local"]
    server = subprocess.Popen(
        [*words, "serve", *where, "--host", "127.0.0.1", "--port", str(port)],
        env=surroundings(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        wait_for(port, server)
        answer = np.array(ask(port, question)["predictions"]["density"])
        assert answer.shape == (2, 2, 3, 32)
        assert np.allclose(answer, expected, rtol=0, atol=1e-12)
        best = ask(port, {**question, "params": {"steps": 40, "every": 20, "realizations": "best"}})
        assert np.allclose(best["predictions"]["density"], expected[:, model.best], rtol=0, atol=1e-12)
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(port, {"inputs": {"mass": u.tolist()}})
        refused.value.close()
        assert refused.value.code == 400
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.communicate(timeout=300)
    (tmp_path / "question.json").write_text(json.dumps(question))
    files = ["-i", str(tmp_path / "question.json"), "-o", str(tmp_path / "answer.json")]
    subprocess.run([*words, "predict", *where, *files], env=surroundings(), check=True, capture_output=True)
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert np.allclose(answer["predictions"]["density"], expected, rtol=0, atol=1e-12)


def test_a_registered_model_is_found_by_its_alias(run, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri())
    client = connect()
    client.create_registered_model("heat")
    source = f"{client.get_run(run).info.artifact_uri}/model"
    version = client.create_model_version("heat", source, run).version
    client.set_registered_model_alias("heat", "good", version)
    model = load(resolve("models:/heat@good"))
    served = mlflow.pyfunc.load_model("models:/heat@good")
    u = np.ones((1, 32))
    assert np.array_equal(served.predict({"density": u})["density"][0], model.predict(u, 1)[:, :, 0])


@pytest.mark.parametrize("name", ["channel", "samples", "plane"])
def test_every_kind_of_model_answers_as_its_checkpoint_does(tmp_path, name):
    model = made(tmp_path, name)
    u, gamma = start(model)
    pyfunc.save(model, tmp_path / "served")
    served = mlflow.pyfunc.load_model(str(tmp_path / "served"))
    names = model.data.field_names
    given = {field: u[:, c] for c, field in enumerate(names)}
    if gamma is not None:  # a field is called density as well
        given |= {"gamma_density": gamma[:, 0], "size": gamma[:, 1]}
    if model.steady:
        expected, found = model.apply(u), served.predict(given)
        assert np.array_equal(found["f"], expected[:, :, 0].swapaxes(0, 1))
        return
    found = served.predict(given, params={"steps": 3, "realizations": "mean"})
    expected = model.predict(u, 3, gamma=gamma, realizations="mean")
    for c, field in enumerate(names):
        assert np.array_equal(found[field], expected.mean[:, :, c])
        assert np.array_equal(found[f"{field}_sd"], expected.sd[:, :, c])


def test_the_folder_holds_no_pickle_and_its_checkpoint_is_not_unpickled(tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    model = made(tmp_path, "fourier")
    pyfunc.save(model, tmp_path / "served")
    files = [path for path in (tmp_path / "served").rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".py")]
    (inside,) = (tmp_path / "served").rglob("*.ckpt")
    for write in (
        lambda: torch.save({"morlight": Payload()}, inside),
        lambda: inside.write_bytes(pickle.dumps(Payload())),
    ):
        write()
        with pytest.raises(ValueError, match="not a readable checkpoint"):
            mlflow.pyfunc.load_model(str(tmp_path / "served"))
    assert not (tmp_path / "executed").exists()


def test_a_folder_that_is_there_is_not_overwritten(tmp_path):
    model = made(tmp_path, "fourier")
    (tmp_path / "served").mkdir()
    with pytest.raises(ValueError, match="exists already"):
        pyfunc.save(model, tmp_path / "served")
    with pytest.raises(ValueError, match="does not exist"):
        pyfunc.save(model, tmp_path / "nowhere" / "served")
