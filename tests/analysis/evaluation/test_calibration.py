"""Ensembles beside data with the same noise, and with less and more than they have."""

import dataclasses
import json

import exact
import numpy as np
import pytest
import small
import torch

from morlight.analysis.evaluation.calibration import calibration
from morlight.analysis.model import load
from morlight.cli import main as cli
from morlight.data.trajectory_file import TrajectoryFile
from morlight.data.trajectory_writer import write
from morlight.operators.fluctuations import Fluctuations, ModeFluctuations

GRID = small.grid((16,))
SIZE = 0.3


def forgetting(path, factor=1.0):
    """A file of 60 trajectories of u ↦ u/2 + noise, and the model with `factor` times this noise."""
    rng = np.random.default_rng(4)
    u = np.ones((60, 9, 16))
    for frame in range(1, 9):
        u[:, frame] = u[:, frame - 1] / 2 + SIZE * rng.normal(size=(60, 16))
    write(path, name="noise", fields={"u0": u}, grid=GRID, times=0.1 * np.arange(9), provenance={})
    model = exact.model(GRID, lambda kappa: torch.full_like(kappa[0], -0.5))
    white = torch.full((1, 1, 9, 1, 1), (factor * SIZE) ** 2 * GRID.length[0] / 16).double()
    part = ModeFluctuations((0,), "cosine", (False,), white, 0 * white, *exact.additive(), 0 * white[..., 0])
    noise = Fluctuations((0.0,), (part,))
    return dataclasses.replace(model, checkpoint=dataclasses.replace(model.checkpoint, fluctuations=noise))


def test_data_with_the_noise_of_the_model_have_uniform_ranks_and_spread_over_error_1(tmp_path):
    model = forgetting(tmp_path / "u.h5")
    found = calibration(model, TrajectoryFile.open(tmp_path / "u.h5"), 60)
    assert [each.time for each in found.times] == pytest.approx([0.1, 0.2, 0.8])
    for each in found.times:
        assert sum(each.ranks) == 60 * 16
        assert each.p_value > 1e-3
        assert abs(each.spread_over_error - 1) < 4 * each.standard_error
        assert each.standard_error == pytest.approx(1 / np.sqrt(2 * 60 * 16), rel=0.3)


def test_the_ensembles_of_all_times_are_one_roll_out(tmp_path):
    model, file = forgetting(tmp_path / "u.h5"), TrajectoryFile.open(tmp_path / "u.h5")
    start = file.read(["u0"])[:, 0].astype(np.float64)
    u = model.predict(start, 8, fluctuations=20, seed=5)[0]
    found = calibration(model, file, 20, seed=5)
    for each, frame in zip(found.times, (1, 2, 8), strict=True):
        noise = u[:, :, frame].var(0, ddof=1).sum((1, 2)) / np.square(u[:, :, frame].mean(0)).sum((1, 2))
        assert each.ceiling["u0"] == pytest.approx(np.sqrt(noise.mean()), rel=1e-9)


@pytest.mark.parametrize(("factor", "ratio"), [(0.7, 0.7), (1.5, 1.5)])
def test_too_little_and_too_much_noise_are_seen(tmp_path, factor, ratio):
    model = forgetting(tmp_path / "u.h5", factor)
    for each in calibration(model, TrajectoryFile.open(tmp_path / "u.h5"), 60).times:
        assert each.p_value < 1e-6
        assert each.spread_over_error == pytest.approx(ratio, rel=0.1)


def test_the_noise_of_one_run_is_the_spread_relative_to_the_mean(tmp_path):
    (first, *_) = calibration(forgetting(tmp_path / "u.h5"), TrajectoryFile.open(tmp_path / "u.h5"), 200).times
    assert first.ceiling["u0"] == pytest.approx(SIZE / 0.5, rel=0.02)


def test_the_command_prints_the_calibration(tmp_path, capsys):
    known = forgetting(tmp_path / "u.h5").checkpoint.fluctuations
    data = small.description(("u0",), where=GRID)
    path = small.save(tmp_path / "model.ckpt", small.operator(data, size=0.1), data)
    small.mark(path, fluctuations=known.only([0, 0]).to_plain())
    words = ["evaluate", str(path), "--data", str(tmp_path / "u.h5"), "--fluctuations", "10", "--seed", "3"]
    cli.main(words)
    assert "ensembles of 20 members" in capsys.readouterr().out
    cli.main([*words, "--json"])
    shown = json.loads(capsys.readouterr().out)["calibration"]
    expected = calibration(load(path), TrajectoryFile.open(tmp_path / "u.h5"), 10, seed=3)
    assert shown["times"][0]["ranks"] == list(expected.times[0].ranks)


def test_too_few_members_or_frames_are_refused(tmp_path):
    model = forgetting(tmp_path / "u.h5")
    with pytest.raises(ValueError, match="fluctuations are 5, expected 9 or more"):
        calibration(model, TrajectoryFile.open(tmp_path / "u.h5"), 5)
    u = np.ones((2, 3, 16)) + np.random.default_rng(0).normal(size=(2, 3, 16))
    write(tmp_path / "short.h5", name="u", fields={"u0": u}, grid=GRID, times=0.1 * np.arange(3), provenance={})
    with pytest.raises(ValueError, match="has 3 frames, expected 5 or more"):
        calibration(model, TrajectoryFile.open(tmp_path / "short.h5"), 50)


@pytest.mark.parametrize(("frames", "times"), [(5, [0.1, 0.4]), (7, [0.1, 0.2, 0.6]), (8, [0.1, 0.2, 0.7])])
def test_times_are_distinct_and_end_with_the_last_frame(tmp_path, frames, times):
    model = forgetting(tmp_path / "u.h5")
    file = TrajectoryFile.open(tmp_path / "u.h5").during(range(frames))
    found = calibration(model, file, 60)
    assert [each.time for each in found.times] == pytest.approx(times)
    assert all(each.p_value > 1e-3 for each in found.times)


def test_too_few_members_are_counted_over_all_realizations(tmp_path):
    known = forgetting(tmp_path / "u.h5").checkpoint.fluctuations
    data = small.description(("u0",), where=GRID)
    path = small.save(tmp_path / "model.ckpt", small.operator(data, size=0.1), data)
    small.mark(path, fluctuations=known.only([0, 0]).to_plain())
    with pytest.raises(ValueError, match=r"are 4, expected 5 or more .* since 2 realizations have 2 times as many"):
        calibration(load(path), TrajectoryFile.open(tmp_path / "u.h5"), 4)


def test_a_single_trajectory_has_no_standard_error(tmp_path):
    model = forgetting(tmp_path / "u.h5")
    for each in calibration(model, TrajectoryFile.open(tmp_path / "u.h5"), 60, rows=[3]).times:
        assert each.standard_error is None
        assert sum(each.ranks) == 16
