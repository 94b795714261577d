"""Fits of few hooks and of many: the same steps."""

from unittest.mock import patch

import pytest
import pytorch_lightning as lightning
import torch

import morlight
from morlight.data.dataset_module import DatasetDataModule
from morlight.operators.kernels import recorded_gradient
from morlight.training.training_loop import HOOKS, TrainingLoop

SETTINGS = {
    "data.batch": 3,
    "data.validation": 0.25,
    "data.test": 0.0,
    "model.realizations": 2,
    "model.horizons": [1, 2],
    "model.loss": "points",
    "model.steps": "random",
    "trainer.max_epochs": 4,
    "trainer.accelerator": "cpu",
    "trainer.precision": "64-true",
    "trainer.enable_progress_bar": False,
    "trainer.log_every_n_steps": 5,
}


class Hooked(lightning.Callback):
    """Looks at every step before the gradients are zeroed."""

    def __init__(self):
        self.steps = []

    def on_before_zero_grad(self, trainer, module, optimizer):
        self.steps.append(trainer.global_step)


class Listening(lightning.Callback):
    """Looks at every step at its end, as a callback of the package does."""

    __module__ = "morlight.training.callbacks"

    def __init__(self):
        self.losses, self.indices = [], []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.losses.append(float(outputs["loss"]))
        self.indices.append((trainer.current_epoch, batch_idx, trainer.global_step))


def fitted(data, *callbacks):
    result = morlight.fit(data, SETTINGS, callbacks=callbacks)
    return torch.load(result.checkpoint.with_name("last.ckpt"), weights_only=True)


def test_a_fit_of_replayed_steps_without_hooks_is_that_of_plain_steps_with_all_of_them(data):
    bare, hooked, listening = 0, Hooked(), (Listening(), Listening())
    step = TrainingLoop._step

    def counted(self, *args):
        nonlocal bare
        bare += 1
        step(self, *args)

    with patch.object(TrainingLoop, "_step", counted), patch.object(recorded_gradient, "PLAIN", 0):
        fast = fitted(data, listening[0])
    steps = fast["global_step"]
    # of the 7 or 6 of an epoch the first and the sixth, and every fifth of all, are logged
    assert steps - 4 * 2 - steps // 5 <= bare < steps - 4 * 2
    with patch.object(TrainingLoop, "_step", counted), patch.object(recorded_gradient, "LARGEST", 0):
        slow = fitted(data, listening[1], hooked)
    assert len(hooked.steps) == slow["global_step"] == steps
    assert listening[0].indices == listening[1].indices
    assert listening[0].losses == listening[1].losses
    assert all(map(torch.equal, fast["state_dict"].values(), slow["state_dict"].values()))
    assert fast["loops"] == slow["loops"]
    assert fast["lr_schedulers"] == slow["lr_schedulers"]


def nobody_has_hooks(*callbacks, data=None, **arguments):
    trainer = lightning.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, callbacks=[*callbacks], **arguments
    )
    TrainingLoop.replace(trainer)
    trainer.fit_loop.max_batches = trainer.val_check_batch = 5
    trainer.datamodule = data
    return trainer.fit_loop.epoch_loop._nobody_has_hooks()


CHANGED = [
    {"gradient_clip_val": 1.0}, {"accumulate_grad_batches": 2}, {"max_steps": 9}, {"precision": "bf16-mixed"},
    {"profiler": "simple"},
]  # fmt: skip


@pytest.mark.parametrize("arguments", CHANGED, ids=lambda arguments: next(iter(arguments)))
def test_what_changes_a_step_goes_through_all_hooks(arguments):
    assert nobody_has_hooks(Listening(), precision="64-true")
    assert not nobody_has_hooks(**arguments)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_callback_with_a_hook_within_a_step_gets_it(hook):
    assert not nobody_has_hooks(type("Own", (lightning.Callback,), {hook: lambda *_: None})())
    assert not nobody_has_hooks(lightning.callbacks.LambdaCallback(**{hook: lambda *_: None}))


class Transformed(DatasetDataModule):
    """Changes each batch that is served."""

    def on_after_batch_transfer(self, batch, dataloader_idx):
        return batch


def test_a_user_who_logs_at_the_end_of_a_step_or_changes_batches_gets_all_hooks():
    own = type("Own", (lightning.Callback,), {"on_train_batch_end": lambda *_: None, "__module__": "mine"})
    assert not nobody_has_hooks(own())
    assert nobody_has_hooks(Listening(), data=DatasetDataModule.__new__(DatasetDataModule))
    assert not nobody_has_hooks(data=Transformed.__new__(Transformed))
