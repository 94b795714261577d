"""A fit without a progress bar says how far it is, in at most about ten lines on standard error."""

import math
import sys
import time

import pytorch_lightning as lightning

LINES = 10
SHOWN = ("train_loss", "val_loss")


class EpochLines(lightning.Callback):
    """Prints the median losses of every tenth of the epochs; of every epoch where their number is not known."""

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Start the clock."""
        self._begin = time.monotonic()

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Print a line for this epoch if it is its turn."""
        done, total = trainer.current_epoch + 1, trainer.max_epochs or -1
        if trainer.is_global_zero and (done == total or done % max(1, math.ceil(total / LINES)) == 0):
            metrics = trainer.callback_metrics
            losses = [f"{name} {float(metrics[f'{name}/median']):.4g}" for name in SHOWN if f"{name}/median" in metrics]
            epochs = f"{done} of {total}" if total > 0 else str(done)
            seconds = time.monotonic() - self._begin
            print(f"morlight: {', '.join([f'epoch {epochs}', *losses])} ({seconds:.0f} s)", file=sys.stderr)
