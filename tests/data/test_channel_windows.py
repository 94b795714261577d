"""Options of the data for channels: cutoff, γ held out and left out, means over runs, coarser cells, sums of fields."""

import channel
import numpy as np
import pytest
import torch

from morlight.data.config import DataConfig
from morlight.data.datamodule import TrajectoryDataModule
from morlight.data.ensembles import coarse
from morlight.data.streaming import FileFrames
from morlight.data.trajectory_file import TrajectoryFile
from morlight.training.settings import from_mapping


@pytest.fixture(scope="module")
def fluid(tmp_path_factory):
    return channel.write(tmp_path_factory.mktemp("data") / "channel.h5", seeds=3, noise=0.05, bins=40, frames=20)


def module(path, **words) -> TrajectoryDataModule:
    words = {"fields": ["density", "momentum"], "parameters": ["density"], "validation": 0.0, "test": 0.0} | words
    data = TrajectoryDataModule(DataConfig(path=str(path), **words))
    data.setup()
    return data


@pytest.mark.parametrize("memory", [4.0, 1e-6])
def test_training_sees_nothing_after_the_cutoff_and_the_test_everything(fluid, memory):
    data = module(fluid, cutoff=0.25, held_out={"density": 0.1}, memory=memory)
    assert isinstance(data.part("train").frames, FileFrames) == (memory < 1)
    assert data.part("train").count(5) == 15  # frames 0 … 5 of five times three runs
    assert data.part("train").count(6) == 0
    assert data.part("test").count(20) == 3
    last = data.part("train").at(torch.arange(15), (0, 5))[1]
    whole = TrajectoryFile.open(fluid).read(["density", "momentum"])
    kept = [row for row in range(18) if row not in data.split.trajectories("test")]
    assert np.array_equal(last.numpy(), whole[kept][:, 5])
    # its units too are those of the early frames
    early = np.sqrt((whole[kept][:, :6].astype(float) ** 2).mean((0, 1, 3)))
    assert [field.scale for field in data.description.fields] == pytest.approx(early, rel=1e-5)


def test_held_out_is_the_test_and_left_out_is_nowhere(fluid):
    data = module(fluid, held_out={"density": 0.1}, left_out={"density": 0.05}, validation=0.2)
    parts = {part: data.split.trajectories(part) for part in ("train", "validation", "test")}
    assert parts["test"] == [6, 7, 8]
    assert len(parts["validation"]) == 2
    assert sorted(row for rows in parts.values() for row in rows) == [0, 1, 2, *range(6, 18)]


def test_means_over_runs_are_those_of_their_fields(fluid):
    data = module(fluid, ensemble="mean", held_out={"density": 0.1})
    assert data.part("train").count(20) == 5
    assert data.split.trajectories("test") == [6, 7, 8]
    first = data.part("test").at(torch.arange(1), (0, 20))[0, 0]
    expected = TrajectoryFile.open(fluid).read(["density", "momentum"])[6:9, 0].mean(0)
    assert np.allclose(first.numpy(), expected, rtol=1e-6)
    assert data.part("test").parameters(torch.arange(1), 20)[0].tolist() == pytest.approx([0.1])


@pytest.mark.parametrize("memory", [4.0, 1e-6])
def test_coarse_cells_are_means_of_fine_ones(fluid, memory):
    data = module(fluid, coarsen=4, memory=memory)
    assert data.description.grid.points == (10,)
    found = data.part("train").at(torch.arange(3), (0, 1))[0]
    fine = TrajectoryFile.open(fluid).read(["density", "momentum"])[0, :3]
    expected = np.stack([fine[..., 4 * j : 4 * j + 4].sum(-1) / 4 for j in range(10)], -1)
    assert np.allclose(found.numpy(), expected, rtol=1e-6)


def test_coarse_planes_are_means_over_squares():
    u = np.arange(24.0).reshape(1, 4, 6)
    assert coarse(u, 2, 2)[0].tolist() == [[3.5, 5.5, 7.5], [15.5, 17.5, 19.5]]


def test_a_sum_of_fields_is_read_by_its_name(tmp_path):
    path = channel.write_pairs(tmp_path / "pairs.h5")
    found = TrajectoryFile.open(path).read(["density_large", "momentum_large+momentum_small"])
    each = TrajectoryFile.open(path).read(["density_large", "momentum_large", "momentum_small"])
    assert np.array_equal(found[:, :, 0], each[:, :, 0])
    assert np.array_equal(found[:, :, 1], each[:, :, 1] + each[:, :, 2])


def test_errors_of_fields_are_no_fields_to_learn(fluid):
    assert set(module(fluid, fields=None).fields) == {"density", "momentum", "density_temperature"}


BAD = {
    "cutoff": ({"cutoff": 0.01}, "data.cutoff is 0.01, expected 0.05 or more"),
    "held out": ({"held_out": {"density": 0.3}}, "data.held_out"),
    "no such scalar": ({"left_out": {"mass": 1.0}}, "the file has the scalars: density, seed"),
    "coarsen": ({"coarsen": 7}, "data.coarsen is 7, expected a divisor of 40"),
    "power": ({"scaling": "power", "parameters": None}, "data.scaling is power, which needs data.parameters"),
}


@pytest.mark.parametrize(("words", "named"), BAD.values(), ids=BAD)
def test_words_that_cannot_be_are_refused_by_name(fluid, words, named):
    with pytest.raises(ValueError, match=named):
        module(fluid, **words)


def test_choices_are_those_that_their_types_list(fluid):
    with pytest.raises(ValueError, match=r"data\.ensemble is 'median', expected one of all, mean"):
        from_mapping({"data.ensemble": "median"}, data=fluid)
