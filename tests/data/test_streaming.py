"""Windows read from the file in blocks: the same ones, each once, in another order, within the memory."""

import numpy as np
import pytest
import torch

from morlight.analysis import model as prediction
from morlight.cli import main as cli
from morlight.data.streaming import FileFrames, PoolLoader
from morlight.data.trajectory_file import TrajectoryFile
from morlight.data.trajectory_writer import write
from morlight.data.windows import MemoryFrames, Windows
from morlight.operators.description import Grid
from morlight.tracking.runs import read_runs


def counted(trajectories=5, frames=40):
    """Fields whose value tells trajectory and frame: 100 · trajectory + frame."""
    u = 100.0 * torch.arange(trajectories)[:, None] + torch.arange(frames)
    return u[:, :, None, None].expand(-1, -1, 2, 4).contiguous()


def streamed(tmp_path, u, rows, gamma=None):
    """Windows of these fields in a file, and their frames."""
    fields = {name: u[:, :, c].numpy() for c, name in enumerate(("a", "b"))}
    grid = Grid((u.shape[-1],), (1.0,), ("PERIODIC",))
    write(tmp_path / "u.h5", name="u", fields=fields, grid=grid, times=np.arange(u.shape[1]) * 0.1, provenance={})
    frames = FileFrames(TrajectoryFile.open(tmp_path / "u.h5"), ("a", "b"))
    return Windows(frames, rows, torch.zeros(len(u), 0) if gamma is None else gamma), frames


@pytest.mark.parametrize("offsets", [(0, 1), (0, 3), (0, 2, 5)])
def test_windows_of_the_file_are_those_in_memory(tmp_path, offsets):
    u, rows = counted(), torch.tensor([0, 2, 4])
    there = Windows(MemoryFrames(u), rows, torch.zeros(len(u), 0))
    here = streamed(tmp_path, u, rows)[0]
    assert here.count(offsets[-1]) == there.count(offsets[-1])
    index = torch.randperm(there.count(offsets[-1]))[:30]
    assert torch.equal(here.at(index, offsets), there.at(index, offsets))
    assert torch.equal(here.parameters(index, offsets[-1]), there.parameters(index, offsets[-1]))


@pytest.mark.parametrize("memory", [1, 4_000, 10_000, 10**9])
@pytest.mark.parametrize("offsets", [(0, 1), (0, 2, 5)])
def test_an_epoch_holds_every_window_once_whatever_the_memory(tmp_path, memory, offsets):
    u, rows = counted(), torch.tensor([0, 2, 4])
    windows, read = streamed(tmp_path, u, rows, torch.arange(5.0)[:, None])
    loader = PoolLoader(windows, read, offsets, 7, memory, seed=3)
    batches = list(loader)
    assert len(batches) == len(loader)
    assert {batch[0].shape[1] for batch in batches[:-1]} == {7}
    frames = torch.cat([batch[0][:, :, 0, 0] for batch in batches], 1)
    for m, line in zip(offsets, frames, strict=True):
        assert torch.equal(line, frames[0] + m)
    expected = [100.0 * row + j for row in rows.tolist() for j in range(40 - offsets[-1])]
    assert sorted(frames[0].tolist()) == expected
    gamma = torch.cat([batch[1] for batch in batches])
    assert torch.equal(gamma[:, 0], frames[0].div(100, rounding_mode="floor"))


def test_no_pool_takes_more_than_half_the_memory(tmp_path):
    u, memory = counted(20, 200), 40_000
    windows, frames = streamed(tmp_path, u, torch.arange(20))
    loader = PoolLoader(windows, frames, (0, 3), 10, memory, seed=0)
    pools = list(loader._pools(torch.Generator().manual_seed(0)))
    assert len(pools) > 2
    assert max(pool.frames.numel() * 4 for pool in pools) <= memory / 2
    assert all(len(pool.trajectory.unique()) > 1 for pool in pools[:-1])  # neighbors are strangers


def test_the_seed_decides_the_order(tmp_path):
    windows, frames = streamed(tmp_path, counted(), torch.arange(5))
    first, again, other = (
        torch.cat([batch.frames[0, :, 0, 0] for batch in PoolLoader(windows, frames, (0, 1), 7, 10_000, seed)])
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(("batch", "world"), [(6, 2), (6, 3), (7, 2), (97, 2)])  # of 195 windows: the last may join
def test_processes_share_every_batch_and_see_each_window_once(tmp_path, batch, world):
    windows, frames = streamed(tmp_path, counted(), torch.arange(5))
    shares = [list(PoolLoader(windows, frames, (0, 1), batch, 10_000, 1, rank, world)) for rank in range(world)]
    whole = torch.cat([u for u, *_ in PoolLoader(windows, frames, (0, 1), batch, 10_000, 1)], 1)
    together = torch.cat([share[step][0] for step in range(len(shares[0])) for share in shares], 1)
    assert {len(share) for share in shares} == {len(PoolLoader(windows, frames, (0, 1), batch, 10_000, 1, 0, world))}
    assert torch.equal(together, whole)
    assert len(whole[0, :, 0, 0].unique()) == 5 * 39


@pytest.mark.parametrize(("words", "tolerance"), [("moments", 1e-6), ("adam", 0.02)])
def test_a_fit_does_not_depend_on_streaming(tmp_path, monkeypatch, words, tolerance):
    # moments add up in another order; Adam sees the windows in another order
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    cli.main("simulate levy --dimensions 1 --sets 20 --walkers 4000 --steps 60 --bins 32 -o a.h5".split())  # noqa: SIM905
    common = "--data.path a.h5 --model.biases [conservation,reflection] --trainer.enable_progress_bar false"
    common += " --trainer.accelerator cpu --model.realizations 2 --trainer.max_epochs 4 --model.horizons [2]"
    common += f" --model.optimizer {words} --model.iterations 5 --data.batch 20"
    for name, memory in (("memory", 4), ("stream", 1e-4)):
        cli.main(["fit", *common.split(), "--name", name, "--data.memory", str(memory)])
    runs = {run.name: run.metrics for run in read_runs("morlight")}
    assert runs["stream"]["train_loss/median"] == pytest.approx(runs["memory"]["train_loss/median"], rel=tolerance)
    models = [prediction.load(next((tmp_path / "mlruns/fits" / name).glob("*/best.ckpt"))) for name in runs]
    fields = [model.data.fields[0] for model in models]
    assert fields[0].scale == pytest.approx(fields[1].scale, rel=1e-6)
    np.testing.assert_allclose(fields[0].quantiles, fields[1].quantiles, rtol=1e-6)


def test_memory_that_is_none_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cli.main(["simulate", "brownian", "--sets", "2", "--walkers", "100", "--steps", "4", "--bins", "16", "-o", "a.h5"])
    with pytest.raises(SystemExit) as ended:
        cli.main(["fit", "--data.path", "a.h5", "--model.biases", "[]", "--data.memory", "0"])
    assert ended.value.code == 2
    assert "data.memory" in capsys.readouterr().err
