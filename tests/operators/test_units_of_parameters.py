"""How γ enters the networks."""

import math

import torch

from morlight.operators import Units


def test_gamma_enters_in_units_of_its_mean_or_as_its_logarithm():
    gamma = torch.tensor([[3.0, 0.1], [0.5, 100.0]], dtype=torch.float64)
    units = Units([2.0, 10.0], [0.0, 4.0]).double()
    expected = torch.tensor([[1.5, math.log(0.01) / 4], [0.25, math.log(10.0) / 4]], dtype=torch.float64)
    assert torch.allclose(units.scaled(gamma), expected, rtol=0, atol=1e-6)  # buffers of single precision
    assert torch.allclose(Units([2.0, 10.0]).double().scaled(gamma), gamma / torch.tensor([2.0, 10.0]))
