"""Errors of channels against the mean of their runs, with the noise of that mean and the baselines beside them."""

import json
from dataclasses import replace

import channel
import numpy as np
import pytest

from morlight.analysis import checkpoint
from morlight.analysis.evaluation import channels
from morlight.analysis.evaluation.evaluate import evaluate
from morlight.analysis.model import load
from morlight.cli import main as cli
from morlight.data import trajectory_writer
from morlight.data.ensembles import where
from morlight.data.trajectory_file import TrajectoryFile


@pytest.fixture(scope="module")
def fluid(tmp_path_factory):
    return channel.write(tmp_path_factory.mktemp("data") / "channel.h5", seeds=4, noise=0.05)


@pytest.fixture(scope="module")
def fitted(fluid, tmp_path_factory):
    """A small fit with ρ* = 0.1 held out, and its checkpoint."""
    folder = tmp_path_factory.mktemp("fit")
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    patch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (folder / "channel.yaml").write_text(CONFIG)
    cli.main(["fit", "--config", "channel.yaml", "--data.path", str(fluid)])
    yield next(folder.glob("mlruns/fits/channel/*/last.ckpt"))
    patch.undo()


def held_out(fluid):
    """Rows of the density that the fit has not seen."""
    return where(TrajectoryFile.open(fluid), {"density": 0.1}, "test").nonzero()[0].tolist()


CONFIG = """
data:
  fields: [density, momentum]
  parameters: [density]
  held_out: {density: 0.1}
  scaling: power
  validation: 0
  test: 0
model:
  biases: {density: [conservation, stability], momentum: [stability]}
  bases: {momentum: sine}
  symbol: plain
  terms: 2
  width: 4
  depth: 3
  realizations: 3
  horizons: [4]
  loss: points
  steps: all
  smoothness: 0
trainer:
  max_epochs: 40
"""


def test_noise_ceiling_is_the_standard_error_of_the_mean_of_the_runs(fluid, fitted):
    result = evaluate(load(fitted), fluid)
    # noise of 5 % of the largest value in each of four runs: 2.5 % of the mean, over its root mean square in x
    file = TrajectoryFile.open(fluid)
    p = file.read(["momentum"])[:, -1, 0]
    sizes = [np.abs(u).max() / np.sqrt((u**2).mean()) for u in p]
    expected = 0.025 * np.sqrt(np.mean(np.square(sizes)))
    assert file.trajectories == 4 * len(channel.DENSITIES)
    # the norm of 20 cells of 6 ensembles: 120 numbers, a standard deviation of 1/√240
    assert result.noise_ceiling["t=1 momentum"] == pytest.approx(expected, rel=4 / 240**0.5 + 0.05)


def test_noise_ceiling_of_two_runs_is_half_their_difference(fitted, tmp_path):
    path = channel.write(tmp_path / "two.h5", seeds=2, densities=(0.1,))
    u, v = TrajectoryFile.open(path).read(["density", "momentum"])[:, -1].astype(np.float64)
    expected = np.linalg.norm(u - v, axis=1) / np.linalg.norm(u + v, axis=1)
    found = evaluate(load(fitted), path).noise_ceiling
    assert [found["t=1 density"], found["t=1 momentum"]] == pytest.approx(expected)


def test_mirror_images_halve_the_variance_of_the_mean(fluid, fitted):
    model = load(fitted)
    mirrored = replace(model, checkpoint=replace(model.checkpoint, data=replace(model.data, parities=(1, 1))))
    plain, symmetric = (evaluate(each, fluid).noise_ceiling["t=1"] for each in (model, mirrored))
    # squares of 18 × 20 × 2 deviations and of half as many: standard deviations of √(2/720) and √(2/360)
    assert (plain / symmetric) ** 2 == pytest.approx(2, rel=4 * (2 / 720 + 2 / 360) ** 0.5)


def test_ratios_of_a_model_do_not_change_its_errors(fluid, fitted):
    model, rows = load(fitted), held_out(fluid)
    with_velocity = model.with_ratios({"velocity": "momentum/density"})
    assert evaluate(with_velocity, fluid, rows).errors == evaluate(model, fluid, rows).errors


