"""Learn continuum models from particle and molecular data."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from morlight.analysis.model import Model

__version__ = "0.1.0"


def load(checkpoint: str) -> "Model":
    """The model in a checkpoint: a path, `runs:/ID`, or `models:/NAME@ALIAS` (see `morlight.analysis.model.Model`).

    Raises:
        ValueError: one sentence, where there is no such checkpoint or it cannot be used.
    """
    from morlight.analysis import model as prediction
    from morlight.tracking.checkpoints import resolve

    return prediction.load(resolve(checkpoint))
