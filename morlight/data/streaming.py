"""Windows of trajectories that do not fit the memory, read in blocks and shuffled through a pool.

An epoch takes all blocks of consecutive windows in random order. As many of them as a quarter of the memory holds make
a pool, whose windows come in random order while the next pool is read. Every window comes once.
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm

from morlight.data.ensembles import coarse
from morlight.data.trajectory_file import TrajectoryFile
from morlight.data.windows import Batch, Windows, batch_sizes, share

BLOCKS = 64  # that a pool should hold at least, so that neighbors in a batch are strangers
BLOCK = 256  # windows in a block at most
PARTS = 4  # of the memory: a pool in use, one that is read, for a moment the one before, and samples of the data
READ = 2**22  # values of all fields read at once, 16 MB in single precision


@dataclass(frozen=True)
class FileFrames:
    """Frames that are read from an open file when they are asked for, one trajectory after the other.

    Args:
        file: open trajectory file.
        fields: names, in the order of the channels.
        coarsen: cells of the file averaged to one, along each axis.
    """

    file: TrajectoryFile
    fields: tuple[str, ...]
    coarsen: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a frame, (C, *X)."""
        return (len(self.fields), *(N // self.coarsen for N in self.file.grid.points))

    @property
    def length(self) -> int:
        """Frames of each trajectory."""
        return len(self.file.times)

    def read(self, trajectory: int, start: int, stop: int) -> Float[Tensor, "T C *X"]:
        """Consecutive frames of one trajectory."""
        u = self.file.read(self.fields, slice(trajectory, trajectory + 1), slice(start, stop))[0]
        return torch.from_numpy(coarse(u, self.coarsen, self.file.grid.dimensions)).to(torch.get_default_dtype())

    def at(
        self, trajectory: Int[Tensor, " B"], frame: Int[Tensor, " B"], offsets: Sequence[int]
    ) -> Float[Tensor, "F B C *X"]:
        """Frames j + m of some trajectories, for each offset m."""
        frames = torch.empty(len(offsets), len(trajectory), *self.shape)
        needed = trajectory.unique().tolist()
        for row in tqdm(needed, "reading", delay=2, leave=False, unit="trajectory", disable=len(needed) == 1):
            own = (trajectory == row).nonzero()[:, 0]
            own = own[frame[own].argsort()]
            for part in own.split(self._together(frame[own])):
                low, high = int(frame[part[0]]), int(frame[part[-1]]) + offsets[-1] + 1
                block = self.read(row, low, high)
                for place, m in enumerate(offsets):
                    frames[place, part] = block[frame[part] - low + m]
        return frames

    def blocks(self, trajectory: int, length: int) -> Iterator[Float[Tensor, "t C *X"]]:
        """The first frames of a trajectory, some at a time."""
        size = self._frames_at_once()
        for start in range(0, length, size):
            yield self.read(trajectory, start, min(start + size, length))

    def _frames_at_once(self) -> int:
        return max(1, READ // math.prod(self.shape))

    def _together(self, frame: Int[Tensor, " n"]) -> list[int]:
        """How many of some windows, in the order of their frames, are read at a time."""
        block = (frame - frame[0]).div(self._frames_at_once(), rounding_mode="floor")
        return block.unique_consecutive(return_counts=True)[1].tolist()


class Pool(NamedTuple):
    """Frames of some blocks one after the other, and where windows begin in them."""

    frames: Float[Tensor, "n C *X"]
    first: Int[Tensor, " w"]
    trajectory: Int[Tensor, " w"]


@dataclass(frozen=True)
class PoolLoader:
    """Batches of one epoch; as for `BatchLoader`, each is split among the processes.

    Args:
        windows: to serve, of all trajectories of the part.
        frames: the file that they are read from.
        offsets: of the frames of a window, 0 first and the horizon last.
        batch: windows a step, all processes together.
        memory: bytes that the pools and the samples may take.
        seed: of the order.
        rank: this process.
        world: number of processes.
    """

    windows: Windows
    frames: FileFrames
    offsets: tuple[int, ...]
    batch: int
    memory: int
    seed: int
    rank: int = 0
    world: int = 1

    @property
    def sizes(self) -> list[int]:
        """Windows of each step, all processes together."""
        return batch_sizes(self.windows.count(self.offsets[-1]), self.batch, self.world)

    def __len__(self) -> int:
        return len(self.sizes)

    def __iter__(self) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(self.seed)
        sizes = iter(self.sizes)
        missing = next(sizes, 0)
        parts: list[tuple[Tensor, Tensor]] = []  # of the next batch
        for pool in self._pools(generator) if missing else []:
            order = torch.randperm(len(pool.first), generator=generator)
            while len(order):
                taken, order = order[:missing], order[missing:]
                places = torch.cat([pool.first[taken] + m for m in self.offsets])
                frames = pool.frames.index_select(0, places).unflatten(0, (len(self.offsets), -1))
                parts.append((frames, self.windows.gamma[pool.trajectory[taken]]))
                missing -= len(taken)
                if missing == 0:
                    yield self._share(parts)
                    parts, missing = [], next(sizes, 0)

    def _share(self, parts: list[tuple[Tensor, Tensor]]) -> Batch:
        """What this process has of a batch."""
        frames, gamma = (
            parts[0] if len(parts) == 1 else (torch.cat([u for u, _ in parts], 1), torch.cat([g for _, g in parts]))
        )
        total = frames.shape[1]
        own = share(total, self.rank, self.world)
        return Batch(frames[:, own], gamma[own], total)

    def _pools(self, generator: torch.Generator) -> Iterator[Pool]:
        """All windows, pool by pool, the next one read while the last one is used."""
        horizon = self.offsets[-1]
        first, starts = self.windows.used.start, self.windows.length - horizon
        one = self.frames.read(int(self.windows.rows[0]), 0, 1)
        capacity = max(1, self.memory // (PARTS * one.numel() * one.element_size()))  # frames of a pool
        size = max(1, min(BLOCK, starts, capacity // BLOCKS - horizon, capacity - horizon))
        blocks = [(row, start) for row in self.windows.rows.tolist() for start in range(first, first + starts, size)]
        order = torch.randperm(len(blocks), generator=generator).tolist()
        count = max(1, capacity // (size + horizon))
        groups = [[blocks[i] for i in order[k : k + count]] for k in range(0, len(order), count)]
        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(self._pool, groups[0], size)
            for group in [*groups[1:], None]:
                pool = coming.result()
                if group is not None:
                    coming = reader.submit(self._pool, group, size)
                yield pool

    def _pool(self, blocks: list[tuple[int, int]], size: int) -> Pool:
        horizon = self.offsets[-1]
        stops = [min(start + size, self.windows.used.stop - horizon) for _, start in blocks]
        counts = torch.tensor([stop - start for (_, start), stop in zip(blocks, stops, strict=True)])
        places = (counts + horizon).cumsum(0) - counts - horizon
        # at once, since two copies would need twice the memory
        frames = torch.empty(int((counts + horizon).sum()), *self.frames.shape)
        for (row, start), stop, place in zip(blocks, stops, places.tolist(), strict=True):
            block = self.frames.read(row, start, stop + horizon)
            frames[place : place + len(block)] = block
        within = torch.cat([torch.arange(count) for count in counts.tolist()])
        rows = torch.tensor([row for row, _ in blocks])
        return Pool(frames, within + places.repeat_interleave(counts), rows.repeat_interleave(counts))
