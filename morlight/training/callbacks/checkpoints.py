"""Files of a fit: `last.ckpt`, written anew at the end of every epoch, and `best.ckpt`, of the one that did best."""

import shutil
from pathlib import Path
from typing import Any

from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO


def callbacks(folder: Path, monitor: str | None) -> list[ModelCheckpoint]:
    """Best, where there is a value to tell it by, then last: after an epoch that did best both are one state."""
    named = {"last": None} if monitor is None else {"best": monitor, "last": None}
    return [
        ModelCheckpoint(
            dirpath=folder, filename=name, monitor=value, enable_version_counter=False, save_on_train_epoch_end=True
        )
        for name, value in named.items()
    ]


class Once(TorchCheckpointIO):
    """Writes the state after a step once: a second file of it is a copy."""

    def __init__(self) -> None:
        super().__init__()
        self._written: tuple[tuple[int, int], Path] | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """The whole file or none."""
        path, state = Path(path), (checkpoint["epoch"], checkpoint["global_step"])
        if self._written is None or self._written[0] != state or not self._written[1].is_file():
            super().save_checkpoint(checkpoint, path, storage_options)
            self._written = state, path
            return
        part = path.with_name(f".{path.name}.part")
        try:
            shutil.copyfile(self._written[1], part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
