"""Checkpoints of older layouts: they predict what they predicted, and what they say of themselves counts."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

import morlight

FOLDER = Path(__file__).parents[1] / "checkpoints"
FROZEN = ("gamma", "flux", "order")
X = (np.arange(20) + 0.5) / 20
GAMMA = np.array([[0.02], [0.7]])


def start():
    """Two states of a density and a momentum between walls, one for each γ."""
    density = GAMMA * (1 + 0.1 * np.cos(2 * np.pi * X))
    return np.stack([density, GAMMA * np.sin(np.pi * X)], 1)


def changed(source, path, *, layout, settings=None, **marks):
    """A file of layout 1 or 2, formats that never change, with other plain values in it."""
    saved = torch.load(FOLDER / source, weights_only=True)
    saved["morlight"] = {**saved["morlight"], "layout": layout, **marks}
    saved["hyper_parameters"] |= settings or {}
    if layout == 1:  # had neither of these
        saved["morlight"].pop("losses", None)
        for key in ("gamma_low", "gamma_high"):
            saved["hyper_parameters"]["data"].pop(key, None)
    torch.save(saved, path)
    return str(path)


@pytest.mark.parametrize("name", FROZEN)
def test_checkpoints_of_the_second_layout_predict_what_they_predicted(name):
    """Files and states after 6 steps are those of the version that had layout 2, with γ spread over decades."""
    later = morlight.load(str(FOLDER / f"layout2_{name}.ckpt")).predict(start(), 6, gamma=GAMMA)
    assert np.allclose(later, np.load(FOLDER / f"layout2_{name}.npy"), rtol=1e-9, atol=1e-12)
    one_gamma = morlight.load(str(FOLDER / f"layout2_{name}.ckpt")).predict(start(), 6, gamma=GAMMA[[0, 0]])
    assert np.abs(one_gamma - later).max() > 1e-4


@pytest.mark.parametrize("name", FROZEN)
def test_terms_bases_fluxes_and_order_that_a_file_of_the_first_layout_names_are_kept(tmp_path, name):
    first = changed(f"layout2_{name}.ckpt", tmp_path / "first.ckpt", layout=1)
    later = morlight.load(first).predict(start(), 6, gamma=GAMMA)
    assert np.allclose(later, np.load(FOLDER / f"layout2_{name}.npy"), rtol=1e-9, atol=1e-12)


def test_a_file_of_the_first_layout_that_names_the_implicit_scheme_solves_the_implicit_equation(tmp_path):
    x = (np.arange(64) + 0.5) * 2 * np.pi / 64
    u = (1 + 0.5 * np.sin(x) + 0.2 * np.cos(5 * x))[None, None]
    explicit, implicit = (
        morlight.load(changed("layout1.ckpt", tmp_path / f"{scheme}.ckpt", layout=1, settings={"scheme": scheme}))
        for scheme in ("explicit", "implicit")
    )
    forward, backward = (model.predict(u, 1)[:, :, 1] for model in (explicit, implicit))
    assert np.allclose(forward, u + explicit.apply(u), rtol=0, atol=1e-12)
    assert np.abs(forward - backward).max() > 1e-6
    for r in range(5):  # u_{j+1} = u_j + L u_{j+1}
        assert np.allclose(backward[r], u + implicit.apply(backward[r])[r], rtol=0, atol=1e-9)


def test_an_operator_of_the_first_layout_with_two_equal_terms_does_twice_what_one_does(tmp_path):
    path = tmp_path / "two.ckpt"
    changed("layout1.ckpt", path, layout=1, settings={"terms": 2})
    saved = torch.load(path, weights_only=True)
    for key, value in saved["state_dict"].items():
        if not key.endswith("operator.scale"):
            saved["state_dict"][key] = value.repeat_interleave(2, 0)
    torch.save(saved, path)
    u = np.random.default_rng(0).uniform(0.5, 1.5, (3, 1, 64))
    one, two = (morlight.load(str(name)).apply(u) for name in (FOLDER / "layout1.ckpt", path))
    assert np.allclose(two, 2 * one, rtol=0, atol=1e-12)


def test_gamma_is_read_in_the_unit_that_the_checkpoint_names(tmp_path):
    saved = torch.load(FOLDER / "layout2_flux.ckpt", weights_only=True)
    data = saved["hyper_parameters"]["data"]
    data["gamma_spread"] = [0.0]  # γ/γ̄, without the logarithm
    torch.save(saved, tmp_path / "one.ckpt")
    for key in ("gamma_scale", "gamma_low", "gamma_high"):
        data[key] = [1000 * value for value in data[key]]
    torch.save(saved, tmp_path / "thousand.ckpt")
    one, thousand = (morlight.load(str(tmp_path / f"{name}.ckpt")) for name in ("one", "thousand"))
    expected = one.predict(start(), 3, gamma=GAMMA)
    assert np.allclose(thousand.predict(start(), 3, gamma=1000 * GAMMA), expected, rtol=1e-5)  # single precision
    assert np.abs(expected - one.predict(start(), 3, gamma=GAMMA[::-1].copy())).max() > 1e-4


LOSSES = [(0.5, np.nan, 0.2, np.inf, 0.3), (0.1, np.nan, 0.2, 0.4, 0.3), (np.nan, np.nan, np.nan, np.nan, 7.0)]
ORDERS = [order for losses in LOSSES for order in itertools.islice(itertools.permutations(losses), 0, None, 37)]


@pytest.mark.parametrize("losses", ORDERS, ids=str)
def test_the_best_realization_has_the_smallest_loss_wherever_others_are_not_finite(tmp_path, losses):
    marks = {"losses": {"name": "val_loss", "per_realization": list(losses)}}
    model = morlight.load(changed("layout1.ckpt", tmp_path / "two.ckpt", layout=2, **marks))
    best = losses.index(np.nanmin(losses))
    u = np.random.default_rng(0).uniform(0.5, 1.5, 64)
    assert np.allclose(model.predict(u, 2, realizations="best"), model.predict(u, 2)[best], rtol=0, atol=1e-12)
    assert model.best == best
