"""The Lightning module: R realisations of an update operator, trained side by side on windows of trajectories."""

from typing import Any

import pytorch_lightning as lightning
import torch
from jaxtyping import Float
from torch import Tensor

from morlight.operators import SpectralOperator, build, losses
from morlight.operators.networks import DissipativeSymbol
from morlight.operators.stepping import advance
from morlight.training import curriculum

LAYOUT = 1  # of what a checkpoint says under "morlight"; raised when older ones need translation
NODES = 257  # at which the curvature of h is measured
SAMPLED = 20_000  # windows that the noise of each mode is estimated from: 1 % of its variance


class OperatorModule(lightning.LightningModule):
    """Learns u(t + Δt) = (I + L) u(t) from windows (u_j, …, u_{j+m}), m growing from stage to stage (Eq. 21).

    Args:
        biases: any of conservation, isotropy, reflection.
        symbol: dissipative, |1 + g| ≤ 1 by construction, or plain, the paper's network.
        width: of the hidden layers of g and h.
        depth: number of their linear layers.
        activation: elu, gelu, silu, softplus or tanh.
        realizations: R, independently initialised operators trained side by side.
        seed: of the initial weights; realisation r starts as a single one with seed + r would.
        horizons: m of each stage; the epochs are divided evenly among the stages.
        loss: noise, each mode in the unit of its own noise, or points, the mean square of Eq. 21.
        smoothness: weight of the curvature of h and, for the dissipative symbol, of ln|ln(1 + g)| over ln|κ|, as a
            share of the loss; falls with the learning rate. 0 leaves both free.
        lr: learning rate of Adam at the start.
        decay: whether the learning rate falls to 1 % by half a cosine, or stays.
        reset: whether Adam forgets its moments at the start of each stage.
        literal: the paper's forms where they differ from the sensible ones: fields and κ unscaled, h(0) and the
            imaginary part of an isotropic symbol kept.
        data: description of the training data; comes from the data module, or from a checkpoint.
    """

    operator: SpectralOperator

    def __init__(  # noqa: PLR0913 - one key of a configuration each
        self,
        biases: list[str],
        symbol: str = "dissipative",
        width: int = 4,
        depth: int = 4,
        activation: str = "elu",
        realizations: int = 5,
        seed: int = 0,
        horizons: list[int] = [1, 4, 16],  # noqa: B006 - a literal, for the parser
        loss: str = "noise",
        smoothness: float = 0.01,
        lr: float = 1e-2,
        decay: bool = True,
        reset: bool = False,
        literal: bool = False,
        data: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)  # the whole configuration is logged at once
        build.check(self.hparams)
        curriculum.check(horizons)
        if loss not in ("noise", "points"):
            raise ValueError(f"model.loss is {loss!r}, expected noise or points")
        if lr <= 0 or smoothness < 0:
            raise ValueError(f"model.lr is {lr} and model.smoothness {smoothness}, expected lr > 0 and smoothness ≥ 0")
        self.run_id: str | None = None
        self._losses: list[Tensor] = []
        self._loss: dict[int, Any] = {}

    def setup(self, stage: str) -> None:
        """Build the operator for the data at hand, unless it is there."""
        if not hasattr(self, "operator"):
            self.adopt(self.hparams.data or self.trainer.datamodule.description)
        if stage == "fit":
            self._stage()  # refuses epochs that do not fit the stages before anything is computed

    def adopt(self, data: dict[str, Any]) -> None:
        """Build the operator for data with this description (see `TrajectoryDataModule`).

        Raises:
            ValueError: where there is no operator for such data.
        """
        self.hparams.data = data
        self.operator = build.operator(self.hparams, data)
        if not self.hparams.literal:
            build.upward(self.operator, data["values"][0])
        low, high = data["low"][0], data["high"][0]
        margin = 0.25 * (high - low)  # noise of the roll-out; beyond, the table continues by its slopes
        reach = max(abs(low), abs(high)) + margin
        odd = "reflection" in self.hparams.biases
        self.bounds = (-reach, reach) if odd else (low - margin, high + margin)

    def _stage(self) -> int:
        return curriculum.stage_of(
            self.current_epoch, epochs=self.trainer.max_epochs or 0, stages=len(self.hparams.horizons)
        )

    @property
    def horizon(self) -> int:
        """m of the present stage."""
        return self.hparams.horizons[self._stage()]

    def loss(self, horizon: int) -> Any:
        """Loss function of windows with this horizon, (prediction, target) ↦ one value a realisation."""
        if self.hparams.loss == "points":
            return losses.mean_square
        if horizon not in self._loss:
            basis = self.operator.basis
            one, many = (
                basis.forward(self.trainer.datamodule.sample(m, SAMPLED).to(self.device).double()) for m in (1, horizon)
            )
            factor = losses.linear_fit(one[0], one[1])
            variance = losses.residual_variance(factor, many[0], many[1], horizon)
            self._loss[horizon] = losses.NoiseWeighted(basis, variance.to(self.dtype))
        return self._loss[horizon]

    def _windows_loss(self, windows: Float[Tensor, "2 B C *X"], horizon: int) -> Float[Tensor, " R"]:
        increment = self.operator.prepared(self.bounds)
        return self.loss(horizon)(advance(increment, windows[0][None], horizon), windows[1][None])

    def on_train_epoch_start(self) -> None:
        """Forget Adam's moments where a new stage begins and the configuration says so."""
        stages, epochs = len(self.hparams.horizons), self.trainer.max_epochs or 0
        if self.hparams.reset and self.current_epoch % (epochs // stages) == 0:
            self.trainer.optimizers[0].state.clear()

    def training_step(self, windows: Tensor, index: int) -> Tensor:
        """Sum over realisations, so that each has the gradient that it would have alone."""
        values = self._windows_loss(windows, self.horizon)
        self._losses.append(values.detach())
        if index % self.trainer.log_every_n_steps == 0:
            self.log("loss", values.detach().median(), prog_bar=True)
        # falls with the learning rate: leads at the start, and lets the data decide at the end
        share = self.trainer.optimizers[0].param_groups[0]["lr"] / self.hparams.lr
        return (values + self.hparams.smoothness * share * values.detach().clamp_max(1.0) * self._bending()).sum()

    def _bending(self) -> Float[Tensor, " R"] | float:
        """How far h is from a straight line and g from a power law; decides where the data do not."""
        if not self.hparams.smoothness:
            return 0.0
        low, high = self.bounds
        u = torch.linspace(max(low, 0.0) if low == -high else low, high, NODES, dtype=self.dtype, device=self.device)
        bent = losses.bending(self.operator.nonlinearity(u.view(1, 1, 1, -1)).flatten(1))
        for module in self.operator.g.modules():
            if isinstance(module, DissipativeSymbol):
                bent = bent + module.bending()
        return bent

    @property
    def last_loss(self) -> Float[Tensor, " R"]:
        """Loss of each realisation at the last step."""
        return self._losses[-1]

    def on_train_epoch_end(self) -> None:
        """Mean loss of the epoch for each realisation, their median and their minimum."""
        self._log("train_loss", self._losses)

    def validation_step(self, windows: Tensor, index: int) -> None:
        """Loss of the longest horizon on trajectories held back."""
        self._losses_held.append(self._windows_loss(windows, self.hparams.horizons[-1]))

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch's values."""
        self._losses_held: list[Tensor] = []

    def on_validation_epoch_end(self) -> None:
        """As for training; the median chooses the best checkpoint."""
        self._log("val_loss", self._losses_held)

    test_step = validation_step
    on_test_epoch_start = on_validation_epoch_start

    def on_test_epoch_end(self) -> None:
        """As for validation, on trajectories that chose nothing."""
        self._log("test_loss", self._losses_held)

    def _log(self, name: str, values: list[Tensor]) -> None:
        mean = torch.stack(values).mean(0)
        values.clear()
        metrics = {f"{name}/{r:02d}": value for r, value in enumerate(mean)}
        metrics |= {f"{name}/median": mean.median(), f"{name}/min": mean.min()}
        self.log_dict(metrics, sync_dist=self.trainer.world_size > 1)

    def configure_optimizers(self) -> Any:
        """Adam over all realisations at once; their parameters do not mix."""
        optimizer = torch.optim.Adam(self.operator.parameters(), lr=self.hparams.lr, fused=True)
        if not self.hparams.decay:
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=0.01 * self.hparams.lr)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Plain values only, so that the file opens with weights_only=True."""
        checkpoint["hyper_parameters"].pop("_instantiator", None)
        checkpoint["hyper_parameters"]["data"] = self.hparams.data
        checkpoint["morlight"] = {"layout": LAYOUT, "run": self.run_id}
