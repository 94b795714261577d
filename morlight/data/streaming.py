"""Windows of trajectories that do not fit the memory, read in blocks and shuffled through a pool.

An epoch takes all blocks of consecutive windows in random order. As many of them as half the memory holds make a pool,
whose windows come in random order while the next pool is read. Every window comes once.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm

from morlight.data.windows import Windows, batches, share

Read = Callable[[int, int, int], Tensor]  # trajectory, first frame, last frame + 1 ↦ (T, C, *X)

BLOCKS = 64  # that a pool should hold at least, so that neighbours in a batch are strangers
BLOCK = 256  # windows in a block at most


class FileWindows(Windows):
    """Windows that are read from the file when they are asked for, one trajectory after the other.

    Args:
        read: frames of a trajectory.
        shape: (S, T, C, *X) of all of them.
        rows: which of the trajectories belong to this part.
        gamma: parameters γ of each trajectory.
        length: frames of each trajectory to use; all where left out.
    """

    def __init__(
        self,
        read: Read,
        shape: Sequence[int],
        rows: Int[Tensor, " n"],
        gamma: Float[Tensor, "S P"],
        length: int | None = None,
    ) -> None:
        self.read, self.shape, self.rows, self.gamma = read, tuple(shape[2:]), rows, gamma
        self.length = length or shape[1]

    def at(self, index: Int[Tensor, " B"], offsets: Sequence[int]) -> Float[Tensor, "F B C *X"]:
        """As of those in memory."""
        starts = self.length - offsets[-1]
        which, first = index.div(starts, rounding_mode="floor"), index.remainder(starts)
        found: Tensor | None = None
        needed = which.unique().tolist()
        for place in tqdm(needed, "reading", delay=2, leave=False, unit="trajectory", disable=len(needed) == 1):
            mine = (which == place).nonzero()[:, 0]
            low, high = int(first[mine].min()), int(first[mine].max()) + offsets[-1] + 1
            frames = self.read(int(self.rows[place]), low, high)
            if found is None:
                found = frames.new_empty(len(offsets), len(index), *self.shape)
            for f, m in enumerate(offsets):
                found[f, mine] = frames[first[mine] - low + m]
        assert found is not None
        return found


class Pool(NamedTuple):
    """Frames of some blocks one after the other, and where windows begin in them."""

    frames: Float[Tensor, "n C *X"]
    first: Int[Tensor, " w"]
    trajectory: Int[Tensor, " w"]


@dataclass(frozen=True)
class PoolLoader:
    """Batches of one epoch; as for `WindowLoader`, each is split among the processes.

    Args:
        windows: what is read from.
        offsets: of the frames of a window, 0 first and the horizon last.
        batch: windows a step, all processes together.
        memory: bytes that two pools may take.
        seed: of the order.
        rank: this process.
        world: number of processes.
    """

    windows: FileWindows
    offsets: tuple[int, ...]
    batch: int
    memory: int
    seed: int
    rank: int = 0
    world: int = 1

    @property
    def sizes(self) -> list[int]:
        """Windows of each step, all processes together."""
        return batches(self.windows.count(self.offsets[-1]), self.batch, self.world)

    def __len__(self) -> int:
        return len(self.sizes)

    def __iter__(self) -> Iterator[tuple[Float[Tensor, "F B C *X"], Float[Tensor, "B P"]]]:
        generator = torch.Generator().manual_seed(self.seed)
        sizes = iter(self.sizes)
        missing = next(sizes, 0)
        parts: list[tuple[Tensor, Tensor]] = []  # of the next batch
        for pool in self._pools(generator) if missing else []:
            order = torch.randperm(len(pool.first), generator=generator)
            while len(order):
                taken, order = order[:missing], order[missing:]
                frames = pool.frames[torch.stack([pool.first[taken] + m for m in self.offsets])]
                parts.append((frames, self.windows.gamma[pool.trajectory[taken]]))
                missing -= len(taken)
                if missing == 0:
                    yield self._share(parts)
                    parts, missing = [], next(sizes, 0)

    def _share(self, parts: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """What this process has of a batch."""
        whole = parts[0] if len(parts) == 1 else (torch.cat([u for u, _ in parts], 1), torch.cat([g for _, g in parts]))
        mine = share(whole[0].shape[1], self.rank, self.world)
        return whole[0][:, mine], whole[1][mine]

    def _pools(self, generator: torch.Generator) -> Iterator[Pool]:
        """All windows, pool by pool, the next one read while the last one is used."""
        horizon = self.offsets[-1]
        starts = self.windows.length - horizon
        one = self.windows.read(int(self.windows.rows[0]), 0, 1)
        held = max(1, self.memory // (2 * one.numel() * one.element_size()))  # frames of a pool
        size = max(1, min(BLOCK, starts, held // BLOCKS - horizon, held - horizon))
        blocks = [(row, start) for row in self.windows.rows.tolist() for start in range(0, starts, size)]
        order = torch.randperm(len(blocks), generator=generator).tolist()
        count = max(1, held // (size + horizon))
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
        stops = [min(start + size, self.windows.length - horizon) for _, start in blocks]
        counts = torch.tensor([stop - start for (_, start), stop in zip(blocks, stops, strict=True)])
        places = (counts + horizon).cumsum(0) - counts - horizon
        frames: Tensor | None = None
        for (row, start), stop, place in zip(blocks, stops, places.tolist(), strict=True):
            block = self.windows.read(row, start, stop + horizon)
            if frames is None:  # at once, since two copies would need twice the memory
                frames = block.new_empty(int((counts + horizon).sum()), *block.shape[1:])
            frames[place : place + len(block)] = block
        assert frames is not None
        within = torch.cat([torch.arange(count) for count in counts.tolist()])
        rows = torch.tensor([row for row, _ in blocks])
        return Pool(frames, within + places.repeat_interleave(counts), rows.repeat_interleave(counts))
