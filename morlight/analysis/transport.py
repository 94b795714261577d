"""Transport coefficients of a learned operator: viscosity, slip length, body force and diffusivity at given γ.

They follow from the generator of the operator, linearized at a uniform state, in the limit of long waves: the momentum
along the flow decays at the rate −G(κ) = ν κ², the density of tagged particles or walkers at the rate D κ². No profile
is fitted. All coefficients are in the units of the data: its length, its time, and those of its fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.analysis.data_errors import scaled_deviation, without_blocks
from morlight.analysis.inputs import Gamma, parameter_values
from morlight.analysis.linear_response import Response, response
from morlight.analysis.long_waves import LongWaves, long_waves
from morlight.analysis.plane_waves import plane_waves
from morlight.analysis.trained_operator import TrainedOperator
from morlight.analysis.transport_coefficients import OF_FLOW, Answer, Coefficient, Transport
from morlight.operators import Basis, Robin, Sine, build, shells

MOMENTUM = "momentum"
LABELS = "density_labels"
GONE = 3.0  # modes that decay by more than exp(−3) in a step have no rate
ODD_MODES = 3  # longest sines that a constant force drives; their sources are averaged


def transport(
    model: TrainedOperator,
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
    others = [name for name in model.data.field_names if name not in flows]
    vector = set(flows) in map(set, model.config.vectors)
    if vector and state:
        raise ValueError("state is given, but a vector is linearized over its training data; expected none")
    of_momentum = at.waves(flows[0]) if vector else at.flow(flows)
    return Transport(parameters, diffusivity={name: at.diffusivity(name) for name in others}, **of_momentum)


@dataclass(frozen=True)
class _At:
    """A model at one γ and one state."""

    model: TrainedOperator
    gamma: Float[Tensor, "1 P"]
    parameters: Mapping[str, float]
    state: Mapping[str, float]
    data: Path | None

    def waves(self, momentum: str) -> dict[str, Answer]:
        """Coefficients of a momentum that is a vector, one component of which is named."""
        waves = plane_waves(self.model, momentum, self.gamma)
        sound = waves.longitudinal
        viscosity = self._limit(momentum, waves.modulus, -waves.transverse.real)
        scalar = next((name for name in self.model.data.field_names if not name.startswith(MOMENTUM)), momentum)
        # real and imaginary part of ln λ have the same error: that of the square of |ln λ|, by that of the real part
        share = 2 * (sound.real / sound.abs()).abs().mean(0)
        square = self._limit(scalar, waves.modulus, sound.abs().square(), share)
        attenuation = self._limit(scalar, waves.modulus, -sound.real)
        length2 = "length²/time"
        nu = viscosity if isinstance(viscosity, str) else self._of(viscosity, length2)
        speed: Answer = "the density and the momentum make no sound waves"
        if not isinstance(square, str):
            data = square.coefficient_error and square.coefficient_error / (2 * float(square.coefficient[0].sqrt()))
            speed = self._coefficient(square.coefficient.sqrt(), data, "length/time")
        bending: Answer = "the viscosity is not known"
        if not isinstance(viscosity, str):
            bending = self._coefficient(viscosity.bending, viscosity.bending_error, "length²")
        return {
            "kinematic_viscosity": nu,
            "dynamic_viscosity": self._dynamic(nu, self._median("density")),
            "bending": bending,
            "slip_length": "a periodic box has no walls",
            "body_force": "a force along a wave is not read off a momentum that is a vector",
            "sound_speed": speed,
            "sound_attenuation": attenuation if isinstance(attenuation, str) else self._of(attenuation, length2),
        }

    def _of(self, limit: LongWaves, unit: str) -> Coefficient:
        return self._coefficient(limit.coefficient, limit.coefficient_error, unit)

    def _limit(
        self, name: str, modulus: Float[Tensor, " S"], rates: Float[Tensor, "R S"], share: Tensor | float = 1.0
    ) -> LongWaves | str:
        """The limit of long waves, weighted by the relative errors of the decay rates of a field, times a share."""
        every = shells(build.basis(self.model.grid).double().wavenumbers)[0][0]
        noise = self._errors(name, every)
        used = rates.isfinite().all(0)
        if not bool(used.any()):
            return f"{name}: none of its modes is a wave of this kind"
        found = None if noise is None else (noise[torch.isin(every, modulus)] * share)[used]
        fit = long_waves(modulus[used], self._samples(rates[:, used]), found)
        return f"{name}: {fit}" if isinstance(fit, str) else fit

    def _median(self, name: str) -> float | None:
        """Median of a field over the training data."""
        names = self.model.data.field_names
        return self.model.data.fields[names.index(name)].median if name in names else None

    def flow(self, flows: list[str]) -> dict[str, Answer]:
        """Coefficients of the momentum along the flow."""
        if len(flows) != 1:
            expected = "one along the flow, or the components of a vector (model.vectors)"
            return dict.fromkeys(OF_FLOW, f"the model has {len(flows)} fields of momentum, expected {expected}")
        try:
            linear = response(self.model, self.model.data.place(flows[0]), self.gamma, self.state)
        except ValueError as error:
            return dict.fromkeys(OF_FLOW, str(error))
        walls, slipping = isinstance(linear.basis, Sine), self._learned_slip(flows[0])
        fit = self._long_waves(linear, flows[0], errors=not walls)
        if isinstance(fit, str):
            answers: dict[str, Answer] = dict.fromkeys(OF_FLOW, f"{flows[0]}: {fit}")
            return answers | {"body_force": self._force(linear)} | ({"slip_length": slipping} if slipping else {})
        nu = self._coefficient(fit.coefficient, fit.coefficient_error, "length²/time")
        between = "between walls, the bending of ν(κ) is due to slip; see the slip length"
        bent = self._coefficient(fit.bending, fit.bending_error, "length²")
        slip = self._coefficient(2 * fit.bending / linear.basis.length[0], None, "length")
        no_walls = f"{flows[0]} has no walls at which it vanishes (model.bases {{{flows[0]}: sine}})"
        names = self.model.data.field_names
        field = float(linear.state[names.index("density")]) if "density" in names else None
        return {
            "kinematic_viscosity": nu,
            "dynamic_viscosity": self._dynamic(nu, field),
            "bending": between if walls else bent,
            "slip_length": slipping or (slip if walls else no_walls),
            "body_force": self._force(linear),
        }

    def _learned_slip(self, momentum: str) -> Coefficient | None:
        """Mean of the slip lengths at both walls, of a momentum whose basis has them."""
        place = self.model.data.place(momentum)
        parts = (part for part, _ in self.model.operator.summands() if place in part.targets)
        slips = [part.basis.slip for part in parts if part.basis.slip is not None]
        if not slips:
            return None
        return self._coefficient(self._samples(slips[0].detach().mean(1)[:, None])[:, 0], None, "length")

    def _dynamic(self, nu: Answer, field: float | None) -> Answer:
        """η, with the density that is given or the value of the field of this name."""
        if isinstance(nu, str):
            return nu
        density = {**self.parameters, **self.state}.get("density", field)
        if density is None:
            return "the density is not known, expected a field or a parameter of this name"
        data = None if nu.over_data is None else nu.over_data * density
        return Coefficient(nu.value * density, nu.over_realizations * density, data, "density·length²/time")

    def _force(self, linear: Response) -> Answer:
        """The source of momentum, averaged over the longest modes that a constant force drives."""
        if not isinstance(linear.basis, Sine | Robin) and float(linear.source.nan_to_num().abs().max()) == 0:
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
        noise = self._errors(name, moduli, linear.basis) if errors else None
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

    def _errors(self, name: str, moduli: Float[Tensor, " S"], basis: Basis | None = None) -> Float[Tensor, " S"] | None:
        """Relative standard errors of the rates; those of a file only in the basis of one field."""
        if self.data is not None and basis is not None:
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
