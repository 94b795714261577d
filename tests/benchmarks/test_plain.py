"""The plain form of the operators that the benchmarks time: the same steps as the package's; nothing here is timed."""

import pytest
import torch
from small import redraw

from benchmarks import plain
from benchmarks.cases import CASES
from morlight.operators import advance, mean_square


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("steps", [1, 3])
def test_step_of_the_benchmark_is_that_of_its_plain_form(name, steps):
    case = CASES[name]
    u, target, gamma = case.batch(torch.float64, fields=3)
    operator = redraw(case.operator(1, torch.float64))
    values = (
        mean_square(advance(operator.prepared(None, gamma), u, steps), target).sum(),
        plain.loss(case, operator, u[0], target[0], steps, gamma),
    )
    assert abs(values[0] - values[1]) < 1e-12 * values[1]
    mine, due = (torch.autograd.grad(value, list(operator.parameters())) for value in values)
    largest = max(gradient.abs().max() for gradient in due)
    for one, other in zip(mine, due, strict=True):
        assert (one - other).abs().max() < 1e-12 * largest  # sums of some 10⁴ terms in another order
