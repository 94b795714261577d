"""Gradient descent: R realizations side by side by Adam, m growing from stage to stage (Eq. 21, 34)."""

import copy
from typing import Any

import pytorch_lightning as lightning
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from morlight.analysis import linear_model
from morlight.analysis.linear_model import Part
from morlight.data.schedule import Schedule
from morlight.data.windows import Batch
from morlight.operators import SpectralOperator, losses
from morlight.operators.kernels.recorded_gradient import Replays
from morlight.operators.stability import Anchored
from morlight.operators.symbols import DissipativeSymbol
from morlight.training.callbacks.guard import DivergenceGuard
from morlight.training.certificate import STATES
from morlight.training.config import AdamConfig
from morlight.training.curriculum import curriculum
from morlight.training.operator_module import OperatorModule

NODES = 257  # at which the curvature of h is measured


class GradientModule(OperatorModule):
    """Adam on the windows of one horizon a stage; the realizations' parameters do not mix."""

    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        if self.algorithm.start == "linear" and any(isinstance(part, Anchored) for part in self.operator.modules()):
            raise ValueError("model.start is linear with the bias stability of coupled fields, expected random")
        self._replays: Replays | None = None

    @property
    def algorithm(self) -> AdamConfig:
        return self.config.adam

    @property
    def steps_taken(self) -> int:
        return self.global_step

    def schedule(self, epochs: int) -> Schedule:
        return curriculum(self.config.objective, epochs)

    @property
    def horizon(self) -> int:
        """m of the present stage."""
        return self._schedule.training(self.current_epoch)[-1]

    @property
    def _schedule(self) -> Schedule:
        return self.schedule(self.trainer.max_epochs or 0)

    def configure_callbacks(self) -> list[lightning.Callback]:
        """A fit whose loss is no longer finite ends."""
        return [DivergenceGuard()]

    def begin(self, known: list[Part]) -> None:
        """Start from the linear model where asked to."""
        if self.algorithm.start == "linear" and self.trainer.ckpt_path is None:
            start = copy.deepcopy(self.operator).cpu()  # where the linear model is
            steps = linear_model.start(start, known, self.sample.states(STATES)[0])
            total = linear_model.STEPS * len(known)
            for _ in tqdm(steps, "linear start", total, delay=2, leave=False, unit="step"):
                pass
            self.operator.load_state_dict(start.state_dict())

    def on_train_epoch_start(self) -> None:
        """Forget Adam's moments where a new stage begins and the configuration says so."""
        if self._replays is not None:
            self._replays.look()
        if self.algorithm.reset and self._schedule.begins(self.current_epoch):
            self.trainer.optimizers[0].state.clear()

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Sum over realizations, so that each has the gradient that it would have alone."""
        horizon = self.horizon
        kind = horizon, self.loss.drawn(horizon, self.global_step)
        # falls with the learning rate: leads at the start, and lets the data decide at the end
        share = torch.tensor(self.trainer.optimizers[0].param_groups[0]["lr"] / self.algorithm.lr, dtype=torch.float64)
        if self._replays is None:
            self._replays = Replays(self._objective, self.operator, self.config.realizations)
        known = self.components is None and self.loss.own is None and self.loss.scheme != "implicit"
        step = self._replays if known else self._objective
        total, values = step(kind, batch.frames, batch.gamma, share)
        self.record("train_loss", values)
        if index % self.trainer.log_every_n_steps == 0:
            self.log("loss", values.detach().median(), prog_bar=True)
        # the mean over the processes is the mean over the windows of the batch
        world = self.trainer.world_size
        return total if world == 1 else total * (batch.frames.shape[1] * world / batch.total)

    def _objective(
        self, kind: tuple[int, int], frames: Tensor, gamma: Float[Tensor, "B P"], share: Float[Tensor, ""]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, " R"]]:
        """The number that is minimized, and the losses of the realizations."""
        values = self.loss(Batch(frames, gamma, frames.shape[1]), *kind)
        if not self.config.smoothness or self.loss.bounds is None:
            return values.sum(), values
        smooth = self.config.smoothness * share * values.detach().clamp_max(1.0) * self._bending()
        return (values + smooth).sum(), values

    def _bending(self) -> Float[Tensor, " R"]:
        """How far h is from a straight line and g from a power law; decides where the data do not."""
        assert isinstance(self.operator, SpectralOperator)
        assert self.loss.bounds is not None
        low, high = self.loss.bounds
        u = torch.linspace(max(low, 0.0) if low == -high else low, high, NODES, dtype=self.dtype, device=self.device)
        bent = losses.bending(self.operator.nonlinearity(u.view(1, 1, 1, -1)).flatten(1))
        dimensions = 1 if self.config.has("isotropy") else self.data.grid.dimensions
        for module in self.operator.g.modules():
            if isinstance(module, DissipativeSymbol):
                bent = bent + module.bending(dimensions)
        return bent

    @property
    def last_losses(self) -> Float[Tensor, " R"]:
        """Loss of each realization at the last step."""
        return self._losses["train_loss"][-1]

    def __getstate__(self) -> dict[str, Any]:
        """Without recordings, which hold addresses."""
        return {**super().__getstate__(), "_replays": None}

    def configure_optimizers(self) -> Any:
        """Adam over all realizations at once."""
        optimizer = torch.optim.Adam(self.operator.parameters(), lr=self.algorithm.lr, fused=True)
        if not self.algorithm.decay:
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=0.01 * self.algorithm.lr)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
