"""Fits that are interrupted, continued, or made by two processes: the same weights as in one go."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import short_fits
import torch
from short_fits import checkpoints, fit, weights

from morlight.analysis import inspection
from morlight.analysis import model as prediction
from morlight.cli import main as cli
from morlight.tracking.runs import read_runs

LONG = ["--trainer.max_epochs", "8", "--data.batch", "2"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, heat_file):
    """Weights of a fit from its beginning to its end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("whole"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        Path("short.yaml").write_text(short_fits.SHORT)
        fit(heat_file, *LONG)
        (path,) = checkpoints(Path.cwd())
        return weights(path)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_and_continued_fit_has_the_weights_of_an_uninterrupted_one(fits, heat_file, uninterrupted, stop):
    command = [sys.executable, "-m", "morlight", "fit", "--config", "short.yaml", "--data.path", str(heat_file), *LONG]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not checkpoints(fits) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(stop)
    message = process.communicate(timeout=300)[1]
    (interrupted,) = checkpoints(fits)
    assert 0 < torch.load(interrupted, weights_only=True)["epoch"] + 1 < 8
    if stop == signal.SIGINT:
        assert process.returncode == 130
        assert "--ckpt_path last" in message
        assert read_runs("morlight")[0].status == "KILLED"
    fit(heat_file, *LONG, "--ckpt_path", "last")
    assert checkpoints(fits) == [interrupted]
    assert [run.status for run in read_runs("morlight")] == ["FINISHED"]
    for key, value in uninterrupted.items():
        assert torch.equal(weights(interrupted)[key], value), key


# the last offset of h(u) = sign(u) (ĥ(|u|) − ĥ(0)): no model depends on it, and all of its gradient is rounding
CANCELS = "operator.h.nonlinearity.network.offsets.2"


@pytest.mark.parametrize(
    "more", [[], ["--data.batch", "11", "--data.memory", "1e-5"]], ids=["even", "uneven, streamed"]
)
def test_two_processes_are_one_run_with_the_weights_of_one_process(fits, heat_file, more):
    words = ["fit", "--config", "short.yaml", "--data.path", str(heat_file), "--trainer.precision", "64-true", *more]
    cli.main([*words, "--name", "by1"])
    command = [sys.executable, "-m", "morlight", *words, "--trainer.devices", "2", "--name", "by2"]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    assert sorted((run.name, run.status) for run in read_runs("morlight")) == [
        ("by1", "FINISHED"),
        ("by2", "FINISHED"),
    ]
    (one,), (two,) = (checkpoints(fits, name) for name in ("by1", "by2"))
    for key, value in weights(one).items():
        # means of halves round differently, and Adam takes a gradient of rounding alone for a step
        if key != CANCELS:
            assert torch.allclose(weights(two)[key], value, rtol=0, atol=1e-6), key


def test_linear_start_is_where_the_linear_model_is_and_resuming_does_not_start_again(fits, heat_file):
    short = ["--model.start", "linear", "--model.lr", "1e-6", "--trainer.max_epochs", "3"]
    fit(heat_file, *short)
    fit(heat_file, "--name", "random", "--model.lr", "1e-6")
    near, far = (
        inspection.inspect(prediction.load(checkpoints(fits, name)[-1])).fields["density"].generator
        for name in ("short", "random")
    )
    off = [abs(np.asarray(found.real)[:, 3] / -9 - 1).max() for found in (near, far)]  # −κ² at κ = 3
    assert off[0] < 0.1 < off[1]
    before = weights(checkpoints(fits)[-1])
    fit(heat_file, *short[:-1], "6", "--ckpt_path", "last")
    after = weights(checkpoints(fits)[-1])
    assert all(torch.allclose(before[key], after[key], atol=1e-3) for key in before)
