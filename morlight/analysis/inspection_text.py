"""What was learned, in a few lines for a person: medians of the realizations at some wavenumbers."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.analysis import noise_text
from morlight.analysis.equations import forms
from morlight.analysis.equations.forms import Form
from morlight.analysis.equations.known import KnownForm
from morlight.analysis.equations.numbers import spread
from morlight.analysis.inspection import InspectedField, InspectedTerm, Inspection
from morlight.analysis.transport_coefficients import Transport

GAUGE = {None: "", 1: ", scaled to u", 2: ", scaled to u²", 3: ", scaled to u³"}


def summary(inspection: Inspection) -> str:
    """The lines that `morlight inspect` prints."""
    lines = [f"{inspection.checkpoint}, {inspection.realizations} realizations"]
    for name, field in inspection.fields.items():
        conserved = ", its total conserved" if field.conserved else ""
        lines.append(f"{name}: {field.basis or 'changes by its rate alone'}{conserved}, {len(field.terms)} term(s)")
        if field.walls is not None:
            low, high = field.walls
            lines.append(f"  {'slopes' if 'Cosine' in str(field.basis) else 'values'} at the walls: {low} and {high}")
        if field.slip_lengths is not None:
            slip = torch.tensor(field.slip_lengths, dtype=torch.float64)
            sd = slip.std(0) if len(slip) > 1 else torch.zeros(2)
            low, high = (f"{b:.4g} ± {error:.2g}" for b, error in zip(slip.mean(0), sd, strict=True))
            lines.append(f"  slip lengths at the walls: {low} and {high}   (means and scatter of the realizations)")
        if field.band is not None:
            lines.append(f"  the data identify {field.band[0]:.4g} ≤ |κ| ≤ {field.band[1]:.4g}")
        lines += [*_symbols(field), *_nonlinearities(name, field), *_equation(field)]
    lines.append(f"standard errors due to the data: {inspection.errors}")
    if inspection.transport is not None:
        lines += _transport(inspection.transport)
    if inspection.noise is not None:
        lines += noise_text.lines(inspection.noise)
    growth = inspection.growth
    if growth is not None:
        if growth.method == "symbol":
            what = f"|1 + g h′| over {growth.low:.3g} ≤ u ≤ {growth.high:.3g}"
        elif growth.method == "steps":
            what = f"of all modes over {growth.low:.3g} ≤ u ≤ {growth.high:.3g}"
        else:
            what = f"spectral radius at {growth.states} training states"
        lines.append(f"largest growth a step, {what}: " + " ".join(f"{v:.9g}" for v in growth.per_realization))
    return "\n".join(lines)


def _transport(transport: Transport) -> list[str]:
    """Coefficients, and each reason once for those that there are not."""
    at = ", ".join(f"{name} = {value:.4g}" for name, value in transport.gamma.items())
    lines = [f"transport coefficients{' at ' + at if at else ''}, in the units of the data"]
    reasons: dict[str, list[str]] = {}
    for name, answer in transport.answers().items():
        if isinstance(answer, str):
            reasons.setdefault(answer, []).append(name)
        else:
            lines.append(f"  {name} {answer}")
    return lines + [f"  no {', '.join(names)}: {reason}" for reason, names in reasons.items()]


def _symbols(field: InspectedField) -> list[str]:
    lines = []
    if field.generator is not None:
        generator = field.generator
        data = (
            None if generator.real_sd is None or generator.imag_sd is None else (generator.real_sd, generator.imag_sd)
        )
        lines += _table(generator.kappa, (generator.real, generator.imag), "generator", field.band, data)
    if len(field.terms) > 1 or field.generator is None:
        for number, term in enumerate(field.terms, 1):
            title = f"symbol g{number if len(field.terms) > 1 else ''}"
            title += "" if term.derivative_of is None else " of ∂ₓ"
            lines += _table(term.kappa, (term.symbol_real, term.symbol_imag), title, field.band)
    return lines


def _nonlinearities(name: str, field: InspectedField) -> list[str]:
    several = len(field.terms) > 1
    lines = []
    for number, term in enumerate(field.terms, 1):
        lines += _values(name, term, str(number) if several else "")
    return lines


def _equation(field: InspectedField) -> list[str]:
    if isinstance(field.equation, str):
        return [f"  no equation: {field.equation}"]
    form, departure = field.equation
    sympy = form.sympy()
    if isinstance(form, KnownForm):
        return [f"  {form.text()}", f"    LaTeX  {form.latex()}", f"    SymPy  {sympy['rate']}"]
    low, high = field.band or (math.nan, math.nan)
    lines = [
        f"  {form.text()}   (from {low:.4g} ≤ |κ| ≤ {high:.4g})",
        f"    {_errors(form)}",
        f"    LaTeX  {form.latex()}",
        f"    SymPy  G = {sympy['symbol']}, P(u) = {sympy['nonlinearity']}",
        f"    its roll-outs depart from the networks by {100 * departure:.2g} % of the change over {forms.STEPS} steps",
    ]
    for name, error in (field.twin or {}).items():
        lines.append(
            f"    {name}: {error['twin']:.3g} for the equation, {error['networks']:.3g} for the networks"
            f" ({error['ratio']:.3g} times)"
        )
    return lines


def _errors(form: Form) -> str:
    """Standard errors due to the data and scatter of the networks, of the leading term and of the drift."""
    named = {"coefficient": form.coefficient, "exponent": form.exponent}
    named |= {f"drift {axis}": v for axis, v in zip("xyz", form.drift, strict=False)}
    parts = [f"{name} {v.data:.2g} and {v.networks:.2g}" for name, v in named.items() if v.sd]
    return f"standard error due to the data and scatter of the networks: {', '.join(parts) or 'not known'}"


def _values(name: str, term: InspectedTerm, number: str) -> list[str]:
    """The nonlinearity at five values, in its gauge where there is one."""
    h = torch.tensor(term.h, dtype=torch.float64)
    lines = [f"  {name:>8}  {'h' + number:>16} {'± sd':>10}   (median{GAUGE[term.power]})"]
    for at in torch.linspace(0, len(term.u) - 1, 5).round().long().tolist():
        lines.append(f"  {term.u[at]:>8.4g}  {_median(h[:, at]):>16.6g} {spread(h[:, at]):>10.2g}")
    return lines


def _table(
    kappa: Sequence[Any],
    values: tuple[Sequence[Sequence[float]], Sequence[Sequence[float]]],
    title: str,
    band: tuple[float, float] | None,
    data: tuple[Sequence[float], Sequence[float]] | None = None,
) -> list[str]:
    """Real and imaginary part of a symbol at wavenumbers a factor of two apart.

    Args:
        kappa: wavenumbers.
        values: both parts of each realization.
        title: what it is.
        band: wavenumbers that the data identify.
        data: standard errors of both parts due to the data, where known.
    """
    k = torch.tensor(kappa, dtype=torch.float64)
    modulus = k.abs() if k.ndim == 1 else k.square().sum(1).sqrt()
    parts = [torch.tensor(each, dtype=torch.float64) for each in values]
    errors = "" if data is None else f" {'± data':>10}"
    head = " ".join(f"{f'{part} {title}':>16}{errors} {'± networks':>10}" for part in ("Re", "Im"))
    lines = [f"  {'|κ|':>8}  {head}   (medians)"]
    smallest, last = band or (float(modulus[modulus > 0].min()), float(modulus.max()))
    count = max(1, math.floor(math.log2(last / smallest)) + 1)
    for step in range(count):
        at = int((modulus - smallest * 2**step).abs().argmin())
        numbers = []
        for place, part in enumerate(parts):
            error = "" if data is None else f" {data[place][at]:>10.2g}"
            numbers.append(f"{_median(part[:, at]):>16.6g}{error} {spread(part[:, at]):>10.2g}")
        lines.append(f"  {float(modulus[at]):>8.4g}  {' '.join(numbers)}")
    return lines


def _median(values: Float[Tensor, " R"]) -> float:
    return float(values.nanmedian())
