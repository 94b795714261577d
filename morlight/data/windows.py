"""Windows (u_j, …, u_{j+m}) of trajectories in memory, gathered by one vectorised index a batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Windows:
    """All windows of some trajectories; window w starts at frame w mod (T − m) of the (w div (T − m))-th of them.

    Args:
        u: fields (trajectory, time, C, *X), shared with the other parts of a split.
        rows: which of the trajectories belong to this part.
        gamma: parameters γ of each trajectory; none where left out.
        length: frames of each trajectory to use, from the first on; all where left out.
    """

    def __init__(
        self,
        u: Float[Tensor, "S T C *X"],
        rows: Int[Tensor, " n"],
        gamma: Float[Tensor, "S P"] | None = None,
        length: int | None = None,
    ) -> None:
        self.frames = u.flatten(0, 1)
        self.shape = tuple(u.shape[2:])
        self.gamma = u.new_zeros(len(u), 0) if gamma is None else gamma
        self.stride = u.shape[1]
        self.length = length or self.stride
        self.rows = rows

    shape: tuple[int, ...]  # of a frame, (C, *X)

    def count(self, horizon: int) -> int:
        """Number of windows with m = horizon."""
        return len(self.rows) * max(0, self.length - horizon)

    def at(self, index: Int[Tensor, " B"], offsets: Sequence[int]) -> Float[Tensor, "F B C *X"]:
        """Frames u_{j+m} for each offset m, the largest last, of the windows asked for."""
        starts = self.length - offsets[-1]
        first = self.rows[index.div(starts, rounding_mode="floor")] * self.stride + index.remainder(starts)
        return self.frames[torch.stack([first + m for m in offsets])]

    def parameters(self, index: Int[Tensor, " B"], horizon: int) -> Float[Tensor, "B P"]:
        """γ of the windows asked for."""
        return self.gamma[self.rows[index.div(self.length - horizon, rounding_mode="floor")]]


def batches(windows: int, batch: int, world: int) -> list[int]:
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
class WindowLoader:
    """Batches of one epoch. Each is split among the processes, so their number changes no step (but see `batches`).

    Args:
        windows: what is read from.
        order: indices of the windows in the order of this epoch.
        offsets: of the frames of a window, 0 first and the horizon last.
        batch: windows a step, all processes together.
        rank: this process.
        world: number of processes.
    """

    windows: Windows
    order: Int[Tensor, " n"]
    offsets: tuple[int, ...]
    batch: int
    rank: int = 0
    world: int = 1

    @property
    def sizes(self) -> list[int]:
        """Windows of each step, all processes together."""
        return batches(len(self.order), self.batch, self.world)

    def __len__(self) -> int:
        return len(self.sizes)

    def __iter__(self) -> Iterator[tuple[Float[Tensor, "F B C *X"], Float[Tensor, "B P"]]]:
        for index in self.order.split(self.sizes) if self.sizes else []:
            mine = index[share(len(index), self.rank, self.world)]
            yield self.windows.at(mine, self.offsets), self.windows.parameters(mine, self.offsets[-1])
