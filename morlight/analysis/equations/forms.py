"""The closed form of a learned operator, if one is justified: as text, LaTeX and SymPy, and as an operator.

A form is justified if it deviates from generator and nonlinearity by less than `MISFIT`, if every coefficient is more
than three standard deviations from zero, and if its own roll-outs deviate as little from those of the networks.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from morlight.analysis.data_errors import standard_error
from morlight.analysis.equations.numbers import ONE, Number, number, spread
from morlight.analysis.equations.power_law import PowerLaw
from morlight.analysis.equations.terms import Symbolic, polynomial, powers, written
from morlight.analysis.evaluation.result import Evaluation
from morlight.analysis.learned import Term, continuum, terms
from morlight.analysis.rollouts import Forecast, predict
from morlight.analysis.trained_operator import Trained, TrainedOperator
from morlight.operators import build

MISFIT = 0.05  # relative deviation up to which a form is accepted
SURE = 3.0  # standard deviations from zero
STEPS = 100  # of the roll-outs that are compared
STATES = 8
SUMS: tuple[tuple[str, ...], ...] = (
    ("drift",), ("laplacian",), ("fourth",), ("drift", "laplacian"), ("drift", "fourth"), ("laplacian", "fourth"),
    ("drift", "laplacian", "fourth"),
)  # fmt: skip


@dataclass(frozen=True)
class Form:
    """∂ₜu = G P(u), each coefficient with its standard deviation.

    Attributes:
        field: its name.
        steady: whether it is f = G P(u).
        target: name of f.
        power: c and α.
        drift: V by axis.
        laplacian: D.
        fourth: K.
        polynomial: coefficients of P by the power of u.
    """

    field: str
    steady: bool
    target: str
    polynomial: Mapping[int, Number]
    power: tuple[Number, Number] | None = None
    drift: Sequence[Number] = ()
    laplacian: Number | None = None
    fourth: Number | None = None

    def symbolic(self) -> Symbolic:
        """The numbers without their errors."""
        return Symbolic(
            None if self.power is None else (self.power[0].value, self.power[1].value),
            [velocity.value for velocity in self.drift],
            self.laplacian.value if self.laplacian else 0.0,
            self.fourth.value if self.fourth else 0.0,
            {n: each.value for n, each in self.polynomial.items()},
        )

    @property
    def exponent(self) -> Number:
        """α of the leading power of |κ|; without an error if it is an integer."""
        if self.power is not None:
            return self.power[1]
        return Number(4.0 if self.fourth else 2.0 if self.laplacian else 1.0)

    @property
    def coefficient(self) -> Number:
        """Coefficient of the leading power of |κ|."""
        if self.power is not None:
            return self.power[0]
        return self.fourth or self.laplacian or self.drift[0]

    def text(self) -> str:
        """The equation in one line of Unicode."""
        left = self.target if self.steady else f"∂ₜ{self.field}"
        inside = self._argument(UNICODE)
        terms = [] if self.power is None else [
            f"−{self.power[0].text} (−Δ)^{_half(self.power[1])} {inside}"
        ]  # fmt: skip
        terms += [f"{_signed(self.laplacian)} Δ{inside}"] if self.laplacian else []
        terms += [f"{_signed(self.fourth.negative)} Δ²{inside}"] if self.fourth else []
        if len(self.drift) == 1:
            terms.append(f"{_signed(self.drift[0].negative)} ∂ₓ{inside}")
        elif self.drift:
            terms.append(f"−({', '.join(v.text for v in self.drift)})·∇{inside}")
        return f"{left} = {_joined(terms)}"

    def latex(self) -> str:
        """The equation in LaTeX."""
        left = rf"\mathrm{{{_safe(self.target if self.steady else self.field)}}}"
        left = left if self.steady else rf"\partial_t {left}"
        inside = self._argument(LATEX)
        terms = []
        if self.power is not None:
            half = _half(self.power[1]).replace("−", "-")
            terms.append(rf"-{self.power[0].text}\,(-\Delta)^{{{half}}} {inside}")
        terms += [rf"{_signed(self.laplacian)}\,\Delta {inside}"] if self.laplacian else []
        terms += [rf"{_signed(self.fourth.negative)}\,\Delta^2 {inside}"] if self.fourth else []
        if len(self.drift) == 1:
            terms.append(rf"{_signed(self.drift[0].negative)}\,\partial_x {inside}")
        elif self.drift:
            terms.append(rf"-({', '.join(v.text for v in self.drift)})\cdot\nabla {inside}")
        return f"{left} = {_joined(terms)}".replace("−", "-")

    def sympy(self) -> dict[str, Any]:
        """G as an expression of kx, ky, … and P as one of u."""
        import sympy

        form = self.symbolic()
        u = sympy.Symbol("u", real=True)
        k = sympy.symbols("kx ky kz", real=True)[: max(1, len(form.drift))]
        modulus = sympy.Symbol("k", nonnegative=True)  # |κ|
        symbol = sympy.Integer(0)
        for velocity, component in zip(form.drift, k, strict=False):
            symbol -= sympy.I * velocity * component
        if form.power is not None:
            symbol -= form.power[0] * modulus ** form.power[1]
        symbol -= form.laplacian * modulus**2 + form.fourth * modulus**4
        return {"symbol": symbol, "nonlinearity": sum(a * u**n for n, a in form.polynomial.items())}

    def to_json(self, departure: float) -> dict[str, Any]:
        """The layout of `morlight inspect --json`."""
        plain: dict[str, Any] = {"equation": self.text()}
        plain |= {"coefficient": self.coefficient.value, **self.coefficient.errors("coefficient_sd")}
        plain |= {"exponent": self.exponent.value, **self.exponent.errors("exponent_sd")}
        if self.drift:
            errors = [v.errors("drift_sd") for v in self.drift]
            plain |= {"drift": [v.value for v in self.drift]}
            plain |= {key: [each[key] for each in errors] for key in errors[0]}
        plain["polynomial"] = {str(n): [each.value, each.sd] for n, each in self.polynomial.items()}
        return plain | {
            "terms": self.terms(),
            "latex": self.latex(),
            "sympy": {key: str(value) for key, value in self.sympy().items()},
            "departure": departure,
        }

    def terms(self) -> list[dict[str, Any]]:
        """Terms coefficient · derivative of P(u), with the derivative as its orders by axis or as a power of −Δ."""
        inside = {str(n): each.value for n, each in self.polynomial.items()}
        axes = max(1, len(self.drift))
        listed: list[tuple[Any, Number]] = []
        if self.power is not None:
            listed.append(({"power": self.power[1].value}, self.power[0].negative))
        for axis, velocity in enumerate(self.drift):
            listed.append(([int(axis == place) for place in range(axes)], velocity.negative))
        if self.laplacian is not None:
            listed.append(({"power": 2.0}, self.laplacian.negative))
        if self.fourth is not None:
            listed.append(({"power": 4.0}, self.fourth.negative))
        return [
            {"derivative": derivative, "of": inside, "coefficient": each.value, **each.errors()}
            for derivative, each in listed
        ]

    def _argument(self, writing: Mapping[str, str]) -> str:
        name = self.field if writing is UNICODE else rf"\mathrm{{{_safe(self.field)}}}"
        if dict(self.polynomial) == {1: ONE}:
            return name
        terms = [
            f"{'+' if n == 1 or each.value > 0 else ''}{'' if each == ONE else each.text + ' '}{name}"
            f"{'' if n == 1 else writing[str(n)]}"
            for n, each in self.polynomial.items()
        ]
        return f"({_joined(terms)})"


UNICODE = {"2": "²", "3": "³"}
LATEX = {"2": "^2", "3": "^3"}


def _signed(value: Number) -> str:
    return ("" if value.value < 0 else "+") + value.text


def _half(power: Number) -> str:
    return number(power.value / 2, power.sd / 2)


def _joined(terms: Sequence[str]) -> str:
    """A sum, with spaces around its signs."""
    first, *others = [term.lstrip("+") for term in terms[:1]] + list(terms[1:])
    spaced = [f" − {term[1:]}" if term[0] in "−-" else f" + {term.lstrip('+')}" for term in others]
    return "".join([first, *spaced])


def _safe(name: str) -> str:
    return name.replace("_", r"\_")


def of_power_law(model: TrainedOperator, found: PowerLaw, turns: bool) -> Form:
    """The form of a fractional diffusion, with the drift if it is not zero."""
    c, alpha = found.coefficient, found.exponent
    mean = float(c.mean())
    velocity = _numbers(found.drift, found.drift_error)
    moves = turns and any(abs(v.value) > SURE * v.sd for v in velocity)
    return Form(
        model.data.fields[0].name,
        False,
        "",
        {1: ONE},
        power=(
            Number(mean, mean * found.coefficient_error, spread(c)),
            Number(float(alpha.mean()), found.exponent_error, spread(alpha)),
        ),
        drift=velocity if moves else (),
    )


def of_powers(model: TrainedOperator, place: int, errors: Float[Tensor, " K"]) -> Form | None:
    """The shortest sum of integer powers of ∇ and of u that is justified; None if none is.

    Args:
        model: of one field with one term.
        place: of the field.
        errors: relative standard errors of the generator, infinite for modes to leave out.
    """
    (term,) = terms(model, place)
    inside = _polynomial(model, place, term)
    if inside is None:
        return None
    exponents, P = inside
    rates = _rates(model, term, exponents)
    if not bool(rates[:, errors.isfinite()].abs().isfinite().all()):
        return None
    for words in SUMS:
        if "drift" in words and (len(term.kappa) != model.grid.dimensions or "WALL" in model.grid.boundaries):
            continue
        found = powers(term.kappa, rates, errors, words)
        if found is None or float(found.misfit.median()) > MISFIT:
            continue

        def coefficients(other: TrainedOperator, words: tuple[str, ...] = words) -> Tensor:
            (own,) = terms(other, place)
            again = powers(own.kappa, _rates(other, own, exponents), errors, words)
            assert again is not None
            return again.columns

        data = None if model.steady else standard_error(model, coefficients)
        # without time the weights describe no noise
        noise = torch.zeros_like(found.error) if model.steady else found.error if data is None else data
        numbers = _numbers(found.columns, noise)
        axes = len(term.kappa) if "drift" in words else 0
        sure = [abs(each.value) > SURE * each.sd for each in numbers]
        if not (all(sure[axes:]) and (not axes or any(sure[:axes]))):
            continue
        rest: dict[str, Any] = dict(zip([word for word in words if word != "drift"], numbers[axes:], strict=True))
        target = model.data.targets[0] if model.steady else ""
        return Form(model.data.fields[0].name, model.steady, target, P, drift=numbers[:axes], **rest)
    return None


def _rates(model: TrainedOperator, term: Term, exponents: tuple[int, ...]) -> Inexact[Tensor, "R K"]:
    """The generator that acts on P(u), or the symbol of an operator without time."""
    _, factor = _scaled(model, term, exponents)
    g = term.symbol * factor[:, None] + 0j
    return g if model.steady else continuum(model, g)


def _polynomial(model: TrainedOperator, place: int, term: Term) -> tuple[tuple[int, ...], dict[int, Number]] | None:
    """The powers of P and their coefficients."""
    tried = [(1,), (2,), (3,), (1, 2), (1, 3), (1, 2, 3)] if model.steady else [(1,), (1, 2), (1, 3), (1, 2, 3)]
    for exponents in tried:
        if float(polynomial(term.u, term.nonlinearity, exponents)[1].median()) > MISFIT:
            continue

        def coefficients(other: TrainedOperator, exponents: tuple[int, ...] = exponents) -> Tensor:
            return _scaled(other, terms(other, place)[0], exponents)[0]

        data = None if model.steady else standard_error(model, coefficients)
        columns = _scaled(model, term, exponents)[0]
        numbers = dict(
            zip(exponents, _numbers(columns, torch.zeros(len(exponents)) if data is None else data), strict=True)
        )
        numbers[exponents[_unit(model, exponents)]] = ONE
        if all(abs(each.value) > SURE * each.sd for each in numbers.values()):
            return exponents, numbers
    return None


def _unit(model: TrainedOperator, exponents: tuple[int, ...]) -> int:
    """Place of the power whose coefficient is 1: the first, or without time the highest."""
    return len(exponents) - 1 if model.steady else 0


def _scaled(
    model: TrainedOperator, term: Term, exponents: tuple[int, ...]
) -> tuple[Float[Tensor, "R n"], Float[Tensor, " R"]]:
    """Coefficients of P with a 1 among them, and the factor that g takes over."""
    found = polynomial(term.u, term.nonlinearity, exponents)[0]
    factor = found[:, _unit(model, exponents)]
    return found / factor[:, None], factor


def _numbers(columns: Float[Tensor, "R n"], data: Float[Tensor, " n"]) -> list[Number]:
    return [Number(float(v.mean()), float(e), spread(v)) for v, e in zip(columns.T, data, strict=True)]


def twin(model: Trained, form: Form) -> Trained:
    """The form as a model of one realization, which can predict, be evaluated and be exported like any other."""
    basis = build.basis(model.grid, model.config.wall(form.field))
    symbolic = form.symbolic()
    if model.continuous:
        operator = written(symbolic.times(model.data.dt), basis, None)
    else:
        operator = written(symbolic, basis, None if model.steady else model.dt)
    config = dataclasses.replace(model.config, realizations=1)
    checkpoint = dataclasses.replace(model.checkpoint, config=config, losses=None, growth=None)
    return dataclasses.replace(model, checkpoint=checkpoint, operator=operator)


def departure(model: TrainedOperator, other: TrainedOperator) -> float:
    """Deviation of the roll-outs of the twin from those of the networks, as a share of the change; median over R.

    The roll-outs of `STEPS` steps start from smooth random states between the smallest and largest training value.
    """
    u = _smooth(model)
    if model.steady:
        networks, twins = model.apply(u), other.apply(u)
    else:
        asked = Forecast(STEPS, STEPS, finite=False)
        networks, twins = (predict(each, u, asked, None)[:, :, -1] - u for each in (model, other))
    axes = tuple(range(1, networks.ndim))
    with np.errstate(over="ignore", invalid="ignore"):  # of roll-outs that diverge
        share = np.sqrt(((networks - twins) ** 2).mean(axes) / (networks**2).mean(axes))
    return float(np.median(np.where(np.isfinite(share), share, np.inf)))


def _smooth(model: TrainedOperator) -> np.ndarray:
    """Sums of the identified waves with amplitudes 1/|κ| and random phases."""
    field, space = model.data.fields[0], build.basis(model.grid).double()
    modulus = space.wavenumbers.square().sum(0).sqrt()
    low, high = model.band(0) or (0.0, math.inf)
    inside = (modulus > 0) & (modulus >= 0.999 * low) & (modulus <= 1.001 * high)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(STATES, 1, *model.grid.points, generator=generator, dtype=torch.float64)
    u = space.inverse(torch.where(inside, space.forward(noise) / modulus.clamp_min(1e-300), 0))
    least, most = field.low, field.high
    size = u.flatten(1).abs().amax(1).view(-1, *[1] * (u.ndim - 1))
    states: np.ndarray = ((least + most) / 2 + (most - least) / 2 * u / size).numpy()
    return states


def compared(networks: Evaluation, twins: Evaluation) -> dict[str, dict[str, float]]:
    """Median error of the networks, error of the twin, and their ratio, from two results of `evaluate`."""
    ratios = {}
    for name, error in networks.errors.items():
        one, other = error.median, twins.errors[name].median
        ratios[name] = {"networks": one, "twin": other, "ratio": other / one if one else math.inf}
    return ratios
