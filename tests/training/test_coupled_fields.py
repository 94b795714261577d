"""Fits of several fields: biases of each, fluxes between all walls, bounds of each field, and units of γ."""

import numpy as np
import pytest
import small_fits


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


LEARNING = {"model.lr": 0.05, "trainer.max_epochs": 3, "data.batch": 10, "model.horizons": [1]}


@pytest.mark.parametrize("conserved", ["first", "second"])
@pytest.mark.parametrize("terms", [1, 2])
def test_each_field_has_the_biases_that_it_was_given_and_no_others(folder, conserved, terms):
    names = ["first", "second"]
    (odd,) = set(names) - {conserved}
    path = small_fits.write("u.h5", {name: normal(4, 6, 12, seed=c) + c for c, name in enumerate(names)})
    biases = {conserved: ["conservation"], odd: ["reflection"]}
    model = small_fits.fit(path, {**LEARNING, "model.biases": biases, "model.terms": terms}).model
    u = normal(5, 2, 12, seed=9)
    later = model.predict(u, 1)[:, :, -1]
    drift = np.abs((later - u).mean(-1)).max(1)
    assert drift[:, names.index(conserved)].max() < 1e-14
    assert drift[:, names.index(odd)].min() > 1e-4
    for flips, expected in (({odd}, True), ({conserved}, False), (set(names), False)):
        sign = np.array([-1.0 if name in flips else 1.0 for name in names])[:, None]
        off = np.abs(model.predict(sign * u, 1)[:, :, -1] - sign * later).max((1, 2, 3))
        assert (off < 1e-13).all() if expected else (off > 1e-4).all(), flips


@pytest.mark.parametrize("flux", [True, False])
def test_fluxes_go_across_every_pair_of_walls(folder, flux):
    path = small_fits.write("u.h5", {"u": normal(4, 6, 6, 5)}, length=(1.0, 1.3), walls=True)
    model = small_fits.fit(path, {**LEARNING, "model.flux": flux, "model.terms": 1}).model
    u = normal(3, 1, 6, 5, seed=3)
    later = model.predict(u, 1)[:, :, -1]
    for axis in (-2, -1):
        # symbols on cosines commute with mirrors; ∂ₓ changes its sign in the mirror across x, and in no other
        off = np.abs(np.flip(model.predict(np.flip(u, axis), 1)[:, :, -1], axis) - later).max((1, 2, 3, 4))
        assert (off > 1e-4).all() if flux else (off < 1e-13).all(), axis


def test_stable_fields_are_each_bounded_by_their_own_largest_value(folder):
    rng = np.random.default_rng(0)
    even, rare = rng.uniform(-1, 1, (4, 6, 16)), 0.1 * rng.normal(size=(4, 6, 16))
    rare[1, 2, 3] = 9.0
    path = small_fits.write("u.h5", {"even": even, "rare": rare})
    model = small_fits.fit(path, {**LEARNING, "model.biases": ["stability"]}).model
    pattern = np.sign(rng.normal(size=16))

    def effect(size, near):
        """Change of the other field: its own linear term does not see the first."""
        states = np.stack([np.stack([s * pattern, 0.1 * np.ones(16)]) for s in (size, near)])
        change = model.apply(states)[:, :, 1]
        return np.abs(change[:, 0] - change[:, 1]).max(1)

    # σ is bounded by 2 · 1.25 · 1; it has reached 99.8 % of that at 6
    assert (effect(6.0, 0.0) > 1e-5).all()
    assert (effect(600.0, 6.0) < 0.02 * effect(6.0, 0.0)).all()


@pytest.mark.parametrize("rates", [[1.0, 1.5, 2.0, 2.5], [0.1, 0.5, 2.0, 10.0]])
def test_parameters_in_another_unit_give_the_same_fit(folder, rates):
    found = {}
    for name, unit in (("one", 1.0), ("thousand", 1000.0)):
        gamma = unit * np.array(rates)
        path = small_fits.write(f"{name}.h5", {"u": normal(4, 6, 12)}, parameters={"rate": gamma})
        model = small_fits.fit(path, {**LEARNING, "data.parameters": ["rate"]}, name).model
        u = normal(2, 1, 12, seed=4)
        found[name] = model.predict(u, 3, gamma=unit * np.array([[rates[0]], [rates[2]]]))
        assert np.abs(found[name] - model.predict(u, 3, gamma=unit * np.full((2, 1), rates[1]))).max() > 1e-6
    assert np.allclose(found["one"], found["thousand"], rtol=1e-5)  # stored in single precision
