"""The loss of Eq. 34 in both readings, and the units of its squares."""

import channel
import pytest
import torch

from morlight.data.config import DataConfig
from morlight.data.datamodule import TrajectoryDataModule
from morlight.data.windows import Batch
from morlight.operators import build, rollout
from morlight.training.config import ModelConfig
from morlight.training.settings import from_mapping
from morlight.training.window_loss import WindowLoss


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = channel.write(tmp_path_factory.mktemp("data") / "channel.h5", seeds=1, noise=0.05, frames=12)
    options = {"fields": ["density", "momentum"], "parameters": ["density"], "scaling": "power"}
    module = TrajectoryDataModule(DataConfig(path=str(path), **options, validation=0.0, test=0.0))
    module.setup()
    return module


def loss(data, **options) -> WindowLoss:
    given = {"biases": [], "symbol": "plain", "loss": "points", "horizons": [3], "bases": {"momentum": "sine"}}
    config = ModelConfig(**given | {"realizations": 2, "depth": 3, "smoothness": 0.0} | options)
    operator = build.operator(config.operator, data.description).double()
    return WindowLoss(operator, config.operator, config.objective, data.description, data.sample)


def batch(data) -> Batch:
    index = torch.arange(0, 40, 3)
    windows = data.part("train")
    return Batch(windows.at(index, (0, 1, 2, 3)).double(), windows.parameters(index, 3).double(), len(index))


def squares(made, data, unit):
    """Mean squares over fields, batch and points at m = 1, 2, 3, written out, for units (B, C)."""
    u, gamma, _ = batch(data)
    walk = rollout(made.operator, u[0, None], 3, gamma=gamma)
    off = (walk[:, :, 1:] - u[1:].transpose(0, 1)[None]) / unit[None, :, None, :, None]
    return off.square().mean((1, 3, 4))


def units(data, key, gamma):
    fields = data.description.fields
    powers = torch.tensor([field.powers for field in fields]).double()
    typical = torch.tensor([parameter.scale for parameter in data.description.parameters]).double()
    size = torch.tensor([getattr(field, key) for field in fields]).double()
    return size * ((gamma / typical).log() @ powers.T).exp()


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.5])
@pytest.mark.parametrize(("weights", "key"), [("rms", "scale"), ("std", "spread"), ("none", None)])
def test_all_steps_count_by_a_power_of_their_number(data, beta, weights, key):
    made = loss(data, steps="all", beta=beta, field_weights=weights)
    _, gamma, _ = batch(data)
    unit = units(data, key, gamma) if key else torch.ones(len(gamma), 2).double()
    each = squares(made, data, unit)
    m = torch.arange(1, 4).double()
    expected = (each / m**beta).sum(1) / (1 / m**beta).sum()
    assert torch.allclose(made(batch(data), 3), expected, rtol=1e-5)  # units in single precision


def test_one_step_at_random_is_the_same_sum_in_the_mean(data):
    made = loss(data, steps="random", beta=1.0)
    whole = loss(data, steps="all", beta=1.0)
    whole.operator.load_state_dict(made.operator.state_dict())
    drawn = range(600)
    values = torch.stack([made(batch(data), 3, made.drawn(3, step)).detach() for step in drawn])
    kinds = torch.unique((values[:, 0] * 1e9).round())
    assert len(kinds) == 3  # one for each m
    expected = whole(batch(data), 3)
    noise = values.std(0) / len(drawn) ** 0.5
    assert ((values.mean(0) - expected).abs() < 4 * noise).all()


def test_thin_fluids_count_like_dense_ones(data):
    """Errors of the same share of each trajectory's fields give the same loss, whatever its ρ*."""
    made = loss(data, steps="all", field_weights="rms")
    dense, thin = (torch.tensor([[density]]).double() for density in (1.0, 0.02))
    losses = []
    for gamma in (dense, thin):
        target = units(data, "scale", gamma)[:, :, None].expand(-1, -1, 20)
        losses.append(float(made.points(1.1 * target[None], target[None], gamma)[0]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0] == pytest.approx(0.01, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"steps": "some"}, "model.steps is 'some', expected one of last, all, random"),
        ({"steps": "all", "loss": "noise"}, "model.steps is all, which needs model.loss points"),
        ({"field_weights": "max"}, "model.field_weights is 'max', expected one of none, rms, std"),
        ({"horizons": []}, r"model.horizons is \[\], expected at least one horizon"),
    ],
)
def test_options_that_cannot_be_are_refused(options, named):
    changes = {f"model.{key}": value for key, value in ({"loss": "points"} | options).items()}
    with pytest.raises(ValueError, match=named):
        from_mapping(changes, data="any.h5")


def test_the_longest_horizon_is_the_largest_whatever_the_order():
    config = ModelConfig(horizons=[4, 1, 2])
    assert config.longest == 4
