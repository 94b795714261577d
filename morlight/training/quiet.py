"""A fit without what Lightning says to its developers."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

QUIET = (
    ".*LeafSpec",  # pytorch-lightning 2.6 under torch 2.13
    ".*smaller than the logging interval",  # the epoch's mean is logged in any case
    "Be aware that when using `ckpt_path`",  # validate and test save nothing
    "Checkpoint directory .* exists and is not empty",  # of the run that continues
    "Total length of `list`",  # no trajectories held out
    ".*does not have many workers",  # our loaders gather by one index, workers would only copy
    ".*`lr_scheduler.step\\(\\)` before `optimizer.step",  # after resuming
    ".*`LightningModule.configure_optimizers` returned `None`",  # least squares
)


@contextmanager
def quiet() -> Iterator[None]:
    """Without what Lightning says to its developers."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in QUIET:
            warnings.filterwarnings("ignore", message)
        yield
