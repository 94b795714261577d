"""Lets a sweep watch a fit epoch by epoch, and end it early."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as lightning

WATCHED = "MORLIGHT_WATCHED"  # tells the other processes of a fit that the first one is watched

Verdict = Callable[[int, Mapping[str, Any]], bool]


class Pruning(lightning.Callback):
    """Asks after every validation whether the fit is worth going on with; the first process decides for all.

    Args:
        verdict: of the epoch and its metrics, True for the end; none on the other processes.
    """

    def __init__(self, verdict: Verdict | None = None) -> None:
        self.verdict = verdict

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Ask, and tell all processes."""
        stop = False
        if trainer.is_global_zero and self.verdict is not None:
            stop = self.verdict(trainer.current_epoch, trainer.callback_metrics)
        if trainer.world_size > 1:
            stop = trainer.strategy.broadcast(stop)
        trainer.should_stop = trainer.should_stop or stop


def others() -> list[lightning.Callback]:
    """The callback of a process of a fit that a pruner watches."""
    return [Pruning()] if os.environ.get(WATCHED) and os.environ.get("LOCAL_RANK", "0") != "0" else []
