"""The systems that LAMMPS runs, and their decks: complete inputs of LAMMPS in the folder `decks`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from morlight.operators.description import Boundary

DECKS = Path(__file__).parents[1] / "decks"
DENSITIES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # ρ*, Sec. 6.2
CONCENTRATIONS, RADII = (0.025, 0.05, 0.1, 0.15, 0.2), (2.0, 2.5, 3.0, 4.0, 5.0)  # c and d, Sec. 6.2
TIMESTEP = 0.005  # τ, in all decks
CUTOFF = 2.5  # of Lennard-Jones atoms, in all decks but that of the colloid
COLUMNS = {"density": "Ncount", "momentum": "v_momentum", "density_temperature": "v_heat"}  # of fields in a profile


@dataclass(frozen=True)
class System:
    """Properties of a deck: its name, its parameters γ, the species and columns that it counts, and its boundaries.

    A channel has the width 1, and the duration of the runs of its deck is the unit of time; a periodic box has no such
    units. Between equal walls at rest, all fields are even in the mirror x → W − x.

    Attributes:
        least: the smallest values of variables of the deck for which there is a fluid.
        axes: along which the cells of a profile are counted; 2 for a box that is as long along y as along x.
    """

    deck: str
    parameters: tuple[str, ...]
    species: tuple[str, ...]
    columns: Mapping[str, str] = field(default_factory=lambda: COLUMNS)
    boundary: Boundary = "WALL"
    equal_walls: bool = False
    axes: int = 1
    least: Mapping[str, float] = field(default_factory=dict)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields, each species with its own."""
        return tuple(f"{name}_{species}" if species else name for species in self.species for name in self.columns)

    def profile(self, species: str) -> str:
        """File of a run that holds the averages of one species."""
        return f"{species}.txt" if species else "profile.txt"


LJ = System("lj", ("density",), ("",), equal_walls=True, least={"width": 2 * CUTOFF})
COUETTE = System("couette", ("density", "speed"), ("",), least={"width": 2 * CUTOFF})
COLLOID = System("colloid", ("concentration", "radius"), ("large", "small"), equal_walls=True, least={"cells": 2.0})
SHEAR = System(
    "shear", ("density",), ("",), COLUMNS | {"density_labels": "v_label"}, "PERIODIC", least={"length": 2 * CUTOFF}
)
PLANE = System(
    "plane",
    ("density",),
    ("",),
    {"density": "Ncount", "momentum_x": "v_momentum_x", "momentum_y": "v_momentum_y", "energy": "v_energy"},
    "PERIODIC",
    axes=2,
    least={"length": 2 * CUTOFF},
)
SYSTEMS = (LJ, COUETTE, COLLOID, SHEAR, PLANE)


def grid(system: System) -> Iterator[tuple[float, ...]]:
    """All systems of the paper: eight densities, or 25 pairs of a concentration and a radius."""
    if system.parameters == LJ.parameters:
        yield from ((density,) for density in DENSITIES)
    else:
        yield from ((c, d) for c in CONCENTRATIONS for d in RADII)


def deck_text(system: System) -> str:
    """Input of LAMMPS for a system."""
    return (DECKS / f"{system.deck}.in").read_text(encoding="utf-8")


def commands(deck: str) -> list[str]:
    """Lines of a deck without its comments, which change nothing that is run."""
    return [words for line in deck.splitlines() if (words := " ".join(line.split("#")[0].split()))]
