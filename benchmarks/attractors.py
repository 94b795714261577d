"""Long roll-outs of equations that `discover` found, beside those of the exact ones, one JSON line a result.

    python -m benchmarks.attractors [--noise 0.01] [--time 1000] [--figure FILE.png]

The Kuramoto–Sivashinsky equation is chaotic: its roll-outs are compared by their energy spectrum ⟨|û(κ)|²⟩ and by their
largest Lyapunov exponent, over some time and 16 trajectories. The Cahn–Hilliard and Swift–Hohenberg equations are
gradient flows, whose energy falls,

    F = ∫ ¼ u⁴ − ½ u² + 0.01 |∇u|² dx    and    F = ∫ ½ ((1 + ∂²ₓ) u)² − 0.15 u² + ¼ u⁴ dx:

their roll-outs over ten times the length of the data are compared by F, by their largest values and at their ends.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.equation_sets import Case, cahn_hilliard, kuramoto_sivashinsky, swift_hohenberg
from morlight.operators.bases import Basis
from morlight.operators.sum_of_terms import SumOfTerms
from morlight.training.least_squares.discover import Trajectories, discover

TRAJECTORIES = 16
INTERVAL = 0.4  # between states of a chaotic roll-out, over which a disturbance grows by 4 %
SUBSTEPS = 4
DISTURBANCE = 1e-6  # relative size
LONGER = 10  # than the data, roll-outs of gradient flows

Energy = Callable[[Basis, Tensor], Tensor]


@dataclass(frozen=True)
class Law:
    """A right-hand side with its coefficients."""

    system: SumOfTerms
    theta: Tensor


@dataclass(frozen=True)
class Chaos:
    """Statistics of a chaotic roll-out.

    Attributes:
        spectrum: ⟨|û|²⟩ of each mode, for each trajectory.
        growth: largest Lyapunov exponent of each trajectory, 1/time.
        largest: largest |u| of all states.
    """

    spectrum: Float[Tensor, "B K"]
    growth: Float[Tensor, " B"]
    largest: float


def exact(case: Case) -> Law:
    """The equation that made a set."""
    theta = [[value for own in case.truth for value in own.values()]]
    return Law(SumOfTerms(case.basis, [list(own) for own in case.truth]), torch.tensor(theta, dtype=torch.float64))


def discovered(case: Case, noise: float) -> tuple[Law, str]:
    """The equation that is found in a set with noise, and its text."""
    rms = case.u.square().mean().sqrt()
    draws = torch.randn(case.u.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    equation = discover(Trajectories(case.u + noise * rms * draws, case.times, case.basis))
    return Law(*equation.right_hand_side(case.basis)), equation.text


def chaos(law: Law, basis: Basis, u: Float[Tensor, "B 1 N"], time: float) -> Chaos:
    """Spectrum and largest Lyapunov exponent from states on the attractor.

    A disturbance of each trajectory is brought back to its first size after every interval (Benettin 1980); the first
    tenth of the time lets it turn to the direction that grows.
    """
    steps, B = round(time / INTERVAL), len(u)
    size = DISTURBANCE * u.flatten(1).norm(dim=1).view(-1, 1, 1)
    along = torch.randn(u.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    logs, power, largest = [], torch.zeros(B, basis.wavenumbers.shape[1], dtype=torch.float64), 0.0
    for _ in range(steps):
        along = along - along.mean(2, keepdim=True)  # the mean of u is constant, and no direction of the attractor
        along = along * (size / along.flatten(1).norm(dim=1).view(-1, 1, 1))
        both = basis.forward(torch.cat([u, u + along]))[None]
        ends = law.system.flow(law.theta, both, intervals=[INTERVAL], substeps=SUBSTEPS)[0, :, 0]
        states = basis.inverse(ends)
        u, along = states[:B], states[B:] - states[:B]
        logs.append((along.flatten(1).norm(dim=1) / size.flatten()).log())
        power += ends[:B, 0].abs().square() / steps
        largest = max(largest, float(u.abs().max()))
    return Chaos(power, torch.stack(logs[steps // 10 :]).mean(0) / INTERVAL, largest)


def spectral_difference(one: Float[Tensor, " K"], other: Float[Tensor, " K"]) -> float:
    """Σ |E − E′| / Σ E over the modes."""
    return float((one - other).abs().sum() / one.sum())


def chaotic(noise: float, time: float) -> tuple[dict[str, Any], Case, Chaos, Chaos]:
    """What is found in Kuramoto–Sivashinsky data, beside the exact equation."""
    case = kuramoto_sivashinsky(torch.Generator().manual_seed(10))
    found, text = discovered(case, noise)
    starts = case.u[:, :: case.u.shape[1] // (TRAJECTORIES // 4 - 1)].flatten(0, 1)[:TRAJECTORIES]
    with torch.inference_mode():
        true, ours = (chaos(law, case.basis, starts, time) for law in (exact(case), found))
    one, other = true.spectrum.mean(0), ours.spectrum.mean(0)
    growth, error = float(true.growth.mean()), float(true.growth.std()) / math.sqrt(TRAJECTORIES)
    halves = true.spectrum.view(2, TRAJECTORIES // 2, -1).mean(1)
    result = {
        "case": case.name, "noise": noise, "time": time, "equation": text,
        "value": spectral_difference(one, other), "unit": "difference of the energy spectra, of the energy",
        "expected_of_two_exact": spectral_difference(*halves) / math.sqrt(2),
        "lyapunov_exact": growth, "lyapunov_exact_error": error, "lyapunov_found": float(ours.growth.mean()),
        "lyapunov_found_error": float(ours.growth.std()) / math.sqrt(TRAJECTORIES),
        "largest_exact": true.largest, "largest_found": ours.largest,
    }  # fmt: skip
    return result, case, true, ours


def cahn_hilliard_energy(basis: Basis, u: Tensor) -> Tensor:
    """F of each state (B, T, 1, *X), by Parseval for the gradient."""
    cell = math.prod(basis.length) / math.prod(basis.points)
    local = (u**4 / 4 - u.square() / 2).flatten(2).sum(2) * cell
    gradient = basis.wavenumbers.square().sum(0) * basis.energy * basis.forward(u).abs().square()
    return local + 0.01 * gradient.flatten(2).sum(2)


def swift_hohenberg_energy(basis: Basis, u: Tensor) -> Tensor:
    """F of each state (B, T, 1, X)."""
    cell = basis.length[0] / basis.points[0]
    local = (u**4 / 4 - 0.15 * u.square()).flatten(2).sum(2) * cell
    bending = (1 - basis.wavenumbers[0].square()).square() * basis.energy * basis.forward(u).abs().square()
    return local + bending.flatten(2).sum(2) / 2


def falling(case: Case, noise: float, energy: Energy) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What is found in data of a gradient flow, rolled out over ten times their length; and F over time."""
    found, text = discovered(case, noise)
    step = float(case.times.diff().max())
    intervals = [step] * (LONGER * (len(case.times) - 1))
    walks = {}
    with torch.inference_mode():
        for name, law in (("exact", exact(case)), ("found", found)):
            c = case.basis.forward(case.u[:, 0])[None]
            walks[name] = case.basis.inverse(law.system.flow(law.theta, c, intervals=intervals, substeps=20)[0])
    energies = {name: energy(case.basis, u) for name, u in walks.items()}
    drop = energies["exact"][:, :1] - energies["exact"][:, -1:]
    result = {
        "case": case.name, "noise": noise, "time": step * len(intervals), "equation": text,
        "value": float((walks["found"] - walks["exact"])[:, -1].norm() / walks["exact"][:, -1].norm()),
        "unit": "relative error at ten times the length of the data",
        "largest_exact": float(walks["exact"].abs().max()), "largest_found": float(walks["found"].abs().max()),
        "largest_rise_of_energy": float((energies["found"].diff(dim=1) / drop).max().clamp_min(0)),
        "energy_error": float(((energies["found"] - energies["exact"])[:, -1:] / drop).abs().max()),
    }  # fmt: skip
    return result, {name: values.mean(0) for name, values in energies.items()}


