"""`morlight discover`: the equation of a file, and what it refuses."""

import json

import numpy as np
import pytest
from command import refused

import morlight
from morlight.cli import main as cli

T = np.arange(40) * 0.02
X = np.arange(32) / 32 * 2 * np.pi
D, C = 0.3, -0.7  # ∂ₜu = D ∂²ₓu + C ∂ₓu


@pytest.fixture
def waves(tmp_path, monkeypatch):
    """Two trajectories of advection and diffusion, exact, with 0.1 % noise, of speeds 1 and 2 in name."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    k = np.arange(1, 7)
    sizes, phases = rng.normal(size=(2, 6)), rng.uniform(0, 6, (2, 6))
    decay = np.exp(-D * np.square(k) * T[:, None])
    angle = k * (X[:, None, None] + C * T[:, None])
    u = np.einsum("bk,tk,bxtk->btx", sizes, decay, np.cos(angle[None] + phases[:, None, None]))
    noisy = u + 1e-3 * rng.normal(size=u.shape)
    gamma = {"speed": [1.0, 2.0]}
    return morlight.write("waves.h5", {"u": noisy}, dt=0.02, length=2 * np.pi, boundaries="periodic", parameters=gamma)


def test_the_equation_has_its_terms_and_their_errors(waves, capsys):
    cli.main(["discover", str(waves), "--where", "speed=1", "--json"])
    answer = json.loads(capsys.readouterr().out)
    found = answer["fields"]["u"]
    terms = {tuple(term["derivative"]): term for term in found["terms"]}
    assert set(terms) == {(1,), (2,)}
    assert all(term["of"] == {"u": 1} for term in found["terms"])
    for order, exact in (((1,), C), ((2,), D)):
        assert abs(terms[order]["coefficient"] - exact) < 5 * terms[order]["sd"] < 0.05 * abs(exact)
    assert found["noise"] == pytest.approx(1e-3, rel=0.2)
    assert answer["unexplained"] < 1e-3
    cli.main(["discover", str(waves), "--where", "speed=1"])
    printed = capsys.readouterr().out
    assert "∂²ₓu" in printed
    assert "noise (standard deviation): u 0.0" in printed
    cli.main(["discover", str(waves), "--where", "speed=1", "--latex"])
    assert r"\partial_t u = " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("discover waves.h5 --parameter-degree 0", "parameter 'speed' differs between the trajectories"),
        ("discover waves.h5 --parameter-degree 2", "parameter 'speed' has 2 values, expected more than"),
        ("discover waves.h5 --parameter-degree -1", "parameter_degree is -1"),
        (
            "discover waves.h5 --where speed=3",
            "where {'speed': 3.0} is no trajectory's, the file has speed: [1.0, 2.0]",
        ),
        ("discover waves.h5 --where rate=3", "where has 'rate', the file has the scalars: speed"),
        ("discover waves.h5 --where speed=1 --fields v", "v"),
        ("discover waves.h5 --where speed=1 --fields u,u", "each once"),
        ("discover waves.h5 --where speed=1 --degree 0", "degree is 0"),
        ("discover waves.h5 --where speed=1 --order -1", "order is -1"),
        ("discover waves.h5 --where speed=1 --wall sine", "only where there are walls"),
        ("discover nowhere.h5", "no such file"),
    ],
)
def test_what_one_equation_cannot_describe_is_refused(waves, capsys, words, sentence):
    assert sentence in refused(words, capsys)


def test_an_equation_that_does_not_describe_the_data_says_so(tmp_path, monkeypatch, capsys):
    """Standing waves of ∂ₜₜu = ∂ₓₓu, which no equation of first order in time describes."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    sizes, phases = rng.normal(size=(3, 5)), rng.uniform(0, 6, (3, 5, 2))
    u = sum(
        sizes[:, k, None, None]
        * np.cos((k + 1) * 5 * T[None, :, None] + phases[:, k, 0, None, None])
        * np.cos((k + 1) * X + phases[:, k, 1, None, None])
        for k in range(5)
    )
    morlight.write("standing.h5", {"u": u}, dt=0.02, length=2 * np.pi, boundaries="periodic")
    cli.main(["discover", "standing.h5"])
    printed = capsys.readouterr().out
    assert "no equation" in printed or "warning: this equation does not describe these data" in printed


def test_numbers_at_the_ends_of_double_precision_are_refused_in_a_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    u = 1e300 * np.random.default_rng(0).normal(size=(2, 20, 16))
    morlight.write("huge.h5", {"u": u}, dt=0.1, length=1.0, boundaries="periodic")
    assert "huge.h5: " in refused("discover huge.h5", capsys)
