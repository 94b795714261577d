"""Coupled fields with the bias of stability are bounded whatever their weights are."""

import dataclasses
import math

import pytest
import small
import torch

from morlight.operators import build, states
from morlight.operators.stability import SLOWEST

GRID = small.grid((12,), 1.0, "WALL")
FIELDS = (
    small.field("density", 0.0, 2.0, scale=1.3, reach=1.6, powers=(1.0,)),
    small.field("momentum", -1.0, 1.0, scale=0.7, reach=1.5, powers=(1.4,)),
)
DATA = small.description(FIELDS, [small.parameter("density", 0.1, spread=1.2)], GRID)
OPTIONS = {
    "biases": {"density": ["conservation", "stability"], "momentum": ["stability"]}, "realizations": 3, "terms": 2,
    "bases": {"momentum": "sine"},
}  # fmt: skip


def redrawn(size, **options):
    return small.operator(DATA, 1, size, **OPTIONS | options).requires_grad_(False)


def start(batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, batch, 2, 12, generator=generator, dtype=torch.float64) * 3


GAMMA = torch.tensor([[0.02], [0.7]], dtype=torch.float64)


@pytest.mark.parametrize("flux", [False, True])
def test_every_mode_stays_below_the_bound_of_the_proof(flux):
    operator = redrawn(2.0, flux=flux)
    u = start()
    # F: largest h of any state, by its values at random states far beyond the data
    far = torch.randn(1, 2, 2, 4000, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 50
    bound = 0.0
    for part in operator.operators:
        g, h = part.symbol(GAMMA).abs(), part.nonlinearity(far, GAMMA).abs()
        anchored = len(g[0, 0]) > 2
        g, h = (g[:, :, 1:], h[:, :, 1:]) if anchored else (g, h)
        # |Π h| ≤ 2 N |h| for cosines and sines, κ for the flux, and again for Π⁻¹
        kappa = float(part.basis.wavenumbers.amax()) if flux else 1.0
        bound += 4 * 12 * max(kappa, 1.0) * float(g.amax()) * 1.5 * float(h.amax())
    bound = float(u.abs().max()) * 24 + 2 * bound / (1 - math.exp(-SLOWEST))
    largest = max(float(state.abs().max()) for state in states(operator, u, 2000, GAMMA))
    assert math.isfinite(largest)
    assert largest < bound


def test_without_the_bias_the_same_weights_grow_without_end():
    operator = redrawn(2.0, biases={"density": ["conservation"]})
    (*_, last) = states(operator, start(), 2000, GAMMA)
    assert not (last.abs().flatten(1).amax(1) < 1e6).all()


def test_conserved_fields_keep_their_mean():
    operator = redrawn(1.0)
    u = start()
    (*_, last) = states(operator, u, 500, GAMMA)
    off = (last[:, :, 0].mean(-1) - u[:, :, 0].mean(-1)).abs()
    assert float(off.max()) < 1e-11 * float(last.abs().max().clamp_min(1))  # rounding of 500 steps


def test_each_linear_term_decays_and_the_rest_is_blind_beyond_the_data():
    operator = redrawn(2.0)
    for part in operator.operators:
        g = part.symbol(GAMMA)
        moving = (g != 0).any(2)
        assert float((1 + g[:, :, 0])[moving].max()) <= math.exp(-SLOWEST) + 1e-12
        far = torch.full((1, 2, 2, 1), 1e6, dtype=torch.float64)
        h = part.nonlinearity(torch.cat([far, 2 * far], 3), GAMMA)
        assert torch.allclose(h[:, :, 1:, 0], h[:, :, 1:, 1], rtol=1e-9)
        near = torch.rand(1, 2, 2, 30, dtype=torch.float64) * 0.01
        own = part.nonlinearity(near, GAMMA)[:, :, 0]
        target = part.targets[0]
        assert torch.allclose(own, near[:, :, target].expand_as(own), rtol=1e-6)  # h₀ = u in its own unit


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"biases": {"density": ["stability"]}}, "holds for all of them or none"),
        ({"biases": ["stability"], "order": 2}, "neither isotropy nor model.order 2"),
    ],
)
def test_options_that_do_not_go_with_it_are_refused(options, named):
    fields = [dataclasses.replace(field, powers=()) for field in FIELDS]
    with pytest.raises(ValueError, match=named):
        build.operator(small.config(**OPTIONS | options), small.description(fields, where=GRID))
