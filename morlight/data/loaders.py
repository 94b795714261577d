"""Loaders of a data module: which windows come in which order, in every epoch."""

import numpy as np
import pytorch_lightning as lightning
import torch

from morlight.data.schedule import Schedule
from morlight.data.streaming import FileFrames, PoolLoader
from morlight.data.windows import BatchLoader, Pairs, Windows

VALIDATED = 2000  # windows looked at for the validation loss: its noise is then some 1e-3 of its value


def count(part: Windows | Pairs, horizon: int) -> int:
    """Number of windows with m = horizon; of pairs without time."""
    return len(part.rows) if isinstance(part, Pairs) else part.count(horizon)


def process(module: lightning.LightningDataModule) -> tuple[int, int]:
    """Rank of this process and number of processes."""
    return (module.trainer.global_rank, module.trainer.world_size) if module.trainer else (0, 1)


def training(
    module: lightning.LightningDataModule,
    part: Windows | Pairs,
    schedule: Schedule,
    batch: int,
    seed: int,
    memory: float = 0.0,
) -> BatchLoader | PoolLoader:
    """Every window of the present horizon once, in an order that depends on seed and epoch alone.

    Args:
        module: that the trainer knows.
        part: the training data.
        schedule: which frames are served in which epoch.
        batch: windows a step, all processes together.
        seed: of the order.
        memory: GiB that blocks of a file may take.
    """
    epoch = module.trainer.current_epoch if module.trainer else 0
    offsets = schedule.training(epoch)
    drawn = int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])
    rank, world = process(module)
    if isinstance(part, Windows) and isinstance(part.frames, FileFrames):
        return PoolLoader(part, part.frames, offsets, batch, int(memory * 2**30), drawn, rank, world)
    order = torch.randperm(count(part, offsets[-1]), generator=torch.Generator().manual_seed(drawn))
    return BatchLoader(part, order, offsets, batch, rank, world)


def held_back(
    module: lightning.LightningDataModule, part: Windows | Pairs, schedule: Schedule, batch: int
) -> list[BatchLoader]:
    """Windows of the longest horizon, evenly over a part of the data; none where it is empty."""
    offsets = schedule.held_back
    total = count(part, offsets[-1])
    if total == 0:
        return []
    order = torch.linspace(0, total - 1, min(VALIDATED, total)).long()
    return [BatchLoader(part, order, offsets, batch, *process(module))]
