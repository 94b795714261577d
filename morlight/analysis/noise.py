"""The noise of the steps as it was learned: its spectrum, the law of it, and its amplitude.

A mode that decays at the rate λ has noise of the intensity Q per unit of time, where

    Σ = Q (1 − e^{−2λΔt})/2λ,    S = Σ/(1 − e^{−2λΔt}) = Q/2λ,

and S is the spectrum of the fluctuations at equilibrium. Where the modes do not mix, Q and S follow from Σ and the
generator (fluctuation and dissipation).
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.analysis.fluctuation_dissipation import Ratio, Waves, of_data
from morlight.analysis.inputs import Gamma, parameter_values
from morlight.analysis.linear_response import response
from morlight.analysis.model import Model
from morlight.operators import build, shells
from morlight.operators.amplitudes import Amplitude
from morlight.operators.bases import Basis
from morlight.operators.fluctuations import ModeFluctuations
from morlight.operators.noise_diagnostics import jackknife_error

Numbers = tuple[tuple[float, ...], ...]
DECAYED = 1e-2  # share e^{−2λΔt} of a mode left after a step below which the intensity is not sought
ABSENT = 1e-6  # of the largest Σ: rounding
MISFIT = 0.05  # largest rms deviation from a power law that is still called one
POINTS = 25  # of u at which a² is shown


@dataclass(frozen=True)
class PowerLaw:
    """Values c x^n, with standard errors and the rms deviation of the values from it.

    Attributes:
        coefficient: c.
        coefficient_sd: its standard error; 0 if it is not known.
        exponent: n.
        exponent_sd: its standard error; 0 if it is not known.
        deviation: rms relative deviation.
    """

    coefficient: float
    coefficient_sd: float
    exponent: float
    exponent_sd: float
    deviation: float

    @classmethod
    def fitted(cls, x: Float[Tensor, " n"], y: Float[Tensor, " n"], error: Float[Tensor, " n"]) -> "PowerLaw | None":
        """The law of positive values with standard errors; None if there are fewer than three."""
        used = (x > 0) & (y > 0) & (error > 0)
        if int(used.sum()) < 3:
            return None
        x, y, relative = x[used].log(), y[used].log(), error[used] / y[used]
        weight = 1 / relative
        design = torch.stack([torch.ones_like(x), x], 1) * weight[:, None]
        covariance = torch.linalg.inv(design.T @ design)
        level, slope = covariance @ design.T @ (y * weight)
        off = y - level - slope * x
        deviation = float((off.square() * weight.square()).sum().div(weight.square().sum()).sqrt())
        level_sd, slope_sd = covariance.diagonal().sqrt().tolist()
        c = math.exp(float(level))
        return cls(c, c * level_sd, float(slope), slope_sd, deviation)


@dataclass(frozen=True)
class FieldNoise:
    """Noise of one field.

    Attributes:
        conserved: whether its total never changes.
        kappa: |κ|.
        density: Σ of each realization.
        errors: standard errors due to the data of the mean of the realizations.
        measurement: Σ_η of each realization.
        equilibrium: S of each realization; None where the modes do not decay by themselves.
        intensity: power law of Q over |κ|, in the mean over the realizations; None where it follows none.
        u: values of the field.
        squares: a² there, of each realization.
        amplitude: power law of a over u; None where a is constant or follows none.
        dissipated: variance that the mean step takes from the modes, of each realization; None where not known.
        balance: noise of slow waves over the noise that their damping needs, with the spectrum of the data (see
            `fluctuation_dissipation`); None where not known.
        equipartition: the same with the spectrum of fast waves for that of slow ones; None where it is not flat.
    """

    conserved: bool
    kappa: tuple[float, ...]
    density: Numbers
    errors: tuple[float, ...]
    measurement: Numbers
    equilibrium: Numbers | None
    intensity: PowerLaw | None
    u: tuple[float, ...]
    squares: Numbers
    amplitude: PowerLaw | None
    dissipated: Numbers | None = None
    balance: Ratio | None = None
    equipartition: Ratio | None = None

    @property
    def additive(self) -> bool:
        """Whether a is 1 everywhere."""
        return all(value == 1 for row in self.squares for value in row)


@dataclass(frozen=True)
class InspectedNoise:
    """Noise of all fields at one γ.

    Attributes:
        fields: by name.
        lags: correlations of the whitened residuals one step and two steps apart, with standard errors.
        measured: whether fields are measured with noise.
        gamma: parameters, by name.
        dimensions: of space.
    """

    fields: Mapping[str, FieldNoise]
    lags: tuple[tuple[float, float], ...]
    measured: bool
    gamma: Mapping[str, float]
    dimensions: int

    def to_json(self) -> dict[str, Any]:
        """The layout of `morlight inspect --json`."""
        fields = {name: dataclasses.asdict(field) for name, field in self.fields.items()}
        return {
            "fields": fields, "residual_correlations": self.lags, "measurement_noise": self.measured,
            "gamma": dict(self.gamma),
        }  # fmt: skip


def inspect_noise(model: Model, gamma: Gamma = None) -> InspectedNoise | None:
    """The noise at one γ, typical of the training data by default; None if it was not learned."""
    known = model.checkpoint.fluctuations
    if known is None:
        return None
    typical = {parameter.name: parameter.middle for parameter in model.data.parameters}
    row = parameter_values(model.data, {**typical, **gamma} if isinstance(gamma, Mapping) else gamma or typical, 1)
    weights = known.weights(row)
    fields = {}
    for part in known.parts:
        for c, place in enumerate(part.places):
            fields[model.data.field_names[place]] = _field(model, part, c, row, weights)
    values = dict(zip(model.data.parameter_names, row[0].tolist(), strict=True))
    ordered = {name: fields[name] for name in model.data.field_names}
    return InspectedNoise(ordered, known.lags, known.measured, values, model.grid.dimensions)


class _Shells:
    """Means over the modes of each |κ|."""

    def __init__(self, space: Basis) -> None:
        moduli, index = shells(space.wavenumbers)
        self.moduli, self.index, self.freedom = moduli[0], index.flatten(), space.freedom.flatten()
        self.count = torch.zeros_like(self.moduli).index_add(0, self.index, self.freedom)

    def mean(self, values: Float[Tensor, "R K"]) -> Float[Tensor, "R S"]:
        """Of values of each mode."""
        total = values.new_zeros(len(values), len(self.count))
        return total.index_add(1, self.index, values * self.freedom) / self.count

    def error(self, variance: Float[Tensor, " K"]) -> Float[Tensor, " S"]:
        """Standard error of the mean over modes with these variances."""
        total = torch.zeros_like(self.count).index_add(0, self.index, variance * self.freedom.square())
        return (total / self.count.square()).sqrt()


def _field(model: Model, part: ModeFluctuations, c: int, gamma: Tensor, weights: Tensor) -> FieldNoise:
    over = _Shells(build.basis(model.data.grid, part.wall).double())

    def at_gamma(values: Float[Tensor, "R G K"]) -> Float[Tensor, "R K"]:
        return torch.einsum("g,rgk->rk", weights[0], values)

    density, measurement = (at_gamma(each[..., c, c].real) for each in (part.process, part.measurement))
    errors = over.error(at_gamma(part.errors[..., c].square()).mean(0))
    rate, balanced, intensity, equipartition = _rate(model, part.places[c], gamma), None, None, None
    if rate is not None:
        left = torch.exp(-2 * rate * model.dt)
        balanced = torch.where(left < 1, density / (1 - left), torch.nan)
        intensity = _intensity(over, (density, rate * balanced, left), errors, model.band(part.places[c]))
        if not measurement.any():  # which is among the noise of fast waves
            equipartition = _waves(model, part.places[c], over, (density, left), errors).equipartition()
    known = part.diagnostics
    u, squares, without = _squares(part, c, weights)
    return FieldNoise(
        part.conserved[c],
        tuple(over.moduli.tolist()),
        _numbers(over.mean(density)),
        tuple(errors.tolist()),
        _numbers(over.mean(measurement)),
        None if balanced is None else _numbers(over.mean(balanced)),
        intensity,
        tuple(u.tolist()),
        _numbers(squares),
        None if bool((squares == 1).all()) else _amplitude(u, squares, without),
        None if known is None else _numbers(over.mean(at_gamma(known.dissipated[..., c]))),
        None if known is None else of_data(torch.einsum("g,rgjx->rjx", weights[0], known.balance[..., c, :])),
        equipartition,
    )


def _waves(model: Model, place: int, over: _Shells, modes: tuple[Tensor, Tensor], errors: Float[Tensor, " S"]) -> Waves:
    """Those with κ ≠ 0, from Σ and e^{−2λΔt} of each mode."""
    stored = model.checkpoint.modes.rate_errors
    known = stored is not None and len(stored[place]) == len(errors)
    rate_errors = torch.tensor(stored[place]).double() if stored is not None and known else torch.zeros_like(errors)
    moving = over.moduli > 0
    density, left = (over.mean(each)[:, moving] for each in modes)
    return Waves(over.count[moving], density, errors[moving], left, rate_errors[moving])


def _intensity(
    over: _Shells,
    modes: tuple[Float[Tensor, "R K"], Float[Tensor, "R K"], Float[Tensor, "R K"]],
    errors: Float[Tensor, " S"],
    band: tuple[float, float] | None,
) -> PowerLaw | None:
    """The law of Q over |κ|; None where there is none.

    Args:
        over: means over modes.
        modes: Σ, Q/2 and e^{−2λΔt} of each mode.
        errors: of Σ.
        band: |κ| whose decay the data identify.
    """
    density, half, left = modes
    kept = over.mean((left > DECAYED).double() * (left < 1)).amin(0) == 1
    kept &= over.mean(density).mean(0) > ABSENT * density.max()
    kept &= over.moduli <= (math.inf if band is None else band[1])
    flow = over.mean(2 * half).mean(0)
    law = PowerLaw.fitted(over.moduli[kept], flow[kept], (flow * errors / over.mean(density).mean(0))[kept])
    return law if law is not None and law.deviation < MISFIT else None


def _squares(
    part: ModeFluctuations, c: int, weights: Tensor
) -> tuple[Float[Tensor, " n"], Float[Tensor, "R n"], Float[Tensor, "J R n"]]:
    """Values of a field, a² there for each realization, and the same without each block of data."""
    knots, squares = (each[:, :, c : c + 1] for each in (part.knots, part.squares))
    whole = Amplitude(knots, squares).mixed(weights)
    ends = whole.knots[:, 0, 0, [0, -1]].mean(0).tolist()
    u = torch.linspace(ends[0], ends[1], POINTS, dtype=torch.float64)
    points = u.expand(len(knots), 1, 1, -1)
    left_out = () if part.diagnostics is None else part.diagnostics.squares[:, :, :, c : c + 1].unbind(2)
    without = [Amplitude(knots, each).mixed(weights)(points)[:, 0, 0] for each in left_out]
    return u, whole(points)[:, 0, 0], torch.stack(without) if without else squares.new_empty(0, len(knots), POINTS)


def _rate(model: Model, place: int, gamma: Tensor) -> Float[Tensor, "R K"] | None:
    """λ of each mode where the operator is linearized at the medians; None where modes mix, as those of sound do."""
    if model.config.vectors:
        return None
    try:
        return -response(model, place, gamma, {}).generator.real
    except ValueError:
        return None


def _amplitude(
    u: Float[Tensor, " n"], squares: Float[Tensor, "R n"], without: Float[Tensor, "J R n"]
) -> PowerLaw | None:
    """The law of a, with one weight for all deviations of a itself, and standard errors by a jackknife."""

    def fitted(values: Float[Tensor, "R n"]) -> PowerLaw | None:
        a = values.mean(0).sqrt()
        return PowerLaw.fitted(u, a, torch.ones_like(a))

    law, others = fitted(squares), [fitted(each) for each in without]
    if law is None or law.deviation > 2 * MISFIT:
        return None
    numbers = [(each.coefficient, each.exponent) for each in others if each is not None]
    known = len(numbers) == len(others) > 0
    sd = jackknife_error(torch.tensor(numbers).double()).tolist() if known else [0.0, 0.0]
    return dataclasses.replace(law, coefficient_sd=sd[0], exponent_sd=sd[1])


def _numbers(values: Float[Tensor, "R n"]) -> Numbers:
    return tuple(tuple(row) for row in values.tolist())
