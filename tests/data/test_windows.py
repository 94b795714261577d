import numpy as np
import pytest
import torch

from morlight.data.datamodule import TrajectoryDataModule
from morlight.data.trajectory_file import TrajectoryFile
from morlight.data.trajectory_writer import write as write_trajectories
from morlight.data.windows import WindowLoader, Windows
from morlight.operators.description import Grid


def counted(trajectories=5, frames=9):
    """Fields whose value tells trajectory and frame: 100 · trajectory + frame."""
    u = 100.0 * torch.arange(trajectories)[:, None] + torch.arange(frames)
    return u[:, :, None, None].expand(-1, -1, 2, 4).contiguous()


@pytest.mark.parametrize("horizon", [1, 3, 8])
def test_windows_are_the_frames_that_plain_slicing_gives(horizon):
    u, rows = counted(), torch.tensor([0, 2, 4])
    windows = Windows(u, rows)
    expected = [(u[r, j], u[r, j + horizon]) for r in rows for j in range(9 - horizon)]
    assert windows.count(horizon) == len(expected)
    first, last = windows.at(torch.arange(len(expected)), (0, horizon))
    for i, (start, end) in enumerate(expected):
        assert torch.equal(first[i], start)
        assert torch.equal(last[i], end)


def test_frames_within_a_window_come_in_the_order_of_their_offsets():
    frames = Windows(counted(), torch.tensor([3])).at(torch.tensor([0, 4]), (0, 1, 4))
    assert frames[:, :, 0, 0].tolist() == [[300, 304], [301, 305], [304, 308]]


def test_there_is_no_window_longer_than_the_trajectory():
    assert Windows(counted(), torch.arange(5)).count(9) == 0


@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_share_every_batch_and_see_each_window_once(world):
    windows, order = Windows(counted(), torch.arange(5)), torch.randperm(30)
    shares = [[u for u, _ in WindowLoader(windows, order, (0, 3), 6, rank, world)] for rank in range(world)]
    whole = [u for u, _ in WindowLoader(windows, order, (0, 3), 6)]
    assert [len(share) for share in shares] == [len(whole)] * world == [5] * world
    for step, batch in enumerate(whole):
        assert torch.equal(torch.cat([share[step] for share in shares], 1), batch)
    starts = torch.cat([batch[0, :, 0, 0] for batch in whole])
    assert len(starts.unique()) == 30


@pytest.mark.parametrize(("batch", "world", "sizes"), [(7, 2, [7] * 4 + [2]), (4, 3, [4] * 6 + [6]), (29, 2, [30])])
def test_processes_see_each_window_once_where_batches_cannot_be_divided(batch, world, sizes):
    windows, order = Windows(counted(), torch.arange(5)), torch.randperm(30)
    loaders = [WindowLoader(windows, order, (0, 3), batch, rank, world) for rank in range(world)]
    assert [loader.sizes for loader in loaders] == [sizes] * world
    assert [len(loader) for loader in loaders] == [len(sizes)] * world
    shares = [[u for u, _ in loader] for loader in loaders]
    for step, size in enumerate(sizes):
        parts = [share[step].shape[1] for share in shares]
        assert sum(parts) == size
        assert max(parts) - min(parts) <= 1 <= min(parts)
    starts = torch.cat([u[0, :, 0, 0] for share in shares for u in share])
    assert len(starts.unique()) == len(starts) == 30


def test_batches_smaller_than_the_number_of_processes_are_refused():
    loader = WindowLoader(Windows(counted(), torch.arange(5)), torch.randperm(30), (0, 3), 2, 0, 3)
    with pytest.raises(ValueError, match=r"data.batch is 2, expected at least 3"):
        len(loader)


def test_each_window_comes_with_the_parameters_of_its_trajectory():
    gamma = torch.arange(5.0)[:, None] * torch.tensor([1.0, 10.0])
    windows = Windows(counted(), torch.tensor([4, 1, 3]), gamma)
    for u, parameters in WindowLoader(windows, torch.randperm(18), (0, 3), 5):
        assert torch.equal(parameters[:, 0], u[0, :, 0, 0].div(100, rounding_mode="floor"))
        assert torch.equal(parameters[:, 1], 10 * parameters[:, 0])


def test_last_batch_takes_the_rest():
    loader = WindowLoader(Windows(counted(), torch.arange(5)), torch.arange(40), (0, 1), 12)
    assert [u.shape[1] for u, _ in loader] == [12, 12, 12, 4]
    assert len(loader) == 4


@pytest.fixture
def path(tmp_path):
    grid = Grid((8,), (1.0,), ("PERIODIC",))
    u = np.random.default_rng(0).gamma(2, size=(20, 5, 8)).astype(np.float32)
    path = tmp_path / "u.h5"
    write_trajectories(path, name="u", fields={"density": u}, grid=grid, times=np.arange(5) * 0.1, provenance={})
    return path


def prepared(path, **settings):
    data = TrajectoryDataModule(str(path), **settings)
    data.setup()
    return data


def test_split_is_disjoint_complete_and_a_matter_of_the_seed(path):
    parts = prepared(path, validation=0.2, test=0.1).split()
    assert {name: len(rows) for name, rows in parts.items()} == {"train": 14, "validation": 4, "test": 2}
    assert sorted(np.concatenate(list(parts.values()))) == list(range(20))
    again, other = (prepared(path, validation=0.2, test=0.1, seed=seed).split() for seed in (0, 1))
    assert np.array_equal(again["test"], parts["test"])
    assert not np.array_equal(other["train"], parts["train"])


def test_description_is_that_of_the_training_trajectories(path):
    data = prepared(path)
    u = TrajectoryFile.open(path).read()[data.split()["train"]].astype(np.float64)
    described = data.description
    assert described["scale"][0] == pytest.approx(np.sqrt((u**2).mean()), rel=1e-6)
    assert (described["low"][0], described["high"][0]) == (u.min(), u.max())
    assert described["values"][0][50] == pytest.approx(np.median(u), rel=1e-3)
    assert (described["points"], described["length"], described["dt"]) == (
        [8],
        [pytest.approx(1.0)],
        pytest.approx(0.1),
    )


def test_parts_share_one_copy_of_the_data(path):
    data = prepared(path)
    assert len({data.windows(part).frames.data_ptr() for part in ("train", "validation", "test")}) == 1


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
