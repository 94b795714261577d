"""Window loss, certificate, statistics of the modes and the check before resuming, without a trainer."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import small
import torch

from morlight.analysis.model import load
from morlight.data.sample import TrainingSample
from morlight.data.windows import Batch, MemoryFrames, Pairs, Windows
from morlight.operators import build, rollout
from morlight.operators.build import Components
from morlight.training import resume
from morlight.training.certificate import certificate
from morlight.training.config import ModelConfig
from morlight.training.gradient_module import GradientModule
from morlight.training.window_loss import WindowLoss, table_bounds

DT = 0.1
PLAIN = {"realizations": 2, "symbol": "plain", "depth": 3}
POINTS = {"loss": "points", "field_weights": "none", "smoothness": 0.0}


def fields(trajectories=3, frames=9, channels=1, points=32, seed=0):
    """White noise around 1/2."""
    generator = torch.Generator().manual_seed(seed)
    return 0.5 + torch.randn(trajectories, frames, channels, points, generator=generator, dtype=torch.float64)


def sample(u):
    rows = torch.arange(len(u))
    return TrainingSample(Path("u.h5"), Windows(MemoryFrames(u), rows, torch.zeros(len(u), 0)))


def window_loss(data, u, own=None, **options):
    config = ModelConfig(**{**PLAIN, **POINTS, **options})
    made = small.operator(data, **config.operator.to_plain())
    return WindowLoss(made, config.operator, config.objective, data, sample(u), own), made


@pytest.mark.parametrize("horizon", [1, 3, 5])
def test_the_loss_of_a_horizon_is_the_mean_square_at_the_end_of_a_roll_out(horizon):
    u, data = fields(), small.description()
    loss, made = window_loss(data, u, terms=2)
    batch = Batch(torch.stack([u[:, 0], u[:, horizon]]), torch.zeros(3, 0), 3)
    walk = rollout(made, u[None, :, 0], horizon)[:, :, -1]
    expected = (walk - u[:, horizon]).square().mean((1, 2, 3))
    assert torch.allclose(loss(batch, horizon), expected, rtol=1e-12)


def test_the_loss_of_pairs_is_that_of_the_increment_itself():
    u, f = fields(5, 1)[:, 0], fields(5, 1, seed=1)[:, 0]
    data = small.description([small.field(target=2.0)], targets=("f",), dt=1.0)
    config = ModelConfig(**{**PLAIN, **POINTS, "field_weights": "rms"})
    made = small.operator(data, **config.operator.to_plain())
    part = Pairs(u, f, torch.zeros(5, 0), torch.arange(5))
    loss = WindowLoss(made, config.operator, config.objective, data, TrainingSample(Path("u.h5"), part))
    expected = ((made(u[None]) - f) / 2.0).square().mean((1, 2, 3))  # in the unit of the target
    tabulated = torch.allclose(loss(Batch(torch.stack([u, f]), part.gamma, 5), 1), expected, rtol=1e-3)
    assert tabulated  # h is interpolated from a table


def test_a_loss_of_ones_own_sees_prediction_and_target():
    seen = []

    def own(prediction, target):
        seen.append((prediction, target))
        return prediction.flatten(1).sum(1)

    u, data = fields(), small.description()
    loss, made = window_loss(data, u, own, terms=2)
    values = loss(Batch(torch.stack([u[:, 0], u[:, 2]]), torch.zeros(3, 0), 3), 2)
    walk = rollout(made, u[None, :, 0], 2)[:, :, -1]
    assert torch.allclose(seen[0][0], walk, rtol=1e-12)
    assert torch.equal(seen[0][1][0], u[:, 2])
    assert torch.allclose(values, walk.flatten(1).sum(1), rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (-2 - 1.25, 3 + 1.25)),
        ({"biases": ["reflection"]}, (-3 - 1.25, 3 + 1.25)),
        ({"terms": 2}, None),
    ],
)
def test_h_is_tabulated_over_the_data_and_a_quarter_of_their_range_on_both_sides(options, expected):
    data = small.description([small.field(low=-2.0, high=3.0)])
    config = small.config(**options)
    assert table_bounds(small.operator(data, **options), config, data) == expected


def test_h_of_two_fields_or_of_a_parameter_is_not_tabulated():
    for data in (small.description(["density", "heat"]), small.description(parameters=["shear"])):
        assert table_bounds(small.operator(data), small.config(), data) is None


class Linear(torch.nn.Module):
    """h(u) = u of each realization."""

    def forward(self, u, gamma):
        return u.expand(2, *u.shape[1:])


class Rates(torch.nn.Module):
    """g = −0.1, in the second realization −2.5: each mode is multiplied by 1 + g in a step."""

    def forward(self, kappa, gamma):
        g = torch.tensor([-0.1, -2.5], dtype=torch.complex128).view(2, 1, 1, 1)
        return g.expand(2, 1, 1, *kappa.shape[1:])


def linear(data, **options):
    parts = Components(symbol=lambda _: Rates(), nonlinearity=lambda _: Linear())
    return build.operator(small.config(field_scaling=False, **options), data, parts).double()


def test_the_certificate_of_a_linear_operator_is_the_largest_factor_of_a_mode_in_both_forms():
    data, u = small.description(), fields()
    for scalar, kind in ((True, "symbol"), (False, "radius")):
        found = certificate(linear(data), data, sample(u), scalar=scalar)
        assert found.method == kind
        assert found.per_realization == pytest.approx((0.9, 1.5), rel=1e-6)


CONFIG = ModelConfig(**PLAIN)
DATA = small.description()


def module(data=DATA, config=CONFIG, own=None):
    """A module as `fit` builds it."""
    return GradientModule(config, data, sample(fields(channels=len(data.fields))), loss=own)


def check(saved, made):
    resume.check(saved, made)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model that such a module saved."""
    path = tmp_path_factory.mktemp("saved") / "a.ckpt"
    options, training = CONFIG.operator.to_plain(), {**asdict(CONFIG.objective), **asdict(CONFIG.adam)}
    return load(small.save(path, small.operator(DATA, **options), DATA, training=training, **options))


