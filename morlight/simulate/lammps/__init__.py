"""Fluids of particles by LAMMPS, in a channel (Sec. 6) or with a flow that decays."""

from morlight.simulate.lammps.ensemble import Ensemble
from morlight.simulate.lammps.run import Run
from morlight.simulate.lammps.simulation import program, simulate
from morlight.simulate.lammps.systems import (
    COLLOID,
    CONCENTRATIONS,
    COUETTE,
    DECKS,
    DENSITIES,
    LJ,
    PLANE,
    RADII,
    SHEAR,
    SYSTEMS,
    TIMESTEP,
    System,
    commands,
    deck_text,
    grid,
)

__all__ = [
    "COLLOID",
    "CONCENTRATIONS",
    "COUETTE",
    "DECKS",
    "DENSITIES",
    "LJ",
    "PLANE",
    "RADII",
    "SHEAR",
    "SYSTEMS",
    "TIMESTEP",
    "Ensemble",
    "Run",
    "System",
    "commands",
    "deck_text",
    "grid",
    "program",
    "simulate",
]
