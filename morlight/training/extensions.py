"""What a fit takes beside its settings, and what it gives back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
from pytorch_lightning.loggers import Logger

from morlight.analysis.model import Model
from morlight.operators.build import Components
from morlight.training.window_loss import Loss


@dataclass(frozen=True)
class Extensions:
    """What a user passes as objects.

    Attributes:
        callbacks: of the trainer, beside ours.
        loggers: beside the tracked run.
        trainer: arguments of Lightning's Trainer that only Python objects can be.
        components: networks and biases in place of, or around, the configured ones.
        loss: (prediction (R, B, C, *X), target (r, B, C, *X)) ↦ (R,), in place of the configured one.
    """

    callbacks: Sequence[lightning.Callback] = ()
    loggers: Sequence[Logger] = ()
    trainer: Mapping[str, Any] = field(default_factory=dict)
    components: Components | None = None
    loss: Loss | None = None


@dataclass(frozen=True)
class Trial:
    """What a sweep adds to a fit of its own.

    Attributes:
        tags: of the run.
        run_id: of the run to go on with; a new one by default.
        searched: keys of the settings that the sweep searches, noted in the run whatever their values.
        started: called with the identity of the run and the folder of its checkpoints, on the first process.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    run_id: str | None = None
    searched: Sequence[str] = ()
    started: Callable[[str, Path], None] | None = None


@dataclass(frozen=True)
class FitResult:
    """What a fit gives.

    Attributes:
        model: the best checkpoint, opened; None on processes other than the first.
        run_id: of the tracked run.
        metrics: last value of each metric that was logged.
        checkpoint: the file of the model.
    """

    model: Model | None
    run_id: str
    metrics: Mapping[str, float]
    checkpoint: Path
