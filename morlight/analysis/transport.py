"""Transport coefficients of a learned operator: viscosity, slip length, body force and diffusivity at given γ.

They follow from the generator of the operator, linearized at a uniform state, in the limit of long waves: the momentum
along the flow decays at the rate −G(κ) = ν κ², the density of tagged particles or walkers at the rate D κ². No profile
is fitted. All coefficients are in the units of the data: its length, its time, and those of its fields.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.analysis.inputs import Gamma, parameter_values
from morlight.analysis.jackknife import scaled_deviation, without_blocks
from morlight.analysis.linear_response import Response, response
from morlight.analysis.long_waves import LongWaves, long_waves
from morlight.analysis.model import Model
from morlight.operators import Basis, Sine, build, shells

MOMENTUM = "momentum"
LABELS = "density_labels"
GONE = 3.0  # modes that decay by more than exp(−3) in a step have no rate
ODD_MODES = 3  # longest sines that a constant force drives; their sources are averaged


@dataclass(frozen=True)
class Coefficient:
    """A number with its standard error.

    Attributes:
        value: from the mean generator of the realizations; for an equation, from the estimate of its coefficients.
        over_realizations: standard deviation over the realizations.
        over_data: standard error due to the noise of the data; None if it is not known.
        unit: the unit, in words.
    """

    value: float
    over_realizations: float
    over_data: float | None
    unit: str

    @property
    def error(self) -> float:
        """Standard error √(over_realizations² + over_data²)."""
        return math.hypot(self.over_realizations, self.over_data or 0.0)

    def __str__(self) -> str:
        return f"{self.value:.4g} ± {self.error:.2g} {self.unit}"

    def to_json(self) -> dict[str, Any]:
        """The attributes and the error, as `morlight inspect --json` prints them."""
        return {**asdict(self), "error": self.error}


Answer = Coefficient | str


@dataclass(frozen=True)
class Transport:
    """Transport coefficients; for one that the model does not have, a sentence that says why.

    Attributes:
        gamma: parameters, by name.
        kinematic_viscosity: ν.
        dynamic_viscosity: η = ρν.
        bending: ℓ² of ν(κ) = ν/(1 + ℓ²κ²), without walls.
        slip_length: distance b beyond the walls at which the extrapolated flow vanishes.
        body_force: change of the momentum field per time that a constant force causes.
        diffusivity: D of each field.
    """

    gamma: Mapping[str, float]
    kinematic_viscosity: Answer
    dynamic_viscosity: Answer
    bending: Answer
    slip_length: Answer
    body_force: Answer
    diffusivity: Mapping[str, Answer]

    def answers(self) -> dict[str, Answer]:
        """All coefficients, by name."""
        named = {
            "kinematic viscosity": self.kinematic_viscosity,
            "dynamic viscosity": self.dynamic_viscosity,
            "bending": self.bending,
            "slip length": self.slip_length,
            "body force": self.body_force,
        }
        return named | {f"diffusivity of {name}": answer for name, answer in self.diffusivity.items()}

    def to_json(self) -> dict[str, Any]:
        """All coefficients in the layout of `morlight inspect --json`."""
        plain = {
            name.replace(" ", "_"): {"refused": answer} if isinstance(answer, str) else answer.to_json()
            for name, answer in self.answers().items()
        }
        return {"gamma": dict(self.gamma), **plain}


def transport(
    model: Model,
    gamma: Gamma = None,
    *,
    state: Mapping[str, float] | None = None,
    data: str | Path | None = None,
) -> Transport:
    """Transport coefficients of a model at one γ.

    Args:
        model: the operator.
        gamma: parameters γ: a number for each name, or an array (1, P); by default typical values of the training data.
        state: uniform values of fields at which the operator is linearized; by default those of the parameters with
            their names, or medians of the training data.
        data: trajectory file, from whose runs at this γ the standard errors of the rates are estimated. By default,
            they come from the training data, which is possible only for models without parameters.

    Raises:
        ValueError: if the operator has no time, or if γ or the state does not fit the model.
    """
    if model.steady:
        raise ValueError(f"{model.path}: learned L u = f without time, expected an operator with rates of decay")
    typical = torch.tensor([[parameter.scale for parameter in model.data.parameters]], dtype=torch.float64)
    row = typical if gamma is None else parameter_values(model.data, gamma, 1)
    parameters = dict(zip(model.data.parameter_names, row[0].tolist(), strict=True))
    for name in state or {}:
        if name not in model.data.field_names:
            raise ValueError(f"state has {name}, expected one of {', '.join(model.data.field_names)}")
    at = _At(model, row, parameters, dict(state or {}), None if data is None else Path(data))
    flows = [name for name in model.data.field_names if name.startswith(MOMENTUM)]
    viscosity, dynamic, bending, slip, force = at.flow(flows)
    others = [name for name in model.data.field_names if name not in flows]
    return Transport(
        parameters, viscosity, dynamic, bending, slip, force, {name: at.diffusivity(name) for name in others}
    )


@dataclass(frozen=True)
class _At:
    """A model at one γ and one state."""

    model: Model
    gamma: Float[Tensor, "1 P"]
    parameters: Mapping[str, float]
    state: Mapping[str, float]
    data: Path | None

    def flow(self, flows: list[str]) -> tuple[Answer, Answer, Answer, Answer, Answer]:
        """ν, η, ℓ², b and the body force."""
        if len(flows) != 1:
            why = f"the model has {len(flows)} fields of momentum, expected one along the flow"
            return why, why, why, why, why
        try:
            linear = response(self.model, self.model.data.place(flows[0]), self.gamma, self.state)
        except ValueError as error:
            why = str(error)
            return why, why, why, why, why
        walls = isinstance(linear.basis, Sine)
        fit = self._long_waves(linear, flows[0], errors=not walls)
        if isinstance(fit, str):
            why = f"{flows[0]}: {fit}"
            return why, why, why, why, self._force(linear)
        nu = self._coefficient(fit.coefficient, fit.coefficient_error, "length²/time")
        between = "between walls, the bending of ν(κ) is due to slip; see the slip length"
        bent = self._coefficient(fit.bending, fit.bending_error, "length²")
        slip = self._coefficient(2 * fit.bending / linear.basis.length[0], None, "length")
        no_walls = f"{flows[0]} has no walls at which it vanishes (model.bases {{{flows[0]}: sine}})"
        return (
            nu,
            self._dynamic(nu, linear),
            between if walls else bent,
            slip if walls else no_walls,
            self._force(linear),
        )

    def _dynamic(self, nu: Coefficient, linear: Response) -> Answer:
        density = {**self.parameters, **self.state}.get("density")
        if density is None and "density" in self.model.data.field_names:
            density = float(linear.state[self.model.data.place("density")])
        if density is None:
            return "the density is not known, expected a field or a parameter of this name"
        data = None if nu.over_data is None else nu.over_data * density
        return Coefficient(nu.value * density, nu.over_realizations * density, data, "density·length²/time")

    def _force(self, linear: Response) -> Answer:
        """The source of momentum, averaged over the longest modes that a constant force drives."""
        if not isinstance(linear.basis, Sine) and float(linear.source.nan_to_num().abs().max()) == 0:
            return f"the total of {linear.name} is conserved, so that there is no body force"
        if bool(linear.source.isnan().all()):
            return "the values at the walls carry all constants of h; a force needs model.terms 2 or more"
        driven = torch.nonzero(linear.source.isfinite().all(0))[:, 0]
        driven = driven[linear.modulus[driven].argsort()][:ODD_MODES]
        one = linear.basis.forward(torch.ones(linear.basis.points, dtype=torch.float64)).flatten()[driven].real
        if not len(driven):
            return "the rates of the modes that a constant force drives are not defined"
        share = one.square() / one.square().sum()
        return self._coefficient(self._samples(linear.source[:, driven] @ share[:, None])[:, 0], None, "momentum/time")

    def diffusivity(self, name: str) -> Answer:
        """D of one field."""
        names = self.model.data.field_names
        if any(each.startswith(MOMENTUM) for each in names) and name != LABELS:
            return f"{name} is carried by the flow and by sound, expected {LABELS} or a model without momentum"
        try:
            linear = response(self.model, self.model.data.place(name), self.gamma, self.state)
        except ValueError as error:
            return str(error)
        if isinstance(linear.basis, Sine):
            return f"{name} vanishes at the walls, which absorb it; expected a field whose total is conserved"
        fit = self._long_waves(linear, name, errors=True)
        if isinstance(fit, str):
            return f"{name}: {fit}"
        if fit.exponent is not None:
            return f"{name}: its long waves decay as |κ|^{fit.exponent:.3g}, which is not diffusion"
        return self._coefficient(fit.coefficient, fit.coefficient_error, "length²/time")

    def _long_waves(self, linear: Response, name: str, *, errors: bool) -> LongWaves | str:
        moduli = shells(linear.basis.wavenumbers)[0][0]
        rates = _of_moduli(linear)
        samples = self._samples(rates)
        replicates = without_blocks(self.model)
        if replicates is not None:
            blocks = _of_moduli(response(replicates, self.model.data.place(name), self.gamma, self.state))
            samples = torch.cat([samples, blocks.unflatten(0, (-1, len(rates))).mean(1)])
        noise = self._errors(linear.basis, name, moduli) if errors else None
        used = moduli > 0
        if not self.model.continuous:  # the rate of a mode that vanishes within a step is not determined
            used &= ~(rates * self.model.data.dt > GONE).any(0)
        return long_waves(moduli[used], samples[:, used], None if noise is None else noise[used])

    def _samples(self, values: Float[Tensor, "R S"]) -> Float[Tensor, "n S"]:
        """The mean over all realizations, then without each of them; for an equation, the estimate, then its draws."""
        if self._drawn or len(values) == 1:
            return values
        mean = values.mean(0)
        return torch.cat([mean[None], mean + (mean - values) / (len(values) - 1)])

    @property
    def _drawn(self) -> bool:
        """Whether the first realization is an estimate, and the others are draws around it."""
        return self.model.config.equation is not None

    def _errors(self, basis: Basis, name: str, moduli: Float[Tensor, " S"]) -> Float[Tensor, " S"] | None:
        """Relative standard errors of the rates."""
        if self.data is not None:
            from morlight.analysis.rates_of_file import rate_errors_of_file

            return rate_errors_of_file(self.model, self.data, name, self.parameters, basis)
        stored = self.model.checkpoint.modes.rate_errors
        if (
            stored is None or self.model.data.parameters or self._drawn
        ):  # errors of all γ together; an equation has draws instead
            return None
        same = shells(build.basis(self.model.data.grid).double().wavenumbers)[0][0]
        errors = torch.tensor(stored[self.model.data.place(name)], dtype=torch.float64)
        return errors if torch.equal(same, moduli) else None

    def _coefficient(self, values: Float[Tensor, " n"], data: float | None, unit: str) -> Coefficient:
        """The coefficient from its values for each sample, and for each block that is left out, if these are known."""
        R = self.model.realizations
        samples = R if self._drawn or R == 1 else R + 1
        spread = float(values[1:samples].std()) if samples > 2 else 0.0
        many = 1 if self._drawn else max(1, R - 1)  # the mean without one moves by 1/(R - 1) of its distance
        if len(values) > samples:
            data = float(scaled_deviation(values[samples:]))
        return Coefficient(float(values[0]), many * spread, None if self._drawn else data, unit)


def _of_moduli(linear: Response) -> Float[Tensor, "R S"]:
    """−Re G, averaged over the modes of each |κ|."""
    moduli, index = shells(linear.basis.wavenumbers)
    rates = -linear.generator.real
    total = torch.zeros(len(rates), moduli.shape[1], dtype=rates.dtype).index_add_(1, index.flatten(), rates)
    return total / index.flatten().bincount(minlength=moduli.shape[1])
