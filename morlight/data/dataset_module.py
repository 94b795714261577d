"""The data module for a user's own `torch` dataset, whose items are windows of frames, or pairs without time."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import Dataset

from morlight.data import loaders, statistics
from morlight.data.sample import TrainingSample
from morlight.data.schedule import Schedule
from morlight.data.streaming import PoolLoader
from morlight.data.windows import BatchLoader, Pairs, Windows
from morlight.operators.description import DataDescription, Grid

PARTS = ("train", "validation", "test")
DIGEST_BYTES = 16


@dataclass(frozen=True)
class DatasetFrames:
    """Frames of the items of a dataset, each a short trajectory that is asked for when it is needed.

    Args:
        items: the dataset.
        shape: of a frame, (C, *X).
        length: F, frames of each item.
    """

    items: "Items"
    shape: tuple[int, ...]
    length: int

    def at(
        self, trajectory: Int[Tensor, " B"], frame: Int[Tensor, " B"], offsets: Sequence[int]
    ) -> Float[Tensor, "F B C *X"]:
        """Frames j + m of some items, for each offset m."""
        frames = torch.empty(len(offsets), len(trajectory), *self.shape)
        for row in trajectory.unique().tolist():
            own = (trajectory == row).nonzero()[:, 0]
            u = self.items.read(row)[0]
            for place, m in enumerate(offsets):
                frames[place, own] = u[frame[own] + m]
        return frames


@dataclass(frozen=True)
class Items:
    """The items of a dataset as tensors: (frames (F, C, *X), γ (P,)), or (u (C, *X), f (C, *X), γ (P,)).

    γ may be absent where there are no parameters.

    Args:
        name: of the part, for complaints.
        dataset: with a length.
        parameters: number P of parameters γ.
        paired: whether an item is a pair (u, f).
        fields: number C of fields.
    """

    name: str
    dataset: Any
    parameters: int
    paired: bool
    fields: int

    def __len__(self) -> int:
        return len(self.dataset)

    def read(self, index: int) -> tuple[Tensor, Tensor]:
        """Frames (F, C, *X), of a pair u and f, and γ (P,).

        Raises:
            ValueError: where the item is of another kind or holds numbers that are not finite.
        """
        item = self.dataset[index]
        parts = [torch.as_tensor(part) for part in (item if isinstance(item, tuple | list) else (item,))]
        fields = 2 if self.paired else 1
        if len(parts) == fields:
            parts.append(torch.zeros(0))
        if len(parts) != fields + 1 or parts[-1].shape != (self.parameters,):
            expected = f"{'u, f' if self.paired else 'frames'}, {self.parameters} parameter(s)"
            shapes = ", ".join(str(tuple(part.shape)) for part in parts)
            raise ValueError(f"item {index} of {self.name} has parts of the shapes {shapes}, expected ({expected})")
        frames = torch.stack(parts[:2]) if self.paired else parts[0]
        if frames.ndim < 3 or frames.shape[1] != self.fields:
            what = "u and f" if self.paired else "frames"
            kind = "(C, *X)" if self.paired else "(F, C, *X)"
            raise ValueError(
                f"item {index} of {self.name} has {what} of shape {tuple(parts[0].shape)}, expected {kind}"
                f" with C = {self.fields}"
            )
        if not (frames.isfinite().all() and parts[-1].isfinite().all()):
            raise ValueError(f"item {index} of {self.name} holds NaN or infinite values, expected finite numbers")
        return frames.to(torch.get_default_dtype()), parts[-1].to(torch.get_default_dtype())


@dataclass(frozen=True)
class DatasetContents:
    """What the items of a dataset are, which a trajectory file would say of itself.

    Attributes:
        length: of the domain along each axis, or one for all.
        boundaries: PERIODIC or WALL, one for all axes or one for each.
        fields: names of the channels C.
        dt: Δt between frames; unused with targets.
        parameters: names of γ.
        targets: names of f of each field, for an operator without time.
        name: of the data, for the run and for complaints.
    """

    length: float | Sequence[float]
    boundaries: str | Sequence[str]
    fields: Sequence[str]
    dt: float = 1.0
    parameters: Sequence[str] = ()
    targets: Sequence[str] = ()
    name: str = "dataset"

    def __post_init__(self) -> None:
        if not self.dt > 0:
            raise ValueError(f"{self.name}: dt is {self.dt:g}, expected a time above 0")
        if self.targets and len(self.targets) != len(self.fields):
            raise ValueError(
                f"{self.name}: targets has {len(self.targets)} names, expected {len(self.fields)}, one for each field"
            )


class DatasetDataModule(lightning.LightningDataModule):
    """Windows out of `torch` datasets, in place of a trajectory file.

    Items are (frames (F, C, *X), γ (P,)), consecutive frames Δt apart; with targets (u (C, *X), f (C, *X), γ (P,)),
    pairs of L u = f. γ may be absent where there are no parameters. A window of horizon m is every u_j, …, u_{j+m}
    within an item, so that F must be larger than the longest horizon. Items are read again in every epoch; they are
    to be the same each time.

    Args:
        train: dataset to learn from.
        validation: dataset that chooses the checkpoint.
        test: dataset that nothing is chosen by.
        contents: what the items are.
        batch: windows a step, all processes together.
        seed: of the order of the windows.

    Raises:
        ValueError: where the names, numbers or datasets do not go together.
    """

    description: DataDescription
    sample: TrainingSample

    def __init__(
        self,
        train: Dataset[Any],
        validation: Dataset[Any] | None = None,
        test: Dataset[Any] | None = None,
        *,
        contents: DatasetContents,
        batch: int = 100,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if batch < 1:
            raise ValueError(f"{contents.name}: batch is {batch}, expected at least 1 window a step")
        self.contents, self.batch, self.seed = contents, batch, seed
        self.schedule: Schedule | None = None
        self._items = {
            part: self._checked(f"{contents.name}: {part}", dataset)
            for part, dataset in zip(PARTS, (train, validation, test), strict=True)
        }
        if not len(self._items["train"]):
            raise ValueError(f"{contents.name}: train is empty, expected at least one item")
        self._parts: dict[str, Windows | Pairs] = {}

    def _checked(self, name: str, dataset: Dataset[Any] | None) -> Items:
        dataset = torch.utils.data.TensorDataset(torch.zeros(0)) if dataset is None else dataset
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise ValueError(f"{name} has no length, expected a torch dataset with __len__ and __getitem__")
        return Items(
            name, dataset, len(self.contents.parameters), bool(self.contents.targets), len(self.contents.fields)
        )

    def setup(self, stage: str | None = None) -> None:
        """Read all items once, whatever the stage."""
        if self._parts:
            return
        train, shape = self._items["train"], self._items["train"].read(0)[0].shape
        gamma: list[Tensor] = []
        if self.contents.targets:
            everything = torch.stack(list(self._frames("train", shape, gamma)))
            u, f = everything[:, 0], everything[:, 1]
            seen = statistics.sizes(([each[None]] for each in u), len(train))
            target = torch.stack([statistics.mean_square(each[None]) for each in f]).mean(0).sqrt()
        else:
            trajectories = ([each] for each in self._frames("train", shape, gamma))
            seen, target, f = statistics.sizes(trajectories, len(train) * shape[0]), None, None
        for field, low, high in zip(self.contents.fields, seen.low.tolist(), seen.high.tolist(), strict=True):
            if low == high:
                raise ValueError(
                    f"{self.contents.name}: field '{field}' is {low:g} everywhere, expected one that varies"
                )
        grid = self._grid(tuple(shape[2:]))
        digest = hashlib.blake2b(self._meaning(grid).encode(), digest_size=DIGEST_BYTES)
        self._parts = {part: self._part(part, shape, digest) for part in PARTS}
        self.sample = TrainingSample(Path(self.contents.name), self._parts["train"])
        self.description = DataDescription(
            name=self.contents.name,
            digest=digest.hexdigest(),
            grid=grid,
            dt=1.0 if self.contents.targets else self.contents.dt,
            fields=statistics.field_statistics(self.contents.fields, seen, targets=target),
            parameters=statistics.parameter_statistics(self.contents.parameters, torch.stack(gamma).double()),
            targets=tuple(self.contents.targets),
            band=None if f is None else statistics.band(f[:: statistics.every_so_many(len(f))], grid),
        )

    def _meaning(self, grid: Grid) -> str:
        """Grid, time step and names, which belong to the data as the numbers of the items do."""
        contents = self.contents
        dt = None if contents.targets else float(contents.dt)
        return repr((grid, dt, *map(tuple, (contents.fields, contents.parameters, contents.targets))))

    def _grid(self, points: tuple[int, ...]) -> Grid:
        axes = len(points)
        length = (
            tuple(self.contents.length)
            if isinstance(self.contents.length, Sequence)
            else (self.contents.length,) * axes
        )
        boundaries = (
            (self.contents.boundaries,) * axes
            if isinstance(self.contents.boundaries, str)
            else tuple(self.contents.boundaries)
        )
        return Grid(points, tuple(map(float, length)), boundaries)

    def _frames(self, part: str, shape: Sequence[int], gamma: list[Tensor]) -> Iterator[Float[Tensor, "F C *X"]]:
        """Frames of every item, whose shape is checked; γ is gathered on the way."""
        items = self._items[part]
        for index in range(len(items)):
            frames, parameters = items.read(index)
            if frames.shape != torch.Size(shape):
                raise ValueError(
                    f"item {index} of {items.name} has the shape {tuple(frames.shape)}, expected {tuple(shape)} as the"
                    " first one of train"
                )
            gamma.append(parameters)
            yield frames

    def _part(self, part: str, shape: Sequence[int], digest: "hashlib.blake2b") -> Windows | Pairs:
        """Windows or pairs of one dataset, which is added to the hash of all."""
        gamma: list[Tensor] = []
        items, kept = self._items[part], []
        digest.update(f"{part} {len(items)} {tuple(shape)}".encode())
        for frames in self._frames(part, shape, gamma):
            digest.update(frames.contiguous().numpy().tobytes() + gamma[-1].numpy().tobytes())
            if self.contents.targets:
                kept.append(frames)
        rows, columns = (
            torch.arange(len(items)),
            torch.stack(gamma) if gamma else torch.zeros(0, len(self.contents.parameters)),
        )
        if self.contents.targets:
            both = torch.stack(kept) if kept else torch.zeros(0, *shape)
            return Pairs(both[:, 0], both[:, 1], columns, rows)
        return Windows(DatasetFrames(items, tuple(shape[1:]), shape[0]), rows, columns)

    def part(self, name: str) -> Windows | Pairs:
        """Windows, or pairs without time, of train, validation or test."""
        return self._parts[name]

    def count(self, part: str, horizon: int) -> int:
        """Number of windows of train, validation or test with m = horizon; of pairs without time."""
        return loaders.count(self._parts[part], horizon)

    def train_dataloader(self) -> BatchLoader | PoolLoader:
        """Every window of the present horizon once, in an order that depends on seed and epoch alone."""
        return loaders.training(self, self._parts["train"], self._scheduled(), self.batch, self.seed)

    def val_dataloader(self) -> list[BatchLoader]:
        """Windows of the longest horizon, evenly over the validation items."""
        return loaders.held_back(self, self._parts["validation"], self._scheduled(), self.batch)

    def test_dataloader(self) -> list[BatchLoader]:
        """The same for the test items."""
        return loaders.held_back(self, self._parts["test"], self._scheduled(), self.batch)

    def _scheduled(self) -> Schedule:
        if self.schedule is None:
            raise RuntimeError("DatasetDataModule.schedule is not set; `morlight.fit` sets it before training")
        return self.schedule
