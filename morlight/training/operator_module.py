"""What both training algorithms share: the operator, its losses on data held back, and its checkpoint."""

import math
from abc import ABC, abstractmethod
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from jaxtyping import Float
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from morlight.analysis import linear_model
from morlight.analysis.checkpoint import Certificate, Checkpoint, ModeStatistics, RealizationLosses
from morlight.analysis.jackknife import Jackknife
from morlight.analysis.linear_model import Part
from morlight.data.sample import TrainingSample
from morlight.data.schedule import Schedule
from morlight.data.windows import Batch
from morlight.operators import Operator, SpectralOperator, build, selected, starts
from morlight.operators.build import Components
from morlight.operators.description import DataDescription
from morlight.training import modes
from morlight.training.certificate import certificate
from morlight.training.config import AdamConfig, EquationConfig, LeastSquaresConfig, ModelConfig
from morlight.training.fluctuations import learning as fluctuations
from morlight.training.identification import Fitted, rate_errors
from morlight.training.window_loss import Loss, WindowLoss


class OperatorModule(lightning.LightningModule, ABC):
    """Learns u(t + Δt) = (I + L) u(t) from windows (u_j, …, u_{j+m}), or L u = f from pairs (Eq. 7).

    Args:
        config: operator, loss and algorithm.
        data: what the operator needs to know of its data.
        sample: of the training data, for noise, linear model and certificate.
        components: the user's own networks and biases.
        loss: the user's own loss.

    Raises:
        ValueError: where there is no such operator or loss for such data.
    """

    def __init__(
        self,
        config: ModelConfig,
        data: DataDescription,
        sample: TrainingSample,
        components: Components | None = None,
        loss: Loss | None = None,
    ) -> None:
        super().__init__()
        if config.fluctuations:
            fluctuations.check(config, data)
        if config.has("band") and not data.steady:
            data = replace(data, signal=modes.signal(data, sample))
        self.config, self.data, self.sample, self.components = config, data, sample, components
        self.operator: Operator = build.operator(config.operator, data, components)
        self.loss = WindowLoss(self.operator, config.operator, config.objective, data, sample, loss)
        own = components is not None and components.nonlinearity is not None  # starts as its author made it
        if self.scalar and config.initial_slope == "positive" and not own:
            assert isinstance(self.operator, SpectralOperator)
            starts.upward(self.operator, data.fields[0].quantiles)
        if config.scheme == "implicit":
            starts.near_identity(self.operator)
        self.held_back_horizon = config.objective.longest
        self.run_id: str | None = None
        self.modes: ModeStatistics | None = None
        self.jackknife: Jackknife | None = None  # where the data are resampled
        self._losses: dict[str, list[Tensor]] = {"train_loss": [], "val_loss": [], "test_loss": []}
        self._means: dict[str, Tensor] = {}
        self._growth: tuple[int, Certificate] | None = None
        self._identified: tuple[int, tuple[tuple[float, ...], ...]] | None = None

    @property
    def scalar(self) -> bool:
        """Whether it is one field with one term and without γ, whose h is tabulated."""
        return self.loss.bounds is not None

    @property
    @abstractmethod
    def algorithm(self) -> AdamConfig | LeastSquaresConfig | EquationConfig:
        """Its options."""

    @property
    @abstractmethod
    def steps_taken(self) -> int:
        """Number of steps of the algorithm so far."""

    @abstractmethod
    def schedule(self, epochs: int) -> Schedule:
        """Which frames of a window the data module is to serve.

        Raises:
            ValueError: where the epochs do not fit the horizons.
        """

    def on_fit_start(self) -> None:
        """Keep what the data say about each mode, for those who read the model later."""
        if self.modes is None:
            known = modes.linear(self.operator, self.data, self.sample, self.config.objective.longest)
            self.modes = ModeStatistics(linear_model.plain(known))
            self.begin(known)

    def begin(self, known: list[Part]) -> None:
        """Prepare for the first step.

        Args:
            known: the linear model.
        """

    def record(self, name: str, values: Float[Tensor, " R"]) -> None:
        """Losses of a batch of train_loss, val_loss or test_loss."""
        self._losses[name].append(values.detach())

    def on_train_epoch_end(self) -> None:
        """Mean loss of the epoch for each realization, their median and their minimum."""
        self._log_epoch("train_loss")

    def validation_step(self, batch: Batch, index: int) -> None:
        """Loss of the longest horizon on data held back."""
        self.record("val_loss", self.loss(batch, self.held_back_horizon))

    def on_validation_epoch_end(self) -> None:
        """As for training; the median chooses the best checkpoint."""
        self._log_epoch("val_loss")

    def test_step(self, batch: Batch, index: int) -> None:
        """Loss of the longest horizon on data that chose nothing."""
        self.record("test_loss", self.loss(batch, self.held_back_horizon))

    def on_test_epoch_end(self) -> None:
        """As for validation."""
        self._log_epoch("test_loss")

    def _log_epoch(self, name: str) -> None:
        """The mean over the batches; of a fit, with the logger at once.

        Lightning would hand it over after the checkpoint of the epoch is written: a process killed in between goes on
        at the epoch that follows and leaves a gap. And it takes a millisecond for each number, of which the callbacks
        need two.
        """
        mean = torch.stack(self._losses[name]).mean(0)
        self._losses[name].clear()
        if self.trainer.sanity_checking:
            return
        if self.trainer.world_size > 1:
            mean = self.trainer.strategy.reduce(mean, reduce_op="mean")
        self._means[name] = mean
        few = {f"{name}/median": float(mean.median()), f"{name}/min": float(mean.min())}
        metrics = {f"{name}/{r:02d}": value for r, value in enumerate(mean.tolist())} | few
        fitting = self.trainer.state.fn == TrainerFn.FITTING
        epoch = {"epoch": self.current_epoch} if name == "train_loss" else {}
        for logger in self.loggers if fitting else []:
            logger.log_metrics(metrics | epoch, step=self.steps_taken - 1)
        self.log_dict(
            few if fitting else metrics, logger=False if fitting else None, sync_dist=self.trainer.world_size > 1
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Plain values only, so that the file opens with weights_only=True."""
        checkpoint["morlight"] = self.described().to_plain()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Load double precision into double precision: Lightning converts the module only after loading."""
        if any(value.dtype == torch.float64 for value in checkpoint["state_dict"].values()):
            self.double()

    def described(self) -> Checkpoint:
        """What the checkpoint says beside the weights."""
        return Checkpoint(
            path=Path(),
            config=self.config.operator,
            training={
                "optimizer": self.config.optimizer,
                **asdict(self.config.objective),
                **asdict(self.algorithm),
                "own_loss": self.loss.own is not None,
            },
            data=self.data,
            modes=replace(self.modes or ModeStatistics(), rate_errors=self.rate_errors()),
            run=self.run_id,
            growth=self.certificate(),
            losses=self._realization_losses(),
            weights={},
            components=self.components is not None,
            jackknife=self.jackknife,
        )  # fmt: skip

    def _realization_losses(self) -> RealizationLosses | None:
        """Loss of each realization on the trajectories held back, or else on those of the training."""
        for name in ("val_loss", "train_loss"):
            if name in self._means:
                return RealizationLosses(name, tuple(self._means[name].tolist()))
        return None

    def rate_errors(self) -> tuple[tuple[float, ...], ...] | None:
        """Relative standard errors of the rate of change at each |κ|, of the realization with the smallest loss.

        They depend little on the operator: they are computed again whenever the steps have doubled, and at the end.
        """
        if self.data.steady or self.modes is None:
            return None
        if self.config.vectors:
            return modes.rate_errors_of_waves(self.operator, self.sample)
        before = self._identified
        if before is None or self.steps_taken >= 2 * before[0] or (self.last_epoch and self.steps_taken > before[0]):
            losses = self._realization_losses()
            values = [math.inf if math.isnan(v) else v for v in (losses.per_realization if losses else (0.0,))]
            best, operator = values.index(min(values)), self.operator
            if self.components is None:  # parameters of the user's own may have another layout
                best, operator = 0, selected(operator, operator.realizations, [best])
            fitted = Fitted(operator, best, self.loss.scheme, self.data)
            found = rate_errors(fitted, self.sample, self.config.horizons)
            self._identified = before = (self.steps_taken, found)
        return before[1]

    @property
    def last_epoch(self) -> bool:
        """Whether this epoch is the last one."""
        return self.current_epoch + 1 >= (self.trainer.max_epochs or 0)

    def certificate(self) -> Certificate | None:
        """Largest growth of a small disturbance in one explicit or exponential step; None of others."""
        if self.data.steady or self.config.scheme == "implicit" or self.config.equation is not None:
            return None
        if not self.scalar and not self.last_epoch:  # eigenvalues cost as much as an epoch of a small system
            return None
        if self._growth is None or self._growth[0] != self.steps_taken:
            found = certificate(self.operator, self.data, self.sample, scalar=self.scalar, scheme=self.loss.scheme)
            self._growth = (self.steps_taken, found)
        return self._growth[1]
