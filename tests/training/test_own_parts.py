"""A user's own loss, bias and network, given as objects: each takes effect, and a checkpoint asks for it again."""

import numpy as np
import pytest
import small_fits
import torch
from torch import nn

import morlight
from morlight.operators.build import Components

CHANGES = {**small_fits.STILL, "model.terms": 1, "model.horizons": [1]}


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A file of smooth noise around 1 in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    x = np.arange(12) / 12 * 2 * np.pi
    u = 1 + np.random.default_rng(0).normal(size=(4, 8, 1)) * np.cos(x)
    return small_fits.write("u.h5", {"u": u})


def fourth_power(prediction, target):
    """A loss of one's own."""
    return (prediction - target).pow(4).flatten(1).mean(1)


@pytest.mark.parametrize("configured", ["points", "noise"])
def test_a_loss_of_ones_own_is_what_is_minimized_and_reported(data, configured):
    changes = {**CHANGES, "model.loss": configured, "model.horizons": [2], "data.validation": 0.25}
    result = morlight.fit(data, changes, loss=fourth_power)
    with_h5 = morlight.open(data).read()[:, :, 0].astype(float)
    losses = []
    for u in with_h5:
        walk = result.model.predict(u[:-2, None], 2, every=2)[:, :, -1, 0]
        losses.append((walk - u[2:]) ** 4)
    each = np.array(losses).mean((2, 3))
    validated = np.array([result.metrics[f"val_loss/{r:02d}"] for r in range(3)])
    trained = np.array([result.metrics[f"train_loss/{r:02d}"] for r in range(3)])
    (row,) = [row for row in range(4) if np.allclose(each[row], validated, rtol=1e-4)]
    assert np.allclose(np.delete(each, row, 0).mean(0), trained, rtol=1e-4)


def test_a_loss_of_ones_own_decides_where_the_weights_go(data):
    moved = {**CHANGES, "model.lr": 1e-2}
    ordinary = morlight.fit(data, moved).model.checkpoint.weights
    own = morlight.fit(data, moved, loss=lambda p, t: -(p - t).square().flatten(1).mean(1)).model.checkpoint.weights
    still = morlight.fit(data, CHANGES).model.checkpoint.weights
    steps = [torch.cat([(w[k] - still[k]).flatten() for k in still if "network" in k]) for w in (ordinary, own)]
    assert torch.dot(*steps) < 0  # the opposite loss has the opposite gradient


class Damping(nn.Module):
    """A bias: Re g ≤ 0, whatever the network says."""

    def __init__(self, g):
        super().__init__()
        self.g = g

    def forward(self, kappa, gamma):
        return -self.g(kappa, gamma).abs().to(torch.complex128)


class Cubic(nn.Module):
    """A network: h(u) = a u + b u³ of each realization."""

    def __init__(self, realizations):
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([[1.0, 0.5]] * realizations))

    def forward(self, u, gamma):
        a, b = self.weights.view(-1, 2, *[1] * (u.ndim - 1)).unbind(1)
        return a * u + b * u**3


def cubic(_):
    """In the place of the configured nonlinearity."""
    return Cubic(3)


def test_a_bias_of_ones_own_holds_for_the_learned_symbol(data):
    plain = morlight.fit(data, CHANGES).model
    result = morlight.fit(data, CHANGES, components=Components(symbol=Damping))
    symbols = [model.spectral.symbol() for model in (plain, result.model)]
    assert (symbols[0].real > 1e-6).any()
    assert (symbols[1].real <= 0).all()
    assert torch.allclose(symbols[1].real, -symbols[0].abs().double(), rtol=1e-6)


def test_a_network_of_ones_own_is_the_learned_nonlinearity(data):
    components = Components(nonlinearity=cubic)
    result = morlight.fit(data, {**CHANGES, "model.field_scaling": False}, components=components)
    u = torch.linspace(-1, 2, 7, dtype=torch.float64).view(1, 1, 1, -1)
    learned = result.model.spectral.nonlinearity(u)
    assert torch.allclose(learned, (u + 0.5 * u**3).expand(3, 1, 1, 7), rtol=1e-6)
    weights = result.model.checkpoint.weights
    assert "h.weights" in weights
    moved = morlight.fit(data, {**CHANGES, "model.lr": 1e-2, "trainer.max_epochs": 5}, components=components)
    assert not torch.allclose(moved.model.checkpoint.weights["h.weights"], weights["h.weights"], rtol=1e-2)


def test_a_checkpoint_with_parts_of_ones_own_opens_with_them_and_says_so_without(data):
    components = Components(symbol=Damping, nonlinearity=cubic)
    result = morlight.fit(data, CHANGES, components=components)
    start = np.random.default_rng(1).normal(size=12)
    again = morlight.load(f"runs:/{result.run_id}", components=components)
    assert np.array_equal(again.predict(start, 3), result.model.predict(start, 3))
    with pytest.raises(ValueError, match=r"networks or biases of the user's own, expected the same as `components`$"):
        morlight.load(result.checkpoint)


def test_a_fit_does_not_go_on_without_the_users_own_parts(data):
    morlight.fit(data, CHANGES, loss=fourth_power)
    longer = {**CHANGES, "trainer.max_epochs": 2, "ckpt_path": "last"}
    with pytest.raises(ValueError, match=r"was trained with loss of the user's own, expected that in place of"):
        morlight.fit(data, longer)
    result = morlight.fit(data, longer, loss=fourth_power)
    assert torch.load(result.checkpoint, weights_only=True)["epoch"] == 1
    for symbol, sentence in (
        (Damping, "the weights do not fit"),
        (lambda g: g, "trained with the configured components"),
    ):
        with pytest.raises(ValueError, match=sentence):
            morlight.fit(data, longer, loss=fourth_power, components=Components(symbol=symbol))


def test_a_loss_of_ones_own_with_moments_is_refused_and_nothing_is_written(data):
    moments = {**CHANGES, "model.optimizer": "moments", "model.symbol": "dissipative"}
    with pytest.raises(ValueError, match=r"a loss of one's own needs gradient descent, expected model.optimizer adam"):
        morlight.fit(data, moments, loss=fourth_power)
    assert not data.with_name("mlruns").exists()
