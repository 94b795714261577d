"""Fits without time (Eq. 7), with parameters, of systems and of stable operators, through the command line's entry."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import small_fits

from morlight.analysis import model as prediction
from morlight.analysis.evaluation.evaluate import evaluate
from morlight.analysis.evaluation.walkers import linearized_symbol
from morlight.cli import main as cli
from morlight.data.trajectory_file import TrajectoryFile
from morlight.data.trajectory_writer import write as write_trajectories
from morlight.operators.description import Grid
from morlight.tracking.runs import read_runs

REGRESSION = """
model:
  biases: []
  symbol: plain
  realizations: 3
  horizons: [1]
  loss: points
  optimizer: moments
  iterations: 60
  smoothness: 0
data:
  path: burgers.h5
  targets: [target]
  trajectories: 200
  batch: 20
  validation: 0
  test: 0
trainer:
  max_epochs: 1
  accelerator: cpu
  enable_progress_bar: false
  precision: 64-true
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "regression.yaml").write_text(REGRESSION)
    return tmp_path


@pytest.fixture
def samples(folder):
    cli.main(["simulate", "burgers", "--samples", "240", "--points", "64", "--band", "6", "-o", "burgers.h5"])
    return folder


def last(name):
    return max(Path("mlruns", "fits", name).glob("*/last.ckpt"), key=lambda path: path.stat().st_mtime)


def fit(*more, config="regression.yaml"):
    cli.main(["fit", "--config", config, *more])


