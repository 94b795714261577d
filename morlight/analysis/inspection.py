"""What was learned: symbols, nonlinearities and generators of every realization, as typed values and for a figure."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.analysis.checkpoint import Certificate
from morlight.analysis.data_errors import source, standard_error
from morlight.analysis.equations.choice import Chosen, choose
from morlight.analysis.inputs import Gamma
from morlight.analysis.learned import Term, basis_name, generator_of, own, terms
from morlight.analysis.model import Model
from morlight.analysis.noise import InspectedNoise, inspect_noise
from morlight.analysis.plots import Reading
from morlight.analysis.transport import transport
from morlight.analysis.transport_coefficients import Transport
from morlight.operators import Derivative

Numbers = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Generator:
    """log(1 + Σₖ gₖ h′ₖ)/Δt at each κ; Σₖ gₖ h′ₖ/Δt of exponential steps.

    Attributes:
        kappa: numbers in one dimension and, as |κ|, for isotropic symbols; else vectors.
        real: real parts, realization by realization.
        imag: imaginary parts.
        real_sd: standard errors of the means of the real parts due to the data; None where not known.
        imag_sd: of the imaginary parts.
    """

    kappa: tuple[Any, ...]
    real: Numbers
    imag: Numbers
    real_sd: tuple[float, ...] | None
    imag_sd: tuple[float, ...] | None


@dataclass(frozen=True)
class InspectedTerm:
    """One pair of g and h.

    Attributes:
        kappa: as of the generator.
        symbol_real: real parts of g, realization by realization.
        symbol_imag: imaginary parts.
        u: values of the field.
        h: the nonlinearity there, realization by realization.
        power: n of the gauge h(u) ≈ uⁿ; None without a gauge.
        derivative_of: basis of the field whose ∂ₓ a mixed term has; None for others.
    """

    kappa: tuple[Any, ...]
    symbol_real: Numbers
    symbol_imag: Numbers
    u: tuple[float, ...]
    h: Numbers
    power: int | None
    derivative_of: str | None

    def to_json(self) -> dict[str, Any]:
        """The layout of `morlight inspect --json`."""
        plain = {
            "kappa": self.kappa,
            "symbol_real": self.symbol_real,
            "symbol_imag": self.symbol_imag,
            "nonlinearity": {"u": self.u, "h": self.h},
            "power": self.power,
        }
        return plain | ({} if self.derivative_of is None else {"derivative_of": self.derivative_of})


@dataclass(frozen=True)
class InspectedField:
    """The terms, the generator and the equation of one field.

    Attributes:
        basis: its name; None where the field changes by its rate alone.
        conserved: whether its total is constant.
        terms: pairs of g and h.
        generator: of the linearized operator; None without time, and without terms that stay in one basis.
        band: smallest and largest |κ| that the data identify; None where not known.
        equation: closed form, or one sentence that says why there is none.
        twin: errors of the closed form beside those of the networks, where they were compared.
        walls: values, or slopes in a basis of cosines, at both walls, where some are given.
        slip_lengths: of each realization at both walls, in a basis that has them.
    """

    basis: str | None
    conserved: bool
    terms: tuple[InspectedTerm, ...]
    generator: Generator | None
    band: tuple[float, float] | None
    equation: Chosen | str
    twin: Mapping[str, Mapping[str, float]] | None = None
    walls: tuple[int | float | str, ...] | None = None
    slip_lengths: Numbers | None = None

    def to_json(self) -> dict[str, Any]:
        """The layout of `morlight inspect --json`."""
        refused = isinstance(self.equation, str)
        closed = None if isinstance(self.equation, str) else self.equation.form.to_json(self.equation.departure)
        if closed is not None and self.twin is not None:
            closed["twin"] = self.twin
        return {
            "basis": self.basis,
            "conserved": self.conserved,
            "terms": [term.to_json() for term in self.terms],
            "generator": None if self.generator is None else dataclasses.asdict(self.generator),
            "identifiable_band": None if self.band is None else list(self.band),
            "closed_form": closed,
            "closed_form_refused": self.equation if refused else None,
            **({} if self.walls is None else {"walls": list(self.walls)}),
            **({} if self.slip_lengths is None else {"slip_lengths": [list(pair) for pair in self.slip_lengths]}),
        }


@dataclass(frozen=True)
class Inspection:
    """Everything that was learned.

    Attributes:
        checkpoint: path of the model.
        realizations: R.
        dt: Δt; None without time.
        fields: by name.
        growth: certificate of stability, where known.
        errors: one sentence on the origin of the standard errors due to the data.
        transport: transport coefficients; None without time.
        noise: of the steps, where it was learned.
    """

    checkpoint: str
    realizations: int
    dt: float | None
    fields: Mapping[str, InspectedField]
    growth: Certificate | None
    errors: str
    transport: Transport | None
    noise: InspectedNoise | None = None

    def to_json(self) -> dict[str, Any]:
        """The layout of `morlight inspect --json`."""
        return {
            "checkpoint": self.checkpoint,
            "realizations": self.realizations,
            "dt": self.dt,
            "fields": {name: field.to_json() for name, field in self.fields.items()},
            "growth": None if self.growth is None else self.growth.to_json(),
            "standard_errors": self.errors,
            "transport": None if self.transport is None else self.transport.to_json(),
            **({} if self.noise is None else {"fluctuations": self.noise.to_json()}),
        }

    def with_twin(self, errors: Mapping[str, Mapping[str, float]]) -> "Inspection":
        """The inspection with the errors of the closed form beside those of the networks."""
        ((name, field),) = self.fields.items()
        return dataclasses.replace(self, fields={name: dataclasses.replace(field, twin=errors)})


def inspect(model: Model, gamma: Gamma = None) -> Inspection:
    """Symbols, nonlinearities, generators and equations of all fields, and transport coefficients at one γ.

    Args:
        model: the operator.
        gamma: parameters γ of the transport coefficients; typical values of the training data by default.
    """
    return Inspection(
        str(model.path),
        model.realizations,
        None if model.steady else model.dt,
        {name: _field(model, place) for place, name in enumerate(model.data.field_names)},
        model.checkpoint.growth,
        source(model),
        None if model.steady else transport(model, gamma),
        inspect_noise(model, gamma),
    )


def readings(model: Model, decay: Callable[[Tensor], Tensor] | None = None) -> list[Reading]:
    """Symbols and nonlinearities for a figure, one for each field that has terms.

    Args:
        model: the operator.
        decay: |κ| ↦ −generator of the exact equation, where it is known.
    """
    shown = []
    for place, name in enumerate(model.data.field_names):
        learned = terms(model, place)
        if not learned:
            continue
        first, equation = learned[own(model, place)], choose(model, place)
        kappa = first.kappa.square().sum(0).sqrt()
        continuum = generator_of(model, learned)
        shown.append(
            Reading(
                name,
                kappa.numpy(),
                first.symbol.numpy() if continuum is None else continuum.numpy(),
                None if decay is None else decay(kappa).numpy(),
                first.u.numpy(),
                torch.stack([term.nonlinearity for term in learned], 1).numpy(),
                power=first.power,
                steady=continuum is None,
                band=tuple(model.band(place) or ()),
                form="" if isinstance(equation, str) else equation.form.text(),
            )
        )
    return shown


def _field(model: Model, place: int) -> InspectedField:
    learned = terms(model, place)
    walls = model.config.walls.get(model.data.field_names[place])
    slip = learned[0].basis.slip if learned else None
    return InspectedField(
        basis_name(learned[0].basis) if learned else None,
        walls is None and bool(learned) and all(term.conserves for term in learned),
        tuple(map(_term, learned)),
        _generator(model, place, learned),
        model.band(place),
        choose(model, place),
        walls=None if walls is None else tuple(walls),
        slip_lengths=None if slip is None else _numbers(slip.detach()),
    )


def _generator(model: Model, place: int, learned: list[Term]) -> Generator | None:
    continuum = generator_of(model, learned)
    if continuum is None:
        return None

    def parts(other: Model) -> Float[Tensor, "R 2 K"]:
        again = generator_of(other, terms(other, place))
        assert again is not None
        return torch.stack([again.real, again.imag], 1)

    errors = standard_error(model, parts)
    real, imag = (None, None) if errors is None else map(tuple, errors.tolist())
    plain = next(term for term in learned if not term.mixed)
    return Generator(_listed(plain.kappa), _numbers(continuum.real), _numbers(continuum.imag), real, imag)


def _term(term: Term) -> InspectedTerm:
    imag = term.symbol.imag if term.symbol.is_complex() else torch.zeros_like(term.symbol)
    return InspectedTerm(
        _listed(term.kappa),
        _numbers(term.symbol.real),
        _numbers(imag),
        tuple(term.u.tolist()),
        _numbers(term.nonlinearity),
        term.power or None,
        basis_name(term.basis.source) if isinstance(term.basis, Derivative) else None,
    )


def _numbers(values: Float[Tensor, "R K"]) -> Numbers:
    return tuple(tuple(row) for row in values.tolist())


def _listed(kappa: Float[Tensor, "D K"]) -> tuple[Any, ...]:
    return tuple(kappa[0].tolist() if len(kappa) == 1 else map(tuple, kappa.T.tolist()))
