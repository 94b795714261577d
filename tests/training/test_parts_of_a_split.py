"""Which trajectories training, validation and test look at, told apart by the losses that the fit reports."""

import re
from dataclasses import replace

import numpy as np
import pytest
import small_fits

from morlight.data.config import DataConfig
from morlight.data.split import split
from morlight.data.trajectory_file import TrajectoryFile
from morlight.training.callbacks.report import nothing_held_back

STEPS, HORIZON = 9, 2


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def sized_fields(count):
    """Trajectories of smooth noise, each 1.7 times as large as the one before: their errors tell which they are."""
    x = np.arange(16) / 16 * 2 * np.pi
    rng = np.random.default_rng(2)
    waves = rng.normal(size=(count, STEPS, 3, 2))
    shapes = np.stack([[np.cos(k * x), np.sin(k * x)] for k in range(1, 4)])
    return 1.7 ** np.arange(count)[:, None, None] * np.einsum("stkp,kpx->stx", waves, shapes)


def window_losses(model, u):
    """Mean square over all windows of two steps of each trajectory (trajectory, realization)."""
    losses = []
    for trajectory in u:
        walk = model.predict(trajectory[:-HORIZON, None], HORIZON, every=HORIZON)[:, :, -1, 0]
        losses.append(np.square(walk - trajectory[HORIZON:]).mean((1, 2)))
    return np.array(losses)


def end_errors(model, u, **more):
    """Relative error of the last frame of all trajectories together, from the first one alone."""
    walk = model.predict(u[:, 0, None], STEPS - 1, every=STEPS - 1, **more)[:, :, -1, 0]
    return np.linalg.norm((walk - u[:, -1]).reshape(len(walk), -1), axis=1) / np.linalg.norm(u[:, -1])


def test_validation_test_and_training_each_see_their_own_trajectories_and_together_all(folder):
    u = sized_fields(10)
    path = small_fits.write("u.h5", {"u": u})
    found = small_fits.fit(path, {"data.validation": 0.1, "data.test": 0.1})
    losses = window_losses(found.model, u)
    validated, tested, trained = (found.per_realization(name) for name in ("val_loss", "rollout_end", "train_loss"))
    ends = np.array([end_errors(found.model, u[row : row + 1]) for row in range(10)])
    (held,) = [row for row in range(10) if np.allclose(losses[row], validated, rtol=1e-8)]
    (test,) = [row for row in range(10) if np.allclose(ends[row], tested, rtol=1e-8)]
    assert held != test
    rest = [row for row in range(10) if row not in (held, test)]
    assert np.allclose(losses[rest].mean(0), trained, rtol=1e-8)


def test_a_trajectory_that_is_held_out_and_left_out_is_nowhere(folder):
    u = sized_fields(6)
    rate, seed = [1.0, 1.0, 1.0, 3.0, 3.0, 3.0], [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]
    path = small_fits.write("u.h5", {"u": u}, parameters={"rate": rate, "seed": seed})
    found = small_fits.fit(path, {"data.held_out": {"rate": 3.0}, "data.left_out": {"seed": 3.0}})
    assert np.allclose(found.per_realization("rollout_end"), end_errors(found.model, u[3:5]), rtol=1e-8)
    assert np.allclose(found.per_realization("train_loss"), window_losses(found.model, u)[:2].mean(0), rtol=1e-8)


@pytest.mark.parametrize("memory", [4.0, 1e-6])
def test_every_epoch_takes_every_window_once_and_in_an_order_of_its_own(folder, memory):
    u = sized_fields(4)
    one_by_one = {"data.batch": 1, "trainer.max_epochs": 3, "trainer.log_every_n_steps": 1, "data.memory": memory}
    found = small_fits.fit(small_fits.write("u.h5", {"u": u}), {**one_by_one, "model.realizations": 1})
    steps, losses = small_fits.history(found.run_id, "loss")
    windows = 4 * (STEPS - HORIZON)
    assert steps == list(range(3 * windows))
    first, second, third = np.reshape(losses, (3, windows))
    assert np.allclose(np.sort(first), np.sort(second), rtol=1e-6)
    assert np.allclose(np.sort(first), np.sort(third), rtol=1e-6)
    assert not np.allclose(first, second, rtol=1e-3)
    assert not np.allclose(second, third, rtol=1e-3)


def test_blocks_that_are_cut_short_by_the_end_of_a_trajectory_are_read_as_they_are(folder):
    # pools of 528 frames in blocks of 6 windows and 8 frames, of which 58 windows fill nine and a part of one
    rng = np.random.default_rng(0)
    u = 1.3 ** np.arange(20)[:, None, None] * rng.normal(size=(20, 60, 16))
    path = small_fits.write("u.h5", {"u": u})
    changes = {"data.batch": 40, "model.realizations": 1, "trainer.max_epochs": 1}
    in_single_precision = u.size * 4
    memory = 2 * 528 * 16 * 4
    assert in_single_precision > memory  # so that it is read in blocks
    losses = [
        small_fits.fit(path, {**changes, "data.memory": given}, name).per_realization("train_loss")
        for name, given in (("whole", 4.0), ("blocks", memory / 2**30))
    ]
    assert u.shape[0] * (60 - HORIZON) % 40 == 0  # batches of the same size, whose mean is that of all windows
    assert np.allclose(*losses, rtol=1e-6)


def test_one_trajectory_is_validated_and_tested_on_its_own_later_times(folder):
    rng = np.random.default_rng(3)
    u = np.exp(np.linspace(0, 4, 40))[:, None] * rng.normal(size=(40, 16))  # growing: the errors tell the times apart
    path = small_fits.write("u.h5", {"u": u[None]})
    found = small_fits.fit(path, {"data.validation": 0.1, "data.test": 0.2, "model.horizons": [8]})
    walk = found.model.predict(u[28:29, None], 3, every=3)[:, 0, -1, 0]  # 4 frames hold windows of 3 steps, not of 8
    assert np.allclose(found.per_realization("val_loss"), np.square(walk - u[31]).mean(1), rtol=1e-6)
    walk = found.model.predict(u[32:33, None], 7, every=7)[:, 0, -1, 0]
    errors = np.linalg.norm(walk - u[39], axis=1) / np.linalg.norm(u[39])
    assert np.allclose(found.per_realization("rollout_end"), errors, rtol=1e-6)


def test_the_setting_named_where_nothing_is_held_back_holds_data_back(folder):
    file = TrajectoryFile.open(small_fits.write("u.h5", {"u": sized_fields(4)}))
    config = DataConfig(path="u.h5")
    assert not split(file, config).trajectories("test")  # few trajectories, of few frames
    key, value = re.findall(r"with data\.(\w+) (\w+),", nothing_held_back(config))[0]
    assert split(file, replace(config, **{key: value})).trajectories("test") == [0, 1, 2, 3]
    assert "with data." not in nothing_held_back(replace(config, test=0.0))
