"""The fields that particles have: one definition each, with its unit, whichever file they come from.

    density              n = Σ 1 / V
    momentum_i           Σ m vᵢ / V, and momentum: along the flow
    density_temperature  n T = Σ m Σ_⊥ v² / (d k_B V), over the d directions across the flow: no flow is in it

The sums are over the particles of a cell of volume V; m v² is converted to energy as the unit style says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from morlight.data.particles.frames import AXES, TYPE_COLUMNS, Frame
from morlight.data.particles.units import Units


@dataclass(frozen=True)
class Definition:
    """What a field is: its formula, the powers of the units that it has, and what a file needs to have it."""

    formula: str
    mass: int = 0
    velocity: int = 0
    temperature: int = 0

    def unit(self, units: Units) -> str:
        """The unit, as a product of powers."""
        speed = f"{units.velocity}" if units.velocity else f"{units.length} {units.time}-1"
        words = [units.mass] * self.mass + [speed] * self.velocity + [units.temperature] * self.temperature
        return " ".join([*words, f"{units.length}-3"])


FIELDS: dict[str, Definition] = {
    "density": Definition("n = Σ 1 / V"),
    "momentum": Definition("Σ m v / V along the flow", mass=1, velocity=1),
    **{f"momentum_{axis}": Definition(f"Σ m v_{axis} / V", mass=1, velocity=1) for axis in AXES},
    "density_temperature": Definition(
        "n T = Σ m v² / (2 k_B V) over the two directions across the flow", temperature=1
    ),
}


def direction(name: str, flow: str) -> str:
    """The axis of a momentum density."""
    return name[-1] if name.startswith("momentum_") else flow


def across(flow: str) -> list[str]:
    """Directions across the flow."""
    return [axis for axis in AXES if axis != flow]


def needs_mass(fields: Sequence[str]) -> bool:
    """Whether any of the fields depends on the masses."""
    return any(name in FIELDS and name != "density" for name in fields)


def velocities(fields: Sequence[str], flow: str) -> list[str]:
    """Columns of velocities that the fields need."""
    needed: dict[str, None] = {}
    for name in fields:
        if name.startswith("momentum"):
            needed[f"v{direction(name, flow)}"] = None
        elif name == "density_temperature":
            needed |= dict.fromkeys(f"v{axis}" for axis in across(flow))
    return list(needed)


def contributions(
    frame: Frame, fields: Sequence[str], flow: str, mass: Float[np.ndarray, " P"] | None, units: Units
) -> Float[np.ndarray, "F P"]:
    """What each particle adds to each field, before it is divided by the volume of the cell.

    Raises:
        ValueError: naming the column that is missing.
    """
    rows = []
    for name in fields:
        if name == "density":
            rows.append(np.ones(len(frame)))
            continue
        assert mass is not None
        if name.startswith("momentum"):
            rows.append(mass * frame.column(f"v{direction(name, flow)}"))
        else:
            others = across(flow)
            squares = sum(frame.column(f"v{axis}") ** 2 for axis in others)
            rows.append(mass * squares * (units.mvv2e / (len(others) * units.boltzmann)))
    return np.stack(rows)


def matches(frame: Frame, kinds: Sequence[str]) -> Bool[np.ndarray, " P"]:
    """Which particles are of any of these types, given by number, label or element.

    Raises:
        ValueError: where the file has no column that says so.
    """
    present = [name for name in TYPE_COLUMNS if name in frame.columns]
    if not present:
        raise ValueError(
            f"{frame.where}: there is no column type; the file has {', '.join(frame.names)}, so neither species nor"
            " masses of types can be told apart"
        )
    chosen = np.zeros(len(frame), bool)
    for kind in kinds:
        for name in present:
            column = frame.columns[name]
            if column.dtype.kind == "U":
                chosen |= column == kind
            elif kind.lstrip("-").isdigit():
                chosen |= column == int(kind)
    return chosen


def types(frame: Frame) -> list[str]:
    """Types of the particles of a frame."""
    name = next((name for name in TYPE_COLUMNS if name in frame.columns), None)
    if name is None:
        return []
    column = frame.columns[name]
    if column.dtype.kind != "U" and len(column) and column.min() == column.max():
        return [f"{column[0]:g}"]
    return [f"{kind:g}" if column.dtype.kind != "U" else str(kind) for kind in np.unique(column)]


def masses(frame: Frame, mass_of: Mapping[str, float], units: str | None) -> tuple[Float[np.ndarray, " P"], bool]:
    """Mass of each particle, and whether it is the mass of one of them (lj or unknown units, one type).

    Raises:
        ValueError: if neither the file nor the options state them, or both do.
    """
    if not len(frame):
        return np.empty(0), False
    if "mass" in frame.columns:
        if mass_of:
            raise ValueError(f"{frame.where}: the file has a column mass and masses are given, expected one of them")
        return frame.column("mass"), False
    if "all" in mass_of:
        return np.full(len(frame), mass_of["all"]), False
    if mass_of:
        mass = np.full(len(frame), np.nan)
        for kind, value in mass_of.items():
            mass[matches(frame, [kind])] = value
        if np.isnan(mass).any():
            missing = [kind for kind in types(frame) if kind not in mass_of]
            raise ValueError(
                f"{frame.where}: type {', '.join(missing)} has no mass, expected one for every type, --mass TYPE=MASS"
            )
        return mass, False
    kinds = types(frame)
    if len(kinds) == 1 and units in (None, "lj"):
        return np.ones(len(frame)), True
    held = f"types {', '.join(kinds)} and no column mass" if kinds else "neither a column mass nor a column type"
    raise ValueError(
        f"{frame.where}: the file has {held}, which momentum and temperature need; expected --mass TYPE=MASS …"
        " or, where all particles are alike, --mass all=MASS"
    )
