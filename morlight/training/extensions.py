"""Objects that a fit accepts in addition to its settings, and its result."""

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
    """Objects that a user passes to a fit.

    Attributes:
        callbacks: further callbacks of the trainer.
        loggers: further loggers, in addition to the tracked run.
        trainer: arguments of Lightning's Trainer that must be Python objects.
        components: networks and biases that replace or wrap the configured ones.
        loss: function (prediction (R, B, C, *X), target (r, B, C, *X)) ↦ (R,) that replaces the configured loss.
    """

    callbacks: Sequence[lightning.Callback] = ()
    loggers: Sequence[Logger] = ()
    trainer: Mapping[str, Any] = field(default_factory=dict)
    components: Components | None = None
    loss: Loss | None = None


@dataclass(frozen=True)
class Trial:
    """What a sweep adds to the fit of a trial.

    Attributes:
        tags: tags of the run.
        run_id: run to continue; by default a new one.
        searched: keys of the settings that the sweep searches; they are parameters of the run even at their defaults.
        started: function that the first process calls with the ID of the run and the folder of its checkpoints.
        digest: of the data that all trials are fitted to.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    run_id: str | None = None
    searched: Sequence[str] = ()
    started: Callable[[str, Path], None] | None = None
    digest: str | None = None


@dataclass(frozen=True)
class FitResult:
    """Result of a fit.

    Attributes:
        model: the best checkpoint as a model; None on processes other than the first.
        run_id: ID of the tracked run.
        metrics: last value of each metric, including those of individual realizations.
        checkpoint: file of the model.
    """

    model: Model | None
    run_id: str
    metrics: Mapping[str, float]
    checkpoint: Path