def measure(noise: float = 0.01, time: float = 1000.0, figure: str | None = None) -> Iterator[dict[str, Any]]:
    """Kuramoto–Sivashinsky, Cahn–Hilliard and Swift–Hohenberg."""
    first, case, true, ours = chaotic(noise, time)
    yield first
    energies = {}
    flows = ((cahn_hilliard, 1, cahn_hilliard_energy), (swift_hohenberg, 3, swift_hohenberg_energy))
    for make, seed, energy in flows:
        flow = make(torch.Generator().manual_seed(seed))
        result, energies[flow.name] = falling(flow, noise, energy)
        yield result
    if figure is not None:
        draw(case, true, ours, energies, figure)


def draw(case: Case, true: Chaos, ours: Chaos, energies: dict[str, dict[str, Tensor]], path: str) -> None:
    """Spectra, Lyapunov exponents and energies."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    canvas, axes = pyplot.subplots(1, 4, figsize=(14, 3.2), layout="constrained")
    kappa, scale = case.basis.wavenumbers[0], case.basis.energy / case.basis.length[0]
    styles = (("exact", "-", "0.6", 4.0), ("found", "--", "C3", 1.2))
    for (name, line, color, width), each in zip(styles, (true, ours), strict=True):
        axes[0].semilogy(kappa[1:], (each.spectrum.mean(0) * scale)[1:], line, color=color, lw=width, label=name)
        axes[1].plot(each.growth, "o" if name == "exact" else "x", color=color, label=name)
        axes[1].axhline(float(each.growth.mean()), ls=line, color=color, lw=width)
    axes[0].set(xlabel="wavenumber κ", ylabel="mean of u² in the mode", ylim=(1e-8, 1), title=case.name, xlim=(0, 3.5))
    axes[1].set(xlabel="trajectory", ylabel="largest Lyapunov exponent", title=case.name, ylim=(0, 0.12))
    for axis, (title, flows) in zip(axes[2:], energies.items(), strict=True):
        for name, line, color, width in styles:
            share = torch.linspace(0, LONGER, len(flows[name]) + 1)[1:]
            axis.plot(share, flows[name], line, color=color, lw=width, label=name)
        axis.axvline(1, color="k", lw=0.8, ls=":")
        axis.set(xlabel="time / length of the data", ylabel="energy F, mean", title=title, xscale="log")
    axes[0].legend()
    canvas.savefig(path, dpi=110)


def main() -> None:
    """Print one JSON object a result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attractors", description=__doc__)
    parser.add_argument("--noise", type=float, default=0.01, help="share of the rms of the data")
    parser.add_argument("--time", type=float, default=1000.0, help="length of the chaotic roll-outs")
    parser.add_argument("--figure", help="file to draw")
    options = parser.parse_args()
    for result in measure(options.noise, options.time, options.figure):
        print(json.dumps({"benchmark": "attractors", **result}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
