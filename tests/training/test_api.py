"""`morlight.fit` from Python: every way to give settings, and every object of the user's takes effect."""

from dataclasses import replace

import numpy as np
import pytest
import pytorch_lightning as lightning
import small_fits
import torch
import yaml
from pytorch_lightning.loggers.logger import Logger

import morlight
from morlight.data.config import DataConfig
from morlight.data.datamodule import TrajectoryDataModule
from morlight.tracking.runs import read_runs
from morlight.training.settings import from_mapping

EPOCHS = 2
CHANGES = {**small_fits.STILL, "model.horizons": [1], "trainer.max_epochs": EPOCHS}


def groups(changes):
    nested: dict = {}
    for key, value in changes.items():
        group, name = key.split(".")
        nested.setdefault(group, {})[name] = value
    return nested


def test_a_fit_returns_its_model_run_metrics_and_checkpoint(data):
    result = morlight.fit(data, CHANGES)
    (run,) = read_runs("morlight")
    assert (run.run_id, run.status, run.name) == (result.run_id, "FINISHED", "fit")
    assert dict(run.metrics).items() <= {**result.metrics}.items()
    assert set(run.params) == set(CHANGES) - {"model.biases", "trainer.enable_progress_bar"} | {"data.path"}
    assert run.dataset.name == "u.h5"  # as the user named it
    assert result.checkpoint.is_file()
    again = morlight.load(f"runs:/{result.run_id}")
    start = np.random.default_rng(1).normal(size=12)
    assert np.array_equal(again.predict(start, 2), result.model.predict(start, 2))
    assert result.model.realizations == 3
    assert torch.load(result.checkpoint, weights_only=True)["epoch"] == EPOCHS - 1


def configured(path):
    file = path.with_name("mine.yaml")
    file.write_text(yaml.safe_dump(groups(CHANGES)))
    return file


WAYS = {
    "groups": lambda path: morlight.fit(path, groups(CHANGES)),
    "a file": lambda path: morlight.fit(path, configured(path)),
    "a file and nothing else": lambda path: morlight.fit(str(path), config=str(configured(path))),
    "typed settings": lambda path: morlight.fit(path, from_mapping(CHANGES, data="elsewhere.h5")),
    "a data module": lambda path: morlight.fit(
        TrajectoryDataModule(DataConfig(path=str(path), batch=100_000, validation=0.0, test=0.0)),
        {key: value for key, value in CHANGES.items() if not key.startswith("data.")},
    ),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_settings_may_come_in_any_form_and_give_the_same_weights(data, way):
    expected, result = morlight.fit(data, CHANGES), way(data)
    for key, value in expected.model.checkpoint.weights.items():
        assert torch.equal(result.model.checkpoint.weights[key], value), key
    assert result.metrics["train_loss/median"] == expected.metrics["train_loss/median"]


def test_changes_count_more_than_the_configuration_that_they_change(data):
    result = morlight.fit(data, {"model.width": 2}, config=configured(data))
    assert result.model.config.width == 2
    assert result.model.config.realizations == CHANGES["model.realizations"]


def test_a_packaged_configuration_is_named(data, tmp_path):
    import channel

    path = channel.write(tmp_path / "channel.h5", seeds=1, frames=8, bins=8)
    tiny = {"model.realizations": 1, "data.coarsen": 1, "data.held_out": None}
    result = morlight.fit(path, {**tiny, "trainer.max_epochs": 1, "trainer.accelerator": "cpu"}, config="lj")
    assert result.model.data.field_names == ["density", "momentum"]
    assert result.model.config.terms == 2
    assert result.model.config.realizations == 1
    assert read_runs("morlight")[0].name == "lj"


class Counting(lightning.Callback):
    """Counts epochs."""

    def __init__(self):
        self.epochs = 0

    def on_train_epoch_end(self, trainer, module):
        self.epochs += 1


class Keeping(Logger):
    """Keeps what it is given."""

    name, version = "keeping", "0"

    def __init__(self):
        super().__init__()
        self.metrics: dict = {}

    def log_metrics(self, metrics, step=None):
        self.metrics.update(metrics)

    def log_hyperparams(self, *args, **kwargs):
        pass


def test_callbacks_of_the_user_are_called_beside_ours(data):
    counting = Counting()
    result = morlight.fit(data, CHANGES, callbacks=[counting])
    assert counting.epochs == EPOCHS
    assert result.checkpoint.is_file()


@pytest.mark.parametrize("several", [False, True])
def test_loggers_of_the_user_get_what_the_run_gets(data, several):
    keeping = Keeping()
    result = morlight.fit(data, CHANGES, logger=[keeping] if several else keeping)
    assert keeping.metrics["train_loss/median"] == result.metrics["train_loss/median"]


def test_arguments_of_the_trainer_take_effect_and_numbers_are_kept_in_the_run(data):
    profiler = lightning.profilers.SimpleProfiler()
    result = morlight.fit(data, CHANGES, trainer={"profiler": profiler, "max_epochs": 4})
    assert "run_training_epoch" in profiler.recorded_durations
    assert torch.load(result.checkpoint, weights_only=True)["epoch"] == 3
    (run,) = read_runs("morlight")
    assert run.params["trainer.max_epochs"] == "4"


def changed(**more):
    return replace(from_mapping(CHANGES, data="u.h5"), **more)


REFUSED = {
    "a number as data": (lambda: morlight.fit(3), "data is of the type int, expected a trajectory file"),
    "an array as data": (lambda: morlight.fit(np.zeros(3)), "data is of the type ndarray, expected a trajectory file"),
    "two configurations": (
        lambda: morlight.fit("u.h5", changed(), config="lj"),
        "config is the configuration that a dictionary of settings changes",
    ),
    "settings of the data beside a data module": (
        lambda: morlight.fit(TrajectoryDataModule(DataConfig(path="u.h5")), {"data.batch": 3}),
        "data.batch is for trajectory files",
    ),
    "a data module that is not one of ours": (
        lambda: morlight.fit(lightning.LightningDataModule(), {}),
        "data is a LightningDataModule without description, sample, schedule, part, count",
    ),
    "callbacks in the trainer": (
        lambda: morlight.fit("u.h5", CHANGES, trainer={"callbacks": []}),
        "trainer has 'callbacks', which a fit sets itself; expected the argument callbacks",
    ),
    "an unknown argument of the trainer": (
        lambda: morlight.fit("u.h5", CHANGES, trainer={"speed": 3}),
        "trainer: .*unexpected keyword argument 'speed'",
    ),
    "no such configuration": (lambda: morlight.fit("u.h5", config="absent"), "absent: no such file, expected"),
}


@pytest.mark.parametrize(("call", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_would_be_ignored_is_refused_and_nothing_is_written(data, call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
    assert not data.with_name("mlruns").exists()


def test_unsorted_horizons_validate_with_the_longest(data):
    changes = {**CHANGES, "model.horizons": [4, 1], "data.validation": 0.25}
    result = morlight.fit(data, changes)
    module = TrajectoryDataModule(DataConfig(path=str(data), validation=0.25, test=0.0))
    module.setup()
    windows = module.part("validation")
    index = torch.arange(windows.count(4))
    first, last = windows.at(index, (0, 4)).double().numpy()
    walk = result.model.predict(first, 4, every=4)[:, :, -1]
    expected = np.square(walk - last).mean((1, 2, 3))
    assert np.allclose([result.metrics[f"val_loss/{r:02d}"] for r in range(3)], expected, rtol=1e-5)
