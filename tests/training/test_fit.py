"""Whole fits through the command line's own entry, on a small file of noisy heat."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import channel
import numpy as np
import pytest
import small_fits
import torch
import yaml

import morlight
from morlight.analysis import inspection
from morlight.analysis import model as prediction
from morlight.cli import main as cli
from morlight.data.trajectory_file import TrajectoryFile
from morlight.data.trajectory_writer import write as write_trajectories
from morlight.operators.description import Grid
from morlight.tracking.checkpoints import resolve
from morlight.tracking.runs import read_runs
from morlight.tracking.store import connect

CONFIGS = sorted(Path(__file__).parents[2].joinpath("configs").glob("*.yaml"))
SHORT = """
model:
  biases: [conservation, reflection]
  realizations: 2
  width: 3
  depth: 3
  horizons: [1, 2, 4]
data:
  batch: 20
trainer:
  max_epochs: 3
  accelerator: cpu
  enable_progress_bar: false
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory of its own with a small configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "short.yaml").write_text(SHORT)
    return tmp_path


# the last offset of h(u) = sign(u) (ĥ(|u|) − ĥ(0)): no model depends on it, and all of its gradient is rounding
CANCELS = "operator.h.nonlinearity.network.offsets.2"


def fit(data, *more, config="short.yaml"):
    cli.main(["fit", "--config", str(config), "--data.path", str(data), *more])


def checkpoints(folder, name="short"):
    return sorted(folder.glob(f"mlruns/fits/{name}/*/last.ckpt"), key=lambda path: path.stat().st_mtime)


def weights(path):
    return torch.load(path, weights_only=True)["state_dict"]


def test_fit_is_one_finished_run_with_config_data_metrics_and_checkpoint(folder, heat_file):
    fit(heat_file)
    (run,) = read_runs("morlight")
    assert (run.status, run.name) == ("FINISHED", "short")
    assert run.params["model.width"] == "3"
    assert {
        "train_loss/median",
        "val_loss/median",
        "rollout_end/median",
        "linear/rollout_end",
        "over_linear/median",
    } <= set(run.metrics)
    assert not any(name.endswith(("/00", "/min")) for name in run.metrics)
    assert set(small_fits.realizations(run.run_id)) >= {"train_loss/00", "train_loss/01", "rollout_end/min"}
    client = connect()
    (data,) = client.get_run(run.run_id).inputs.dataset_inputs
    assert data.dataset.name == "heat.h5"
    names = {file.path for part in ("", "checkpoints", "figures") for file in client.list_artifacts(run.run_id, part)}
    assert {"config.yaml", "evaluation.json", "checkpoints/best.ckpt", "figures/learned.png"} <= names
    assert prediction.load(resolve(f"runs:/{run.run_id}")).realizations == 2


def test_last_checkpoint_is_of_the_last_epoch_whatever_the_validation_says(folder, heat_file):
    fit(heat_file, "--model.lr", "1e-9", "--trainer.max_epochs", "6")
    (path,) = checkpoints(folder)
    assert torch.load(path, weights_only=True)["epoch"] == 5


def test_checkpoint_holds_plain_values_and_all_that_prediction_needs(folder, heat_file):
    fit(heat_file)
    (path,) = checkpoints(folder)
    saved = torch.load(path, weights_only=True)
    data = saved["morlight"]["data"]
    assert data["grid"]["points"] == [32]
    assert data["dt"] == pytest.approx(0.01)
    assert len(data["fields"]) == 1


def test_fit_learns_the_heat_equation(folder, heat_file):
    fit(heat_file, "--trainer.max_epochs", "60", "--data.batch", "5", "--model.width", "8")
    (path,) = checkpoints(folder)
    model = prediction.load(path)
    kappa = torch.arange(1, 8)
    (found,) = inspection.readings(model)
    ratio = -found.symbol[:, kappa].real / kappa.square().numpy()
    assert ratio == pytest.approx(1, abs=0.05)  # noise of 1e-3 in each frame biases the slow mode by 1 %


