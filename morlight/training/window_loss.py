"""The loss of a batch of windows (u_j, …, u_{j+m}), or of pairs (u, f) without time (Eq. 7, 21, 34)."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.data.sample import TrainingSample
from morlight.data.windows import Batch
from morlight.operators import build, losses
from morlight.operators.config import OperatorConfig
from morlight.operators.description import DataDescription
from morlight.operators.spectral import Increment, Operator, SpectralOperator
from morlight.operators.time_stepping import stepper
from morlight.training.config import LossConfig

Loss = Callable[[Tensor, Tensor], Tensor]  # prediction (R, B, C, *X), target (r, B, C, *X) ↦ (R,)


class WindowLoss:
    """Loss of every realization over a batch.

    Args:
        operator: that predicts.
        config: of the operator.
        objective: which loss.
        data: what the operator knows of its data.
        sample: of the training data, of which the noise of each mode is estimated.
        own: a user's loss in place of that of the configuration.

    Raises:
        ValueError: where the loss is not for such data.
    """

    def __init__(
        self,
        operator: Operator,
        config: OperatorConfig,
        objective: LossConfig,
        data: DataDescription,
        sample: TrainingSample,
        own: Loss | None = None,
    ) -> None:
        if objective.loss == "noise" and own is None and (data.steady or not isinstance(operator, SpectralOperator)):
            raise ValueError(
                "model.loss is noise, which needs fields that change in time and share one basis; expected points"
            )
        self.operator, self.config, self.objective, self.data, self.sample = operator, config, objective, data, sample
        self.own = own
        self.scheme = build.scheme(config, data)
        self.bounds = table_bounds(operator, config, data)
        self._noise: dict[int, losses.NoiseWeighted] = {}
        self._units: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def __call__(self, batch: Batch, horizon: int, drawn: int = 0) -> Float[Tensor, " R"]:
        """Loss of each realization.

        Args:
            batch: windows whose last frame is u_{j+m}, or pairs.
            horizon: m.
            drawn: the only m that enters the loss where windows have all frames; 0 for all of them.
        """
        u, target = batch.frames[0, None], batch.frames[-1, None]
        if self.data.steady:
            increment = self.operator.prepared(self.bounds, batch.gamma)
            return self._measured(increment(u), target, horizon, batch.gamma)
        advance = stepper(self.operator, self.scheme, bounds=self.bounds, gamma=batch.gamma)
        if len(batch.frames) > 2:
            return self._over_all_steps(advance, batch, drawn)
        for _ in range(horizon):
            u = advance(u)
        return self._measured(u, target, horizon, batch.gamma)

    def _measured(self, prediction: Tensor, target: Tensor, horizon: int, gamma: Tensor) -> Float[Tensor, " R"]:
        if self.own is not None:
            return self.own(prediction, target)
        if self.objective.loss == "points":
            return self.points(prediction, target, gamma)
        return self.noise(horizon)(prediction, target)

    def noise(self, horizon: int) -> losses.NoiseWeighted:
        """Each mode in the unit of its own noise over m steps."""
        if horizon not in self._noise:
            assert isinstance(self.operator, SpectralOperator)
            basis, like = self.operator.basis.reference, self.operator.scale
            frames = self.sample.frames(horizon).to(like.device)
            carried = self.operator.carried(self.sample.parameters(horizon).to(frames), reference=True)
            if carried is not None:  # the modes of what is left decay to 0, as the linear model supposes
                frames = frames - carried
            first, following, last = frames
            factor = losses.linear_fit(basis, first, following)
            variance = losses.residual_variance(basis, factor, first, last, horizon)
            self._noise[horizon] = losses.NoiseWeighted(basis, variance.to(like.dtype))
        return self._noise[horizon]

    def points(
        self, prediction: Float[Tensor, "R B C *X"], target: Float[Tensor, "r B C *X"], gamma: Float[Tensor, "b P"]
    ) -> Float[Tensor, " R"]:
        """Mean square (Eq. 7, 21, 34), each field in its unit."""
        if self.objective.field_weights == "none":
            return losses.mean_square(prediction, target)
        unit = self._field_units(prediction.device, prediction.dtype)
        if gamma.shape[1]:
            factors = next(self.operator.summands()).operator.units.factors(gamma)
            unit = unit if factors is None else unit * factors
        unit = unit.view(*unit.shape, *[1] * (prediction.ndim - 3))
        return losses.mean_square(prediction / unit, target / unit)

    def _field_units(self, device: torch.device, dtype: torch.dtype) -> Float[Tensor, " C"]:
        """Unit of each field, brought to the device once: a GPU would wait for it at every step."""
        if (device, dtype) not in self._units:
            spread = self.objective.field_weights == "std"
            sizes = [
                field.target if field.target is not None else field.spread if spread else field.scale
                for field in self.data.fields
            ]
            self._units[device, dtype] = torch.tensor(sizes, device=device, dtype=dtype)
        return self._units[device, dtype]

    def drawn(self, horizon: int, step: int) -> int:
        """The m of a step that is drawn at random, the same for the same step, so that a fit goes on as it would have.

        0 if all steps or the last one enter the loss.
        """
        if self.objective.steps != "random":
            return 0
        generator = torch.Generator().manual_seed(self.config.seed + step)
        return int(torch.randint(1, horizon + 1, (), generator=generator))

    def _over_all_steps(self, advance: Increment, batch: Batch, drawn: int) -> Float[Tensor, " R"]:
        """Eq. 34, Σ_m |u_{j+m} − (I + L)^m u_j|² / m^β over Σ_m 1/m^β, of all m or of one drawn at random."""
        windows, horizon = batch.frames, len(batch.frames) - 1
        weights = torch.arange(1, horizon + 1, dtype=torch.float64) ** -self.objective.beta
        shares = (weights / weights.sum()).tolist()
        u, total = windows[0, None], windows.new_zeros(self.operator.realizations)
        for m in range(1, (drawn or horizon) + 1):
            u = advance(u)
            if drawn in (0, m):
                share = shares[m - 1] * (horizon if drawn else 1)
                total = total + share * self._measured(u, windows[m, None], m, batch.gamma)
        return total


def table_bounds(operator: Operator, config: OperatorConfig, data: DataDescription) -> tuple[float, float] | None:
    """Range over which h of one field and one term is tabulated: that of the data and a margin; None for others."""
    scalar = isinstance(operator, SpectralOperator) and len(data.fields) == 1
    if not scalar or config.terms > 1 or data.parameters or config.equation is not None:
        return None
    low, high = data.fields[0].low, data.fields[0].high
    margin = 0.25 * (high - low)  # noise of the roll-out; beyond, the table continues by its slopes
    reach = data.fields[0].largest + margin
    return (-reach, reach) if config.has("reflection") else (low - margin, high + margin)
