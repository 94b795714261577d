"""The plain table of a nonlinearity: linear interpolation between nodes, wherever the range lies."""

import numpy as np
import pytest
import torch

from morlight.operators.kernels.table import Interpolate


@pytest.mark.parametrize(("low", "high"), [(-1.0, 3.0), (0.5, 2.0), (-4.0, -1.0)])
def test_values_are_interpolated_over_ranges_that_are_not_around_zero(low, high):
    rng = np.random.default_rng(0)
    nodes, table = np.linspace(low, high, 9), rng.normal(size=(2, 9))
    points = rng.uniform(low, high, (2, 50))
    values = Interpolate.apply(*map(torch.from_numpy, (points, table)), low, (high - low) / 8)
    expected = [np.interp(u, nodes, row) for u, row in zip(points, table, strict=True)]
    assert np.allclose(values.numpy(), expected, rtol=0, atol=1e-13)
