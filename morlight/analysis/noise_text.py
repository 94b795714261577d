"""The noise of the steps, in a few lines for a person: medians of the realizations at some wavenumbers."""

import math

import torch

from morlight.analysis.fluctuation_dissipation import Ratio
from morlight.analysis.noise import POINTS, FieldNoise, InspectedNoise

SURE = 2.0  # standard errors
LARGEST = 0.5  # error of a ratio that is printed


def lines(noise: InspectedNoise) -> list[str]:
    """The lines that `morlight inspect` prints."""
    at = ", ".join(f"{name} = {value:.4g}" for name, value in noise.gamma.items())
    volume = ("length", "area", "volume")[noise.dimensions - 1]
    printed = [
        f"noise of the steps{' at ' + at + ' (others with --gamma)' if at else ''}: spectral density Σ per step, in"
        f" units of field² × {volume}; medians of the realizations"
    ]
    for name, field in noise.fields.items():
        printed += _of_field(name, field, noise.measured)
    if noise.lags:
        each = ", ".join(with_error(value, error) for value, error in noise.lags)
        kind = "noise of the measurement is separated" if noise.measured else "no noise of the measurement"
        printed.append(f"  correlation of the residuals one step apart, two steps apart: {each}; {kind}")
    return printed


def with_error(value: float, error: float) -> str:
    """A number below 1 with two digits of its standard error."""
    digits = 1 - math.floor(math.log10(error)) if error > 0 else 3
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def _balance(field: FieldNoise) -> list[str]:
    """Noise over the noise that the damping of slow waves needs, where it is known well enough to mean anything."""
    ratios, alone = {"": field.balance, " from equipartition": field.equipartition}, field.equilibrium is not None
    return [
        f"    fluctuation–dissipation ratio{name} {with_error(ratio.value, ratio.error)}: {_meaning(ratio, alone)}"
        for name, ratio in ratios.items()
        if ratio is not None and ratio.error < LARGEST
    ]


def _meaning(ratio: Ratio, alone: bool) -> str:
    """What a ratio says; of roll-outs only if the field decays alone, without exchanging variance as in sound."""
    if abs(ratio.value - 1) <= SURE * ratio.error:
        return "noise and damping are in balance"
    less = "less" if ratio.value < 1 else "more"
    said = f"the noise restores {less} variance than the damping takes"
    return f"{said}; roll-outs at equilibrium fluctuate {less}" if alone else said


def _of_field(name: str, field: FieldNoise, measured: bool) -> list[str]:
    columns = {"Σ": field.density, "S at equilibrium": field.equilibrium}
    columns |= {"Σ_η": field.measurement} if measured else {}
    shown = {title: torch.tensor(values).double().nanmedian(0).values for title, values in columns.items() if values}
    lines = [f"  {name}: {'|κ|':>8} {'Σ':>12} {'± data':>10}" + "".join(f" {t:>16}" for t in list(shown)[1:])]
    kappa = torch.tensor(field.kappa)
    smallest = float(kappa[kappa > 0].min())
    for step in range(max(1, math.floor(math.log2(float(kappa.max()) / smallest)) + 1)):
        at = int((kappa - smallest * 2**step).abs().argmin())
        first, *rest = (float(values[at]) for values in shown.values())
        row = f"{field.kappa[at]:>8.4g} {first:>12.5g} {field.errors[at]:>10.2g}"
        lines.append(" " * (len(name) + 4) + row + "".join(f" {value:>16.5g}" for value in rest))
    if field.conserved:
        lines.append("    its total is conserved: Σ = 0 at κ = 0, and a is the amplitude of a random flux")
    law = field.intensity
    if law is not None:
        lines.append(
            f"    intensity Q = {law.coefficient:.5g}(±{law.coefficient_sd:.1g}) |κ|^{law.exponent:.4g}"
            f"(±{law.exponent_sd:.1g}) per unit of time, within {100 * law.deviation:.1g} %"
        )
    lines += _balance(field)
    if field.additive:
        lines.append("    its amplitude does not depend on the field")
    elif field.amplitude is not None:
        power = field.amplitude
        sd = power.exponent_sd
        exponent = f"{power.exponent:.3g}, of unknown standard error" if sd == 0 else with_error(power.exponent, sd)
        lines.append(f"    amplitude a ∝ u^n, n = {exponent}, with an rms deviation of {100 * power.deviation:.1g} %")
    else:
        a = torch.tensor(field.squares).double().median(0).values.sqrt()
        ends = ", ".join(f"a({field.u[at]:.3g}) = {float(a[at]):.3g}" for at in range(0, POINTS, 6))
        lines.append(f"    amplitude {ends}")
    return lines
