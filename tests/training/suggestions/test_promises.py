"""Biases that data contradict, in flows under a force and waves that travel."""

import numpy as np
import pytest

import morlight
from morlight.training.fit import built
from morlight.training.settings import from_mapping
from morlight.training.suggestions.promises import broken

POINTS, TIMES = 32, np.linspace(0, 1, 30)[:, None]
X = (np.arange(POINTS) + 0.5) / POINTS


def pushed():
    """Fluid at rest between walls on which a force acts from t = 0 on."""
    k = np.arange(1, 40, 2)[:, None, None]
    return (4 / (np.pi * k) ** 3 * (1 - np.exp(-((k * np.pi) ** 2) * TIMES)) * np.sin(np.pi * k * X)).sum(0)[None]


def waves(speed):
    """Two waves that decay, and travel with a speed, with 1 % of noise."""
    u = sum(np.exp(-k * k * TIMES) * np.cos(k * (2 * np.pi * X - speed * TIMES)) for k in (1, 2))
    return (u + 0.01 * np.random.default_rng(0).normal(size=u.shape))[None]


def contradictions(path, u, boundaries, model):
    morlight.write(path, {"u": u}, dt=TIMES[1, 0], length=1.0, boundaries=boundaries)
    data = {"validation": 0, "test": 0, "split": "trajectories"}
    settings = from_mapping({"data": data, "model": {"horizons": [1], **model}}, None, path)
    served, module = built(settings)
    return broken(module.config, module.data, served.sample)


@pytest.mark.parametrize(("biases", "named"), [(["reflection"], True), ([], False)])
def test_a_fluid_that_a_force_sets_in_motion_contradicts_reflection(tmp_path, biases, named):
    model = {"bases": {"u": "sine"}, "biases": biases}
    sentences = contradictions(tmp_path / "u.h5", pushed(), "wall", model)
    assert [sentence.split(" keeps ")[0] for sentence in sentences] == ["the bias reflection"] * named


@pytest.mark.parametrize(("speed", "named"), [(3.0, True), (0.0, False)])
def test_waves_that_travel_contradict_isotropy(tmp_path, speed, named):
    model = {"biases": ["isotropy", "reflection"]}
    sentences = contradictions(tmp_path / "u.h5", waves(speed), "periodic", model)
    assert len(sentences) == named
    if named:  # by speed times Δt
        assert f"turns by {3 * TIMES[1, 0]:.2g} rad in each step" in sentences[0]
