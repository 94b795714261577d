"""Where a fit goes on, and whether there is anything left to do."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as lightning
import torch

from morlight.analysis.model import Model, load
from morlight.operators.build import Components
from morlight.tracking.checkpoints import resolve
from morlight.tracking.runs import read_run
from morlight.training.callbacks.checkpoints import BEST, LAST
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
    newest_first = sorted(folder.glob(f"*/{LAST}"), key=lambda path: path.stat().st_mtime, reverse=True)
    there = [path for last in newest_first for path in (last, last.with_name(BEST)) if path.exists()]
    if not there:
        raise ValueError(f"ckpt_path: {folder} has no {LAST}, expected an earlier fit named '{settings.name}'")
    return _newest_readable(there, components)


def _newest_readable(paths: Sequence[Path], components: Components | None) -> Model:
    """The first checkpoint that is whole; says which are not.

    Raises:
        ValueError: of the first one, where none is.
    """
    first: ValueError | None = None
    for path in paths:
        try:
            model = load(path, components)
        except ValueError as error:
            first = first or error
            continue
        if first is not None:
            print(f"morlight: {first}; the fit goes on from {path}", file=sys.stderr)
        return model
    assert first is not None
    raise first


def own_run(saved: Model | None, settings: FitSettings) -> str | None:
    """The run that a checkpoint goes on with; None where another is to begin.

    A checkpoint from elsewhere says which run it is of, but that may be anybody's: a run is continued where its store
    holds this file, or where the user names it.
    """
    if saved is None or saved.run is None:
        return None
    store, path = Path("mlruns").resolve(), saved.path.resolve()
    if f"{settings.ckpt_path}/".startswith(f"runs:/{saved.run}/"):
        return saved.run
    if path.is_relative_to(store) and saved.run in path.parent.parts[len(store.parts) :]:
        return saved.run
    print(f"morlight: {saved.path}: is not in {store}, so the fit goes on in a new run", file=sys.stderr)
    return None


def finished(saved: Model, trainer: lightning.Trainer, run_id: str | None) -> FitResult | None:
    """The result of a fit that has all its epochs and its report already; None of any other.

    Args:
        saved: where the fit would go on.
        trainer: with the number of epochs.
        run_id: of the run that would be continued.

    Raises:
        ValueError: where all epochs are done and there is no run to complete.
    """
    epochs = torch.load(saved.path, weights_only=True)["epoch"] + 1
    if trainer.max_epochs is None or trainer.max_epochs < 0 or epochs < trainer.max_epochs:
        return None
    if run_id is None:
        raise ValueError(
            f"{saved.path}: {epochs} of {trainer.max_epochs} epochs are done; expected a larger trainer.max_epochs"
        )
    tracked = read_run(run_id)
    if tracked is None or tracked.status != "FINISHED":  # its report may be missing
        return None
    if trainer.is_global_zero:
        print(
            f"morlight: {saved.path}: there was nothing to do, {epochs} of {trainer.max_epochs} epochs are done;"
            " a larger trainer.max_epochs goes on",
            file=sys.stderr,
        )
    return FitResult(saved if trainer.is_global_zero else None, tracked.run_id, tracked.metrics, saved.path)
