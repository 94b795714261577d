"""Exported programs do what the checkpoint does, in runtimes that do not know morlight."""

import json
import math
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from command import refused
from systems import SYSTEMS, made, start

from morlight.analysis.equations import choice
from morlight.analysis.export.program import export
from morlight.analysis.export.real_arithmetic import RealStep
from morlight.analysis.extrapolation import Extrapolation
from morlight.analysis.model import load
from morlight.cli import main as cli

PARITY = 1e-6  # of the state, which is of order one


def checkpoint_does(model, u, gamma, steps):
    if model.steady:
        return model.apply(u, gamma)
    return model.predict(u, steps, every=steps, gamma=gamma)[:, :, -1]


@pytest.mark.parametrize("name", SYSTEMS)
def test_real_matrices_do_what_transforms_do(tmp_path, name):
    model = made(tmp_path, name)
    u, gamma = start(model)
    expected = checkpoint_does(model, u, gamma, 1)
    step = RealStep(model.operator, steady=model.steady, activation=model.config.activation, gamma=gamma is not None)
    found = step(torch.from_numpy(u).expand(2, *u.shape), None if gamma is None else torch.from_numpy(gamma))
    assert np.allclose(found, expected, rtol=0, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize(
    "name",
    [
        "fourier",
        "channel",
        "plane",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("bounded", "fluxes", "isotropic", "stable", "pipe")),
    ],
)
def test_onnx_runtime_rolls_out_what_the_checkpoint_rolls_out(tmp_path, name):
    model = made(tmp_path, name)
    u, gamma = start(model)
    export(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    more = {} if gamma is None else {"gamma": gamma}
    state = np.broadcast_to(u, (2, *u.shape)).copy()
    for _ in range(20):
        (state,) = session.run(None, {"u": state, **more})
    expected = checkpoint_does(model, u, gamma, 20)
    assert np.isfinite(expected).all()
    assert np.abs(state - expected).max() <= PARITY * np.abs(expected).max()
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["fields"]) == model.data.field_names
    assert math.isclose(float(metadata["dt"]), model.dt)


def test_one_realization_in_single_precision_needs_no_axis_for_it(tmp_path):
    model = made(tmp_path, "fourier")
    u, _ = start(model)
    export(model, tmp_path / "model.onnx", precision=32, realizations=[1])
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"u": u.astype(np.float32)})
    expected = checkpoint_does(model, u, None, 1)[1]
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= PARITY * np.abs(expected).max()


@pytest.mark.parametrize("name", ["channel", pytest.param("plane", marks=pytest.mark.slow)])
def test_the_program_of_torch_export_runs_where_morlight_is_not(tmp_path, name):
    model = made(tmp_path, name)
    u, gamma = start(model)
    export(model, tmp_path / "model.pt2")
    np.savez(tmp_path / "u.npz", u=u, **({} if gamma is None else {"gamma": gamma}))
    code = (
        "import sys; sys.modules['morlight'] = None\n"  # an import of it would raise
        "import numpy, torch\n"
        "files = {'morlight.json': ''}\n"
        "program = torch.export.load('model.pt2', extra_files=files).module()\n"
        "given = {key: torch.from_numpy(value) for key, value in numpy.load('u.npz').items()}\n"
        "state = given['u'].expand(2, *given['u'].shape).contiguous()\n"
        "for _ in range(5): state = program(state, given.get('gamma'))\n"
        "numpy.save('later.npy', state.numpy()); print(files['morlight.json'])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = checkpoint_does(model, u, gamma, 5)
    assert np.abs(np.load(tmp_path / "later.npy") - expected).max() <= 1e-11 * np.abs(expected).max()
    assert json.loads(json.loads(done.stdout)["points"]) == list(model.grid.points)


def test_the_command_takes_the_best_realization_and_another_grid(folder, tmp_path):
    model = made(tmp_path, "fourier")
    cli.main(shlex.split("export made.ckpt --points 24 --realizations best -o model.onnx"))
    session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
    u = 1 + 0.1 * np.sin(np.arange(24) * np.pi / 12).reshape(1, 1, 24)
    (found,) = session.run(None, {"u": u})
    with pytest.warns(Extrapolation):
        expected = model.on(24).predict(u, 1, realizations="best")[:, 1]
    assert np.abs(found - expected).max() <= PARITY


def test_the_equation_leaves_without_its_networks(tmp_path):
    """−1.009 |κ|^1.978, from a checkpoint of the first layout: a wave of κ = 2 decays by that in one step."""
    model = load(Path(__file__).parents[2] / "checkpoints" / "layout1.ckpt")
    form = choice.choose(model, 0).form
    export(choice.twin(model), tmp_path / "model.onnx", realizations=[0])
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    wave = np.sin(2 * (np.arange(64) + 0.5) * np.pi / 32)
    (found,) = session.run(None, {"u": 1 + wave.reshape(1, 1, 64)})
    rate = form.coefficient.value * 2**form.exponent.value
    assert np.allclose(found[0, 0], 1 + wave * np.exp(-rate * model.dt), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("model.ckpt --equation -o model.onnx", "no closed form is justified"),
        ("model.ckpt -o model.txt", ".txt is not a format of programs"),
        ("model.ckpt -o nowhere/model.onnx", "nowhere"),
        ("model.ckpt --points 4096 -o model.onnx", "at most 1024"),
        ("model.ckpt --realizations best -o model.onnx", "does not hold the losses"),
        ("model.ckpt --realizations 9 -o model.onnx", "numbers from 0 to 1"),
        ("heat.h5 -o model.onnx", "not a readable checkpoint"),
    ],
)
def test_what_cannot_be_exported_is_refused(folder, capsys, words, sentence):
    before = sorted(folder.iterdir())
    assert sentence in refused(f"export {words}", capsys)
    assert sorted(folder.iterdir()) == before
