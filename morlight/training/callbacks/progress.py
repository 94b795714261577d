"""The progress bar of a fit: on standard error, refreshed rarely, since a step takes a millisecond."""

import sys
from typing import Any

from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.callbacks.progress.tqdm_progress import Tqdm


class Bar(TQDMProgressBar):
    """Lightning's bar with one line for the fit as a whole."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=50)

    def init_train_tqdm(self) -> Any:
        """Bar of the training batches."""
        return Tqdm(
            desc="fitting",
            position=0,
            disable=self.is_disabled,
            leave=True,
            dynamic_ncols=True,
            file=sys.stderr,
        )

    def init_validation_tqdm(self) -> Any:
        """Validation takes a fraction of a second: no bar."""
        return Tqdm(disable=True)
