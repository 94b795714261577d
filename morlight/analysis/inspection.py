"""What was learned: symbols, nonlinearities and generators of every realisation, as numbers and for a figure."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Complex, Float, Inexact
from torch import Tensor

from morlight.analysis.equations import forms
from morlight.analysis.equations.power_law import PowerLaw, identified, power_law
from morlight.analysis.model import Model
from morlight.analysis.plots import Reading
from morlight.operators import (
    Derivative,
    Isotropic,
    Operator,
    SecondOrder,
    SpectralOperator,
    System,
    TensorProduct,
    build,
    fix,
    generator,
    nearest_power,
    shells,
)
from morlight.operators.bases import Basis

POINTS = 201  # of u at which h is told


class Term(NamedTuple):
    """One pair of g and h that changes a field.

    Attributes:
        basis: Π; a `Derivative` for the mixed terms.
        kappa: κ, or |κ| alone (1, K) of an isotropic symbol.
        symbol: g (R, K).
        u: values of the field.
        nonlinearity: h there (R, P), the other fields at their medians and γ at its size.
        slope: of the straight line through h over the training data (R,).
        power: n of the gauge h(u) ≈ uⁿ; 0 where there is no gauge, because terms add up or h sees more than u.
    """

    basis: Basis
    kappa: Float[Tensor, "D K"]
    symbol: Inexact[Tensor, "R K"]
    u: Float[Tensor, " P"]
    nonlinearity: Float[Tensor, "R P"]
    slope: Float[Tensor, " R"]
    power: int

    @property
    def mixed(self) -> bool:
        """Whether it is Π⁻¹ g ∂ₓ Π' h."""
        return isinstance(self.basis, Derivative)


def inspect(model: Model) -> dict[str, Any]:
    """Everything that was learned, in the layout of `morlight inspect --json`.

    κ is a list of numbers in one dimension and, as |κ|, for isotropic symbols; else of vectors. One field with one
    term is shown in a gauge: h(0) = 0 and h(u) ≈ uⁿ over the training data, with the n that fits best. The
    generator is that of the linearised operator, log(1 + Σₖ gₖ h′ₖ)/Δt with the slopes of straight lines through h
    over the training data; null without time, and without terms that stay in one basis.
    """
    found = {}
    for place, name in enumerate(model.data["fields"]):
        terms = list(_terms(model, place))
        found[name] = {
            "basis": _names(terms[0].basis) if terms else None,
            "conserved": bool(terms) and all(_conserves(term) for term in terms),
            "terms": [_told(term) for term in terms],
            "generator": _generator_told(model, terms),
            "identifiable_band": _listed(model.band(place)),
            "closed_form": _closed_form(model, place, terms),
        }
    return {
        "checkpoint": str(model.path),
        "realizations": model.realizations,
        "dt": None if model.steady else model.dt,
        "fields": found,
        "growth": model.growth,
    }


def readings(model: Model, decay: Callable[[Tensor], Tensor] | None = None) -> list[Reading]:
    """The same for a figure, one for each field that has terms.

    Args:
        model: the operator.
        decay: |κ| ↦ −generator of the exact equation, where it is known.
    """
    found = []
    for place, name in enumerate(model.data["fields"]):
        terms = list(_terms(model, place))
        if not terms:
            continue
        kappa = terms[0].kappa.square().sum(0).sqrt()
        continuum = generator_of(model, terms)
        found.append(
            Reading(
                name,
                kappa.numpy(),
                terms[0].symbol.numpy() if continuum is None else continuum.numpy(),
                None if decay is None else decay(kappa).numpy(),
                terms[0].u.numpy(),
                torch.stack([term.nonlinearity for term in terms], 1).numpy(),
                power=terms[0].power,
                steady=continuum is None,
                band=tuple(model.band(place) or ()),
                form=(_closed_form(model, place, terms) or {"equation": ""})["equation"],
            )
        )
    return found


def generator_of(model: Model, terms: list[Term]) -> Complex[Tensor, "R K"] | None:
    """log(1 + Σₖ gₖ h′ₖ)/Δt of the terms in one basis; None without time or without such terms."""
    plain = [term for term in terms if not term.mixed]
    if model.steady or not plain:
        return None
    return generator(torch.stack([term.symbol * term.slope[:, None] for term in plain]).sum(0), model.dt)


