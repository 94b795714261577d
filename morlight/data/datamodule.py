"""The data module: trajectory files as batches of windows, split by trajectory."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from jaxtyping import Float
from torch import Tensor

from morlight.data import trajectories
from morlight.data.windows import WindowLoader, Windows

QUANTILES = 101  # of the values of a field: the gauge of h is fixed where the data are
VALIDATED = 2000  # windows looked at for the validation loss: its noise is then some 1e-3 of its value


class TrajectoryDataModule(lightning.LightningDataModule):
    """Windows of the trajectories in one file, ready for training, validation and test.

    Args:
        path: trajectory file.
        fields: names of the fields to learn; all scalar fields where left out.
        batch: windows a step, all processes together.
        validation: share of the trajectories kept for validation.
        test: share of the trajectories kept for test.
        trajectories: use only so many of them, from the first on; all where left out.
        seed: of the split and of the order of the windows.
    """

    def __init__(  # noqa: PLR0913 - one key of a configuration each
        self,
        path: str,
        fields: list[str] | None = None,
        batch: int = 100,
        validation: float = 0.1,
        test: float = 0.1,
        trajectories: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        self._parts: dict[str, Windows] = {}

    def setup(self, stage: str | None = None) -> None:
        """Read the file once, whatever the stage."""
        if self._parts:
            return
        self.file = trajectories.describe(self.hparams.path)
        self.fields = tuple(self.hparams.fields or self.file.fields)
        self._check()
        count = self.hparams.trajectories or self.file.trajectories
        u = torch.from_numpy(trajectories.read(self.file.path, self.fields, slice(count)))
        u = u.to(torch.get_default_dtype())
        rows = {part: torch.from_numpy(chosen) for part, chosen in self.split().items()}
        self._parts = {part: Windows(u, chosen) for part, chosen in rows.items()}
        self.description = self._describe(u[row] for row in rows["train"])

    def _check(self) -> None:
        wanted, there = self.hparams.trajectories, self.file.trajectories
        if wanted is not None and not 1 <= wanted <= there:
            raise ValueError(f"{self.file.path}: data.trajectories is {wanted}, expected 1 to {there}")
        if self.hparams.batch < 1:
            raise ValueError(f"data.batch is {self.hparams.batch}, expected at least 1")
        shares = self.hparams.validation, self.hparams.test
        if min(shares) < 0 or sum(shares) >= 1:
            raise ValueError(f"data.validation and data.test are {shares}, expected shares ≥ 0 with a sum below 1")

    def split(self) -> dict[str, np.ndarray]:
        """Which trajectories belong to train, validation and test; disjoint, and the same for the same seed."""
        count = self.hparams.trajectories or self.file.trajectories
        order = np.random.default_rng(self.hparams.seed).permutation(count)
        test = round(count * self.hparams.test)
        held = test + round(count * self.hparams.validation)
        if held >= count:
            held = test = 0  # too few trajectories to hold any back
        return {name: np.sort(part) for name, part in
                (("test", order[:test]), ("validation", order[test:held]), ("train", order[held:]))}  # fmt: skip

    def _describe(self, training: Iterable[Float[Tensor, "T C *X"]]) -> dict[str, Any]:
        """All that an operator needs to know of its data, as plain values for the checkpoint."""
        by_field = [u.transpose(0, 1).flatten(1) for u in training]
        square = torch.stack([u.double().square().mean(1) for u in by_field]).mean(0)
        return {
            "name": self.file.name,
            "fields": list(self.fields),
            "points": list(self.file.grid.points),
            "length": list(self.file.grid.length),
            "boundaries": list(self.file.grid.boundaries),
            "dt": self.file.dt,
            "scale": square.sqrt().tolist(),
            "values": _quantiles(torch.cat(by_field, 1)),
            "low": torch.stack([u.amin(1) for u in by_field]).amin(0).tolist(),
            "high": torch.stack([u.amax(1) for u in by_field]).amax(0).tolist(),
            "digest": trajectories.digest(self.file.path),
        }

    def windows(self, part: str) -> Windows:
        """Windows of one part: train, validation or test."""
        return self._parts[part]

    def sample(self, horizon: int, count: int) -> Float[Tensor, "2 B C *X"]:
        """First and last frames of some training windows, always the same ones."""
        windows = self._parts["train"]
        total = windows.count(horizon)
        if total == 0:
            raise ValueError(
                f"{self.file.path}: {windows.length} frames are too few for model.horizons up to {horizon}"
            )
        return windows.ends(torch.linspace(0, total - 1, min(count, total)).long(), horizon)

    def train_dataloader(self) -> WindowLoader:
        """Every window of the present horizon once, in an order that depends on seed and epoch alone."""
        stream = np.random.SeedSequence((self.hparams.seed, self.trainer.current_epoch))
        generator = torch.Generator().manual_seed(int(stream.generate_state(1)[0]))
        horizon = self._module().horizon
        order = torch.randperm(self._parts["train"].count(horizon), generator=generator)
        return self._loader("train", order, horizon)

    def val_dataloader(self) -> list[WindowLoader]:
        """Windows of the longest horizon, evenly over the held-out trajectories."""
        return self._evaluated("validation")

    def test_dataloader(self) -> list[WindowLoader]:
        """The same for the trajectories that no choice has looked at."""
        return self._evaluated("test")

    def _evaluated(self, part: str) -> list[WindowLoader]:
        horizon = self._module().hparams.horizons[-1]
        total = self._parts[part].count(horizon)
        if total == 0:
            return []
        return [self._loader(part, torch.linspace(0, total - 1, min(VALIDATED, total)).long(), horizon)]

    def _loader(self, part: str, order: Tensor, horizon: int) -> WindowLoader:
        rank, world = self.trainer.global_rank, self.trainer.world_size
        return WindowLoader(self._parts[part], order, horizon, self.hparams.batch, rank, world)

    def _module(self) -> Any:
        return self.trainer.lightning_module


def _quantiles(values: Float[Tensor, "C n"]) -> list[list[float]]:
    """Quantiles of each field in the middles of equal shares, from at most a million values."""
    thinned = values[:, :: 1 + values.shape[1] // 1_000_000].double()
    shares = (torch.arange(QUANTILES, dtype=torch.float64) + 0.5) / QUANTILES
    return torch.quantile(thinned, shares, dim=1).T.tolist()
