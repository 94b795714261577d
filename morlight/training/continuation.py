"""Where a fit goes on, and whether there is anything left to do."""

import sys
from pathlib import Path

import pytorch_lightning as lightning
import torch

from morlight.analysis.model import Model, load
from morlight.operators.build import Components
from morlight.tracking.checkpoints import resolve
from morlight.tracking.runs import read_run
from morlight.training.extensions import FitResult
from morlight.training.settings import FitSettings


def starting_point(settings: FitSettings, folder: Path, components: Components | None) -> Model | None:
    """The checkpoint that `ckpt_path` means; None where the fit starts anew.

    Args:
        settings: with `ckpt_path`.
        folder: of the fits of this name.
        components: the user's own networks and biases.

    Raises:
        ValueError: where there is no such checkpoint.
    """
    word = settings.ckpt_path
    if word is None:
        return None
    if word != "last":
        return load(resolve(word), components)
    there = sorted(folder.glob("*/last.ckpt"), key=lambda path: path.stat().st_mtime)
    if not there:
        raise ValueError(f"ckpt_path: {folder} has no last.ckpt, expected an earlier fit named '{settings.name}'")
    return load(there[-1], components)


def finished(saved: Model, trainer: lightning.Trainer) -> FitResult | None:
    """The result of a fit that has all its epochs and its report already; None of any other."""
    epochs = torch.load(saved.path, weights_only=True)["epoch"] + 1
    if trainer.max_epochs is None or trainer.max_epochs < 0 or epochs < trainer.max_epochs:
        return None
    tracked = None if saved.run is None else read_run(saved.run)
    if tracked is None or tracked.status != "FINISHED":  # its report may be missing
        return None
    if trainer.is_global_zero:
        print(
            f"morlight: {saved.path}: there was nothing to do, {epochs} of {trainer.max_epochs} epochs are done;"
            " a larger trainer.max_epochs goes on",
            file=sys.stderr,
        )
    return FitResult(saved if trainer.is_global_zero else None, tracked.run_id, tracked.metrics, saved.path)
