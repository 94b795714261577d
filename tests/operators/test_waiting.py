"""Nothing in a step makes a GPU wait: no value is read by the host, and no list is copied from it.

Seen on the CPU, by the operations of torch that would. The distinct values of γ are counted by the host.
"""

import pytest
import small
import systems
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from morlight.operators import build, mean_square, stepper
from morlight.operators.kernels import fused

WAITING = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)
COPIED = ("aten.lift_fresh.default", "aten._local_scalar_dense.default")


class Waits(TorchDispatchMode):
    """Notes the operations for which a GPU would wait."""

    def __init__(self):
        super().__init__()
        self.seen = []

    @classmethod
    def _should_skip_dynamo(cls):
        return False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        by_numbers = func is torch.ops.aten.index.Tensor and all(
            places is None or places.dtype != torch.bool for places in args[1]
        )
        if str(func) in COPIED or (any(tag in func.tags for tag in WAITING) and not by_numbers):
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("name", "scheme"),
    [*((name, "explicit") for name, (_, data) in systems.SYSTEMS.items() if not data.parameters),
     ("fourier", "exponential"), ("fluxes", "exponential")],
)  # fmt: skip
def test_a_step_and_its_gradient_read_nothing_back(name, scheme, monkeypatch):
    monkeypatch.setattr(fused, "library", lambda: None)  # as on a GPU
    options, data = systems.SYSTEMS[name]
    config = small.config(**systems.SMALL | options, scheme=scheme)
    operator = build.operator(config, data)
    u = 1 + torch.rand(1, 3, len(data.fields), *data.grid.points)

    def step():
        way = "explicit" if data.steady else build.scheme(config, data)
        end = stepper(operator, way)(u) if not data.steady else operator(u)
        mean_square(end, torch.zeros_like(end[:1])).sum().backward()

    step()  # what is kept from then on may be made once
    with Waits() as waits:
        step()
    assert waits.seen == []


def test_the_check_sees_a_value_that_is_read_and_a_list_that_is_copied():
    u = torch.arange(4.0)
    with Waits() as waits:
        float(u.max())
        u[[0, 2]]
        u[u > 1]
    assert len(waits.seen) == 3
