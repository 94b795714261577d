"""Replayed training steps against the steps themselves."""

from unittest.mock import patch

import pytest
import small
import systems
import torch

from morlight.operators import build, mean_square, stepper
from morlight.operators.kernels import recorded_gradient
from morlight.operators.kernels.recorded_gradient import RecordedGradient, Replays
from morlight.operators.units import NO_GAMMA

KINDS = [
    *((name, "explicit") for name in systems.SYSTEMS),
    *((name, "exponential") for name in ("fourier", "channel", "bounded", "fluxes", "isotropic", "pipe")),
]


class Training:
    """Steps of Adam on random windows of small operators; γ takes two values."""

    def __init__(self, name, scheme="explicit", dtype=torch.float64):
        options, self.data = systems.SYSTEMS[name]
        config = small.config(**systems.SMALL | options, scheme=scheme)
        self.operator = small.redraw(build.operator(config, self.data), seed=1, size=0.3).to(dtype)
        self.scheme, self.dtype = build.scheme(config, self.data), dtype
        self.parameters = [*self.operator.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-3)
        self.replays = Replays(self.objective, self.operator, self.operator.realizations)

    def objective(self, horizon, frames, gamma):
        u, step = frames[0, None], stepper(self.operator, self.scheme, gamma=gamma)
        for _ in range(horizon):
            u = step(u)
        values = mean_square(u, frames[1, None])
        return values.sum(), values

    def batch(self, seed, size=4):
        generator = torch.Generator().manual_seed(seed)
        shape = (2, size, len(self.data.fields), *self.data.grid.points)
        frames = 1 + 0.3 * torch.randn(shape, generator=generator, dtype=torch.float64)
        if not self.data.parameters:
            return frames.to(self.dtype), NO_GAMMA.to(self.dtype)
        ends = torch.tensor([[each.low, each.high] for each in self.data.parameters]).T
        return frames.to(self.dtype), ends[torch.arange(size) % 2].to(self.dtype)

    def gradients(self, step, seed, horizon=2):
        self.optimizer.zero_grad()
        total, values = step(horizon, *self.batch(seed))
        total.backward()
        found = [total.detach(), values.detach(), *(p.grad.clone() for p in self.parameters)]
        self.optimizer.step()
        return found


@pytest.fixture(autouse=True)
def recorded_early():
    with patch.object(recorded_gradient, "PLAIN", 0):
        yield


@pytest.mark.parametrize(("name", "scheme"), KINDS)
def test_replayed_steps_are_those_of_the_objective_bit_by_bit(name, scheme):
    replayed, plain = (Training(name, scheme) for _ in range(2))
    for seed in range(3):
        for ours, theirs in zip(
            replayed.gradients(replayed.replays, seed), plain.gradients(plain.objective, seed), strict=True
        ):
            assert torch.equal(ours, theirs)
    (recording,) = replayed.replays._kinds.values()
    assert isinstance(recording, RecordedGradient)
    assert recording.turn == 2


@pytest.mark.parametrize("name", ["fourier", "channel"])
def test_replayed_steps_in_single_precision_are_those_of_the_objective(name):
    replayed, plain = (Training(name, dtype=torch.float32) for _ in range(2))
    for seed in range(3):
        ours, theirs = replayed.gradients(replayed.replays, seed), plain.gradients(plain.objective, seed)
        assert all(map(torch.equal, ours, theirs))


def test_a_batch_with_other_values_of_the_parameters_is_not_replayed_with_those_of_the_recording():
    training = Training("channel")
    for seed in range(3):
        training.gradients(training.replays, seed)
    frames, gamma = training.batch(7)
    fewer = gamma[:1].expand_as(gamma)
    assert not torch.equal(fewer, gamma)
    assert torch.equal(training.replays(2, frames, fewer)[0], training.objective(2, frames, fewer)[0])


def test_batches_with_one_and_with_two_values_of_the_parameters_are_both_replayed():
    replayed, plain = Training("channel"), Training("channel")
    for seed in range(8):
        frames, gamma = replayed.batch(seed)
        rows = gamma if seed % 2 else gamma[:1].expand_as(gamma)
        found = []
        for training, step in ((replayed, replayed.replays), (plain, plain.objective)):
            training.optimizer.zero_grad()
            total, _ = step(2, frames, rows)
            total.backward()
            found.append([total.detach(), *(p.grad.clone() for p in training.parameters)])
            training.optimizer.step()
        assert all(map(torch.equal, *found))
    assert [recording.turn for recording in replayed.replays._kinds.values()] == [7, 3]  # the first is tried each time


def test_an_objective_that_decides_by_its_values_is_not_replayed():
    module, calls = torch.nn.ParameterList([torch.ones(3)]), 0
    (weight,) = module

    def objective(kind, u):
        nonlocal calls
        calls += 1
        values = (weight * u[0]).square() if u.sum() > 0 else weight * u[0]
        return values.sum(), values

    replays = Replays(objective, module, 1)
    for number in range(6):
        u = torch.full((1, 3), 1.0 if number % 2 else -1.0)
        total, _ = replays(None, u)
        (gradient,) = torch.autograd.grad(total, weight)
        assert torch.equal(gradient, 2 * weight if number % 2 else u[0])
    assert calls == 7  # the one that is recorded in vain does not end


def test_the_gradient_of_a_replay_that_another_has_overwritten_is_refused():
    training = Training("fourier")
    for seed in range(3):
        training.gradients(training.replays, seed)
    first, _ = training.replays(2, *training.batch(3))
    training.replays(2, *training.batch(4))
    with pytest.raises(AssertionError, match="a later step has overwritten"):
        first.backward()


def test_without_gradients_and_for_large_fields_the_objective_is_as_it_is():
    training = Training("fourier")
    with patch.object(recorded_gradient, "LARGEST", 0):
        for seed in range(4):
            training.gradients(training.replays, seed)
    with torch.no_grad():
        training.replays(2, *training.batch(0))
    assert not training.replays._kinds


def test_a_changed_constant_of_the_operator_changes_the_steps():
    training = Training("fourier")
    for seed in range(3):
        training.gradients(training.replays, seed)
    training.operator.unit *= 2
    assert torch.equal(training.replays(2, *training.batch(3))[0], training.objective(2, *training.batch(3))[0])


def test_recordings_take_no_more_than_their_memory():
    training = Training("fourier")
    sizes = {}
    for horizon in (1, 2, 3):
        for seed in range(3):
            training.gradients(training.replays, seed, horizon)
        recordings = [one for one in training.replays._kinds.values() if one]
        sizes[horizon] = recordings[-1].bytes
    assert sizes[1] < sizes[2] < sizes[3]
    with patch.object(recorded_gradient, "MEMORY", sizes[2] + sizes[3] + sizes[1] - 1):
        training.replays(4, *training.batch(3))
    kept = [one.bytes for one in training.replays._kinds.values() if one]
    assert sum(kept) < sum(sizes.values())


def test_gradients_that_a_hook_changes_are_not_replayed():
    weight = torch.nn.Linear(2, 1, bias=False).double()
    weight.weight.register_hook(lambda gradient: gradient / 2)
    replays = Replays(lambda kind, x: (weight(x).square().sum(), weight(x).detach()[:, 0]), weight, 1)
    x = torch.rand(3, 2).double()
    for _ in range(recorded_gradient.PLAIN + 3):
        total, _ = replays(1, x)
        weight.zero_grad()
        total.backward()
        due = x.T @ (x @ weight.weight.detach().T)  # half of the derivative of a square
        assert torch.allclose(weight.weight.grad, due.T)
