"""A user's own torch dataset in place of a trajectory file."""

import math

import numpy as np
import pytest
import small_fits
import torch
from torch.utils.data import Dataset, TensorDataset

import morlight
from morlight.data.config import DataConfig
from morlight.data.datamodule import TrajectoryDataModule
from morlight.data.dataset_module import DatasetContents, DatasetDataModule
from morlight.data.schedule import Schedule
from morlight.tracking.runs import read_runs

PLACE = {"dt": 0.1, "length": 1.0, "boundaries": "PERIODIC", "fields": ["u"]}
SETTINGS = {key: value for key, value in small_fits.STILL.items() if not key.startswith("data.")}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def windows(count=6, frames=4, points=16, seed=0):
    """Items of smooth noise, each 1.3 times as large as the one before."""
    rng = np.random.default_rng(seed)
    x = np.arange(points) / points * math.tau
    waves = sum(rng.normal(size=(count, frames, 1)) * np.cos(k * x + k) for k in range(1, 4))
    return 1.3 ** np.arange(count)[:, None, None] * waves


def module(*parts, batch=100, **contents):
    """The data module of some datasets."""
    return DatasetDataModule(*parts, contents=DatasetContents(**contents), batch=batch)


class Items(Dataset):
    """Frames and γ; counts how often an item is read."""

    def __init__(self, u, gamma=None):
        self.u, self.gamma, self.reads = torch.as_tensor(u, dtype=torch.float32)[:, :, None], gamma, 0

    def __len__(self):
        return len(self.u)

    def __getitem__(self, index):
        self.reads += 1
        return self.u[index] if self.gamma is None else (self.u[index], torch.tensor([self.gamma[index]]))


def test_a_fit_on_a_dataset_has_the_loss_of_its_windows(folder):
    u = windows()
    data = module(Items(u), Items(3 * u[:2]), batch=1000, **PLACE)
    result = morlight.fit(data, SETTINGS)
    for name, frames in (("train_loss", u), ("val_loss", 3 * u[:2])):
        starts = frames[:, :-2].reshape(-1, 1, 16)
        walk = result.model.predict(starts, 2, every=2)[:, :, -1, 0]
        expected = np.square(walk - frames[:, 2:].reshape(-1, 16)).mean((1, 2))
        logged = [result.metrics[f"{name}/{r:02d}"] for r in range(3)]
        assert np.allclose(logged, expected, rtol=1e-5), name  # the windows are in single precision
    (run,) = read_runs("morlight")
    assert run.dataset.name == "dataset"
    assert not [key for key in run.params if key.startswith("data.")]


def test_a_dataset_of_whole_trajectories_is_what_a_file_of_them_is(folder):
    u = windows(frames=9).astype(np.float32)
    rate = np.array([1.0, 1.0, 2.0, 2.0, 30.0, 30.0])
    path = small_fits.write("u.h5", {"u": u}, parameters={"rate": rate})
    file = TrajectoryDataModule(DataConfig(path=str(path), parameters=["rate"], validation=0.0, test=0.0, batch=7))
    own = module(Items(u, rate), parameters=["rate"], batch=7, **PLACE)
    for data in (file, own):
        data.setup()
        data.schedule = Schedule(((0, 3), (0, 1, 2)), 1, (0, 3))
    assert own.description.fields == file.description.fields
    assert own.description.parameters == file.description.parameters
    assert own.description.grid == file.description.grid
    assert own.count("train", 3) == file.count("train", 3) == 6 * 6
    assert torch.equal(own.sample.frames(3), file.sample.frames(3))
    for ours, theirs in zip(own.train_dataloader(), file.train_dataloader(), strict=True):
        assert torch.equal(ours.frames, theirs.frames)
        assert torch.equal(ours.gamma, theirs.gamma)
        assert ours.total == theirs.total


def test_the_digest_of_datasets_is_that_of_all_their_numbers_and_of_what_they_stand_for(folder):
    u, rate = windows(), torch.arange(6.0)

    def digest(u=u, rate=rate, held_back=u[:2], **changes):
        parts = Items(u, rate), Items(held_back, rate)
        data = module(*parts, **{**PLACE, "parameters": ["rate"], "length": [1.0], **changes})
        data.setup()
        return data.description.digest

    same = {digest(), digest(u=u.copy()), digest(length=1.0)}
    others = {digest(u=2 * u), digest(rate=2 * rate), digest(held_back=u[2:4]), digest(dt=0.2), digest(length=2.0)}
    assert len(same) == 1
    assert len(same | others) == 6


def test_pairs_without_time_are_learned_from_a_dataset(folder):
    u = torch.as_tensor(windows(frames=1), dtype=torch.float32)
    f = 0.5 * u.roll(1, -1)
    data = module(TensorDataset(u, f), targets=["f"], batch=1000, **PLACE)
    result = morlight.fit(data, SETTINGS)
    assert result.model.steady
    expected = np.square(result.model.apply(u.double().numpy()) - f.numpy()).mean((1, 2, 3))
    assert np.allclose([result.metrics[f"train_loss/{r:02d}"] for r in range(3)], expected, rtol=1e-5)


def test_items_are_read_when_they_are_needed_and_not_kept(folder):
    items = Items(windows())
    data = module(items, batch=2, **PLACE)
    data.setup()
    data.schedule = Schedule(((0, 2),), 1, (0, 2))
    before = items.reads
    list(data.train_dataloader())
    assert items.reads > before


def test_too_few_frames_for_the_horizon_are_refused_and_nothing_is_written(folder):
    data = module(Items(windows(frames=4)), **PLACE)
    with pytest.raises(ValueError, match=r"^dataset: 4 frames are too few for model.horizons \[4\]$"):
        morlight.fit(data, {**SETTINGS, "model.horizons": [4]})
    assert not (folder / "mlruns").exists()


class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter(())


def broken(index):
    u = windows()
    u[index] = np.nan
    return u


REFUSED = {
    "no length": (lambda: module(Stream(), **PLACE), "has no length"),
    "empty": (lambda: module(TensorDataset(torch.zeros(0, 4, 1, 16)), **PLACE), "train is empty"),
    "two fields": (
        lambda: module(TensorDataset(torch.rand(3, 4, 2, 16)), **PLACE),
        r"item 0 of dataset: train has frames of shape \(4, 2, 16\), expected \(F, C, \*X\) with C = 1",
    ),
    "no parameters": (
        lambda: module(Items(windows()), parameters=["rate"], **PLACE),
        r"item 0 of dataset: train has parts of the shapes .*expected \(frames, 1 parameter\(s\)\)",
    ),
    "not finite": (lambda: module(Items(broken(3)), **PLACE), "item 3 of dataset: train holds NaN"),
    "another grid": (
        lambda: module(Items(windows()), Items(windows(points=8)), **PLACE),
        r"item 0 of dataset: validation has the shape \(4, 1, 8\), expected \(4, 1, 16\)",
    ),
    "no time step": (lambda: module(Items(windows()), **{**PLACE, "dt": 0.0}), "dt is 0, expected a time above 0"),
    "targets": (
        lambda: module(Items(windows()), targets=["f", "g"], **PLACE),
        "targets has 2 names, expected 1",
    ),
    "a constant": (lambda: module(Items(np.ones((3, 4, 16))), **PLACE), "field 'u' is 1 everywhere"),
}


@pytest.mark.parametrize(("make", "sentence"), REFUSED.values(), ids=REFUSED)
def test_datasets_that_do_not_fit_are_refused_in_one_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence) as refused:
        make().setup()
    assert "\n" not in str(refused.value)
