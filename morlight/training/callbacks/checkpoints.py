"""Files of a fit: `last.ckpt`, replaced at the end of every epoch, and `best.ckpt`, of the epoch that did best."""

import io
import math
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.callbacks import Checkpoint

from morlight.analysis.checkpoint import RealizationLosses
from morlight.data.whole_file import NotWritten, publish
from morlight.operators.fluctuations import Fluctuations

LAST, BEST = "last.ckpt", "best.ckpt"


class WriteInPlace(TorchCheckpointIO):
    """Lightning writes to $TMPDIR first, where a kill leaves the file; ours is a draft already."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write the file, in one piece."""
        whole = io.BytesIO()  # torch says of a full disk that it is a RuntimeError
        torch.save(checkpoint, whole)
        Path(path).write_bytes(whole.getbuffer())


class FitCheckpoints(Checkpoint):
    """Writes the state after each epoch once; an old file is replaced by a whole new one, never overwritten.

    Args:
        folder: of the files.
        monitor: metric whose smallest value is the best; without it there is no `best.ckpt`.
        saved: called with the files that there are, on the first process.
    """

    def __init__(
        self, folder: Path, monitor: str | None, saved: Callable[[dict[str, Path]], None] | None = None
    ) -> None:
        self.folder, self.monitor, self.saved = folder, monitor, saved
        self.best = math.inf

    def state_dict(self) -> dict[str, Any]:
        """The best value so far, for a fit that goes on."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As it was when the file was written; a fit that goes on elsewhere begins its own."""
        if (self.folder / BEST).exists():
            self.best = state_dict["best"]

    @property
    def state_key(self) -> str:
        """The same in every version and for every setting."""
        return "FitCheckpoints"

    @property
    def chosen(self) -> Path:
        """The best checkpoint, or the last one where nothing tells the best."""
        return next(self.folder / name for name in (BEST, LAST) if (self.folder / name).exists())

    def rank(self, losses: RealizationLosses) -> None:
        """Replace the losses by which the best realization of the chosen checkpoint is known."""
        self._amend("losses", asdict(losses))

    def add_fluctuations(self, fluctuations: Fluctuations) -> None:
        """Add the noise of the steps to the chosen checkpoint."""
        self._amend("fluctuations", fluctuations.to_plain())

    def _amend(self, key: str, value: dict[str, Any]) -> None:
        path, draft = self.chosen, self.folder / f".{self.chosen.name}.part"
        saved = torch.load(path, map_location="cpu", weights_only=True)
        saved["morlight"][key] = value
        try:
            WriteInPlace().save_checkpoint(saved, draft)
            publish(draft, path)
        except OSError as error:
            raise NotWritten(path, error) from error
        finally:
            draft.unlink(missing_ok=True)
        self._tell()

    def on_fit_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """What an interrupted fit has left is kept like what this one writes, also if no epoch is missing."""
        if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
            trainer.strategy.checkpoint_io = WriteInPlace()
        if trainer.is_global_zero:
            self._tell()

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Save; after the losses of the epoch are known."""
        better = False
        if self.monitor is not None:
            value = float(trainer.callback_metrics[self.monitor])
            better = value < self.best or not (self.folder / BEST).exists()
            self.best = min(value, self.best) if not math.isnan(value) else self.best
        draft = self.folder / f".{LAST}.part"
        if trainer.is_global_zero:
            self.folder.mkdir(parents=True, exist_ok=True)
        try:
            trainer.save_checkpoint(draft)
            if trainer.is_global_zero:
                self._publish(draft, better)
        except OSError as error:
            raise NotWritten(self.folder / LAST, error) from error
        finally:
            if trainer.is_global_zero:  # another process would take the file away before it is published
                draft.unlink(missing_ok=True)
        trainer.strategy.barrier()  # from here on all processes find the files

    def _publish(self, draft: Path, better: bool) -> None:
        if better:
            copy = self.folder / f".{BEST}.part"
            shutil.copyfile(draft, copy)
            publish(copy, self.folder / BEST)
        publish(draft, self.folder / LAST)
        self._tell()

    def _tell(self) -> None:
        if self.saved is not None:
            files = {name.removesuffix(".ckpt"): self.folder / name for name in (BEST, LAST)}
            self.saved({name: path for name, path in files.items() if path.exists()})
