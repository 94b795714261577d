"""Suggested settings: each row of the table on the page of one's own data, on small data of that kind."""

import math
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import channel
import numpy as np
import pytest
import yaml

import morlight
from morlight.analysis.evaluation.evaluate import evaluate
from morlight.cli import main as cli
from morlight.simulate import walkers
from morlight.training.equation_module import EquationModule
from morlight.training.extensions import Extensions
from morlight.training.fit import built, lightning_trainer, schedule
from morlight.training.quiet import quiet
from morlight.training.settings import chosen_by_user, flat, from_mapping

POINTS, FRAMES, DT = 32, 24, 0.05
KAPPA = np.arange(POINTS // 2 + 1)
SHORT = {
    "model.realizations": 1,
    "trainer.enable_progress_bar": False,
    "trainer.accelerator": "cpu",
}
FEW = {"model.iterations": 30}
SOME_EPOCHS = {"trainer.max_epochs": 40}


def start(count: int, waves: int = 3, seed: int = 0) -> np.ndarray:
    """Random fields of a few waves."""
    rng = np.random.default_rng(seed)
    x = np.arange(POINTS) * math.tau / POINTS
    size, phase = rng.normal(size=(waves, count, 1)), 6 * rng.random((waves, count, 1))
    return sum(size[k] * np.cos((k + 1) * x + phase[k]) for k in range(waves)) / 2


def solved(rhs: Callable[[np.ndarray], np.ndarray], u: np.ndarray, frames: int = FRAMES, substeps: int = 10):
    """Solutions (trajectory, time, …) of ∂ₜu = rhs(u) by the classical Runge–Kutta steps."""
    h, states = DT / substeps, [u]
    for _ in range(frames - 1):
        for _ in range(substeps):
            a = rhs(u)
            b = rhs(u + h / 2 * a)
            c = rhs(u + h / 2 * b)
            u = u + h / 6 * (a + 2 * b + 2 * c + rhs(u + h * c))
        states.append(u)
    return np.stack(states, 1)


def filtered(symbol: np.ndarray, u: np.ndarray) -> np.ndarray:
    return np.fft.irfft(symbol * np.fft.rfft(u), n=POINTS)


def cubic(u: np.ndarray) -> np.ndarray:
    return u + 0.4 * u**3


def noisy(u: np.ndarray, share: float) -> np.ndarray:
    return u + share * u.std() * np.random.default_rng(9).normal(size=u.shape)


def write(path, u, boundaries="periodic", **more):
    length = math.tau if boundaries == "periodic" else 1.0
    fields = u if isinstance(u, dict) else {"u": u}
    return morlight.write(path, fields, dt=DT, length=length, boundaries=boundaries, **more)


def reacting(path):
    """Fisher–KPP, ∂ₜu = 0.05 ∂²ₓu + u − u², with 1 % of noise."""
    u = solved(lambda u: filtered(-0.05 * KAPPA**2, u) + u - u**2, 0.3 + 0.2 * start(4), frames=40)
    return write(path, noisy(u, 0.01))


def between_walls(path, wall="cosine"):
    """Diffusion of a field without slope, or without value, at the walls."""
    rng = np.random.default_rng(1)
    x, kappa = (np.arange(POINTS) + 0.5) / POINTS, np.pi * np.arange(1, 5)
    waves = np.cos(kappa[:, None] * x) if wall == "cosine" else np.sin(kappa[:, None] * x)
    decay = np.exp(-0.05 * kappa**2 * (np.arange(30) * DT)[:, None])
    return write(path, (rng.normal(size=(4, 1, 4)) * decay) @ waves, "wall")


def beside_a_moving_wall(path):
    """Fluid between a wall at rest and one that moves, which waves have stirred."""
    rng = np.random.default_rng(1)
    x, kappa, speed = (np.arange(POINTS) + 0.5) / POINTS, np.pi * np.arange(1, 5), np.repeat([1.0, 2.0, 3.0, 4.0], 5)
    decay = np.exp(-0.05 * kappa**2 * (np.arange(12) * DT)[:, None])
    waves = (rng.normal(size=(20, 1, 4)) * decay) @ np.sin(kappa[:, None] * x)
    return write(path, speed[:, None, None] * (x + 0.3 * waves), "wall", parameters={"speed": speed})


def decaying(path, share=0.0, frames=FRAMES, count=20):
    """∂ₜu = −0.2 (−Δ)^0.6 (u + 0.4 u³), which is no sum of terms with whole derivatives."""
    u = solved(lambda u: filtered(-0.2 * KAPPA**1.2, cubic(u)), start(count), frames)
    return write(path, noisy(u, share))


def oscillating(path):
    """Waves of the frequency √κ, steeper where they are higher."""
    return write(path, solved(lambda u: filtered(-0.5j * KAPPA**0.5, cubic(u)), start(40, waves=2)))


def with_parameter(path):
    """Bistable fields, ∂ₜu = 0.05 ∂²ₓu + γ (u − u³)."""
    gamma = np.repeat([1.0, 2.0, 3.0, 4.0], 5)
    u = solved(lambda u: filtered(-0.05 * KAPPA**2, u) + gamma[:, None] * (u - u**3), start(20), frames=12)
    return write(path, u, parameters={"rate": gamma})


def coupled(path):
    """A field that is driven by another one and saturates, as no polynomial does."""

    def rhs(fields):
        u, v = fields[:, 0], fields[:, 1]
        rates = [filtered(-0.1 * KAPPA**2, u) + v / (0.1 + v**2) - u, filtered(-0.05 * KAPPA**2, v) - u * np.abs(v)]
        return np.stack(rates, 1)

    fields = solved(rhs, np.stack([start(20), start(20, seed=1)], 1), frames=12)
    return write(path, {"u": fields[:, :, 0], "v": fields[:, :, 1]})


def counted(path):
    """Brownian walkers in bins."""
    setting = walkers.Walkers(sets=20, walkers=2000, steps=30, bins=32, dt=2e-3)
    walkers.brownian(path, setting)
    return path


def channels(path):
    """Density and momentum between walls, two runs of each γ."""
    return channel.write(path, noise=0.005, bins=12, densities=(0.1, 0.2, 0.4, 0.5, 0.8, 1.0), frames=16)


@dataclass(frozen=True)
class Row:
    """Data of one kind, what is suggested for them, and what the fit must do."""

    make: Callable[[Path], Any]
    suggested: dict[str, Any]
    changes: dict[str, Any] = field(default_factory=dict)
    equation: str | None = None
    error: str = "rollout_end"
    reference: str | float = "linear"


def trained(served, module, settings):
    """Errors of a fit on the data held back, without a tracked run."""
    trainer = lightning_trainer(settings, Extensions(), False)
    served.schedule = schedule(module, served, trainer.max_epochs)
    with quiet():
        trainer.fit(module, served)
    trainer.save_checkpoint("made.ckpt", weights_only=True)
    rows, frames = served.split.trajectories("test"), served.split.frames("test")
    return evaluate(morlight.load("made.ckpt"), served.file.during(frames) if rows else served.file, rows or None)


MOMENTS = {"model.optimizer": "moments"}
ROWS = {  # by the first column of the table of docs/own_data.md
    "fields with an equation, noisy or clean": Row(
        reacting, {"model.optimizer": "equation"}, equation="∂ₜu = # u + # ∂²ₓu − # u²"
    ),
    "walls without a slope": Row(
        between_walls, {"model.optimizer": "equation", "model.bases": {"u": "cosine"}}, equation="∂ₜu = # ∂²ₓu"
    ),
    "walls where the field is zero": Row(
        lambda path: between_walls(path, "sine"),
        {"model.optimizer": "equation", "model.bases": {"u": "sine"}},
        equation="∂ₜu = # ∂²ₓu",
    ),
    "walls where the field has constant values": Row(
        beside_a_moving_wall,
        {"model.optimizer": "adam", "model.bases": {"u": "sine"}, "model.walls": {"u": [0, "speed"]}},
        SOME_EPOCHS,
        reference=0.2,  # of the field, since the linear model is exact
    ),
    "one field without noise that decays": Row(
        decaying, {**MOMENTS, "model.symbol": "dissipative", "model.loss": "points", "model.horizons": [1]}, FEW
    ),
    "one field that oscillates or grows": Row(oscillating, {**MOMENTS, "model.symbol": "plain"}, FEW),
    "one field with noise": Row(
        lambda path: decaying(path, 0.02), {**MOMENTS, "model.loss": "noise", "model.horizons": [4]}, FEW
    ),
    "eight frames or fewer": Row(lambda path: decaying(path, frames=6, count=40), MOMENTS, FEW),
    "parameters γ": Row(
        with_parameter,
        {"model.optimizer": "equation", "data.parameters": ["rate"]},
        equation="∂ₜu = # ∂²ₓu + # rate u − # rate u³",
    ),
    "several fields": Row(coupled, {"model.optimizer": "adam", "model.terms": 2, "model.symbol": "plain"}, SOME_EPOCHS),
    "counts of particles, one periodic density": Row(counted, {**MOMENTS, "data.particles": 2000}, FEW),
    "averages of particles between walls": Row(
        channels,
        {"data.ensemble": "mean", "model.optimizer": "adam", "model.steps": "all"},
        SOME_EPOCHS,
        error="eq35",
        reference="persistence",  # the linear model is the exact one of this fluid
    ),
}
NUMBER = re.compile(r"[\d.]+\(\d+\)")


@pytest.mark.parametrize("name", ROWS)
def test_suggested_settings_find_the_equation_or_beat_a_model_without_networks(name, folder):
    row = ROWS[name]
    row.make(Path("mine.h5"))
    suggestion = morlight.suggest("mine.h5")
    settings = suggestion.settings
    assert {key: settings.get(key) for key in row.suggested} == row.suggested
    plain = yaml.safe_load(suggestion.to_yaml())
    assert flat(plain) == settings | {"data.path": "mine.h5"}
    typed = from_mapping({**settings, **SHORT, **row.changes}, None, "mine.h5")
    served, module = built(typed)
    if row.equation is not None:
        assert isinstance(module, EquationModule)
        assert NUMBER.sub("#", module.equation.text) == row.equation
        return
    evaluation = trained(served, module, typed)
    known = row.reference if isinstance(row.reference, float) else evaluation.baselines[row.reference][row.error]
    assert evaluation.errors[row.error].median < known


def test_the_table_of_the_page_on_own_data_is_what_is_suggested():
    page = (Path(__file__).parents[3] / "docs" / "own_data.md").read_text()
    table = [line.split("|")[1:4] for line in page.splitlines() if line.startswith("| ") and "`model." in line]
    assert [first.strip() for first, *_ in table] == list(ROWS)
    for first, settings, _ in table:
        words = re.findall(r"`((?:model|data|trainer)\.[^`]*: [^`]*)`", settings)
        suggested = ROWS[first.strip()].suggested
        assert yaml.safe_load("{" + ", ".join(words) + "}").items() >= suggested.items(), first


def test_a_fit_without_a_configuration_in_its_own_process_takes_the_suggested_settings_and_prints_them(folder):
    between_walls(Path("mine.h5"), "sine")
    cli.main(["suggest", "mine.h5", "-o", "mine.yaml"])
    command = [sys.executable, "-m", "morlight", "fit", "mine.h5", "--trainer.enable_progress_bar", "false"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed = done.stderr
    assert "morlight: no configuration was named; settings chosen for mine.h5: 4 trajectories of 30 frames" in printed
    assert re.search(r"model\.bases: {u: sine} +# u: zero at the walls", printed)
    written = from_mapping({"trainer.enable_progress_bar": False}, "mine.yaml").to_flat()
    (kept,) = Path("mlruns", "artifacts").rglob("config.yaml")
    assert flat(yaml.safe_load(kept.read_text())) == written | {"name": "fit"}


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (["--trainer.max_epochs", "3", "--name", "a"], False),
        (["--model.terms=2"], True),
        (["-c", "own"], True),
        (["data.targets"], True),
    ],
)
def test_settings_are_suggested_where_nothing_is_said_of_the_model(words, chosen):
    assert chosen_by_user(words) == chosen


