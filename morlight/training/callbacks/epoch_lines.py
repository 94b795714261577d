"""A fit without a progress bar says how far it is, in at most about ten lines on standard error."""

import math
import sys
import time

import pytorch_lightning as lightning

LINES = 10
SHOWN = ("train_loss", "val_loss")


class EpochLines(lightning.Callback):
    """Prints the median losses of every tenth of the epochs; of every epoch if their number is not known."""

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Start the clock."""
        self._begin, self._first = time.monotonic(), trainer.current_epoch

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Print a line for the epoch before, whose losses are complete only now, if it is its turn."""
        done, total = trainer.current_epoch, trainer.max_epochs or -1
        if done > self._first and done % max(1, math.ceil(total / LINES)) == 0:
            self._print(trainer, done)

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Print a line for the last epoch."""
        self._print(trainer, trainer.current_epoch)

    def _print(self, trainer: lightning.Trainer, done: int) -> None:
        if not trainer.is_global_zero:
            return
        total, metrics = trainer.max_epochs or -1, trainer.callback_metrics
        losses = [f"{name} {float(metrics[f'{name}/median']):.4g}" for name in SHOWN if f"{name}/median" in metrics]
        epochs = f"{done} of {total}" if total > 0 else str(done)
        seconds = time.monotonic() - self._begin
        print(f"morlight: {', '.join([f'epoch {epochs}', *losses])} ({seconds:.0f} s)", file=sys.stderr)
