"""The Lightning module: R realisations of an update operator, trained side by side on windows of trajectories."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytorch_lightning as lightning
import torch
from jaxtyping import Float
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor
from tqdm import tqdm

from morlight.analysis import linear_model as linear
from morlight.analysis.checkpoint import LAYOUT
from morlight.analysis.equations.power_law import by_modulus, rate_errors
from morlight.operators import Operator, SpectralOperator, build, losses, radius, symbol_growth
from morlight.operators.rollout import stepper
from morlight.operators.stability import Anchored
from morlight.operators.symbols import DissipativeSymbol
from morlight.training import curriculum
from morlight.training.least_squares.levenberg_marquardt import regress
from morlight.training.least_squares.moments import Gatherer, counting_noise

NODES = 257  # at which the curvature of h is measured
CERTIFIED = 8  # training states at which a system is linearised
SPLINES = {1: 64, 2: 24, 3: 16}  # of the moments: sums of n² numbers a mode, and modes are many in the plane

Batch = tuple[Tensor, Tensor]


class Search(torch.optim.Optimizer):
    """Lets Lightning count the steps of `regress`."""

    search: Iterator[Tensor]

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Errors (R,) after the next step, None where the search has ended."""
        return next(self.search, None)


class OperatorModule(lightning.LightningModule):
    """Learns u(t + Δt) = (I + L) u(t) from windows (u_j, …, u_{j+m}), m growing from stage to stage (Eq. 21).

    Where the data have targets f, it learns L u = f without time (Eq. 7).

    Args:
        biases: any of conservation, isotropy, reflection, stability; a list for all fields or one for each.
        symbol: dissipative, |1 + g| ≤ 1 by construction, or plain, the paper's network.
        width: of the hidden layers of g and h.
        depth: number of their linear layers.
        activation: elu, gelu, silu, softplus or tanh.
        realizations: R, independently initialised operators trained side by side.
        seed: of the initial weights; realisation r starts as a single one with seed + r would.
        horizons: m of each stage, the epochs divided evenly among the stages; with moments all at once.
        loss: noise, each mode in the unit of its own noise, or points, the mean square of Eq. 21.
        steps: which m of a horizon M enter the loss: last, m = M (Eq. 21), all of one roll-out, or one at random
            for each batch, as Eq. 34 has it.
        beta: the m-th step counts 1/m^beta (Eq. 34).
        field_weights: std, squares in the unit of each field's deviation from its mean, rms, in that of the field, or
            none; literal is none.
        smoothness: weight of the curvature of h and, for the dissipative symbol, of ln|ln(1 + g)| over ln|κ|, as a
            share of the loss; falls with the learning rate. 0 leaves both free.
        lr: learning rate of Adam at the start.
        decay: whether the learning rate falls to 1 % by half a cosine, or stays.
        reset: whether Adam forgets its moments at the start of each stage.
        literal: the paper's forms where they differ from the sensible ones: fields and κ unscaled, h(0) and the
            imaginary part of an isotropic symbol kept.
        terms: K, pairs of g and h for each field (Eq. 27).
        bases: of fields between walls, cosine (the default), sine or legendre.
        flux: whether the mixed terms Π⁻¹ g ∂ₓ Π' h between sines and cosines are added.
        order: 1, or 2 for ∂ₜₜu, where the fields are each u and then each ∂ₜu.
        scheme: explicit or implicit Euler (Eq. 4).
        optimizer: adam, or moments: one pass over the data gathers all that the increments of one field over m
            steps say, and Levenberg–Marquardt fits g and h to it (h a nearly straight line where m > 1).
        iterations: of Levenberg–Marquardt, at most.
        start: random, or linear: the networks are first taken to the linear model of each mode by itself.
        data: description of the training data; comes from the data module, or from a checkpoint.
    """

    operator: Operator

    def __init__(  # noqa: PLR0913 - one key of a configuration each
        self,
        biases: list[str] | dict[str, list[str]],
        symbol: str = "dissipative",
        width: int = 4,
        depth: int = 4,
        activation: str = "elu",
        realizations: int = 5,
        seed: int = 0,
        horizons: list[int] = [1, 4, 16],  # noqa: B006 - a literal, for the parser
        loss: str = "noise",
        steps: str = "last",
        beta: float = 1.0,
        field_weights: str = "rms",
        smoothness: float = 0.01,
        lr: float = 1e-2,
        decay: bool = True,
        reset: bool = False,
        literal: bool = False,
        terms: int = 1,
        bases: dict[str, str] = {},  # noqa: B006 - a literal, for the parser
        flux: bool = False,
        order: int = 1,
        scheme: str = "explicit",
        optimizer: str = "adam",
        iterations: int = 1000,
        start: str = "random",
        data: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)  # the whole configuration is logged at once
        build.check(self.hparams)
        curriculum.check(horizons)
        for key, came, known in (
            ("loss", loss, ("noise", "points")),
            ("optimizer", optimizer, ("adam", "moments")),
            ("start", start, ("random", "linear")),
            ("steps", steps, ("last", "all", "random")),
            ("field_weights", field_weights, ("none", "rms", "std")),
        ):
            if came not in known:
                raise ValueError(f"model.{key} is {came!r}, expected {' or '.join(known)}")
        if steps != "last" and (loss != "points" or optimizer == "moments"):
            raise ValueError(f"model.steps is {steps}, which needs model.loss points and model.optimizer adam")
        if optimizer == "moments" and scheme != "explicit":
            raise ValueError(f"model.scheme is {scheme} with model.optimizer moments, expected explicit")
        if optimizer == "moments" and (iterations < 1 or terms > 1):
            raise ValueError(
                f"model.optimizer is moments with model.terms {terms} and model.iterations {iterations}, expected one"
                " term and at least one iteration"
            )
        self.automatic_optimization = optimizer == "adam"
        if lr <= 0 or smoothness < 0:
            raise ValueError(f"model.lr is {lr} and model.smoothness {smoothness}, expected lr > 0 and smoothness ≥ 0")
        self.run_id: str | None = None
        self._losses: list[Tensor] = []
        self._means: dict[str, Tensor] = {}
        self._loss: dict[int, Any] = {}
        self._growth: tuple[int, dict[str, Any]] | None = None

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
        single = isinstance(self.operator, SpectralOperator) and len(data["fields"]) == 1
        self._check(data, single)
        scalar = single and self.hparams.terms == 1 and not data.get("parameters")
        if scalar and not self.hparams.literal:
            build.upward(self.spectral, data["values"][0])
        if self.hparams.start == "linear" and any(isinstance(part, Anchored) for part in self.operator.modules()):
            raise ValueError("model.start is linear with the bias stability of coupled fields, expected random")
        if self.hparams.scheme == "implicit":
            build.near_identity(self.operator)
        low, high = data["low"][0], data["high"][0]
        margin = 0.25 * (high - low)  # noise of the roll-out; beyond, the table continues by its slopes
        reach = max(abs(low), abs(high)) + margin
        odd = "reflection" in str(self.hparams.biases)
        limits = (-reach, reach) if odd else (low - margin, high + margin)
        self.bounds = limits if scalar else None

    @property
    def spectral(self) -> SpectralOperator:
        """The operator where it is a single one: all fields in one basis."""
        assert isinstance(self.operator, SpectralOperator)
        return self.operator

    def _check(self, data: dict[str, Any], single: bool) -> None:
        """Refuse a loss or an optimiser that is not for such data."""
        if self.hparams.loss == "noise" and (data.get("targets") or not isinstance(self.operator, SpectralOperator)):
            raise ValueError(
                "model.loss is noise, which needs fields that change in time and share one basis; expected points"
            )
        if self.hparams.optimizer == "moments" and (not single or data.get("parameters")):
            raise ValueError("model.optimizer is moments, which needs one field without parameters; expected adam")

    def _stage(self) -> int:
        return curriculum.stage_of(self.current_epoch, epochs=self.trainer.max_epochs or 0, stages=self.stages)

    @property
    def stages(self) -> int:
        """Number of stages of the curriculum."""
        return len(self.hparams.horizons) if self.hparams.optimizer == "adam" else 1

    @property
    def horizon(self) -> int:
        """m of the present stage."""
        return self.hparams.horizons[self._stage()]

    @property
    def offsets(self) -> tuple[int, ...]:
        """Of the frames of a training window: the horizon of the stage, or all of them at once for the moments."""
        if self.hparams.optimizer == "moments":
            return (0, *sorted(set(self.hparams.horizons)))
        return (0, self.horizon) if self.hparams.steps == "last" else tuple(range(self.horizon + 1))

    def loss(self, horizon: int) -> Any:
        """Loss function of windows with this horizon, (prediction, target) ↦ one value a realisation."""
        if self.hparams.loss == "points":
            return self._points
        if horizon not in self._loss:
            basis = self.spectral.basis
            first, next_, last = (
                basis.forward(u.to(self.device).double()) for u in self.trainer.datamodule.sample(horizon)
            )
            factor = losses.linear_fit(first, next_)
            variance = losses.residual_variance(factor, first, last, horizon)
            self._loss[horizon] = losses.NoiseWeighted(basis, variance.to(self.dtype))
        return self._loss[horizon]

    def _points(
        self,
        prediction: Float[Tensor, "R B C *X"],
        target: Float[Tensor, "r B C *X"],
        gamma: Float[Tensor, "B P"] | None = None,
    ) -> Float[Tensor, " R"]:
        """Mean square (Eq. 7, 21, 34), each field in its unit unless literal."""
        word, data = self.hparams.field_weights, self.hparams.data
        if self.hparams.literal or word == "none":
            return losses.mean_square(prediction, target)
        told = data.get("unit") or (data["spread"] if word == "std" else data["scale"])
        unit = prediction.new_tensor(told)
        if gamma is not None and (follows := self._sizes(gamma)) is not None:
            unit = unit * follows
        unit = unit.view(*unit.shape, *[1] * (prediction.ndim - 3))
        return losses.mean_square(prediction / unit, target / unit)

    def _sizes(self, gamma: Float[Tensor, "B P"]) -> Float[Tensor, "B C"] | None:
        """How the units of the fields follow γ."""
        part = next(module for module in self.operator.modules() if isinstance(module, SpectralOperator))
        return part.gamma.sizes(gamma)

    def _windows_loss(self, batch: Batch, horizon: int) -> Float[Tensor, " R"]:
        windows, gamma = batch
        parameters = gamma if gamma.shape[1] else None
        u, target = windows[0, None], windows[-1, None]
        if self.hparams.data.get("targets"):
            return self.loss(horizon)(self.operator.prepared(self.bounds, parameters)(u), target)
        step = stepper(self.operator, self.hparams.scheme, bounds=self.bounds, gamma=parameters)
        if len(windows) > 2:
            return self._stepwise(step, windows, parameters)
        for _ in range(horizon):
            u = step(u)
        return self._points(u, target, parameters) if self.hparams.loss == "points" else self.loss(horizon)(u, target)

    def _stepwise(self, step: Any, windows: Float[Tensor, "F B C *X"], gamma: Tensor | None) -> Float[Tensor, " R"]:
        """Eq. 34, Σ_m |u_{j+m} − (I + L)^m u_j|² / m^β over Σ_m 1/m^β, of all m or of one drawn at random."""
        horizon = len(windows) - 1
        shares = torch.arange(1, horizon + 1, dtype=torch.float64) ** -self.hparams.beta
        shares = (shares / shares.sum()).tolist()
        drawn = 0
        if self.hparams.steps == "random":  # the same for the same step, so that a fit goes on as it would have
            generator = torch.Generator().manual_seed(self.hparams.seed + self.global_step)
            drawn = int(torch.randint(1, horizon + 1, (), generator=generator))
        u, total = windows[0, None], windows.new_zeros(self.operator.realizations)
        for m in range(1, (drawn or horizon) + 1):
            u = step(u)
            if drawn in (0, m):
                share = shares[m - 1] * (horizon if drawn else 1)
                total = total + share * self._points(u, windows[m, None], gamma)
        return total

    def on_fit_start(self) -> None:
        """Keep what the data say about each mode, for those who read the model later; start there if asked to."""
        data, datamodule = self.hparams.data, self.trainer.datamodule
        if "linear" not in data:
            known = self._linear()
            data["linear"] = linear.plain(known)
            if self.hparams.start == "linear" and self.trainer.ckpt_path is None:
                steps = linear.start(self.operator, known, datamodule.states(CERTIFIED)[0])
                for _ in tqdm(steps, "linear start", linear.STEPS * len(known), delay=2, leave=False, unit="step"):
                    pass
        if data.get("targets") or data.get("rate_errors") or data.get("parameters"):
            return  # with γ there is no one rate of a mode
        space = build.basis(data["points"], data["length"], data["boundaries"]).double()
        found = []
        for m in sorted(set(self.hparams.horizons)):
            first, _, last = datamodule.sample(m)
            windows = datamodule.windows("train").count(m)
            errors = [
                rate_errors(u, v, space, windows, m) for u, v in zip(first.unbind(1), last.unbind(1), strict=True)
            ]
            found.append(torch.stack([by_modulus(error, space) for error in errors]))
        data["rate_errors"] = torch.stack(found).amin(0).tolist()

    def _linear(self) -> list[linear.Factors | linear.Affine]:
        """The linear model of each mode by itself, over as many steps as the windows have at most."""
        datamodule = self.trainer.datamodule
        if self.hparams.data.get("targets"):  # f takes the place of the increment
            u, f, _ = datamodule.sample(1)
            return linear.regress(self.operator, torch.stack([u, u + f, u + f]), 1)
        m = 1 if self.hparams.data.get("parameters") else max(self.hparams.horizons)
        return linear.regress(self.operator, datamodule.sample(m), m, datamodule.sample_parameters(m))

    def on_train_epoch_start(self) -> None:
        """Forget Adam's moments where a new stage begins and the configuration says so."""
        stages, epochs = self.stages, self.trainer.max_epochs or 0
        if self.hparams.reset and self.current_epoch % (epochs // stages) == 0:
            self.trainer.optimizers[0].state.clear()

    def training_step(self, batch: Batch, index: int) -> Tensor | None:
        """Sum over realisations, so that each has the gradient that it would have alone."""
        if self.hparams.optimizer == "moments":
            return self._gather(batch, index)
        values = self._windows_loss(batch, self.horizon)
        self._losses.append(values.detach())
        if index % self.trainer.log_every_n_steps == 0:
            self.log("loss", values.detach().median(), prog_bar=True)
        # falls with the learning rate: leads at the start, and lets the data decide at the end
        share = self.trainer.optimizers[0].param_groups[0]["lr"] / self.hparams.lr
        smooth = self.hparams.smoothness * share * values.detach().clamp_max(1.0) * self._bending()
        return (values + smooth).sum() * self._weight(batch, index)

    def _weight(self, batch: Batch, index: int) -> float:
        """Of this process, so that the mean over the processes is the mean over the windows of the batch."""
        world = self.trainer.world_size
        return 1.0 if world == 1 else batch[0].shape[1] * world / self.trainer.train_dataloader.sizes[index]

    def _gather(self, batch: Batch, index: int) -> Tensor | None:
        """Count a batch in, and fit to the sums after the last one."""
        steps = self.offsets[1:]
        if index == 0:
            data, dimensions = self.hparams.data, len(self.hparams.data["points"])
            basis = copy.deepcopy(self.spectral.basis).double()
            self._gatherer = Gatherer(basis, data["low"][0], data["high"][0], SPLINES[dimensions], len(steps))
        u, later = batch[0][0, :, 0], batch[0][1:, :, 0]
        self._gatherer.add(u, later if self.hparams.data.get("targets") else later.double() - u.double())
        if not self.trainer.is_last_batch:
            return None
        for total in self._gatherer.sums():
            total.copy_(self.trainer.strategy.reduce(total, reduce_op="sum"))
        noise = self.hparams.loss == "noise"
        weights = torch.stack([self.loss(m).weight[0] for m in steps]) if noise else None
        datamodule = self.trainer.datamodule
        particles = datamodule.particles
        counted = None if particles is None else counting_noise(self._gatherer.basis, particles, datamodule.finer)
        moments = dict(zip(steps, self._gatherer.moments(weights, counted), strict=True))
        optimizer = self.optimizers()
        optimizer.optimizer.search = regress(self.spectral, moments, self.hparams.iterations, self.hparams.smoothness)
        bar = tqdm(
            range(self.hparams.iterations), "least squares", delay=2, leave=False, unit="step", disable=None
        )  # not into files
        for _ in bar:
            errors = optimizer.step()
            if errors is None:
                break
            last = errors
            bar.set_postfix(error=f"{float(errors.median().clamp_min(0).sqrt()):.2e}")
        del self._gatherer
        self._losses.append(last)
        return last.sum()

    def _bending(self) -> Float[Tensor, " R"] | float:
        """How far h is from a straight line and g from a power law; decides where the data do not."""
        if not self.hparams.smoothness or self.bounds is None:
            return 0.0
        low, high = self.bounds
        u = torch.linspace(max(low, 0.0) if low == -high else low, high, NODES, dtype=self.dtype, device=self.device)
        bent = losses.bending(self.spectral.nonlinearity(u.view(1, 1, 1, -1)).flatten(1))
        for module in self.spectral.g.modules():
            if isinstance(module, DissipativeSymbol):
                isotropic = "isotropy" in str(self.hparams.biases)
                bent = bent + module.bending(1 if isotropic else len(self.hparams.data["points"]))
        return bent

    @property
    def last_loss(self) -> Float[Tensor, " R"]:
        """Loss of each realisation at the last step."""
        return self._losses[-1]

    def on_train_epoch_end(self) -> None:
        """Mean loss of the epoch for each realisation, their median and their minimum."""
        self._log("train_loss", self._losses)

    def validation_step(self, batch: Batch, index: int) -> None:
        """Loss of the longest horizon on trajectories held back."""
        self._losses_held.append(self._windows_loss(batch, self.hparams.horizons[-1]))

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
        """The mean of some batches; of a fit, with the logger at once.

        Lightning would hand it over after the checkpoint of the epoch is written: a process killed in between goes on
        at the epoch that follows and leaves a gap. And it takes a millisecond for each number, of which the callbacks
        need two.
        """
        mean = torch.stack(values).mean(0)
        values.clear()
        if self.trainer.sanity_checking:
            return
        if self.trainer.world_size > 1:
            mean = self.trainer.strategy.reduce(mean, reduce_op="mean")
        self._means[name] = mean
        few = {f"{name}/median": float(mean.median()), f"{name}/min": float(mean.min())}
        metrics = {f"{name}/{r:02d}": value for r, value in enumerate(mean.tolist())} | few
        fitting = self.trainer.state.fn == TrainerFn.FITTING
        for logger in self.loggers if fitting else []:
            logger.log_metrics({**metrics, "epoch": self.current_epoch}, step=self.global_step - 1)
        self.log_dict(
            few if fitting else metrics, logger=False if fitting else None, sync_dist=self.trainer.world_size > 1
        )

    def configure_optimizers(self) -> Any:
        """Adam over all realisations at once, whose parameters do not mix, or the search on the moments."""
        if self.hparams.optimizer == "moments":
            return Search(self.operator.parameters(), {})
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
        marks = {"layout": LAYOUT, "run": self.run_id, "growth": self.certificate(), "losses": self._realizations()}
        checkpoint["morlight"] = marks

    def _realizations(self) -> dict[str, Any] | None:
        """Loss of each realisation on the trajectories held back, or else on those of the training."""
        for name in ("val_loss", "train_loss"):
            if name in self._means:
                return {"name": name, "per_realization": self._means[name].tolist()}
        return None

    def certificate(self) -> dict[str, Any] | None:
        """Largest growth of a small disturbance in one explicit step; None where there are none.

        For one field and one term |1 + g h′| over all modes and the range of the training data, else the spectral
        radius of the linearised step at some training states.
        """
        data = self.hparams.data
        if data.get("targets") or self.hparams.scheme == "implicit":
            return None
        last = self.current_epoch + 1 >= (self.trainer.max_epochs or 0)
        if self.bounds is None and not last:  # eigenvalues cost as much as an epoch of a small system
            return None
        if self._growth is not None and self._growth[0] == self.global_step:
            return self._growth[1]
        operator = copy.deepcopy(self.operator).double()
        if self.bounds is not None and isinstance(operator, SpectralOperator):
            low, high = data["low"][0], data["high"][0]
            values = symbol_growth(operator, low, high)
            found: dict[str, Any] = {"method": "symbol", "low": low, "high": high}
        else:
            u, gamma = self.trainer.datamodule.states(CERTIFIED)
            gamma = gamma.double().to(self.device) if gamma.shape[1] else None
            values = radius(operator, u.double().to(self.device), gamma)
            found = {"method": "radius", "states": len(u)}
        found["per_realization"] = values.tolist()
        self._growth = (self.global_step, found)
        return found