def _terms(model: Model, place: int) -> Iterator[Term]:
    for operator, row in _changing(model.operator, place):
        count = len(operator.unit)
        scale = operator.gamma.scale
        gamma = scale[None] if len(scale) else None
        symbol = operator.symbol(gamma)[:, 0].flatten(2)
        terms = symbol.shape[1] // count
        kappa = operator.basis.wavenumbers.flatten(1)
        if len(kappa) > 1 and any(isinstance(module, Isotropic) for module in operator.g.modules()):
            moduli, index = shells(operator.basis.wavenumbers)
            first = torch.full((moduli.shape[1],), index.numel()).scatter_reduce_(
                0, index.flatten(), torch.arange(index.numel()), "amin"
            )
            kappa, symbol = moduli, symbol[..., first]
        u = _range(model, place)
        inner = _at(operator, model, place, u, gamma)
        quantiles = torch.tensor(model.data["values"][place], dtype=u.dtype)
        seen = _at(operator, model, place, quantiles, gamma)
        zero = _at(operator, model, place, u.new_zeros(1), gamma)
        alone = terms == 1 and len(model.data["fields"]) == 1 and gamma is None and operator is model.operator
        for channel in range(row * terms, (row + 1) * terms):
            g, h, values = symbol[:, channel], inner[:, channel], seen[:, channel]
            power = 0
            if alone:
                power = nearest_power(operator, quantiles) if model.steady else 1
                factor = fix(operator, quantiles, power).factor[:, None]
                g, h, values = g * factor, (h - zero[:, channel]) / factor, values / factor
            centred = quantiles - quantiles.mean()
            slope = ((values - values.mean(1, keepdim=True)) * centred).sum(1) / centred.square().sum()
            yield Term(operator.basis, kappa, g, u, h, slope, power)


def _changing(operator: Operator, place: int) -> Iterator[tuple[SpectralOperator, int]]:
    """The summands that change a field, and its place among those that they change."""
    if isinstance(operator, SecondOrder):
        rates = _width(operator.operator)
        if place >= rates:  # of each ∂ₜu; u itself changes by Δt ∂ₜu, which is not learned
            yield from _changing(operator.operator, place - rates)
    elif isinstance(operator, System):
        for part, targets in zip(operator.operators, operator.targets, strict=True):
            if place in targets:
                yield part, targets.index(place)
    else:
        assert isinstance(operator, SpectralOperator)
        yield operator, place


def _width(operator: SpectralOperator | System) -> int:
    return operator.fields if isinstance(operator, System) else len(operator.unit)


def _range(model: Model, place: int) -> Float[Tensor, " P"]:
    """From the smallest to the largest training value; both ways of zero where reflection holds, and zero with it."""
    low, high = model.data["low"][place], model.data["high"][place]
    if "reflection" in str(model.settings["biases"]):
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    return torch.linspace(min(low, 0.0), max(high, 0.0), POINTS, dtype=torch.float64)


