"""Windows (u_j, …, u_{j+m}) of trajectories and pairs (u, f), gathered by one vectorized index a batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Batch(NamedTuple):
    """Windows of one step that belong to this process.

    Attributes:
        frames: u_{j+m} of each window (F, B, C, *X), the frame j first and the largest m last; of pairs u and then f.
        gamma: parameters γ (B, P).
        total: windows of the step, all processes together.
    """

    frames: Tensor
    gamma: Tensor
    total: int


@runtime_checkable
class Frames(Protocol):
    """Frames of trajectories, in memory or in a file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a frame, (C, *X)."""

    @property
    def length(self) -> int:
        """Frames of each trajectory."""

    def at(
        self, trajectory: Int[Tensor, " B"], frame: Int[Tensor, " B"], offsets: Sequence[int]
    ) -> Float[Tensor, "F B C *X"]:
        """Frames j + m of some trajectories, for each offset m."""


@dataclass(frozen=True)
class MemoryFrames:
    """Frames in memory.

    Args:
        u: fields (trajectory, time, C, *X), shared by the parts of a split.
    """

    u: Float[Tensor, "S T C *X"]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a frame, (C, *X)."""
        return tuple(self.u.shape[2:])

    @property
    def length(self) -> int:
        """Frames of each trajectory."""
        return self.u.shape[1]

    def at(
        self, trajectory: Int[Tensor, " B"], frame: Int[Tensor, " B"], offsets: Sequence[int]
    ) -> Float[Tensor, "F B C *X"]:
        """Frames j + m of some trajectories, for each offset m."""
        first = trajectory * self.length + frame
        places = torch.cat([first + m for m in offsets])
        return self.u.flatten(0, 1).index_select(0, places).unflatten(0, (len(offsets), -1))


class Windows:
    """All windows of some trajectories; window w starts at frame w mod (T − m) of the (w div (T − m))-th of them.

    T counts the frames in use, and frame 0 is the first of them.

    Args:
        frames: of all trajectories.
        rows: trajectories that belong to this part of the data.
        gamma: parameters γ of all trajectories.
        used: frames of each trajectory to use; all by default.
    """

    def __init__(
        self, frames: Frames, rows: Int[Tensor, " n"], gamma: Float[Tensor, "S P"], used: range | None = None
    ) -> None:
        self.frames, self.rows, self.gamma = frames, rows, gamma
        self.used = range(frames.length) if used is None else used

    @property
    def length(self) -> int:
        """Frames of each trajectory in use."""
        return len(self.used)

    def count(self, horizon: int) -> int:
        """Number of windows with m = horizon."""
        return len(self.rows) * max(0, self.length - horizon)

    def at(self, index: Int[Tensor, " B"], offsets: Sequence[int]) -> Float[Tensor, "F B C *X"]:
        """Frames u_{j+m} for each offset m, the largest last, of the windows asked for."""
        return self.frames.at(self.trajectory(index, offsets[-1]), self.first(index, offsets[-1]), offsets)

    def first(self, index: Int[Tensor, " B"], horizon: int) -> Int[Tensor, " B"]:
        """Frames at which the windows begin."""
        return self.used.start + index.remainder(self.length - horizon)

    def trajectory(self, index: Int[Tensor, " B"], horizon: int) -> Int[Tensor, " B"]:
        """Trajectories in which the windows lie."""
        return self.rows[index.div(self.length - horizon, rounding_mode="floor")]

    def parameters(self, index: Int[Tensor, " B"], horizon: int) -> Float[Tensor, "B P"]:
        """γ of the windows asked for."""
        return self.gamma[self.trajectory(index, horizon)]

    def evenly(self, horizon: int, count: int) -> Int[Tensor, " n"]:
        """Indices of some windows, evenly over trajectories and time."""
        total = self.count(horizon)
        return torch.linspace(0, total - 1, min(count, total)).long()


class Pairs(NamedTuple):
    """Fields u and their targets f, without time (Eq. 7).

    Attributes:
        u: fields (S, C, *X).
        f: their targets (S, C, *X).
        gamma: parameters γ (S, P).
        rows: samples that belong to this part of the data.
    """

    u: Tensor
    f: Tensor
    gamma: Tensor
    rows: Tensor

    def at(self, index: Int[Tensor, " B"]) -> Float[Tensor, "2 B C *X"]:
        """u and f of the pairs asked for."""
        rows = self.rows[index]
        return torch.stack([self.u[rows], self.f[rows]])

    def evenly(self, count: int) -> Int[Tensor, " n"]:
        """Indices of some pairs, evenly over the samples."""
        return torch.linspace(0, len(self.rows) - 1, min(count, len(self.rows))).long()


def batch_sizes(windows: int, batch: int, world: int) -> list[int]:
    """Number of windows of each step of an epoch, all processes together.

    A last batch with fewer windows than there are processes joins the one before, so that none is idle.

    Raises:
        ValueError: where a batch has fewer windows than there are processes.
    """
    if batch < world:
        raise ValueError(f"data.batch is {batch}, expected at least {world}, a window for each process")
    full, rest = divmod(windows, batch)
    sizes = [batch] * full
    if rest >= world:
        return [*sizes, rest]
    return [*sizes[:-1], sizes[-1] + rest] if sizes else []


def share(size: int, rank: int, world: int) -> slice:
    """What a process has of a batch; the parts differ by one window at most."""
    return slice(rank * size // world, (rank + 1) * size // world)


@dataclass(frozen=True)
class BatchLoader:
    """Batches of one epoch. Each is split among the processes, so their number changes no step (`batch_sizes`).

    Args:
        part: windows or pairs to serve.
        order: their indices in the order of this epoch.
        offsets: of the frames of a window, 0 first and the horizon last; without meaning for pairs.
        batch: windows a step, all processes together.
        rank: this process.
        world: number of processes.
    """

    part: Windows | Pairs
    order: Int[Tensor, " n"]
    offsets: tuple[int, ...]
    batch: int
    rank: int = 0
    world: int = 1

    def __len__(self) -> int:
        return len(batch_sizes(len(self.order), self.batch, self.world))

    def __iter__(self) -> Iterator[Batch]:
        sizes = batch_sizes(len(self.order), self.batch, self.world)
        if not sizes:
            return
        if isinstance(self.part, Pairs):
            for index in self.order.split(sizes):
                own = index[share(len(index), self.rank, self.world)]
                yield Batch(self.part.at(own), self.part.gamma[self.part.rows[own]], len(index))
            return
        horizon = self.offsets[-1]  # trajectories and frames of all windows at once, which costs as much as of a batch
        places = (self.part.trajectory(self.order, horizon), self.part.first(self.order, horizon))
        for trajectory, first in zip(*(one.split(sizes) for one in places), strict=True):
            own = share(len(first), self.rank, self.world)
            frames = self.part.frames.at(trajectory[own], first[own], self.offsets)
            yield Batch(frames, self.part.gamma[trajectory[own]], len(first))
