"""The files of a fit are replaced whole or not at all, without a trainer that trains."""

import math
from pathlib import Path

import pytest
import pytorch_lightning as lightning
import torch
from pytorch_lightning.strategies import SingleDeviceStrategy

from morlight.data import whole_file
from morlight.training.callbacks.checkpoints import FitCheckpoints


class Epoch(lightning.Trainer):
    """A trainer that only stands at the end of an epoch."""

    is_global_zero, callback_metrics = True, None  # in the place of properties
    strategy = SingleDeviceStrategy()

    def __init__(self, text: str, loss: float = math.nan, cut: int | None = None) -> None:
        self.text, self.cut = text, cut
        self.callback_metrics = {"val_loss/median": torch.tensor(loss)}

    def save_checkpoint(self, path: Path) -> None:
        """Writes the file, or a part of it before the process dies."""
        Path(path).write_text(self.text[: self.cut])
        if self.cut is not None:
            raise KeyboardInterrupt


MODULE = lightning.LightningModule()


def texts(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_each_epoch_replaces_the_last_file_and_only_a_better_one_the_best(tmp_path):
    saved = []
    files = FitCheckpoints(tmp_path / "fit", "val_loss/median", saved.append)
    for text, loss in (("one", 2.0), ("two", 1.0), ("three", 1.5), ("four", math.nan)):
        files.on_train_epoch_end(Epoch(text, loss), MODULE)
    assert texts(tmp_path / "fit") == {"last.ckpt": "four", "best.ckpt": "two"}
    assert files.chosen.name == "best.ckpt"
    assert files.state_dict() == {"best": 1.0}
    assert {name: path.name for name, path in saved[-1].items()} == {"best": "best.ckpt", "last": "last.ckpt"}


def test_without_a_metric_there_is_the_last_file_alone(tmp_path):
    files = FitCheckpoints(tmp_path, None)
    files.on_train_epoch_end(Epoch("one"), MODULE)
    assert texts(tmp_path) == {"last.ckpt": "one"}
    assert files.chosen.name == "last.ckpt"


def test_a_fit_that_goes_on_remembers_which_value_was_the_best(tmp_path):
    first = FitCheckpoints(tmp_path, "val_loss/median")
    first.on_train_epoch_end(Epoch("one", 1.0), MODULE)
    second = FitCheckpoints(tmp_path, "val_loss/median")
    second.load_state_dict(first.state_dict())
    second.on_train_epoch_end(Epoch("two", 1.5), MODULE)
    assert texts(tmp_path) == {"last.ckpt": "two", "best.ckpt": "one"}


@pytest.mark.parametrize("cut", [0, 1, 4])
def test_what_is_killed_while_it_writes_leaves_the_old_files_whole_and_no_draft(tmp_path, cut):
    files = FitCheckpoints(tmp_path, "val_loss/median")
    files.on_train_epoch_end(Epoch("whole", 2.0), MODULE)
    with pytest.raises(KeyboardInterrupt):
        files.on_train_epoch_end(Epoch("half", 1.0, cut), MODULE)
    assert texts(tmp_path) == {"last.ckpt": "whole", "best.ckpt": "whole"}


def test_what_is_killed_before_the_new_name_leaves_the_old_files(tmp_path, monkeypatch):
    files = FitCheckpoints(tmp_path, None)
    files.on_train_epoch_end(Epoch("whole"), MODULE)

    def die(draft, path):
        assert draft.read_text() == "later"
        raise KeyboardInterrupt

    monkeypatch.setattr(whole_file.os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        files.on_train_epoch_end(Epoch("later"), MODULE)
    assert texts(tmp_path) == {"last.ckpt": "whole"}


def test_another_process_than_the_first_publishes_nothing(tmp_path):
    files, epoch = FitCheckpoints(tmp_path / "fit", None), Epoch("one")
    epoch.is_global_zero, epoch.save_checkpoint = False, lambda path: None
    files.on_train_epoch_end(epoch, MODULE)
    assert not (tmp_path / "fit").exists()
