"""A split in time: training first, then validation, then test, of every trajectory."""

import numpy as np
import pytest
import torch

import morlight
from morlight.cli import main as cli
from morlight.data.config import DataConfig
from morlight.data.datamodule import TrajectoryDataModule
from morlight.data.schedule import Schedule
from morlight.data.trajectory_file import TrajectoryFile

FRAMES, POINTS = 50, 8


def numbered(folder, trajectories=1, frames=FRAMES, **more):
    """A file whose fields are 1 + 100 s + t + x/1000: each value says where it belongs."""
    s, t, x = np.meshgrid(range(trajectories), range(frames), np.arange(POINTS) / 1000, indexing="ij")
    path = folder / "numbered.h5"
    morlight.write(path, {"u": 1 + 100 * s + t + x}, dt=0.5, length=1.0, boundaries="periodic", **more)
    return path


def served(path, **options):
    data = TrajectoryDataModule(DataConfig(path=str(path), **options))
    data.setup()
    return data


def frames_of(data, part, horizon=1):
    """Frames that the windows of a part begin and end with."""
    windows = data.part(part)
    u = windows.at(torch.arange(windows.count(horizon)), (0, horizon))[..., 0, 0]
    return sorted({round(float(value) - 1) for value in u.flatten()})


def test_one_trajectory_is_split_in_time_by_itself_and_no_frame_is_in_two_parts(tmp_path):
    data = served(numbered(tmp_path))
    assert frames_of(data, "train") == list(range(40))
    assert frames_of(data, "validation") == list(range(40, 45))
    assert frames_of(data, "test") == list(range(45, 50))
    assert str(data.split) == "train t = 0 … 19.5, validation t = 20 … 22, test t = 22.5 … 24.5"


def test_what_describes_the_data_is_taken_from_the_training_frames_alone(tmp_path):
    assert served(numbered(tmp_path)).description.fields[0].high == pytest.approx(1 + 39, abs=0.1)


def test_windows_of_several_trajectories_stay_within_one_and_within_their_part(tmp_path):
    data = served(numbered(tmp_path, trajectories=3), split="time", validation=0.2, test=0.0)
    assert frames_of(data, "train", 4) == [100 * s + t for s in range(3) for t in range(40)]
    assert frames_of(data, "validation", 4) == [100 * s + t for s in range(3) for t in range(40, 50)]
    assert data.count("test", 1) == 0


def test_a_cutoff_before_the_end_of_the_training_holds_in_a_split_in_time(tmp_path):
    data = served(numbered(tmp_path), cutoff=5.0)
    assert frames_of(data, "train") == list(range(11))
    assert frames_of(data, "validation") == list(range(40, 45))


def test_frames_that_are_read_in_blocks_are_those_of_their_part(tmp_path):
    data = served(numbered(tmp_path, trajectories=2), split="time", test=0.4, memory=1e-6)
    data.schedule = Schedule(((0, 2),), 1, (0, 2))
    first = torch.cat([batch.frames[0, :, 0, 0] for batch in data.train_dataloader()])
    assert sorted(round(float(value) - 1) for value in first) == [100 * s + t for s in range(2) for t in range(23)]
    assert frames_of(data, "test", 2) == [100 * s + t for s in range(2) for t in range(30, 50)]


@pytest.mark.parametrize(
    ("options", "trajectories", "split"),
    [
        ({}, 5, True),
        ({}, 6, False),
        ({"split": "trajectories"}, 1, False),
        ({"validation": 0.0, "test": 0.0}, 1, False),
    ],
)
def test_trajectories_are_split_in_time_where_none_could_be_held_back(tmp_path, options, trajectories, split):
    assert (served(numbered(tmp_path, trajectories), **options).split.ends is not None) == split


def test_fields_of_particles_are_held_back_by_trajectory(tmp_path):
    path = tmp_path / "walkers.h5"
    cli.main(f"simulate brownian --sets 2 --walkers 100 --steps 30 --bins 8 -o {path}".split())
    data = served(path)
    assert data.split.ends is None
    assert data.count("train", 1) == 60


def test_too_few_frames_for_a_split_in_time_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"numbered\.h5: data.split is time, which needs two frames or more"):
        served(numbered(tmp_path, frames=5), split="time")


def test_a_file_during_some_frames_reads_those_alone_also_in_another_process(tmp_path):
    import pickle

    file = TrajectoryFile.open(numbered(tmp_path, trajectories=2))
    later = file.during(range(10, 30)).during(range(5, 10))
    assert later.times.tolist() == file.times[15:20].tolist()
    for each in (later, pickle.loads(pickle.dumps(later))):
        assert np.array_equal(each.read("u"), file.read("u")[:, 15:20])
        assert np.array_equal(each.read("u", slice(1, 2), slice(None, None, 2)), file.read("u")[1:, 15:20:2])
    with pytest.raises(ValueError, match="expected some of 20 in a row"):
        file.during(range(10, 30)).during(range(15, 21))


def test_parts_of_other_trajectories_or_frames_have_other_names(tmp_path):
    path = numbered(tmp_path, 20)
    same = {served(path, **options).split.identity("test") for options in ({}, {"memory": 1.0}, {"batch": 3})}
    others = [{"seed": 1}, {"test": 0.2}, {"split": "time"}, {"split": "time", "test": 0.2}]
    assert len(same) == 1
    assert len(same | {served(path, **options).split.identity("test") for options in others}) == 5