def _at(
    operator: SpectralOperator, model: Model, place: int, u: Float[Tensor, " P"], gamma: Tensor | None
) -> Float[Tensor, "R H P"]:
    """h at values of one field, the others at their medians."""
    medians = [values[len(values) // 2] for values in model.data["values"]]
    states = u.new_tensor(medians).view(1, 1, -1, 1).repeat(1, 1, 1, len(u))
    states[0, 0, place] = u
    return operator.nonlinearity(states, gamma)[:, 0]


def _conserves(term: Term) -> bool:
    """Whether nothing of κ = 0 changes: no symbol there, or ∂ₓ in front of it."""
    still = (term.kappa == 0).all(0)
    return bool(still.any()) and (term.mixed or float(term.symbol[:, still].abs().max()) == 0)


def _names(basis: Basis) -> str:
    if isinstance(basis, Derivative):
        return _names(basis.target)
    factors = basis.factors if isinstance(basis, TensorProduct) else [basis]
    return " × ".join(type(factor).__name__ for factor in factors)


def _told(term: Term) -> dict[str, Any]:
    imag = term.symbol.imag if term.symbol.is_complex() else torch.zeros_like(term.symbol)
    told = {
        "kappa": _list(term.kappa),
        "symbol_real": term.symbol.real.tolist(),
        "symbol_imag": imag.tolist(),
        "nonlinearity": {"u": term.u.tolist(), "h": term.nonlinearity.tolist()},
        "power": term.power or None,
    }
    return told | ({"derivative_of": _names(term.basis.source)} if isinstance(term.basis, Derivative) else {})


def _generator_told(model: Model, terms: list[Term]) -> dict[str, Any] | None:
    continuum = generator_of(model, terms)
    if continuum is None:
        return None
    plain = next(term for term in terms if not term.mixed)
    return {"kappa": _list(plain.kappa), "real": continuum.real.tolist(), "imag": continuum.imag.tolist()}


def _listed(band: tuple[float, float] | None) -> list[float] | None:
    return None if band is None else list(band)


def _space(model: Model) -> Basis:
    return build.basis(model.trained_points, model.data["length"], model.data["boundaries"]).double()


def closed_form(model: Model, place: int, terms: list[Term]) -> PowerLaw | None:
    """The fractional diffusion with drift nearest to a model of one field and one term; None where it is none."""
    if model.steady or len(model.data["fields"]) > 1 or len(terms) != 1 or not model.data.get("rate_errors"):
        return None
    term, continuum = terms[0], generator_of(model, terms)
    if continuum is None or model.data.get("parameters"):
        return None
    line = term.slope[:, None] * term.u
    bent = (term.nonlinearity - line).square().mean(1).sqrt() / line.square().mean(1).sqrt()
    moduli, index = shells(_space(model).wavenumbers)
    errors = torch.tensor(model.data["rate_errors"][place], dtype=torch.float64)
    band = identified(moduli[0], errors)
    if band is None:
        return None
    errors = torch.where((moduli[0] >= band[0]) & (moduli[0] <= band[1]), errors, torch.inf)
    if term.kappa.shape[1] != len(errors):  # every mode by itself, and not only every |κ|
        errors = errors[index.flatten()] * index.flatten().bincount(minlength=moduli.shape[1])[index.flatten()].sqrt()
    found = power_law(term.kappa, continuum, errors)
    if found is None or max(float(found.misfit.median()), float(bent.median())) > forms.MISFIT:
        return None
    return found if bool((found.exponent > 0).all()) else None


def form(model: Model, place: int, terms: list[Term]) -> forms.Form | None:
    """The closed form of what changes a field: a power law with drift, or else powers of ∇ and polynomials of u."""
    found = closed_form(model, place, terms)
    if found is not None:
        return forms.of_power_law(model, found, terms[0].symbol.is_complex())
    if len(model.data["fields"]) > 1 or len(terms) != 1 or model.data.get("parameters") or terms[0].mixed:
        return None
    term, band = terms[0], model.band(place)
    if band is None or model.settings.get("scheme", "explicit") != "explicit":
        return None
    modulus = term.kappa.square().sum(0).sqrt()
    inside = (modulus >= 0.999 * band[0]) & (modulus <= 1.001 * band[1])
    if model.steady:
        errors = torch.ones_like(modulus)
    else:
        moduli, index = shells(_space(model).wavenumbers)
        errors = torch.tensor(model.data["rate_errors"][place], dtype=torch.float64)
        if term.kappa.shape[1] != len(errors):  # every mode by itself, and not only every |κ|
            flat = index.flatten()
            errors = errors[flat] * flat.bincount(minlength=moduli.shape[1])[flat].sqrt()
    errors = torch.where(inside, errors, torch.inf)
    return forms.of_powers(model, term.kappa, term.symbol, errors, term.u, term.nonlinearity)


def twin(model: Model) -> Model | None:
    """The closed form as a model that runs; None where there is none that is justified."""
    if len(model.data["fields"]) > 1:
        return None
    found = form(model, 0, list(_terms(model, 0)))
    other = None if found is None else forms.twin(model, found)
    return other if other is not None and forms.departure(model, other) <= forms.MISFIT else None


def _closed_form(model: Model, place: int, terms: list[Term]) -> dict[str, Any] | None:
    found = form(model, place, terms)
    if found is None:
        return None
    departed = forms.departure(model, forms.twin(model, found))
    return forms.told(found, departed) if departed <= forms.MISFIT else None


def _list(kappa: Float[Tensor, "D K"]) -> list[Any]:
    return kappa[0].tolist() if len(kappa) == 1 else kappa.T.tolist()


def summary(found: dict[str, Any]) -> str:
    """The same in a few lines for a person: median of the realisations at some wavenumbers."""
    lines = [f"{found['checkpoint']}, {found['realizations']} realisations"]
    for name, field in found["fields"].items():
        kept = ", its total conserved" if field["conserved"] else ""
        lines.append(f"{name}: {field['basis'] or 'changes by its rate alone'}{kept}, {len(field['terms'])} term(s)")
        band = field["identifiable_band"]
        if band is not None:
            lines.append(f"  the data tell of {band[0]:.4g} ≤ |κ| ≤ {band[1]:.4g}")
        if field["generator"]:
            lines += _table({**field["generator"], "band": band}, "generator")
        if len(field["terms"]) > 1 or not field["generator"]:
            for number, term in enumerate(field["terms"], 1):
                symbol = {
                    "kappa": term["kappa"],
                    "real": term["symbol_real"],
                    "imag": term["symbol_imag"],
                    "band": band,
                }
                which = f"symbol g{number if len(field['terms']) > 1 else ''}"
                lines += _table(symbol, which + (" of ∂ₓ" if "derivative_of" in term else ""))
        for number, term in enumerate(field["terms"], 1):
            lines += _values(name, term, str(number) if len(field["terms"]) > 1 else "")
        lines += _form_lines(field)
    growth = found["growth"]
    if growth is not None:
        what = {
            "symbol": lambda: f"|1 + g h′| over {growth['low']:.3g} ≤ u ≤ {growth['high']:.3g}",
            "radius": lambda: f"spectral radius at {growth['states']} training states",
        }[growth["method"]]()
        lines.append(f"largest growth a step, {what}: " + " ".join(f"{v:.9g}" for v in growth["per_realization"]))
    return "\n".join(lines)


def _form_lines(field: dict[str, Any]) -> list[str]:
    told = field["closed_form"]
    if not told:
        return []
    low, high = field["identifiable_band"]
    lines = [f"  {told['equation']}   (from {low:.4g} ≤ |κ| ≤ {high:.4g})"]
    lines.append(f"    LaTeX  {told['latex']}")
    lines.append(f"    SymPy  G = {told['sympy']['symbol']}, P(u) = {told['sympy']['nonlinearity']}")
    lines.append(
        f"    alone it departs from the networks by {100 * told['departure']:.2g} % of the change"
        f" over {forms.STEPS} steps"
    )
    for name, error in told.get("twin", {}).items():
        lines.append(
            f"    {name}: {error['twin']:.3g} for the equation, {error['networks']:.3g} for the networks"
            f" ({error['ratio']:.3g} times)"
        )
    return lines


def _values(name: str, term: dict[str, Any], number: str) -> list[str]:
    """The nonlinearity at five values, in its gauge where there is one."""
    u, h = (torch.tensor(term["nonlinearity"][key], dtype=torch.float64) for key in ("u", "h"))
    gauge = {None: "", 1: ", scaled to u", 2: ", scaled to u²", 3: ", scaled to u³"}[term["power"]]
    lines = [f"  {name:>8}  {'h' + number:>16} {'± sd':>10}   (median{gauge})"]
    for at in torch.linspace(0, len(u) - 1, 5).round().long().tolist():
        lines.append(f"  {float(u[at]):>8.4g}  {_median(h[:, at]):>16.6g} {forms.spread(h[:, at]):>10.2g}")
    return lines


def _table(shown: dict[str, Any], title: str) -> list[str]:
    kappa = torch.tensor(shown["kappa"], dtype=torch.float64)
    modulus = kappa.abs() if kappa.ndim == 1 else kappa.square().sum(1).sqrt()
    real, imag = (torch.tensor(shown[key], dtype=torch.float64) for key in ("real", "imag"))
    lines = [f"  {'|κ|':>8}  {'Re ' + title:>16} {'± sd':>10} {'Im ' + title:>16} {'± sd':>10}   (medians)"]
    smallest, last = shown.get("band") or (float(modulus[modulus > 0].min()), float(modulus.max()))
    count = max(1, math.floor(math.log2(last / smallest)) + 1)
    for step in range(count):
        at = int((modulus - smallest * 2**step).abs().argmin())
        parts = (f"{_median(part[:, at]):>16.6g} {forms.spread(part[:, at]):>10.2g}" for part in (real, imag))
        lines.append(f"  {float(modulus[at]):>8.4g}  {' '.join(parts)}")
    return lines


def _median(values: Float[Tensor, " R"]) -> float:
    return float(values.nanmedian())
