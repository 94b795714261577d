"""Ends a fit whose loss is no longer finite: its weights cannot recover, and every hour after is lost."""

from typing import Any

import pytorch_lightning as lightning
import torch

EVERY = 50  # steps between two looks where looking waits for the accelerator


class Diverged(FloatingPointError):
    """The loss is not finite any more."""


class DivergenceGuard(lightning.Callback):
    """Raises `Diverged` with epoch, step and realizations as soon as the loss is seen not to be finite."""

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Look at every step on a CPU, at every fiftieth and the last of the epoch elsewhere."""
        loss = outputs["loss"]
        if loss.device.type != "cpu" and batch_idx % EVERY and not trainer.is_last_batch:
            return
        if torch.isfinite(loss):
            return
        broken = (~torch.isfinite(module.last_losses)).nonzero().flatten().tolist()
        raise Diverged(
            f"the loss of realization(s) {broken} is not finite at epoch {trainer.current_epoch}, step"
            f" {trainer.global_step}, horizon {module.horizon}; try a smaller model.lr or shorter model.horizons"
        )
