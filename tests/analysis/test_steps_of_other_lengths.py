"""Models of a generator make steps of any length; others refuse, and old checkpoints stay what they were."""

import heat
import numpy as np
import pytest
import small
import torch

import morlight
from morlight.analysis import inspection
from morlight.analysis.evaluation.evaluate import evaluate
from morlight.cli import main as cli
from morlight.data import trajectory_writer
from morlight.data.trajectory_file import TrajectoryFile
from morlight.operators import slopes

RATE = 0.3


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model of redrawn weights whose L/Δt is the generator."""
    path = tmp_path_factory.mktemp("model") / "model.ckpt"
    data = small.description(dt=0.1)
    return small.model(path, data, activation="tanh", terms=2, scheme="exponential", substeps=4)


def state():
    return np.cos(np.arange(32) * 2 * np.pi / 32) + 0.4


def test_steps_of_other_lengths_follow_the_same_solution(model):
    end = model.predict(state(), 12, every=12)[:, -1]
    for dt, steps in ((0.05, 24), (0.2, 6), (0.3, 4), (1.2, 1)):
        other = model.stepping(dt).predict(state(), steps, every=steps)[:, -1]
        assert np.abs(other - end).max() < 1e-7 * np.abs(end - state()).max()
    assert model.stepping(0.3).dt == 0.3
    assert np.abs(end - state()).max() > 0.1


def test_models_of_a_step_refuse_another_length(tmp_path):
    explicit = small.model(tmp_path / "explicit.ckpt")
    with pytest.raises(
        ValueError, match=r"learned steps of Δt = 0.1 .*not 0.05; expected a model of scheme exponential"
    ):
        explicit.stepping(0.05)


@pytest.mark.parametrize("dt", [0.0, -1.0, float("nan"), float("inf")])
def test_lengths_that_are_no_time_are_refused(model, dt):
    with pytest.raises(ValueError, match="expected a time above 0"):
        model.stepping(dt)


def test_the_command_predicts_with_another_step(model, tmp_path):
    np.save(tmp_path / "u.npy", state())
    words = ["predict", str(model.path), "--initial", str(tmp_path / "u.npy"), "--steps", "4", "--dt", "0.05"]
    cli.main([*words, "-o", str(tmp_path / "later.h5")])
    file = TrajectoryFile.open(tmp_path / "later.h5")
    assert file.times.tolist() == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])
    assert np.allclose(file.read(["density"])[:, -1, 0], model.predict(state(), 2)[:, -1], atol=1e-5)


def test_data_between_the_steps_are_evaluated_with_steps_of_their_own(model, tmp_path):
    walk = model.stepping(0.07).predict(state(), 5)
    trajectory_writer.write(
        tmp_path / "other.h5", name="other", fields={"density": walk}, grid=model.grid,
        times=np.arange(6) * 0.07, provenance={"generator": "test"},
    )  # fmt: skip
    errors = evaluate(model, tmp_path / "other.h5", rows=[0]).errors["rollout_end"].per_realization
    assert errors[0] < 1e-6  # the file is in single precision
    assert errors[1] > 1e-3  # the other realization made another trajectory


def test_the_generator_is_the_symbol_over_the_step(tmp_path):
    one = small.model(tmp_path / "one.ckpt", activation="tanh", scheme="exponential")
    (shown,) = inspection.inspect(one).fields.values()
    quantiles = torch.tensor(one.data.fields[0].quantiles, dtype=torch.float64)
    due = one.operator.symbol()[:, 0, 0] * slopes(one.operator, quantiles) / one.dt
    found = np.array(shown.generator.real) + 1j * np.array(shown.generator.imag)
    assert np.allclose(found, due.numpy(), rtol=1e-9)


def test_checkpoints_without_the_option_predict_as_before(tmp_path):
    path = heat.checkpoint(tmp_path / "heat.ckpt")
    before = morlight.load(str(path)).predict(heat.wave(), 3)
    saved = torch.load(path, weights_only=True)
    del saved["morlight"]["operator"]["substeps"]
    torch.save(saved, path)
    assert np.array_equal(morlight.load(str(path)).predict(heat.wave(), 3), before)


def test_a_program_is_not_written_of_exponential_steps(model, tmp_path, capsys):
    with pytest.raises(SystemExit):
        cli.main(["export", str(model.path), "-o", str(tmp_path / "model.pt2")])
    assert "steps are exponential, expected explicit ones" in capsys.readouterr().err


def test_a_fit_with_one_step_predicts_with_half_and_twice_and_reads_the_generator(tmp_path, monkeypatch):
    """∂ₜu = 0.3 Δu, as the decay of each wave; in the Δt of training, 0.4, the fastest one falls to 5 %."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    x, t, k = np.arange(16) * 2 * np.pi / 16, np.arange(0, 4.01, 0.2), np.arange(1, 6)
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, (6, 5))
    waves = np.cos(k * x[:, None] + phases[:, None, :]) / k  # (set, x, k)
    u = 1 + 0.3 * (waves[:, None] * np.exp(-RATE * k**2 * t[:, None])[None, :, None]).sum(-1)
    for name, sets, share in (("train", slice(5), 2), ("half", slice(5, 6), 1), ("twice", slice(5, 6), 4)):
        morlight.write(f"{name}.h5", {"u": u[sets, ::share]}, dt=0.2 * share, length=2 * np.pi, boundaries="periodic")
    model = morlight.fit("train.h5", {
        "model.scheme": "exponential", "model.biases": ["conservation", "reflection", "isotropy", "stability", "band"],
        "model.loss": "points", "model.horizons": [1], "model.realizations": 1, "model.width": 3, "model.depth": 2,
        "model.lr": 0.05, "model.smoothness": 0, "data.batch": 5, "data.validation": 0, "data.test": 0,
        "trainer.max_epochs": 15, "trainer.accelerator": "cpu", "trainer.enable_progress_bar": False,
        "trainer.precision": "64-true",
    }).model  # fmt: skip
    for file in ("half.h5", "twice.h5"):
        assert evaluate(model, file).errors["rollout_end"].median < 3e-3
    (field,) = inspection.inspect(model).fields.values()
    assert field.generator.real[0][1:4] == pytest.approx([-RATE, -4 * RATE, -9 * RATE], rel=0.05)
    assert field.generator.real[0][6:] == (0.0,) * 3  # of κ > 5, which the data lack
    assert model.checkpoint.growth.method == "steps"
    assert model.checkpoint.growth.per_realization[0] <= 1 + 1e-12
