"""Lightning's loop over the batches of an epoch, without hooks in steps for which none is defined.

In every step, Lightning calls some twenty hooks of the module, of each callback and of the strategy. If none of them is
defined, this still takes about a millisecond, longer than a step of one realization. Here, such steps call the module,
the optimizer, the scheduler and `on_train_batch_end` directly; all other steps are Lightning's own.
"""

from typing import Any

import pytorch_lightning as lightning
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop
from pytorch_lightning.plugins.precision import DoublePrecision, Precision
from pytorch_lightning.profilers import PassThroughProfiler
from pytorch_lightning.strategies import SingleDeviceStrategy

HOOKS = (
    "on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step"
)  # fmt: skip
TRANSFERS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")
KNOWN = {"morlight", "pytorch_lightning"}  # packages whose callbacks log nothing at the end of a step


class TrainingLoop(_TrainingEpochLoop):
    """The loop of gradient descent; steps that are logged are Lightning's own."""

    @classmethod
    def replace(cls, trainer: lightning.Trainer) -> None:
        """Replace the loop of a trainer by this one."""
        loop = trainer.fit_loop.epoch_loop
        trainer.fit_loop.epoch_loop = cls(trainer, loop.min_steps, loop.max_steps)

    def on_run_start(self, data_fetcher: Any) -> None:
        """Find out which hooks are defined."""
        super().on_run_start(data_fetcher)
        self._without_hooks = self._nobody_has_hooks()
        end = "on_train_batch_end"
        self._listening = [one for one in self.trainer.callbacks if _overrides(one, lightning.Callback, end)]
        self._bare = False

    def _nobody_has_hooks(self) -> bool:
        trainer = self.trainer
        return (
            type(trainer.strategy) is SingleDeviceStrategy
            and trainer.strategy.root_device.type == "cpu"
            and type(trainer.precision_plugin) in (Precision, DoublePrecision)
            and isinstance(trainer.profiler, PassThroughProfiler)
            and trainer.accumulate_grad_batches == 1
            and trainer.gradient_clip_val is None
            and self.max_steps == -1
            and trainer._val_check_time_interval is None
            and trainer.val_check_batch == trainer.num_training_batches
            and not any(_has_hooks(callback) for callback in trainer.callbacks)
            and not any(_overrides(trainer.datamodule, lightning.LightningDataModule, hook) for hook in TRANSFERS)
        )

    def advance(self, data_fetcher: Any) -> None:
        """One step on the next batch."""
        index, every = self.batch_idx + 1, self.trainer.log_every_n_steps
        logged = index % every == 0 or (self._batches_that_stepped + 1) % every == 0  # by the module, by Lightning
        self._bare = self._without_hooks and not logged and not self.restarting
        if self._bare:
            self._step(data_fetcher, index)
        else:
            super().advance(data_fetcher)

    def _step(self, data_fetcher: Any, index: int) -> None:
        batch, _, _ = next(data_fetcher)
        trainer, progress = self.trainer, self.batch_progress
        module, precision = trainer.lightning_module, trainer.precision_plugin
        progress.is_last_batch = data_fetcher.done
        progress.increment_ready()
        progress.increment_started()
        batch = precision.convert_input(batch)
        with precision.train_step_context():
            loss = module.training_step(batch, index)
        self._optimize(loss)
        progress.increment_processed()
        self.update_lr_schedulers("step", update_plateau_schedulers=False)
        if self._num_ready_batches_reached():
            self.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        outputs = {"loss": loss.detach()}
        for callback in self._listening:
            callback.on_train_batch_end(trainer, module, outputs, batch, index)
        progress.increment_completed()

    def _optimize(self, loss: Any) -> None:
        optimizer, counts = self.trainer.optimizers[0], self.automatic_optimization.optim_progress.optimizer
        counts.step.increment_ready()
        counts.zero_grad.increment_ready()
        counts.zero_grad.increment_started()
        optimizer.zero_grad()
        counts.zero_grad.increment_completed()
        loss.backward()
        optimizer.step()
        counts.step.increment_completed()

    def on_advance_end(self, data_fetcher: Any) -> None:
        """Validate after the last step of an epoch, or if the fit is being stopped."""
        stopped = self.trainer.should_stop or self.trainer.received_sigterm
        if self._bare and not stopped and not self._num_ready_batches_reached():
            self._batches_that_stepped += 1
        else:
            super().on_advance_end(data_fetcher)


def _has_hooks(callback: lightning.Callback) -> bool:
    """Whether a callback may do more in a step than to look at its end; one of a user's may log there."""
    own = type(callback).__module__.partition(".")[0] not in KNOWN
    if own and _overrides(callback, lightning.Callback, "on_train_batch_end"):
        return True
    return isinstance(callback, lightning.callbacks.LambdaCallback) or any(
        _overrides(callback, lightning.Callback, hook) for hook in HOOKS
    )


def _overrides(one: Any, base: type, hook: str) -> bool:
    """Whether an object has a hook of its own, from its class or set on the object."""
    return one is not None and getattr(getattr(one, hook), "__func__", None) is not getattr(base, hook)