@pytest.mark.parametrize(
    ("u", "boundaries", "sentence"),
    [
        (np.ones((1, 2, 16)) * np.arange(16), "periodic", r"has 2 frame\(s\), expected 3 or more"),
        (np.ones((1, 9, 16)) * np.arange(16), "periodic", "field 'u' does not change in time"),
        (
            np.exp(-0.1 * np.arange(20))[:, None] * (1 + np.linspace(0, 1, 64))[None, None],
            "wall",
            r"field 'u' neither vanishes at the walls \(basis sine\) nor has zero slope",
        ),
    ],
)
def test_what_the_values_leave_open_is_asked_for(folder, u, boundaries, sentence):
    morlight.write("mine.h5", {"u": u}, dt=DT, length=1.0, boundaries=boundaries)
    with pytest.raises(ValueError, match=sentence):
        morlight.suggest("mine.h5")


def test_a_basis_that_is_named_is_taken(folder):
    u = np.exp(-0.1 * np.arange(20))[:, None] * (1 + np.linspace(0, 1, 64))[None, None]
    morlight.write("mine.h5", {"u": u}, dt=DT, length=1.0, boundaries="wall")
    assert morlight.suggest("mine.h5", bases={"u": "cosine"}).settings["model.bases"] == {"u": "cosine"}


def test_suggestions_for_the_channels_of_the_package_make_an_operator():
    settings = morlight.suggest("lj").settings
    assert settings["model.bases"]["density"] == "cosine"
    assert "conservation" in settings["model.biases"]["density"]
    _, module = built(from_mapping(settings, None, "lj"))
    assert module.operator.changed == 3
