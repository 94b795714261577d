"""Statistics of trajectories that come in blocks are those of the whole ones; frames of a file are read in blocks."""

import numpy as np
import pytest
import torch

from morlight.data import statistics, streaming
from morlight.data.streaming import FileFrames
from morlight.data.trajectory_file import TrajectoryFile


def test_blocks_of_trajectories_have_the_statistics_of_numpy(monkeypatch):
    monkeypatch.setattr(statistics, "THINNED", 500)
    u = np.random.default_rng(0).normal(3, 2, (3, 40, 2, 5, 4))
    blocks = ([torch.from_numpy(part) for part in np.split(each, [7, 20])] for each in u)
    seen, whole = statistics.sizes(blocks, 120), statistics.sizes(([torch.from_numpy(each)] for each in u), 120)
    for one, other in zip(vars(seen).values(), vars(whole).values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-14, atol=0)
    axes = (1, 3, 4)
    assert seen.squares.numpy() == pytest.approx((u**2).mean(axes), rel=1e-14)
    assert seen.spreads.numpy() == pytest.approx(u.var(axes), rel=1e-13)
    assert np.array_equal(seen.largest, np.abs(u).max(axes))
    assert np.array_equal([seen.low, seen.high], [u.min((0, *axes)), u.max((0, *axes))])


def test_windows_are_the_same_however_few_frames_are_read_at_once(heat_file, monkeypatch):
    frames = FileFrames(TrajectoryFile.open(heat_file), ("density",))
    rows, starts = torch.tensor([4, 0, 4, 4, 0, 2]), torch.tensor([20, 3, 0, 28, 25, 10])
    whole = frames.at(rows, starts, (0, 1, 2))
    monkeypatch.setattr(streaming, "READ", 5 * 32)
    assert torch.equal(frames.at(rows, starts, (0, 1, 2)), whole)
    assert torch.equal(torch.cat(list(frames.blocks(1, 31))), frames.read(1, 0, 31))
    assert [len(block) for block in frames.blocks(1, 31)] == [5] * 6 + [1]