def test_the_same_model_and_data_go_on_and_rounding_to_single_precision_is_no_difference(saved):
    check(saved, module())
    rounded = replace(DATA, dt=float(np.float32(DT)), grid=small.grid(length=float(np.float32(np.pi * 2))))
    assert rounded.dt != DT
    check(saved, module(rounded))


DIFFERENT = {
    "step": (replace(DATA, dt=0.2), "u.h5: Δt 0.2, expected 0.1"),
    "step of 1e-15 s": (replace(DATA, dt=1e-15), "u.h5: Δt 1e-15, expected 0.1"),
    "length": (replace(DATA, grid=small.grid(length=3.0)), "u.h5: domain length 3, expected 6.28319"),
    "points": (replace(DATA, grid=small.grid((64,))), r"u.h5: grid points \[64\], expected \[32\]"),
    "boundaries": (replace(DATA, grid=small.grid(boundaries="WALL")), r"u.h5: boundaries \['WALL'\]"),
    "fields": (small.description(["heat"]), r"u.h5: fields \['heat'\], expected \['density'\]"),
    "parameters": (small.description(parameters=["shear"]), r"u.h5: parameters \['shear'\], expected \[\]"),
}


@pytest.mark.parametrize(("data", "sentence"), DIFFERENT.values(), ids=DIFFERENT)
def test_other_data_are_refused(saved, data, sentence):
    with pytest.raises(ValueError, match=sentence):
        check(saved, module(data))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"width": 5}, "model.width is 4 there, 5 in this configuration"),
        ({"lr": 0.5}, "model.lr is 0.01 there, 0.5 in this configuration"),
        ({"horizons": [1]}, r"model.horizons is \[1, 4, 16\] there, \[1\] in this configuration"),
        ({"loss": "points"}, "model.loss is 'noise' there, 'points' in this configuration"),
    ],
)
def test_another_model_or_training_is_refused(saved, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        check(saved, module(config=replace(CONFIG, **changes)))


def test_a_loss_that_the_checkpoint_was_not_trained_with_is_refused(saved):
    with pytest.raises(ValueError, match="was trained with the configured loss, expected that in place of loss of"):
        check(saved, module(own=lambda prediction, target: (prediction - target).abs().flatten(1).mean(1)))
