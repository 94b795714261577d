"""Fits, roll-outs and predictions on an NVIDIA GPU against those on the CPU; skipped where there is none."""

import os
import subprocess
import sys

import numpy as np
import pytest
import small
import systems
import torch

import morlight
from morlight.data.trajectory_file import TrajectoryFile
from morlight.operators import Rollouts, build, mean_square, states, stepper
from morlight.operators.kernels.recorded_gradient import PLAIN, Replays
from morlight.operators.units import NO_GAMMA

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")]
FIT = {
    "model.realizations": 3, "model.horizons": [1, 2], "data.batch": 20, "trainer.max_epochs": 10,
    "trainer.precision": "64-true", "trainer.enable_progress_bar": False,
}  # fmt: skip
FITS = {
    "Adam": {"model.optimizer": "adam", "model.lr": 1e-3},
    "points": {"model.optimizer": "adam", "model.loss": "points", "model.lr": 1e-3},
    "linear start": {"model.optimizer": "adam", "model.start": "linear", "model.lr": 1e-3},
}
GAMMA = {"channel", "bounded", "isotropic"}


def started(name, scheme="explicit", batch=3):
    """Operator with small changes a step, initial fields, γ and scheme, on the CPU."""
    options, data = systems.SYSTEMS[name]
    config = small.config(**systems.SMALL | options, scheme=scheme)
    operator = small.redraw(build.operator(config, data).double(), seed=1, size=0.4)
    for part, _ in operator.summands():
        part.unit *= 1e-3
    generator = torch.Generator().manual_seed(2)
    shape = (1, batch, len(data.fields), *data.grid.points)
    u = 1 + 0.3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    gamma = torch.rand(batch, len(data.parameters), generator=generator, dtype=torch.float64)
    return operator, u, gamma if gamma.shape[1] else NO_GAMMA, build.scheme(config, data)


def loss_and_gradient(operator, u, gamma, scheme):
    """Of two steps, against zero."""
    advance = stepper(operator, scheme, gamma=gamma)
    end = advance(advance(u))
    loss = mean_square(end, torch.zeros_like(end[:1]))
    return [loss.detach().cpu(), *(g.cpu() for g in torch.autograd.grad(loss.sum(), list(operator.parameters())))]


@pytest.mark.parametrize("name", [name for name in systems.SYSTEMS if name != "samples"])
def test_loss_and_gradient_are_those_of_the_cpu(name):
    operator, u, gamma, scheme = started(name)
    expected = loss_and_gradient(operator, u, gamma, scheme)
    found = loss_and_gradient(operator.cuda(), u.cuda(), gamma.cuda(), scheme)
    size = max(float(each.abs().max()) for each in expected[1:])  # some gradients are 0 but for rounding
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-12 * size)


@pytest.mark.parametrize(
    ("name", "scheme"),
    [*((name, "explicit") for name in systems.SYSTEMS if name != "samples"), ("fourier", "exponential"),
     ("channel", "exponential"), ("fourier", "implicit")],
)  # fmt: skip
def test_rollouts_by_graphs_are_those_of_the_plain_loop_and_of_the_cpu(name, scheme):
    operator, u, gamma, way = started(name, scheme)
    operator.requires_grad_(False)
    steps = 10 if scheme == "implicit" else 200
    expected = Rollouts(operator, gamma, way).frames(u, steps, every=steps)
    operator, u, gamma = operator.cuda(), u.cuda(), gamma.cuda()
    *_, plain = states(operator, u, steps, gamma, way)
    frames = Rollouts(operator, gamma, way).frames(u, steps, every=steps // 2)
    assert torch.equal(frames[:, :, 2], plain)
    assert torch.allclose(frames[:, :, 2].cpu(), expected[:, :, 1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in systems.SYSTEMS if name not in {"samples", *GAMMA}])
def test_a_step_of_training_never_waits_for_the_gpu(name):
    operator, u, gamma, scheme = started(name)
    operator, u = operator.cuda(), u.cuda()
    optimizer = torch.optim.Adam(operator.parameters(), fused=True)

    def step():
        optimizer.zero_grad()
        end = stepper(operator, scheme, gamma=gamma)(u)
        mean_square(end, end[:1].detach()).sum().backward()
        optimizer.step()

    step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("kind", FITS)
def test_a_fit_is_that_of_the_cpu_and_its_checkpoint_serves_there(kind, heat_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = {**FIT, **FITS[kind]}
    gpu, cpu = (
        morlight.fit(str(heat_file), {**settings, "name": device, "trainer.accelerator": device}).model
        for device in ("gpu", "cpu")
    )
    u = 1 + 0.3 * np.cos(np.arange(32) / 32 * 2 * np.pi)
    expected = cpu.predict(u, 150)
    assert np.allclose(gpu.predict(u, 150), expected, rtol=0, atol=1e-4)
    assert np.allclose(gpu.to("cuda").predict(u, 150), gpu.predict(u, 150), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["fourier", "channel", "isotropic", "pipe"])
def test_steps_by_graphs_have_the_losses_and_gradients_of_plain_ones(name):
    operator, u, gamma, scheme = started(name)
    operator, u, gamma = operator.cuda(), u.cuda(), gamma.cuda()
    parameters = list(operator.parameters())

    def objective(kind, u, gamma, share):
        end = stepper(operator, scheme, gamma=gamma)(u[None])
        values = mean_square(end, torch.zeros_like(end[:1]))
        return (values * (1 + share)).sum(), values

    replays = Replays(objective, operator, operator.realizations)

    def launched(step):  # nothing of a step is kept: its graph would keep the stream of its gradients
        share = torch.tensor(0.1 * step, dtype=torch.float64)
        with torch.no_grad():
            parameters[0] += 1e-3  # as an optimizer would, in place
        inputs = u[0] + 0.01 * step, gamma, share
        total, values = replays(1, *inputs)
        found = torch.autograd.grad(total, parameters)
        due, expected = objective(1, *inputs)
        assert torch.allclose(total, due, rtol=1e-10)
        assert torch.allclose(values, expected, rtol=1e-10)
        gradients = torch.autograd.grad(due, parameters)
        size = max(float(each.abs().max()) for each in gradients)
        for one, other in zip(found, gradients, strict=True):
            assert torch.allclose(one, other, rtol=1e-8, atol=1e-11 * size)
        return "Replayed" in type(total.grad_fn).__name__

    assert sum(launched(step) for step in range(PLAIN + 5)) >= 3


def test_moments_are_solved_on_the_cpu_also_where_there_is_a_gpu(heat_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = {"model.optimizer": "moments", "model.realizations": 1, "trainer.max_epochs": 1, "name": "heat"}
    assert morlight.fit(str(heat_file), settings).model.device.type == "cpu"


def test_the_command_predicts_on_a_gpu(folder):
    for device in ("cpu", "cuda"):
        words = [
            "predict",
            "model.ckpt",
            "--initial",
            "heat.h5",
            "--steps",
            "120",
            "--device",
            device,
            "-o",
            f"{device}.h5",
        ]
        subprocess.run([sys.executable, "-m", "morlight", *words], check=True, env={**os.environ})
    one, other = (TrajectoryFile.open(f"{device}.h5") for device in ("cpu", "cuda"))
    names = list(one.fields)
    assert np.allclose(one.read(names, slice(None)), other.read(names, slice(None)), rtol=1e-6)