def test_errors_are_those_written_out(fluid, fitted):
    model = load(fitted)
    rows = held_out(fluid)
    result = evaluate(model, fluid, rows)
    u = TrajectoryFile.open(fluid).read(["density", "momentum"])[rows].astype(np.float64).mean(0)
    walk = model.predict(u[0], 40, gamma=np.array([[0.1]]))
    for frame, label in ((1, "t=0.025"), (40, "t=1")):
        off = np.square(walk[:, frame] - u[frame]).sum(-1) / np.square(u[frame]).sum(-1)
        assert result.errors[label].per_realization == pytest.approx(np.sqrt(off.mean(1)))
        assert result.errors[f"{label} momentum"].per_realization == pytest.approx(np.sqrt(off[:, 1]))
    first, last = (np.square(result.errors[name].per_realization) for name in ("t=0.025", "t=1"))
    assert result.errors["eq35"].per_realization == pytest.approx(first + last)  # Eq. 35
    stay = np.square(u[0] - u[40]).sum(-1) / np.square(u[40]).sum(-1)
    assert result.baselines["persistence"]["t=1"] == pytest.approx(np.sqrt(stay.mean()))
    (only,) = result.by_parameters
    assert only.parameters == {"density": pytest.approx(0.1)}


def test_a_density_never_seen_is_predicted_to_a_few_times_the_noise(fluid, fitted):
    model = load(fitted)
    rows = held_out(fluid)
    result = evaluate(model, fluid, rows)
    exact = 0.1 * channel.speed(0.1, np.array([1.0]), 20)[0]
    start = channels.read(model, TrajectoryFile.open(fluid), rows).mean[:, 0]
    learned = model.predict(start, 40, gamma=np.array([[0.1]]))
    off = np.linalg.norm(learned[:, 0, -1, 1] - exact, axis=1) / np.linalg.norm(exact)
    assert off.min() < 0.1
    assert result.errors["t=1"].min < 4 * result.noise_ceiling["t=1"]
    assert result.errors["t=1"].min < 0.3 * result.baselines["persistence"]["t=1"]
    assert result.bounded.to_json() == {"steps": 400, "count": 3, "per_realization": [True] * 3}
    assert max(max(result.mass_drift["density"]), 0) < 1e-12


def test_eq35_over_all_densities_is_still_the_sum_of_the_squares(fluid, fitted):
    result = evaluate(load(fitted), fluid)
    errors = result.errors
    first, last = (np.square(errors[name].per_realization) for name in ("t=0.025", "t=1"))
    assert errors["eq35"].per_realization == pytest.approx(first + last)
    noise = result.noise_ceiling
    assert noise["eq35"] == pytest.approx(noise["t=0.025"] ** 2 + noise["t=1"] ** 2)


def test_trajectories_without_a_seed_are_no_runs_of_one_system(fitted, fluid, tmp_path):
    file = TrajectoryFile.open(fluid)
    u = file.read()
    fields = {name: u[:4, :, c] for c, name in enumerate(file.fields)}
    densities = {"density": file.parameters["density"][:4]}
    same = {"grid": file.grid, "times": file.times, "parameters": densities, "provenance": {}}
    trajectory_writer.write(tmp_path / "free.h5", name="free", fields=fields, **same)
    result = evaluate(load(fitted), tmp_path / "free.h5")
    assert len(result.by_parameters) == 4
    assert result.noise_ceiling is None


def test_one_run_of_each_density_has_no_noise_ceiling(fitted, tmp_path):
    path = channel.write(tmp_path / "one.h5", seeds=1)
    assert evaluate(load(fitted), path).noise_ceiling is None


def test_command_evaluates_one_density_and_refuses_those_that_are_not_there(fluid, fitted, capsys):
    cli.main(["evaluate", str(fitted), "--data", str(fluid), "--only", "density=0.1", "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert {"t=0.025", "t=1", "eq35"} <= set(shown["errors"])
    assert shown["noise_ceiling"]["t=1"] > 0
    assert set(shown["baselines"]) == {"persistence", "linear"}
    with pytest.raises(SystemExit) as ended:
        cli.main(["evaluate", str(fitted), "--data", str(fluid), "--only", "density=0.3"])
    assert ended.value.code == 2
    assert "--only {'density': 0.3} is no trajectory's" in capsys.readouterr().err


def test_parameters_below_zero_have_no_logarithm_and_are_refused(fitted):
    model = load(fitted)
    with pytest.raises(ValueError, match=r"parameter density is -0\.1, expected values above 0"):
        model.predict(np.zeros((2, 20)), 1, gamma=np.array([[-0.1]]))


def test_checkpoint_holds_the_units_of_fields_and_parameters(fitted):
    data = checkpoint.read(fitted).data
    trained = [density for density in channel.DENSITIES if density != 0.1]
    (parameter,) = data.parameters
    assert parameter.scale == pytest.approx(float(np.exp(np.mean(np.log(trained)))), rel=1e-5)
    assert parameter.spread == pytest.approx(float(np.std(np.log(trained))), rel=1e-5)
    ((density,), (momentum,)) = (field.powers for field in data.fields)
    assert density == pytest.approx(1, abs=0.02)  # ρ ∝ ρ*
    # p ∝ ρ f W²/ν at rest, ν ∝ ρ^(−1/2); slow fluids are not quite there
    assert momentum == pytest.approx(1.5, abs=0.15)
