"""Values and slopes at walls in data whose walls are known."""

import math

import numpy as np
import pytest
import yaml

import morlight
from morlight.training.announcement import announce_contradictions
from morlight.training.fit import built
from morlight.training.settings import from_mapping
from morlight.training.suggestions.wall_values import products, slips

POINTS, FRAMES = 20, 30
X = (np.arange(POINTS) + 0.5) / POINTS
TIMES = np.linspace(0, 1, FRAMES)[:, None]
SPEEDS = np.array([0.5, 1.0, 2.0, 3.0])


def start_up(speeds=SPEEDS, modes=100):
    """Fluid of viscosity 1 at rest between a wall at rest and one that moves from t = 0 on."""
    k = np.arange(1, modes + 1)[:, None, None]
    series = (2 / np.pi * (-1.0) ** k / k * np.exp(-((k * np.pi) ** 2) * TIMES) * np.sin(k * np.pi * X)).sum(0)
    return speeds[:, None, None] * (X + series)


def heat(low, high, *, slope=False):
    """Heat between fixed temperatures, or slopes, at the walls."""
    wave = np.cos(np.pi * X) if slope else np.sin(np.pi * X)
    rest = low * X + (high - low) * (X**2 / 2 + TIMES) if slope else low + (high - low) * X
    amplitudes = np.array([1.0, -0.5, 2.0])[:, None, None]
    return rest + amplitudes * np.exp(-(np.pi**2) * TIMES) * wave


def written(path, u, name="u", speeds=None):
    parameters = {} if speeds is None else {"speed": speeds}
    morlight.write(path, {name: u}, dt=TIMES[1, 0], length=1.0, boundaries="wall", parameters=parameters)
    return path


CASES = {
    "moving wall": (start_up(), SPEEDS, "sine", [0, "speed"]),
    "half the speed": (0.5 * start_up(), SPEEDS, "sine", [0, "0.5*speed"]),
    "temperatures": (heat(2.0, 5.0), None, "sine", [2.0, 5.0]),
    "slopes": (heat(1.0, 3.0, slope=True), None, "cosine", [1.0, 3.0]),
}


@pytest.mark.parametrize("case", CASES)
def test_walls_in_the_data_are_suggested(tmp_path, case):
    u, speeds, basis, walls = CASES[case]
    settings = yaml.safe_load(morlight.suggest(written(tmp_path / "u.h5", u, speeds=speeds)).to_yaml())
    assert settings["model"]["bases"] == {"u": basis}
    found = settings["model"]["walls"]["u"]
    assert [word if isinstance(word, str) else pytest.approx(word, rel=0.03) for word in found] == walls
    assert settings["model"]["optimizer"] == "adam"


def test_layers_of_molecules_do_not_hide_a_wall_that_moves(tmp_path):
    layers = 1 + 0.3 * np.cos(2 * np.pi * X * POINTS / 3) * np.exp(-10 * np.minimum(X, 1 - X))
    speeds = np.repeat(SPEEDS, 3)
    noise = 0.02 * np.random.default_rng(0).normal(size=(len(speeds), FRAMES, POINTS))
    path = written(tmp_path / "u.h5", start_up(speeds) * layers + noise, speeds=speeds)
    assert morlight.suggest(path).settings["model.walls"]["u"][0] == 0
    assert morlight.suggest(path).settings["model.walls"]["u"][1].endswith("*speed")


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ({}, "times the slope of a half wave at a wall, where cosines have none"),
        ({"bases": {"u": "sine"}}, "% of its largest value at a wall, where sines vanish"),
        ({"bases": {"u": "sine"}, "walls": {"u": [0, "0.5*speed"]}}, "beside what model.walls gives, where"),
        ({"bases": {"u": "sine"}, "walls": {"u": [0, "speed"]}}, None),
        ({"bases": {"u": "sine"}, "walls": {"u": [0, "0.9*speed"]}}, None),  # what slips is small beside the speed
        ({"bases": {"u": "legendre"}}, None),
    ],
)  # fmt: skip
def test_a_fit_names_walls_that_its_basis_cannot_represent(tmp_path, capsys, model, sentence):
    path = written(tmp_path / "u.h5", start_up(), speeds=SPEEDS)
    data = {"validation": 0, "test": 0, "parameters": ["speed"]}
    settings = from_mapping({"data": data, "model": {"symbol": "plain", "horizons": [1], **model}}, None, path)
    served, module = built(settings)
    announce_contradictions(module, served.sample.path)
    said = capsys.readouterr().err
    if sentence is None:
        assert said == ""
    else:
        assert sentence in said
        assert said.endswith("; try model.bases {u: sine} with model.walls {u: [0, speed]}\n")


def test_a_fit_to_fields_that_slip_names_the_basis_for_them(tmp_path, capsys):
    kappa, phase = 2.2, (math.pi - 2.2) / 2  # the slowest wave between two walls with a slip length of 0.23
    u = np.array([1.0, -0.5, 2.0])[:, None, None] * np.exp(-(kappa**2) * TIMES) * np.sin(kappa * X + phase)
    path = written(tmp_path / "u.h5", u)
    for basis in ("cosine", "sine"):
        settings = from_mapping({"data": {"validation": 0}, "model": {"bases": {"u": basis}}}, None, path)
        served, module = built(settings)
        announce_contradictions(module, served.sample.path)
        assert capsys.readouterr().err.endswith("; try model.bases {u: robin}\n")
    suggested = morlight.suggest(path, bases={"u": "robin"}).settings
    assert suggested["model.bases"] == {"u": "robin"}
    assert suggested["model.optimizer"] == "adam"
    assert "model.walls" not in suggested


def test_a_wall_that_swings_is_no_product_of_parameters():
    u = np.sin(10 * TIMES) * X * SPEEDS[:, None, None]
    assert products(u, {"speed": SPEEDS}) is None


def test_the_seed_of_a_run_is_no_speed():
    u = 0.1 * X + 0 * TIMES + math.pi * np.array([1.0, 2.0, 3.0])[:, None, None]
    assert products(u, {"seed": np.array([1.0, 2.0, 3.0])}) is None


def test_the_noise_of_each_wave_is_that_of_what_walls_leave(tmp_path):
    noise = np.random.default_rng(0).normal(size=(200, FRAMES, POINTS))
    amplitudes = np.random.default_rng(1).normal(size=(200, 1, 1))
    decay = amplitudes * np.exp(-(np.pi**2) * TIMES) * np.sin(np.pi * X)
    path = written(tmp_path / "u.h5", 2 + 3 * X + decay + 0.01 * noise)
    walls = {"bases": {"u": "sine"}, "walls": {"u": [2, 5]}}
    model = {"symbol": "plain", "loss": "noise", "horizons": [2], **walls}
    _, module = built(from_mapping({"data": {"validation": 0, "test": 0}, "model": model}, None, path))
    variance = 1 / module.loss.noise(2).weight[0].double().numpy()
    share = variance / (2 * POINTS * 0.01**2)  # white noise, by the transform c = 2 Σ u sin κx
    assert share[1:-1] == pytest.approx(1, abs=0.2)  # 5600 windows, correlated
    assert 1 < share[0] < 2  # that of the frame before, which decays, adds up


def test_a_field_that_is_flat_at_a_wall_does_not_slip():
    bump = np.maximum(np.linspace(0, 1, 20) - 0.5, 0)
    assert not slips(np.ones((8, 4, 1)) * bump)
