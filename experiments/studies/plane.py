"""Shear and sound waves in the plane: viscosity and speed of sound of the Lennard-Jones fluid.

    python -m experiments.studies.plane FOLDER

carries out the runs of LAMMPS that are missing in the folder, learns an operator of density, energy and momentum, and
prints the table and makes the figure of docs/plane.md. The viscosity of Green–Kubo is that of
`python -m experiments.studies.transport`.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from experiments.support.equilibrium import Measured
from experiments.support.fits import Fit
from experiments.support.results import FIGURES, FOLDER, write
from experiments.support.study import Study
from experiments.support.tables import table
from experiments.support.thermodynamics import speed_of_sound
from morlight.analysis.model import Model
from morlight.analysis.plane_waves import plane_waves
from morlight.analysis.transport_coefficients import Answer
from morlight.simulate import lammps

DENSITY, TEMPERATURE = 0.1, 2.0
SEEDS = 6
FIELDS = {  # of two models; the second leaves the energy out
    "density, energy and momentum": ["density", "energy", "momentum_x", "momentum_y"],
    "density and momentum": ["density", "momentum_x", "momentum_y"],
}
SHOWN = 12  # of the smallest |κ|


@dataclass(frozen=True)
class Waves:
    """Waves of one model.

    Attributes:
        viscosity: [value, standard error] of ν.
        speed: the same of c.
        attenuation: the same of Γ.
        kappa: the smallest |κ|.
        of_kappa: ν(κ), c(κ) and Γ(κ), mean over the realizations.
        errors: relative standard errors of the decay rates of shear waves and of sound, due to the data.
    """

    viscosity: list[float]
    speed: list[float]
    attenuation: list[float]
    kappa: list[float]
    of_kappa: list[list[float]]
    errors: list[list[float]]


def simulate(folder: Path) -> Path:
    """File of the runs."""
    path = folder / "plane.h5"
    ensemble = lammps.Ensemble(lammps.PLANE, [(DENSITY,)], range(1, SEEDS + 1), frames=30, bins=32)
    lammps.simulate(path, ensemble, folder / "plane.runs", overwrite=True)
    return path


def waves(model: Model) -> Waves:
    """What a model says of its waves."""
    found = model.transport()
    names, place = model.data.field_names, model.data.place("momentum_x")
    each = plane_waves(model, "momentum_x", torch.zeros(1, 0, dtype=torch.float64))
    kappa = each.modulus[:SHOWN]
    values = (
        -each.transverse.real[:, :SHOWN] / kappa.square(),
        each.longitudinal.abs()[:, :SHOWN] / kappa,
        -each.longitudinal.real[:, :SHOWN] / kappa.square(),
    )
    errors = model.checkpoint.modes.rate_errors
    assert errors is not None
    return Waves(
        _known(found.kinematic_viscosity),
        _known(found.sound_speed),
        _known(found.sound_attenuation),
        kappa.tolist(),
        [value.mean(0).tolist() for value in values],
        [list(errors[row][1 : SHOWN + 1]) for row in (place, names.index("density"))],
    )


def _known(answer: Answer) -> list[float]:
    if isinstance(answer, str):
        raise ValueError(answer)
    return [answer.value, answer.error]


def page(found: dict[str, Waves], viscosity: Measured, speeds: tuple[Measured, Measured]) -> str:
    """The table."""
    head = ["fields", "ν (σ²/τ)", "c (σ/τ)", "Γ (σ²/τ)"]
    rows = [
        [name, *(str(Measured(*value)) for value in (each.viscosity, each.speed, each.attenuation))]
        for name, each in found.items()
    ]
    adiabatic, isothermal = speeds
    rows += [
        ["Green–Kubo; equation of state, adiabatic", str(viscosity), str(adiabatic), ""],
        ["equation of state, isothermal", "", str(isothermal), ""],
    ]
    return table(head, rows)


def figure(found: dict[str, Waves], viscosity: Measured, speeds: tuple[Measured, Measured], path: Path) -> None:
    """ν, c and Γ over κ."""
    drawing = Figure((10, 3.2), layout="constrained")
    panels = drawing.subplots(1, 3)
    for name, each in found.items():
        shear, sound = map(np.array, each.errors)
        kappa = np.array(each.kappa)
        nu, c, gamma = map(np.array, each.of_kappa)
        for axes, values, errors in zip(
            panels, (nu, c, gamma), (nu * shear, gamma * kappa * sound, gamma * sound), strict=True
        ):
            axes.errorbar(kappa, values, errors, fmt="o", ms=3, lw=1, label=name)
    for axes, label, lines in zip(
        panels,
        ("ν(κ) (σ²/τ)", "c(κ) (σ/τ)", "Γ(κ) (σ²/τ)"),
        ({"Green–Kubo": viscosity}, {"adiabatic": speeds[0], "isothermal": speeds[1]}, {}),
        strict=True,
    ):
        for style, (name, line) in zip((":", "--"), lines.items(), strict=False):
            axes.axhline(line.value, color="k", ls=style, lw=1, label=name)
        axes.set(xlabel="|κ| (1/σ)", ylabel=label)
        axes.set_ylim(bottom=0)
        axes.legend(fontsize="x-small")
    drawing.savefig(path, dpi=110)


def main(words: Sequence[str] | None = None) -> None:
    """Runs, fits, table and figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the runs and files")
    options = parser.parse_args(words)
    path = simulate(options.folder)
    speeds = speed_of_sound(options.folder / "state", DENSITY, TEMPERATURE)
    eta = json.loads((FOLDER / "transport.json").read_text())[f"{DENSITY:g}"]["integrals"][0]
    viscosity = Measured(eta["value"] / DENSITY, eta["error"] / DENSITY)
    study = Study("plane", "paper", Waves)
    fits = {name: Fit("plane", str(path.resolve()), {"data.fields": fields}) for name, fields in FIELDS.items()}
    found = {name: study.fit(name, fit, waves).measured for name, fit in fits.items()}
    write("plane", {name: asdict(each) for name, each in found.items()} | {"speeds": [asdict(each) for each in speeds]})
    figure(found, viscosity, speeds, FIGURES / "plane.png")
    print(page(found, viscosity, speeds))


if __name__ == "__main__":
    main()
