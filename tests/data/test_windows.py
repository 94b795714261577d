import numpy as np
import pytest
import torch

from morlight.data.config import DataConfig
from morlight.data.datamodule import TrajectoryDataModule
from morlight.data.trajectory_file import TrajectoryFile
from morlight.data.trajectory_writer import write
from morlight.data.windows import BatchLoader, MemoryFrames, Pairs, Windows, batch_sizes
from morlight.operators.description import Grid


def counted(trajectories=5, frames=9):
    """Fields whose value tells trajectory and frame: 100 · trajectory + frame."""
    u = 100.0 * torch.arange(trajectories)[:, None] + torch.arange(frames)
    return u[:, :, None, None].expand(-1, -1, 2, 4).contiguous()


def windows(u=None, rows=None, gamma=None):
    u = counted() if u is None else u
    rows = torch.arange(len(u)) if rows is None else rows
    return Windows(MemoryFrames(u), rows, torch.zeros(len(u), 0) if gamma is None else gamma)


@pytest.mark.parametrize("horizon", [1, 3, 8])
def test_windows_are_the_frames_that_plain_slicing_gives(horizon):
    u, rows = counted(), torch.tensor([0, 2, 4])
    served = windows(u, rows)
    expected = [(u[r, j], u[r, j + horizon]) for r in rows for j in range(9 - horizon)]
    assert served.count(horizon) == len(expected)
    first, last = served.at(torch.arange(len(expected)), (0, horizon))
    for i, (start, end) in enumerate(expected):
        assert torch.equal(first[i], start)
        assert torch.equal(last[i], end)


def test_frames_within_a_window_come_in_the_order_of_their_offsets():
    frames = windows(rows=torch.tensor([3])).at(torch.tensor([0, 4]), (0, 1, 4))
    assert frames[:, :, 0, 0].tolist() == [[300, 304], [301, 305], [304, 308]]


def test_there_is_no_window_longer_than_the_trajectory():
    assert windows().count(9) == 0


@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_share_every_batch_and_see_each_window_once(world):
    served, order = windows(), torch.randperm(30)
    shares = [[b.frames for b in BatchLoader(served, order, (0, 3), 6, rank, world)] for rank in range(world)]
    whole = [b.frames for b in BatchLoader(served, order, (0, 3), 6)]
    assert [len(share) for share in shares] == [len(whole)] * world == [5] * world
    for step, batch in enumerate(whole):
        assert torch.equal(torch.cat([share[step] for share in shares], 1), batch)
    starts = torch.cat([batch[0, :, 0, 0] for batch in whole])
    assert len(starts.unique()) == 30


@pytest.mark.parametrize(("batch", "world", "sizes"), [(7, 2, [7] * 4 + [2]), (4, 3, [4] * 6 + [6]), (29, 2, [30])])
def test_processes_see_each_window_once_where_batches_cannot_be_divided(batch, world, sizes):
    served, order = windows(), torch.randperm(30)
    assert batch_sizes(30, batch, world) == sizes
    loaders = [BatchLoader(served, order, (0, 3), batch, rank, world) for rank in range(world)]
    assert [len(loader) for loader in loaders] == [len(sizes)] * world
    shares = [list(loader) for loader in loaders]
    for step, size in enumerate(sizes):
        parts = [share[step].frames.shape[1] for share in shares]
        assert {share[step].total for share in shares} == {size} == {sum(parts)}
        assert max(parts) - min(parts) <= 1 <= min(parts)
    starts = torch.cat([batch.frames[0, :, 0, 0] for share in shares for batch in share])
    assert len(starts.unique()) == len(starts) == 30


def test_batches_smaller_than_the_number_of_processes_are_refused():
    with pytest.raises(ValueError, match=r"data.batch is 2, expected at least 3"):
        len(BatchLoader(windows(), torch.randperm(30), (0, 3), 2, 0, 3))


def test_each_window_comes_with_the_parameters_of_its_trajectory():
    gamma = torch.arange(5.0)[:, None] * torch.tensor([1.0, 10.0])
    served = windows(rows=torch.tensor([4, 1, 3]), gamma=gamma)
    for batch in BatchLoader(served, torch.randperm(18), (0, 3), 5):
        assert torch.equal(batch.gamma[:, 0], batch.frames[0, :, 0, 0].div(100, rounding_mode="floor"))
        assert torch.equal(batch.gamma[:, 1], 10 * batch.gamma[:, 0])


def test_last_batch_takes_the_rest():
    loader = BatchLoader(windows(), torch.arange(40), (0, 1), 12)
    assert [batch.frames.shape[1] for batch in loader] == [12, 12, 12, 4]
    assert len(loader) == 4


def test_pairs_come_together_each_once():
    u = counted()[:, 0]
    pairs = Pairs(u, -u, torch.arange(5.0)[:, None], torch.tensor([4, 0, 2]))
    batches = list(BatchLoader(pairs, torch.tensor([2, 0, 1]), (0, 1), 2))
    assert [batch.total for batch in batches] == [2, 1]
    frames, gamma = torch.cat([b.frames for b in batches], 1), torch.cat([b.gamma for b in batches])
    assert frames[0, :, 0, 0].tolist() == [200, 400, 0]
    assert torch.equal(frames[1], -frames[0])
    assert gamma[:, 0].tolist() == [2, 4, 0]


@pytest.fixture
def path(tmp_path):
    u = np.random.default_rng(0).gamma(2, size=(20, 5, 8)).astype(np.float32)
    path = tmp_path / "u.h5"
    grid = Grid((8,), (1.0,), ("PERIODIC",))
    write(path, name="u", fields={"density": u}, grid=grid, times=np.arange(5) * 0.1, provenance={})
    return path


def prepared(path, **settings):
    data = TrajectoryDataModule(DataConfig(path=str(path), **settings))
    data.setup()
    return data


def test_split_is_disjoint_complete_and_a_matter_of_the_seed(path):
    split = prepared(path, validation=0.2, test=0.1).split
    parts = [split.train, split.validation, split.test]
    assert [len(rows) for rows in parts] == [14, 4, 2]
    assert sorted(np.concatenate(parts)) == list(range(20))
    again, other = (prepared(path, validation=0.2, test=0.1, seed=seed).split for seed in (0, 1))
    assert np.array_equal(again.test, split.test)
    assert not np.array_equal(other.train, split.train)


def test_description_is_that_of_the_training_trajectories(path):
    data = prepared(path)
    u = TrajectoryFile.open(path).read()[data.split.train].astype(np.float64)
    (field,), grid = data.description.fields, data.description.grid
    assert field.scale == pytest.approx(np.sqrt((u**2).mean()), rel=1e-6)
    assert (field.low, field.high) == (u.min(), u.max())
    assert field.median == pytest.approx(np.median(u), rel=1e-3)
    assert (grid.points, grid.length[0], data.description.dt) == ((8,), pytest.approx(1.0), pytest.approx(0.1))


def test_parts_share_one_copy_of_the_data(path):
    data = prepared(path)
    assert len({data.part(part).frames.u.data_ptr() for part in ("train", "validation", "test")}) == 1


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"batch": 0}, "data.batch is 0"),
        ({"validation": 0.6, "test": 0.4}, "data.validation and data.test"),
        ({"test": -0.1}, "data.validation and data.test"),
        ({"trajectories": 21}, "data.trajectories is 21"),
        ({"fields": ["mass"]}, "mass"),
    ],
)
def test_settings_that_cannot_be_are_refused(path, settings, named):
    with pytest.raises(ValueError, match=named):
        prepared(path, **settings)