LONG = ["--trainer.max_epochs", "8", "--data.batch", "2"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, heat_file):
    """Weights of a fit from its beginning to its end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("whole"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        Path("short.yaml").write_text(SHORT)
        fit(heat_file, *LONG)
        (path,) = checkpoints(Path.cwd())
        return weights(path)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_and_continued_fit_has_the_weights_of_an_uninterrupted_one(folder, heat_file, uninterrupted, stop):
    command = [sys.executable, "-m", "morlight", "fit", "--config", "short.yaml", "--data.path", str(heat_file), *LONG]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not checkpoints(folder) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(stop)
    message = process.communicate(timeout=300)[1]
    (interrupted,) = checkpoints(folder)
    assert 0 < torch.load(interrupted, weights_only=True)["epoch"] + 1 < 8
    if stop == signal.SIGINT:
        assert process.returncode == 130
        assert "--ckpt_path last" in message
        assert read_runs("morlight")[0].status == "KILLED"
    fit(heat_file, *LONG, "--ckpt_path", "last")
    assert checkpoints(folder) == [interrupted]
    assert [run.status for run in read_runs("morlight")] == ["FINISHED"]
    for key, value in uninterrupted.items():
        assert torch.equal(weights(interrupted)[key], value), key


def test_planes_are_learned_and_predicted_as_lines_are(folder):
    grid = Grid((16, 12), (2 * np.pi, 2 * np.pi), ("PERIODIC", "PERIODIC"))
    rng, times = np.random.default_rng(0), np.arange(21) * 0.01
    kappa = np.meshgrid(np.fft.fftfreq(16, 1 / 16), np.arange(7), indexing="ij")
    modulus = np.hypot(*kappa)
    start = np.where(modulus <= 4, np.fft.rfft2(rng.normal(size=(6, 16, 12))), 0)
    start[:, 0, 0] = 16 * 12
    u = np.fft.irfft2(start[:, None] * np.exp(-(modulus**2) * times[:, None, None]), s=(16, 12))
    write_trajectories("plane.h5", name="plane", fields={"density": u}, grid=grid, times=times, provenance={})
    more = ["--trainer.max_epochs", "30", "--data.batch", "5", "--model.biases", "[conservation, isotropy, reflection]"]
    fit("plane.h5", *more, "--model.width", "8")
    (run,) = read_runs("morlight")
    assert small_fits.realizations(run.run_id)["rollout_end/min"] < 0.02  # of the whole field, whose mean is 1
    words = f"predict runs:/{run.run_id} --initial plane.h5 --steps 10 -o later.h5 --plot later.png"
    cli.main(words.split())
    assert TrajectoryFile.open("later.h5").read().shape == (2, 11, 1, 16, 12)


def test_realizations_side_by_side_are_the_single_runs(folder, heat_file):
    more = ["--trainer.precision", "64-true", "--data.seed", "0"]
    fit(heat_file, *more, "--model.realizations", "3", "--name", "together")
    (together,) = checkpoints(folder, "together")
    for r in range(3):
        fit(heat_file, *more, "--model.realizations", "1", "--model.seed", str(r), "--name", f"single{r}")
        (single,) = checkpoints(folder, f"single{r}")
        for key, value in weights(single).items():
            # rounding alone, but Adam takes a gradient that is nothing but rounding for a step of lr·1e-16/ε and more
            if key != "operator.scale":
                assert torch.allclose(weights(together)[key][r], value[0], rtol=0, atol=1e-6), key


@pytest.mark.parametrize(
    "more", [[], ["--data.batch", "11", "--data.memory", "1e-5"]], ids=["even", "uneven, streamed"]
)
def test_two_processes_are_one_run_with_the_weights_of_one_process(folder, heat_file, more):
    words = ["fit", "--config", "short.yaml", "--data.path", str(heat_file), "--trainer.precision", "64-true", *more]
    cli.main([*words, "--name", "by1"])
    command = [sys.executable, "-m", "morlight", *words, "--trainer.devices", "2", "--name", "by2"]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    assert sorted((run.name, run.status) for run in read_runs("morlight")) == [
        ("by1", "FINISHED"),
        ("by2", "FINISHED"),
    ]
    (one,), (two,) = (checkpoints(folder, name) for name in ("by1", "by2"))
    for key, value in weights(one).items():
        # means of halves round differently, and Adam takes a gradient of rounding alone for a step
        if key != CANCELS:
            assert torch.allclose(weights(two)[key], value, rtol=0, atol=1e-6), key


def test_divergence_ends_the_fit_with_a_sentence_and_a_failed_run(folder, heat_file, capsys):
    with pytest.raises(SystemExit) as ended:
        fit(heat_file, "--model.symbol", "plain", "--model.lr", "1e30", "--model.loss", "points")
    assert ended.value.code == 1
    assert "is not finite at epoch" in capsys.readouterr().err
    assert [run.status for run in read_runs("morlight")] == ["FAILED"]


def diffusing(path):
    """Ten solutions of ∂ₜu = 0.1 ∂²ₓu."""
    x, times = np.arange(24) / 24 * 2 * np.pi, np.arange(41)[:, None] * 0.1
    size = np.random.default_rng(0).normal(size=(10, 3, 1, 1))
    u = sum(size[:, k] * np.exp(-0.1 * (k + 1) ** 2 * times) * np.cos((k + 1) * x) for k in range(3))
    morlight.write(path, {"u": u}, dt=0.1, length=2 * np.pi, boundaries="periodic")


MADE = {
    "own": diffusing,
    "lj": lambda path: channel.write(path, seeds=1, frames=12, bins=40),
    "colloid": lambda path: channel.write_pairs(path),
}


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_runs_for_one_step_an_epoch(folder, config):
    data, system = folder / "small.h5", config.stem.removesuffix("_paper")
    steady = system in ("burgers", "laplacian")
    size = "--samples 20 --points 48" if steady else "--sets 10 --walkers 500 --steps 20 --bins 24"
    if system in MADE:
        MADE[system](data)
    else:
        cli.main(["simulate", system, *size.split(), "-o", str(data)])
    more = ["--data.trajectories", "20"] if steady else []
    options = yaml.safe_load(config.read_text())["model"]
    if options.get("optimizer") == "moments":
        more += ["--model.iterations", "3"]
    elif "optimizer" not in options:
        more += ["--trainer.max_epochs", str(len(options["horizons"]))]  # a stage each
    fit(data, "--trainer.limit_train_batches", "1", "--trainer.accelerator", "cpu", *more, config=config)
    (run,) = read_runs("morlight")
    assert (run.status, run.name) == ("FINISHED", config.stem)


def test_validate_and_test_take_a_checkpoint(folder, heat_file, capsys):
    fit(heat_file)
    for task in ("validate", "test"):
        cli.main([task, "--config", "short.yaml", "--data.path", str(heat_file), "--ckpt_path", "last"])
        assert {"validate": "val_loss/median", "test": "test_loss/median"}[task] in capsys.readouterr().out


def test_horizons_change_from_stage_to_stage(folder, heat_file, monkeypatch):
    from morlight.data.windows import Windows

    seen = []
    at = Windows.at
    monkeypatch.setattr(Windows, "at", lambda self, index, offsets: (seen.append(offsets), at(self, index, offsets))[1])
    fit(heat_file, "--model.loss", "points", "--data.validation", "0")
    trained = [offsets[1] for offsets in seen if len(offsets) == 2]
    stages = [m for i, m in enumerate(trained) if i == 0 or trained[i - 1] != m]
    assert stages == [1, 2, 4]


BAD = {
    "unknown key": (["--model.wdth", "3"], "wdth"),
    "unknown bias": (["--model.biases", "[conservatism]"], "conservatism"),
    "unknown activation": (["--model.activation", "sine"], "sine"),
    "unknown symbol": (["--model.symbol", "round"], "round"),
    "unknown loss": (["--model.loss", "hinge"], "hinge"),
    "no horizon": (["--model.horizons", "[0]"], "horizons"),
    "horizon beyond the data": (["--model.horizons", "[1, 2, 400]"], "too few"),
    "fewer epochs than horizons": (["--trainer.max_epochs", "2"], "max_epochs"),
    "no batch": (["--data.batch", "0"], "batch"),
    "unknown field": (["--data.fields", "[mass]"], "mass"),
    "all held out": (["--data.test", "1.0"], "data.test"),
    "nothing to continue": (["--ckpt_path", "last"], "last.ckpt"),
    "checkpoint is not there": (["--ckpt_path", "nowhere.ckpt"], "nowhere.ckpt"),
    "not a number": (["--model.lr", "fast"], "lr"),
}


@pytest.mark.parametrize(("words", "named"), BAD.values(), ids=BAD)
def test_bad_input_is_one_sentence_and_status_2_and_writes_nothing(folder, heat_file, capsys, words, named):
    with pytest.raises(SystemExit) as ended:
        fit(heat_file, *words)
    error = capsys.readouterr().err.strip()
    assert ended.value.code == 2
    assert error.startswith("morlight: ")
    assert named in error
    assert "\n" not in error
    assert not (folder / "mlruns").exists()


@pytest.mark.parametrize(("config", "named"), [("absent.yaml", "absent.yaml"), ("broken.yaml", "broken.yaml")])
def test_bad_configuration_file_is_named(folder, heat_file, capsys, config, named):
    (folder / "broken.yaml").write_text("model: [unclosed")
    with pytest.raises(SystemExit) as ended:
        fit(heat_file, config=config)
    assert ended.value.code == 2
    assert named in capsys.readouterr().err


WALLED = ["--model.bases", "{density: sine}", "--model.biases"]


@pytest.mark.parametrize(
    ("fields", "more", "named"),
    [
        (("density",), [*WALLED, "[conservation]"], "conservation of density in a basis of sines"),
        (("density", "mass"), [*WALLED, "[]"], "model.loss is noise"),
        (("density",), ["--model.bases", "{speed: sine}"], "model.bases names speed, expected fields of density"),
        (("density",), ["--model.order", "2"], "each u and then each ∂ₜu"),
        (("density", "mass"), ["--model.biases", "{density: [stability]}"], "stability of coupled fields"),
        (("density", "mass"), ["--model.optimizer", "moments", "--model.horizons", "[1]"], "one field"),
    ],
)
def test_data_that_the_operator_cannot_take_are_refused_before_a_run_begins(folder, capsys, fields, more, named):
    grid = Grid((8,), (1.0,), ("WALL",))
    u = {name: np.random.default_rng(0).random((4, 9, 8)) for name in fields}
    write_trajectories("other.h5", name="other", fields=u, grid=grid, times=np.arange(9) * 0.1, provenance={})
    with pytest.raises(SystemExit) as ended:
        fit("other.h5", *more)
    assert ended.value.code == 2
    assert named in capsys.readouterr().err
    assert not (folder / "mlruns").exists()


def test_checkpoint_of_another_model_is_refused(folder, heat_file, capsys):
    fit(heat_file)
    with pytest.raises(SystemExit) as ended:
        fit(heat_file, "--model.width", "5", "--ckpt_path", "last")
    assert ended.value.code == 2
    assert "model.width is 3 there, 5 in this configuration" in capsys.readouterr().err


def test_fit_says_so_where_the_linear_model_is_better(folder, heat_file, capfd):
    fit(heat_file, "--model.lr", "1e-6", "--data.test", "0.4", "--data.validation", "0.1")
    said = capfd.readouterr().err
    assert "a linear model of each mode by itself is better on data that were held back: over 4 step(s)" in said
    (run,) = read_runs("morlight")
    assert f"morlight: runs:/{run.run_id}, mlruns/fits/" in said
    assert run.metrics["over_linear/median"] > 1 + 2 * run.metrics["over_linear/standard_error"]


def test_fit_says_nothing_where_the_networks_are_as_good(folder, heat_file, capfd):
    moments = ["--model.optimizer", "moments", "--model.horizons", "[4]", "--model.smoothness", "1e-4"]
    fit(heat_file, *moments, "--trainer.max_epochs", "1", "--data.test", "0.4", "--data.validation", "0.1")
    assert "linear model" not in capfd.readouterr().err
    (run,) = read_runs("morlight")
    assert run.metrics["over_linear/median"] < 1 + 2 * run.metrics["over_linear/standard_error"]


def test_linear_start_is_where_the_linear_model_is_and_resuming_does_not_start_again(folder, heat_file):
    short = ["--model.start", "linear", "--model.lr", "1e-6", "--trainer.max_epochs", "3"]
    fit(heat_file, *short)
    fit(heat_file, "--name", "random", "--model.lr", "1e-6")
    near, far = (
        inspection.inspect(prediction.load(checkpoints(folder, name)[-1])).fields["density"].generator
        for name in ("short", "random")
    )
    off = [abs(np.asarray(found.real)[:, 3] / -9 - 1).max() for found in (near, far)]  # −κ² at κ = 3
    assert off[0] < 0.1 < off[1]
    before = weights(checkpoints(folder)[-1])
    fit(heat_file, *short[:-1], "6", "--ckpt_path", "last")
    after = weights(checkpoints(folder)[-1])
    assert all(torch.allclose(before[key], after[key], atol=1e-3) for key in before)


@pytest.mark.parametrize("optimizer", ["moments", "adam"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_field_that_never_varies_is_refused(folder, value, optimizer, capsys):
    grid = Grid((16,), (2 * np.pi,), ("PERIODIC",))
    u = np.full((6, 31, 16), value)
    write_trajectories(
        "flat.h5", name="flat", fields={"density": u}, grid=grid, times=np.arange(31) * 0.1, provenance={}
    )
    with pytest.raises(SystemExit) as end:
        fit("flat.h5", "--model.optimizer", optimizer)
    assert end.value.code == 2
    assert f"flat.h5: field 'density' is {value:g} everywhere, expected one that varies" in capsys.readouterr().err
    assert not Path("mlruns").exists()


@pytest.mark.parametrize("optimizer", ["moments", "adam"])
def test_a_density_of_mean_zero_with_empty_trajectories_is_learned(folder, optimizer, heat_file):
    held = TrajectoryFile.open(heat_file)
    u = TrajectoryFile.open(heat_file).read()[:, :, 0] - 1
    u[2] = 0
    write_trajectories("even.h5", name="even", fields={"density": u}, grid=held.grid, times=held.times, provenance={})
    words = ["--model.optimizer", optimizer, "--model.horizons", "[4]", "--data.seed", "1"]
    fit("even.h5", *words, "--trainer.max_epochs", "1")
    (run,) = read_runs("morlight")
    assert run.status == "FINISHED"
    assert np.isfinite(run.metrics["val_loss/median"])


def test_a_file_cut_short_is_refused_before_a_run_begins(folder, heat_file, capsys):
    whole = heat_file.read_bytes()
    Path("cut.h5").write_bytes(whole[: len(whole) * 9 // 10])
    with pytest.raises(SystemExit) as end:
        fit("cut.h5")
    assert end.value.code == 2
    assert "cut.h5: damaged or cut short" in capsys.readouterr().err
    assert not Path("mlruns").exists()
