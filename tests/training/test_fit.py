"""Whole fits through the command line's own entry, on a small file of noisy heat."""

import numpy as np
import pytest
import small_fits
import torch
from short_fits import checkpoints, fit, weights

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


def test_fit_is_one_finished_run_with_config_data_metrics_and_checkpoint(fits, heat_file):
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


def test_last_checkpoint_is_of_the_last_epoch_whatever_the_validation_says(fits, heat_file):
    fit(heat_file, "--model.lr", "1e-9", "--trainer.max_epochs", "6")
    (path,) = checkpoints(fits)
    assert torch.load(path, weights_only=True)["epoch"] == 5


def test_checkpoint_holds_plain_values_and_all_that_prediction_needs(fits, heat_file):
    fit(heat_file)
    (path,) = checkpoints(fits)
    saved = torch.load(path, weights_only=True)
    data = saved["morlight"]["data"]
    assert data["grid"]["points"] == [32]
    assert data["dt"] == pytest.approx(0.01)
    assert len(data["fields"]) == 1


def test_fit_learns_the_heat_equation(fits, heat_file):
    fit(heat_file, "--trainer.max_epochs", "60", "--data.batch", "5", "--model.width", "8")
    (path,) = checkpoints(fits)
    model = prediction.load(path)
    kappa = torch.arange(1, 8)
    (found,) = inspection.readings(model)
    ratio = -found.symbol[:, kappa].real / kappa.square().numpy()
    assert ratio == pytest.approx(1, abs=0.05)  # noise of 1e-3 in each frame biases the slow mode by 1 %


def test_planes_are_learned_and_predicted_as_lines_are(fits):
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


def test_heat_in_space_is_learned_from_three_fields_of_24_cubed_points(fits):
    N, times = 24, np.arange(5) * 0.02
    kappa = np.stack(np.meshgrid(*[np.fft.fftfreq(N, 1 / N)] * 2, np.arange(N // 2 + 1), indexing="ij"))
    squared = np.square(kappa).sum(0)
    start = np.fft.rfftn(np.random.default_rng(0).normal(size=(3, N, N, N)), axes=(1, 2, 3))
    start[:, squared > 9], start[:, 0, 0, 0] = 0, N**3
    u = np.fft.irfftn(start[:, None] * np.exp(-squared * times[:, None, None, None]), s=(N,) * 3, axes=(2, 3, 4))
    morlight.write("space.h5", {"u": u}, dt=0.02, length=2 * np.pi, boundaries="periodic")
    model = {"optimizer": "moments", "biases": ["conservation", "isotropy"], "horizons": [1], "loss": "points",
             "smoothness": 0, "realizations": 1, "width": 3, "depth": 3, "iterations": 40}  # fmt: skip
    data = {"validation": 0, "test": 0.3}
    result = morlight.fit(
        "space.h5", {"model": model, "data": data, "trainer": {"max_epochs": 1, "accelerator": "cpu"}}
    )
    (later,) = result.model.predict(u[0, 0], 4, every=4)
    assert np.abs(later[1] - u[0, 4]).max() < 0.01 * np.abs(u[0, 0] - 1).max()


def test_realizations_side_by_side_are_the_single_runs(fits, heat_file):
    more = ["--trainer.precision", "64-true", "--data.seed", "0"]
    fit(heat_file, *more, "--model.realizations", "3", "--name", "together")
    (together,) = checkpoints(fits, "together")
    for r in range(3):
        fit(heat_file, *more, "--model.realizations", "1", "--model.seed", str(r), "--name", f"single{r}")
        (single,) = checkpoints(fits, f"single{r}")
        for key, value in weights(single).items():
            # rounding alone, but Adam takes a gradient that is nothing but rounding for a step of lr·1e-16/ε and more
            if key != "operator.scale":
                assert torch.allclose(weights(together)[key][r], value[0], rtol=0, atol=1e-6), key


def test_divergence_ends_the_fit_with_a_sentence_and_a_failed_run(fits, heat_file, capsys):
    with pytest.raises(SystemExit) as ended:
        fit(heat_file, "--model.symbol", "plain", "--model.lr", "1e30", "--model.loss", "points")
    assert ended.value.code == 1
    assert "is not finite at epoch" in capsys.readouterr().err
    assert [run.status for run in read_runs("morlight")] == ["FAILED"]


def test_validate_and_test_take_a_checkpoint(fits, heat_file, capsys):
    fit(heat_file)
    for task in ("validate", "test"):
        cli.main([task, "--config", "short.yaml", "--data.path", str(heat_file), "--ckpt_path", "last"])
        assert {"validate": "val_loss/median", "test": "test_loss/median"}[task] in capsys.readouterr().out


def test_horizons_change_from_stage_to_stage(fits, heat_file, monkeypatch):
    from morlight.data.windows import MemoryFrames

    seen, at = [], MemoryFrames.at
    monkeypatch.setattr(MemoryFrames, "at", lambda self, *places: (seen.append(places[-1]), at(self, *places))[1])
    fit(heat_file, "--model.loss", "points", "--data.validation", "0")
    trained = [offsets[1] for offsets in seen if len(offsets) == 2]
    stages = [m for i, m in enumerate(trained) if i == 0 or trained[i - 1] != m]
    assert stages == [1, 2, 4]


def test_fit_says_so_where_the_linear_model_is_better(fits, heat_file, capfd):
    fit(heat_file, "--model.lr", "1e-6", "--data.test", "0.4", "--data.validation", "0.1")
    said = capfd.readouterr().err
    assert "a linear model of each mode by itself is better on data that were held back: over 4 step(s)" in said
    (run,) = read_runs("morlight")
    assert f"morlight: runs:/{run.run_id}, mlruns/fits/" in said
    assert run.metrics["over_linear/median"] > 1 + 2 * run.metrics["over_linear/standard_error"]


def test_fit_says_nothing_where_the_networks_are_as_good(fits, heat_file, capfd):
    moments = ["--model.optimizer", "moments", "--model.horizons", "[4]", "--model.smoothness", "1e-4"]
    fit(heat_file, *moments, "--trainer.max_epochs", "1", "--data.test", "0.4", "--data.validation", "0.1")
    assert "linear model" not in capfd.readouterr().err
    (run,) = read_runs("morlight")
    assert run.metrics["over_linear/median"] < 1 + 2 * run.metrics["over_linear/standard_error"]


@pytest.mark.parametrize("optimizer", ["moments", "adam"])
def test_a_density_of_mean_zero_with_empty_trajectories_is_learned(fits, optimizer, heat_file):
    held = TrajectoryFile.open(heat_file)
    u = TrajectoryFile.open(heat_file).read()[:, :, 0] - 1
    u[2] = 0
    write_trajectories("even.h5", name="even", fields={"density": u}, grid=held.grid, times=held.times, provenance={})
    words = ["--model.optimizer", optimizer, "--model.horizons", "[4]", "--data.seed", "1"]
    fit("even.h5", *words, "--trainer.max_epochs", "1")
    (run,) = read_runs("morlight")
    assert run.status == "FINISHED"
    assert np.isfinite(run.metrics["val_loss/median"])
