"""Viscosity and diffusivity of the Lennard-Jones fluid, learned, and by methods that learn nothing.

    python -m experiments.studies.transport FOLDER

carries out the runs of LAMMPS that are missing in the folder (shear waves, and equilibrium at the same states),
learns an operator from the shear waves of each state, and prints the table and makes the figure of docs/transport.md.
STACIE, which integrates the correlations of the equilibrium runs, comes with pip install 'morlight[transport]'.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from experiments.support import equilibrium, shear
from experiments.support.equilibrium import Measured, State
from experiments.support.poiseuille import poiseuille
from experiments.support.results import FIGURES, write
from experiments.support.shear import LongWaves
from experiments.support.study import Study
from experiments.support.tables import table
from morlight.data.trajectory_file import TrajectoryFile

DENSITIES, HELD_OUT = (0.05, 0.1, 0.2, 0.5), 0.1
# Chaparro and Müller 2023, doi 10.1021/acs.jpcb.3c06813, T* = 2, cutoff 5σ
PUBLISHED = {
    0.1: (Measured(0.250, 0.013), Measured(2.693, 0.008)),
    0.5: (Measured(0.648, 0.053), Measured(0.4287, 0.002)),
}
# A liquid near the triple point, cutoff 2.5σ as here: example of the documentation of STACIE
LIQUID, PUBLISHED_LIQUID = State(0.8442, 0.722), Measured(3.239, 0.025)


@dataclass(frozen=True)
class Bulk:
    """What is measured without walls, at one state.

    Attributes:
        momentum: long waves of the momentum.
        labels: long waves of the labelled atoms.
        learned: η and D read off the operators.
        integrals: η and D of Green–Kubo and Einstein.
    """

    momentum: LongWaves
    labels: LongWaves
    learned: tuple[Measured, Measured]
    integrals: tuple[Measured, Measured]


@dataclass(frozen=True)
class Row(Bulk):
    """Everything measured at one density, at the temperature of the channels.

    Attributes:
        together: η of one operator with γ = ρ*, which did not see the runs at `HELD_OUT`.
        channel: η of the operator of the driven channel.
        parabola: η of the steady flow between walls.
        slip: slip length of that flow.
    """

    together: Measured
    channel: Measured
    parabola: Measured
    slip: Measured


def measured(folder: Path) -> dict[float, Row]:
    """A row for each density, with the runs and fits that are missing."""
    channel = TrajectoryFile.open("lj")
    without_walls = [bulk(folder, State(density)) for density in DENSITIES]
    paths = [shear.file(folder, State(density)) for density in DENSITIES]
    of_all = shear.together(shear.joined(paths, folder / "shear.h5"), DENSITIES, HELD_OUT)
    rows = {}
    for density, found, joint, driven in zip(DENSITIES, without_walls, of_all, shear.channel(DENSITIES), strict=True):
        of_density = np.flatnonzero(np.isclose(channel.parameters["density"], density, rtol=1e-3))
        parabola, slip = poiseuille(channel, of_density.tolist())
        rows[density] = Row(**vars(found), together=joint, channel=driven, parabola=parabola, slip=slip)
    return rows


def bulk(folder: Path, state: State) -> Bulk:
    """Shear waves and equilibrium at one state."""
    study = Study("transport", "paper", LongWaves)
    path = shear.simulate(folder, state)
    place = equilibrium.simulate(folder / "equilibrium", state)
    eta = equilibrium.viscosity(place, state)
    integrals = eta, equilibrium.diffusivity(place, state, eta.value)
    momentum, labels = (shear.fitted(study, path, field) for field in ("momentum", "density_labels"))
    viscosity = Measured(momentum.limit[0] * state.density, momentum.limit[1] * state.density)
    diffusivity = shear.of_infinite_box(Measured(*labels.limit), state, viscosity.value)
    return Bulk(momentum, labels, (viscosity, diffusivity), integrals)


def distance(one: Measured, other: Measured) -> str:
    """Their difference, relative and in units of its standard error."""
    error = np.hypot(one.error, other.error)
    return f"{100 * (one.value / other.value - 1):+.0f} %, {abs(one.value - other.value) / error:.1f}"


def page(rows: Mapping[float, Row], liquid: Bulk) -> str:
    """The tables of viscosities and of diffusivities."""
    published = {density: PUBLISHED.get(density, (None, None)) for density in rows}
    eta = [
        [
            f"{density:g}",
            *_compared(row, 0, published[density][0]),
            *map(str, (row.together, row.channel, row.parabola)),
        ]
        for density, row in rows.items()
    ]
    diffusion = [[f"{density:g}", *_compared(row, 1, published[density][1])] for density, row in rows.items()]
    head = ["ρ*", "learned", "equilibrium", "difference, in standard errors", "published"]
    return "\n\n".join(
        [
            table([*head, "one operator of all ρ*", "channel, learned", "channel, parabola"], eta),
            table(head, diffusion),
            table(*_bending(rows)),
            table(
                ["", *head[1:]],
                [["η", *_compared(liquid, 0, PUBLISHED_LIQUID)], ["D", *_compared(liquid, 1, None)]],
            ),
        ]
    )


def _compared(found: Bulk, which: int, published: Measured | None) -> Sequence[str]:
    learned, integral = found.learned[which], found.integrals[which]
    return str(learned), str(integral), distance(learned, integral), str(published or "")


def _bending(rows: Mapping[float, Row]) -> tuple[Sequence[str], Iterable[Sequence[str]]]:
    """ℓ² beside that of one relaxation time."""
    head = ["ρ*", "ℓ² (σ²)", "ν²/T (σ²)", "slip length of the parabola (σ)"]
    each = [
        [f"{density:g}", str(Measured(*row.momentum.bending)), f"{row.momentum.limit[0] ** 2 / 2:.3g}", str(row.slip)]
        for density, row in rows.items()
    ]
    return head, each


def figure(rows: Mapping[float, Row], path: Path) -> None:
    """ν(κ) at each density, and η(ρ) by all methods."""
    drawing = Figure((9, 3.6), layout="constrained")
    left, right = drawing.subplots(1, 2)
    for number, (density, row) in enumerate(rows.items()):
        _of_kappa(left, f"ρ* = {density:g}", row, f"C{number}")
    left.set(xlabel="κ (1/σ)", ylabel="ν(κ) (σ²/τ)", xscale="log", yscale="log")
    _ticks(left, (0.05, 0.1, 0.2, 0.5), (0.5, 1, 2, 4))
    left.legend(fontsize="small")
    x = np.array(list(rows))
    series = {
        "shear waves, learned": [row.learned[0] for row in rows.values()],
        "one operator of all ρ*": [row.together for row in rows.values()],
        "Green–Kubo": [row.integrals[0] for row in rows.values()],
        "parabola between walls": [row.parabola for row in rows.values()],
    }
    for shift, (label, values) in zip((0.94, 0.98, 1.02, 1.06), series.items(), strict=True):
        _points(right, x * shift, values, label)
    _points(right, np.array(list(PUBLISHED)) * 1.1, [eta for eta, _ in PUBLISHED.values()], "published")
    right.set(xlabel="ρ*", ylabel="η (m/στ)", xscale="log", yscale="log")
    _ticks(right, DENSITIES, (0.1, 0.2, 0.3, 0.5, 1))
    right.legend(fontsize="small")
    drawing.savefig(path, dpi=110)


def _ticks(axes: Axes, x: Sequence[float], y: Sequence[float]) -> None:
    for axis, places in ((axes.xaxis, x), (axes.yaxis, y)):
        axis.set_ticks(places, [f"{place:g}" for place in places])
        axis.set_minor_locator(NullLocator())


def _of_kappa(axes: Axes, label: str, row: Row, color: str) -> None:
    waves = row.momentum
    axes.errorbar(waves.kappa, waves.of_kappa, waves.errors, fmt="o", ms=3, color=color, label=label)
    kappa = np.geomspace(waves.kappa[0] / 2, waves.kappa[-1])
    axes.plot(kappa, waves.limit[0] / (1 + max(waves.bending[0], 0) * kappa**2), color=color, lw=1)
    eta = row.integrals[0]
    axes.axhline(eta.value * waves.limit[0] / row.learned[0].value, color=color, ls=":", lw=1)


def _points(axes: Axes, x: np.ndarray, values: Sequence[Measured], label: str) -> None:
    axes.errorbar(x, [each.value for each in values], [each.error for each in values], fmt="o", ms=4, label=label)


def main(words: Sequence[str] | None = None) -> None:
    """Runs, fits, table and figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the runs and files")
    options = parser.parse_args(words)
    rows, liquid = measured(options.folder), bulk(options.folder, LIQUID)
    write("transport", {**{f"{density:g}": asdict(row) for density, row in rows.items()}, "liquid": asdict(liquid)})
    figure(rows, FIGURES / "transport.png")
    print(page(rows, liquid))


if __name__ == "__main__":
    main()
