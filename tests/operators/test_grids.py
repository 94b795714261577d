"""Operators on another grid of the same domain do to a wave what they do on their own."""

import numpy as np
import pytest
import systems
import torch

from morlight.analysis.inputs import parameter_values
from morlight.operators import Perceptrons, build, on_grid

# fields of sines and cosines that feed each other are left out: a cosine is no finite sum of sines on any grid
FINER = {"fourier": [40], "odd points": [32], "plane": [20, 16], "pipe": [15, 20], "polynomials": [40],
         "isotropic": [24, 24], "waves": [40]}  # fmt: skip


def energy(model, operator, points, gamma):
    """∫ (L u)² dx of each field, for u the longest wave that is none of constant value."""
    grid = model.grid.with_points(points)
    fields, spaces = [], []
    for name in model.data.field_names:
        wall = model.config.wall(name)
        space = build.basis(grid, wall).double()
        shapes = []
        for x, L, side in zip(space.coordinates, grid.length, grid.boundaries, strict=True):
            if side == "PERIODIC":
                shapes.append(torch.sin(2 * np.pi * x / L))
            else:
                shapes.append({"sine": torch.sin, "cosine": torch.cos, "legendre": lambda y: y**2}[wall](np.pi * x / L))
        fields.append(torch.stack(shapes).prod(0))
        spaces.append(space)
    change = operator(torch.stack(fields)[None, None], gamma)[:, 0]
    return torch.stack([
        (space.forward(change[:, c]).abs().square() * space.energy).flatten(1).sum(1) for c, space in enumerate(spaces)
    ])  # fmt: skip


@pytest.mark.parametrize("name", FINER)
def test_a_wave_is_changed_alike_on_both_grids(tmp_path, name):
    model = systems.made(tmp_path, name)
    for module in model.operator.modules():  # h a straight line, so that no other waves arise
        if isinstance(module, Perceptrons) and any(module is part for part in _pointwise(model.operator)):
            module.activation = lambda x: x
            for offset in module.offsets:
                offset.zero_()
    gamma = parameter_values(model.data, systems.start(model, batch=1)[1], 1)
    own, finer = model.operator, on_grid(model.operator, FINER[name])
    if gamma.shape[1]:  # γ enters h as well, as a constant, which no wall of no value lets through
        for part in _pointwise(own) + _pointwise(finer):
            part.weights[0][..., -gamma.shape[1] :] = 0
    before, after = energy(model, own, model.grid.points, gamma), energy(model, finer, FINER[name], gamma)
    assert np.allclose(before, after, rtol=1e-10, atol=0)
    assert float(before.min()) > 1e-8


def _pointwise(operator):
    return [
        module for key, module in operator.named_modules() if isinstance(module, Perceptrons) and "h" in key.split(".")
    ]
