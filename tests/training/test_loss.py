"""The loss of Eq. 34 in both readings, and the units of its squares."""

import channel
import pytest
import torch

from morlight.data.datamodule import TrajectoryDataModule
from morlight.operators import rollout
from morlight.training.gradient_module import OperatorModule


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = channel.write(tmp_path_factory.mktemp("data") / "channel.h5", seeds=1, noise=0.05, frames=12)
    words = {"fields": ["density", "momentum"], "parameters": ["density"], "scaling": "power"}
    found = TrajectoryDataModule(str(path), **words, validation=0.0, test=0.0)
    found.setup()
    return found


def module(data, **words) -> OperatorModule:
    given = {"biases": [], "symbol": "plain", "loss": "points", "horizons": [3], "bases": {"momentum": "sine"}}
    made = OperatorModule(**given | {"realizations": 2, "depth": 3, "smoothness": 0.0} | words)
    made.adopt(data.description)
    return made.double()


def batch(data):
    index = torch.arange(0, 40, 3)
    windows = data.windows("train")
    return windows.at(index, (0, 1, 2, 3)).double(), windows.parameters(index, 3).double()


def squares(made, data, unit):
    """Mean squares over fields, batch and points at m = 1, 2, 3, written out, for units (B, C)."""
    u, gamma = batch(data)
    walk = rollout(made.operator, u[0, None], 3, gamma=gamma)
    off = (walk[:, :, 1:] - u[1:].transpose(0, 1)[None]) / unit[None, :, None, :, None]
    return off.square().mean((1, 3, 4))


def units(data, key, gamma):
    told = data.description
    powers, size = torch.tensor(told["powers"]).double(), torch.tensor(told["gamma_scale"]).double()
    return torch.tensor(told[key]).double() * ((gamma / size).log() @ powers.T).exp()


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.5])
@pytest.mark.parametrize(("weights", "key"), [("rms", "scale"), ("std", "spread"), ("none", None)])
def test_all_steps_count_by_a_power_of_their_number(data, beta, weights, key):
    made = module(data, steps="all", beta=beta, field_weights=weights)
    u, gamma = batch(data)
    unit = units(data, key, gamma) if key else torch.ones(len(gamma), 2).double()
    each = squares(made, data, unit)
    m = torch.arange(1, 4).double()
    expected = (each / m**beta).sum(1) / (1 / m**beta).sum()
    assert torch.allclose(made._windows_loss((u, gamma), 3), expected, rtol=1e-5)  # units in single precision


def test_one_step_at_random_is_the_same_sum_in_the_mean(data, monkeypatch):
    made = module(data, steps="random", beta=1.0)
    whole = module(data, steps="all", beta=1.0)
    whole.load_state_dict(made.state_dict())
    found, drawn = [], range(600)
    for step in drawn:
        monkeypatch.setattr(OperatorModule, "global_step", step)
        found.append(made._windows_loss(batch(data), 3).detach())
    values = torch.stack(found)
    kinds = torch.unique((values[:, 0] * 1e9).round())
    assert len(kinds) == 3  # one for each m
    expected = whole._windows_loss(batch(data), 3)
    noise = values.std(0) / len(drawn) ** 0.5
    assert ((values.mean(0) - expected).abs() < 4 * noise).all()


def test_thin_fluids_count_like_dense_ones(data):
    """Errors of the same share of each trajectory's fields give the same loss, whatever its ρ*."""
    made = module(data, steps="all", field_weights="rms")
    dense, thin = (torch.tensor([[density]]).double() for density in (1.0, 0.02))
    losses = []
    for gamma in (dense, thin):
        target = units(data, "scale", gamma)[:, :, None].expand(-1, -1, 20)
        losses.append(float(made._points(1.1 * target[None], target[None], gamma).detach()[0]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0] == pytest.approx(0.01, rel=1e-5)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({"steps": "some"}, "model.steps is 'some', expected last or all or random"),
        ({"steps": "all", "loss": "noise"}, "model.steps is all, which needs model.loss points"),
        ({"field_weights": "max"}, "model.field_weights is 'max'"),
    ],
)
def test_words_that_cannot_be_are_refused(words, named):
    with pytest.raises(ValueError, match=named):
        OperatorModule(**{"biases": [], "loss": "points"} | words)
