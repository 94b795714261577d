"""Replayed operations on small tensors have the results of torch bit for bit, whatever the shapes and the values."""

import numpy as np
import pytest
import torch

from morlight.operators.kernels import elementwise
from morlight.operators.kernels.recorded import calls, record

OPERATIONS = {
    "neg": lambda x, y: -x,
    "abs": lambda x, y: x.abs(),
    "sign": lambda x, y: x.sign(),
    "sgn": lambda x, y: x.sgn(),
    "add": lambda x, y: x + y,
    "add a number": lambda x, y: x + 0.1,
    "subtract": lambda x, y: x - y,
    "subtract from a number": lambda x, y: 1 - x,
    "multiply": lambda x, y: x * y,
    "multiply by a number": lambda x, y: 0.1 * x,
    "divide": lambda x, y: x / y,
    "divide by a number": lambda x, y: x / 3,
    "clamp from below": lambda x, y: x.clamp_min(0),
    "clamp from above": lambda x, y: x.clamp_max(0.1),
    "greater": lambda x, y: x > 0.1,
    "greater or equal": lambda x, y: x >= 0.1,
    "less": lambda x, y: x < y,
    "less or equal": lambda x, y: x <= y,
    "choose": lambda x, y: torch.where(x > 0, x, y),
    "choose or zero": lambda x, y: torch.where(x > 0, 0.0, x),
    "copy": lambda x, y: x.transpose(0, -1).contiguous(),
    "copy in its order": lambda x, y: x.transpose(0, -1).clone(),
    "stack": lambda x, y: torch.stack([x, 2 * x, x], -1),
    "join": lambda x, y: torch.cat([x[..., None], x[..., None], x[..., None][..., :0]], -1),
    "place": lambda x, y: torch.ops.aten.select_backward(x, [3, *x.shape], 0, 1),
}
LAYOUTS = {
    "the same shape": lambda x: (x[1:], x[:-1]),
    "one for each row": lambda x: (x, x[..., :1].contiguous()),
    "one for each column": lambda x: (x, x[0, 0]),
    "one for all": lambda x: (x, x[0, 0, 0]),
    "both repeated": lambda x: (x[:, :1], x[:1]),
    "every second one": lambda x: (x[..., ::2], x[..., 1::2]),
    "other order": lambda x: (x.transpose(0, 2), x.permute(1, 2, 0).transpose(0, 1).contiguous()),
    "one column": lambda x: (x[:, :, 3], x[:, :, 4]),
    "one number": lambda x: (x[0, 0, 5], x[0, 0, 6]),
}
SPECIAL = (0.0, -0.0, 0.1, -0.1, 1e-40, -1e-40, float("inf"), -float("inf"), float("nan"))


def values(dtype, seed=0):
    numbers = np.random.default_rng(seed).normal(size=(5, 4, 38))
    if seed:
        numbers.flat[::7] = np.resize(SPECIAL, numbers.flat[::7].shape)
    return torch.as_tensor(numbers, dtype=dtype)


def same(found, due):
    return found.dtype == due.dtype and torch.equal(elementwise._bits(found), elementwise._bits(due))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_results_are_those_of_torch_bit_for_bit(name, layout, dtype):
    start, other = values(dtype), values(dtype, 1)

    def function():
        return OPERATIONS[name](*LAYOUTS[layout](start))

    operations, result = record(function, start)
    assert all(operation.instructions for operation in operations)
    start.copy_(other)
    for call in calls(operations):
        call()
    assert same(result, function())


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.add(x, x, alpha=0.1),
        lambda x: torch.div(x, 0.3, rounding_mode="floor"),
        lambda x: x * torch.tensor(0.1, dtype=torch.float64),
        lambda x: (x * (1 + 2j)).real * 2,
        lambda x: torch.where(x > 0, torch.tensor(0.1, dtype=torch.float64), x),
        lambda x: x.double() + x,
        lambda x: x.expand(3, 5, 4, 38).reshape(1, 3, 1, 5, 2, 2, 2, 19).transpose(1, 4).transpose(2, 7) * 2 + 1,
        lambda x: x.repeat(100, 1, 1) + 0.1,
        lambda x: x.clamp_min(x.flip(0)),
        lambda x: (x + 1).add_(x).mul_(2) + x,
        lambda x: (x + 1)[:, :0] + x[:, :0],
        lambda x: torch.cat([x.new_empty(0), x + 1], 1),
        lambda x: (x > 0).to(torch.uint8) - 1,
    ],
)
def test_other_operations_among_them_are_those_of_torch(function):
    start, other = values(torch.float32), values(torch.float32, 1)
    operations, result = record(lambda: function(start), start)
    start.copy_(other)
    for call in calls(operations):
        call()
    assert same(result, function(start))


def test_operations_that_follow_each_other_are_one_call():
    start = values(torch.float32)
    operations, _ = record(lambda: ((2 * start + 1).tanh() - start).abs(), start)
    assert len(operations) == 5
    assert len(calls(operations)) == 3


def test_large_tensors_are_left_to_torch_and_its_threads():
    start = torch.ones(elementwise.LARGEST + 1)
    operations, _ = record(lambda: start + 1, start)
    assert not operations[0].instructions


def test_without_the_library_recordings_are_of_torch_alone(monkeypatch):
    monkeypatch.setattr(elementwise, "library", lambda: None)
    start = values(torch.float32)
    operations, result = record(lambda: 2 * start + 1, start)
    assert not any(operation.instructions for operation in operations)
    start += 1
    for call in calls(operations):
        call()
    assert torch.equal(result, 2 * start + 1)


def test_a_result_that_would_differ_is_left_to_torch(monkeypatch):
    monkeypatch.setitem(elementwise.ALIASES, "exp", "neg")
    start = values(torch.float32)
    operations, result = record(lambda: start.exp(), start)
    assert not operations[0].instructions
    assert torch.equal(result, start.exp())