def test_burgers_is_learned_from_samples_it_has_not_seen(samples, capsys):
    fit("--model.width", "6", "--model.activation", "tanh")
    model = prediction.load(last("regression"))
    error = evaluate(model, "burgers.h5", range(200, 240)).errors["operator"]
    assert error.median < 0.01
    assert error.per_realization != (error.median,) * 3
    capsys.readouterr()
    cli.main(["evaluate", str(model.path), "--data", "burgers.h5", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (told["dt"], set(told["errors"])) == (None, {"operator"})
    (run,) = read_runs("morlight")
    assert run.status == "FINISHED"
    assert run.metrics["operator/median"] < 0.01
    assert run.metrics["train_loss/median"] == pytest.approx(run.metrics["operator/median"] ** 2, rel=0.5)
    with pytest.raises(SystemExit) as ended:
        cli.main(["predict", str(model.path), "--initial", "burgers.h5", "--steps", "3", "-o", "later.h5"])
    assert ended.value.code == 2
    assert "without time" in capsys.readouterr().err
    assert not Path("later.h5").exists()


def test_one_pass_of_adam_learns_it_less_well(samples):
    fit("--model.optimizer", "adam", "--model.lr", "0.01")
    model = prediction.load(last("regression"))
    error = evaluate(model, "burgers.h5", range(200, 240)).errors["operator"]
    assert 0.01 < error.median < 1.05  # eight steps


def test_moments_of_two_processes_are_those_of_one(samples):
    words = ["fit", "--config", "regression.yaml", "--model.iterations", "5", "--name"]
    cli.main([*words, "by1"])
    command = [sys.executable, "-m", "morlight", *words, "by2", "--trainer.devices", "2"]
    subprocess.run(command, check=True, timeout=300)
    tables = [small_fits.realizations(run.run_id) for run in read_runs("morlight")]
    one, two = ({key: value for key, value in table.items() if key.startswith("train_loss")} for table in tables)
    assert one == pytest.approx(two, rel=1e-6)  # sums in another order, five ill-conditioned steps
    assert len(one) == 5


def test_moments_learn_one_step_in_time_too(folder, heat_file):
    more = [
        "--data.path",
        str(heat_file),
        "--data.targets",
        "null",
        "--data.trajectories",
        "6",
        "--model.loss",
        "noise",
    ]
    fit(*more, "--model.biases", "[conservation, reflection]", "--model.symbol", "dissipative")
    model = prediction.load(last("regression"))
    kappa = np.arange(1, 6)
    g = linearized_symbol(model)[:, kappa].numpy()
    assert np.median(np.abs(g / np.expm1(-(kappa**2) * 0.01) - 1), 0).max() < 0.1  # noise of the frames


@pytest.mark.parametrize(("particles", "bias"), [("file", 0.02), ("null", 0.15)])
def test_walkers_counted_in_wide_cells_diffuse_as_they_do(folder, particles, bias):
    # cells of h = 2π/24 look like an additional diffusivity of h²/(12 Δt) = 57 % where noise is all there is
    words = "simulate brownian --sets 60 --walkers 1000 --steps 60 --bins 24 --dt 0.01 -o walkers.h5"
    cli.main(words.split())
    more = ["--data.path", "walkers.h5", "--data.targets", "null", "--data.trajectories", "60"]
    more += ["--model.loss", "noise", "--model.biases", "[conservation, reflection]", "--model.symbol", "dissipative"]
    fit(*more, "--model.horizons", "[2]", "--data.particles", particles)
    model = prediction.load(last("regression"))
    kappa = np.arange(1, 7)
    rate = np.log1p(linearized_symbol(model)[:, kappa].numpy().real) / -0.01
    assert (np.median(rate / kappa**2 - 1) < 0.05) == (particles == "file")
    assert abs(np.median(rate / kappa**2 - 1)) < 3 * bias


def test_particles_that_no_file_knows_are_asked_for(samples, capsys):
    with pytest.raises(SystemExit) as ended:
        fit("--data.particles", "file")
    assert ended.value.code == 2
    assert "holds no deposit of walkers" in capsys.readouterr().err


def decays(path, rates, names=("density",), walls=False):
    """Solutions of ∂ₜu = −γ κ² u for single modes, one trajectory for each rate, with γ as a scalar of the file."""
    x = (np.arange(24) + 0.5) / 24 * (1.0 if walls else 2 * np.pi)
    times = np.arange(9) * 0.05
    grid = Grid((24,), (x[-1] + x[0],), ("WALL" if walls else "PERIODIC",))
    rng = np.random.default_rng(0)
    fields = {}
    for name in names:
        u = np.ones((len(rates), 9, 24))
        for k in range(1, 4):
            kappa = np.pi * k if walls else k
            shape = np.cos(kappa * x + (0 if walls else rng.uniform(0, 2 * np.pi)))
            if walls and name == "momentum":
                shape = np.sin(kappa * x)
            size = rng.uniform(0.1, 0.3, len(rates))[:, None, None]
            u = u + size * np.exp(-rates[:, None, None] * kappa**2 * times[:, None] / (10 if walls else 1)) * shape
        fields[name] = u - (1 if walls and name == "momentum" else 0)
    write_trajectories(
        path, name="decays", fields=fields, grid=grid, times=times, provenance={}, parameters={"rate": rates}
    )


def test_parameters_are_learned_from_and_predicted_with(folder):
    rates = np.linspace(0.2, 2.0, 24)
    decays("decays.h5", rates)
    more = ["--data.path", "decays.h5", "--data.targets", "null", "--data.trajectories", "24"]
    more += ["--model.optimizer", "adam", "--trainer.max_epochs", "30", "--model.horizons", "[1, 4]"]
    more += ["--model.lr", "0.02", "--model.symbol", "dissipative", "--model.biases", "[conservation]"]
    fit(*more, "--data.parameters", "[rate]", "--name", "known")
    fit(*more, "--name", "unknown")
    known, unknown = (prediction.load(last(name)) for name in ("known", "unknown"))
    errors = [evaluate(model, "decays.h5").errors["rollout_end"].min for model in (known, unknown)]
    assert errors[0] < 0.5 * errors[1], errors  # one rate for all cannot be right
    decays("slow.h5", np.array([0.5, 1.5]))
    for trajectory in ("0", "1"):
        words = ["--trajectory", trajectory, "--steps", "8", "-o", f"later{trajectory}.h5"]
        cli.main(["predict", str(known.path), "--initial", "slow.h5", *words])
    u = TrajectoryFile.open("slow.h5").read()[:, 0, 0]
    slow, fast = (TrajectoryFile.open(f"later{i}.h5").read()[:, -1, 0].std(-1) / u[i].std() for i in (0, 1))
    assert (slow > 1.3 * fast).all()


def test_parameters_that_the_file_lacks_are_refused(folder, heat_file, capsys):
    with pytest.raises(SystemExit) as ended:
        fit(
            "--data.trajectories",
            "6",
            "--data.path",
            str(heat_file),
            "--data.targets",
            "null",
            "--data.parameters",
            "[shear]",
        )
    assert ended.value.code == 2
    assert "data.parameters has 'shear', the file has the scalars: none" in capsys.readouterr().err


@pytest.mark.parametrize(("scheme", "epochs"), [("explicit", "20"), ("implicit", "4")])
def test_a_system_between_walls_is_trained_certified_and_predicted(folder, scheme, epochs, capsys):
    decays("channel.h5", np.full(12, 1.0), ("density", "momentum"), walls=True)
    more = ["--data.path", "channel.h5", "--data.targets", "null", "--data.trajectories", "12"]
    more += ["--model.optimizer", "adam", "--trainer.max_epochs", epochs, "--model.bases", "{momentum: sine}"]
    more += ["--model.biases", "{density: [conservation]}", "--model.flux", "true", "--model.terms", "2"]
    fit(*more, "--model.symbol", "dissipative", "--model.scheme", scheme, "--model.lr", "0.01")
    model = prediction.load(last("regression"))
    assert (model.checkpoint.growth is None) == (scheme == "implicit")
    if model.checkpoint.growth is not None:
        assert model.checkpoint.growth.method == "radius"
        assert len(model.checkpoint.growth.per_realization) == 3
    cli.main(["predict", str(model.path), "--initial", "channel.h5", "--steps", "8", "-o", "later.h5"])
    later, start = TrajectoryFile.open("later.h5").read(), TrajectoryFile.open("channel.h5").read()[0]
    assert np.abs(later[:, -1, 0].mean(-1) - start[0, 0].mean()).max() < 1e-5  # single precision of the file
    before, after = (np.abs(frame - start[-1]).mean() for frame in (start[0], later[:, -1]))
    assert after < 0.5 * before
    capsys.readouterr()
    cli.main(["check", str(model.path)])
    assert "conservation of density" in capsys.readouterr().out


def test_stability_is_promised_certified_and_shown(folder, heat_file, capsys):
    more = ["--data.path", str(heat_file), "--data.targets", "null", "--data.trajectories", "6"]
    more += [
        "--model.optimizer",
        "adam",
        "--model.symbol",
        "dissipative",
        "--model.biases",
        "[stability, conservation]",
    ]
    fit(*more, "--trainer.max_epochs", "4")
    model = prediction.load(last("regression"))
    assert model.checkpoint.growth.method == "symbol"
    assert max(model.checkpoint.growth.per_realization) <= 1 + 1e-12
    capsys.readouterr()
    cli.main(["inspect", str(model.path)])
    assert "largest growth a step, |1 + g h′| over" in capsys.readouterr().out
    cli.main(["check", str(model.path)])
    u = 5 * np.random.default_rng(0).normal(size=32)
    frames = model.predict(u, 200)
    assert np.abs(frames).max() < 10 * np.abs(u).max()
