"""Unit styles of LAMMPS (and of GROMACS), with the constants that its own averages use.

    temperature  k_B T = mvv2e · m v²        mass density  ρ = mv2d · m / V

The constants are those of LAMMPS's `update.cpp`, so that both ways to a field agree to rounding; a test compares them
with the installed program.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Units:
    """One unit style.

    Attributes:
        mass, length, time, temperature: names of the units (of velocity: length / time).
        boltzmann: k_B, in energy per temperature.
        mvv2e: energy of one mass · velocity².
        mv2d: what LAMMPS calls a density of one mass per volume, in the unit of its mass densities.
    """

    name: str
    mass: str
    length: str
    time: str
    temperature: str
    boltzmann: float
    mvv2e: float
    mv2d: float
    velocity: str = ""


STYLES = {
    units.name: units
    for units in (
        Units("lj", "m", "sigma", "tau", "epsilon k_B-1", 1.0, 1.0, 1.0),
        Units("real", "g mol-1", "angstrom", "fs", "K", 0.0019872067, 48.88821291**2, 1 / 0.602214129),
        Units("metal", "g mol-1", "angstrom", "ps", "K", 8.617343e-5, 1.0364269e-4, 1 / 0.602214129),
        Units("si", "kg", "m", "s", "K", 1.3806504e-23, 1.0, 1.0),
        Units("cgs", "g", "cm", "s", "K", 1.3806504e-16, 1.0, 1.0),
        Units(
            "electron", "u", "bohr", "fs", "K", 3.16681534e-6, 1.06657236, 1.0, velocity="bohr atu-1"
        ),  # its velocities are per atomic time unit, 1.03275e-15 s
        Units("micro", "pg", "um", "us", "K", 1.3806504e-8, 1.0, 1.0),
        Units("nano", "ag", "nm", "ns", "K", 0.013806504, 1.0, 1.0),
        Units("gromacs", "u", "nm", "ps", "K", 0.008314462618, 1.0, 1.0),
    )
}
UNKNOWN = Units("", "mass", "length", "time", "temperature", 1.0, 1.0, 1.0)


def style(name: str | None) -> Units:
    """A unit style by its name; without a name, one whose units are called length, time and mass.

    Raises:
        ValueError: listing the styles.
    """
    if name is None:
        return UNKNOWN
    if name not in STYLES:
        raise ValueError(f"units: '{name}', expected any of {', '.join(STYLES)}")
    return STYLES[name]


def agreed(where: str, stated: str | None, given: str | None) -> str | None:
    """The unit style that the file states or the user gives.

    Raises:
        ValueError: where they differ.
    """
    if stated and given and stated != given:
        raise ValueError(f"{where}: the file is in units {stated}, units: '{given}', expected the same or none")
    return given or stated or None
