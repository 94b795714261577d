"""The speed of sound of a Lennard-Jones fluid from its equation of state, by runs in equilibrium.

    c² = (∂p/∂ρ)_T + T (∂p/∂T)_ρ² / (ρ² c_v),    c_v = (∂u/∂T)_ρ,

with the energy u of an atom of mass 1. The derivatives are differences between runs at two densities and at two
temperatures.
"""

from pathlib import Path

import numpy as np

from experiments.support.equilibrium import Measured
from experiments.support.lammps_runs import finished_run

DECK = Path(__file__).with_name("decks") / "state.in"
SHARE = 0.1  # distance of the runs from the state in the middle
DRAWS = 2000  # of pressures and energies within their errors


def speed_of_sound(folder: Path, density: float, temperature: float) -> tuple[Measured, Measured]:
    """Adiabatic and isothermal speed of sound."""
    step, warmer = SHARE * density, SHARE * temperature
    states = [
        (density + step, temperature),
        (density - step, temperature),
        (density, temperature + warmer),
        (density, temperature - warmer),
    ]
    found = [means(folder, *state) for state in states]
    rng = np.random.default_rng(0)
    p, u = (np.stack([rng.normal(each[which].value, each[which].error, DRAWS) for each in found]) for which in (0, 1))
    isothermal = (p[0] - p[1]) / (2 * step)
    of_temperature, heat = (p[2] - p[3]) / (2 * warmer), (u[2] - u[3]) / (2 * warmer)
    adiabatic = isothermal + temperature * of_temperature**2 / (density**2 * heat)
    speeds = np.sqrt(adiabatic), np.sqrt(isothermal)
    return Measured(float(speeds[0].mean()), float(speeds[0].std())), Measured(
        float(speeds[1].mean()), float(speeds[1].std())
    )


def means(folder: Path, density: float, temperature: float) -> tuple[Measured, Measured]:
    """Pressure and energy of an atom, from blocks of a run that is carried out unless it is there."""
    place = folder / f"state_{density:g}_{temperature:g}"
    finished_run(place, DECK, {"density": density, "temperature": temperature})
    blocks = np.loadtxt(place / "means.txt", usecols=(1, 2))
    error = blocks.std(0, ddof=1) / np.sqrt(len(blocks))
    return Measured(float(blocks[:, 0].mean()), float(error[0])), Measured(float(blocks[:, 1].mean()), float(error[1]))
