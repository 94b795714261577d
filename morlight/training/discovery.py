"""From a trajectory file to the equation of its fields."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from morlight.operators import build
from morlight.operators.config import Wall
from morlight.operators.library import library
from morlight.training.least_squares import discover as numerics

if TYPE_CHECKING:
    from morlight.analysis.equations.sum_of_terms import Equation
    from morlight.data.trajectory_file import TrajectoryFile

LARGEST = 2e9  # values of all monomials of the fields: what fits in memory


def discover(
    data: str | Path,
    *,
    fields: Sequence[str] | None = None,
    where: Mapping[str, float] | None = None,
    wall: Wall = "cosine",
    degree: int = 3,
    order: int = 4,
) -> "Equation":
    """The equation ∂ₜu_c = Σ_a θ_a G_a(∇) φ_a(u) (Eq. 27) of the fields in a trajectory file, with standard errors.

    φ_a are products of powers of the fields, G_a derivatives. The terms are chosen by their likelihood given the noise
    that is found in the fields (see `morlight.training.least_squares.discover`).

    Args:
        data: a trajectory file, or the name of a shipped set.
        fields: the fields that the equation couples; all by default.
        where: values of parameters γ, which select the trajectories that have them.
        wall: basis between walls, the same for all fields.
        degree: largest total power of the fields.
        order: largest order of the derivatives.

    Raises:
        ValueError: one sentence, for data that such an equation cannot describe.
    """
    from morlight.data import shipped

    file = shipped.open(data)
    names = list(fields or file.fields)
    rows = _rows(file, where or {})
    basis = build.basis(file.grid, wall)
    candidates = library(basis, len(names), degree=degree, order=order)
    monomials = len({candidate.exponents for candidate in candidates})
    size = monomials * len(rows) * len(file.times) * int(np.prod(file.grid.points))
    if size > LARGEST:
        raise ValueError(
            f"{file.path}: {monomials} monomials of these fields have {size:.1e} values, expected at most"
            f" {LARGEST:.0e}: fewer trajectories or a smaller degree"
        )
    u = file.read(names)[rows]
    try:
        return numerics.discover(
            torch.from_numpy(u), torch.from_numpy(file.times), basis, fields=names, candidates=candidates
        )
    except ValueError as error:
        raise ValueError(f"{file.path}: {error}") from error


def _rows(file: "TrajectoryFile", where: Mapping[str, float]) -> list[int]:
    """Trajectories with these values of γ, which must be the same for all of them."""
    unknown = sorted(set(where) - set(file.parameters))
    if unknown:
        raise ValueError(f"{file.path}: there is no parameter '{unknown[0]}', expected any of {_listed(file)}")
    chosen = np.ones(file.trajectories, bool)
    for name, value in where.items():
        chosen &= np.isclose(file.parameters[name], value)
    rows = np.flatnonzero(chosen)
    if not len(rows):
        asked = ", ".join(f"{name} = {value:g}" for name, value in where.items())
        raise ValueError(f"{file.path}: no trajectory has {asked}, expected one of the values in the file")
    for name, values in file.parameters.items():
        if name != "seed" and len(set(values[rows].tolist())) > 1:
            raise ValueError(
                f"{file.path}: parameter '{name}' differs between the trajectories, expected one value: select it by"
                f" where ({name}={values[rows][0]:g})"
            )
    return [int(row) for row in rows]


def _listed(file: "TrajectoryFile") -> str:
    return ", ".join(file.parameters) or "none, since it has no parameters"
