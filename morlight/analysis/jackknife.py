"""Changes of the weights when one block of the data is left out, as a checkpoint stores them (see `data_errors`)."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Jackknife:
    """Changes of the weights when one block of the data is left out.

    Attributes:
        blocks: number S of blocks.
        alike: number of blocks of equal information that would determine the variance as well, more than 2.
        in_time: whether blocks are parts of trajectories in time, rather than whole trajectories.
        changes: δθ_s of each weight, of shape (S, …), by the names in `Checkpoint.weights`.
    """

    blocks: int
    alike: float
    in_time: bool
    changes: Mapping[str, Tensor]

    @property
    def student(self) -> float:
        """Standard deviation of Student's t, by which an error exceeds its estimate in the mean square."""
        freedom = min(self.alike, self.blocks - 1.0)
        return math.sqrt(freedom / (freedom - 2))

    def only(self, realizations: int, chosen: Sequence[int]) -> "Jackknife":
        """The changes of the chosen realizations."""
        rows = list(chosen)
        changes = {
            name: each.unflatten(1, (realizations, -1))[:, rows].flatten(1, 2) for name, each in self.changes.items()
        }
        return dataclasses.replace(self, changes=changes)

    def to_plain(self) -> dict[str, Any]:
        """Values that a checkpoint stores; single precision is enough for a standard error."""
        return {
            "blocks": self.blocks,
            "alike": self.alike,
            "in_time": self.in_time,
            "changes": {name: each.float() for name, each in self.changes.items()},
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], weights: Mapping[str, Tensor]) -> "Jackknife":
        """The changes that a checkpoint stores beside its weights.

        Raises:
            ValueError: if the changes do not fit the weights.
        """
        blocks, changes = int(plain["blocks"]), dict(plain["changes"])
        alike = float(plain.get("alike", blocks))  # earlier checkpoints count every block
        if blocks < 4 or not 2 < alike <= blocks:
            raise ValueError(f"jackknife has {blocks} blocks, as good as {alike:g} alike; expected at least 4 and 2")
        for name, each in changes.items():
            fits = isinstance(each, Tensor) and name in weights and each.shape == (blocks, *weights[name].shape)
            if not fits or not each.is_floating_point():
                raise ValueError(f"jackknife changes of {name} do not fit the weights beside them")
            if not torch.isfinite(each).all():
                raise ValueError(f"jackknife changes of {name} are not finite")
        return cls(blocks, alike, bool(plain["in_time"]), changes)
