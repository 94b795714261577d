"""From a trajectory file to the equation of its fields."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from morlight.data.ensembles import SEED
from morlight.data.ensembles import where as with_scalars
from morlight.operators import build
from morlight.operators.bases import Basis
from morlight.operators.config import Wall
from morlight.operators.library import Candidate, distinct, library
from morlight.training.least_squares import discover as numerics

if TYPE_CHECKING:
    from morlight.analysis.equations.sum_of_terms import Equation
    from morlight.data.trajectory_file import TrajectoryFile

SHORT = 10  # roll-outs that judge an equation take this part of the frames
STARTS = 4  # trajectories, and frames of each, that they start from
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

    φ_a are products of powers of the fields, and G_a are derivatives. The terms are chosen by their likelihood, given
    the estimated noise of the fields (see `morlight.training.least_squares.discover`).

    Args:
        data: a trajectory file, or the name of a data set of the package.
        fields: the fields that the equation couples; by default all.
        where: values of parameters γ; only trajectories with these values are used.
        wall: basis between walls, the same for all fields.
        degree: largest total power of the fields.
        order: largest order of the derivatives.

    Raises:
        ValueError: if such an equation cannot describe the data, for example because the frames are not equidistant.
    """
    from morlight.data import shipped

    file = shipped.open(data)
    names = [fields] if isinstance(fields, str) else list(fields or file.fields)
    _check(file, names, wall, degree, order)
    rows = _rows(file, where or {})
    basis = build.basis(file.grid, wall)
    candidates = library(basis, len(names), degree=degree, order=order)
    check_size(file.path, candidates, (len(rows), len(file.times), *file.grid.points))
    u, times = torch.from_numpy(file.read(names)[rows].astype(np.float64)), torch.from_numpy(file.times)
    return sought(file.path, u, times, basis, names=names, candidates=[candidates] * len(names))


def check_size(path: Path, candidates: Sequence[Candidate], shape: Sequence[int]) -> None:
    """Refuse more values than fit in memory.

    Args:
        path: of the data.
        candidates: terms to choose from.
        shape: of the values of one field.

    Raises:
        ValueError: with the number of values.
    """
    monomials = len(distinct(candidates))
    size = monomials * math.prod(shape)
    if size > LARGEST:
        raise ValueError(
            f"{path}: {monomials} monomials of these fields have {size:.1e} values, expected at most"
            f" {LARGEST:.0e}: fewer trajectories or a smaller degree"
        )


def sought(
    path: Path, u: Float[Tensor, "B T C *X"], times: Float[Tensor, " T"], basis: Basis, *,
    names: Sequence[str], candidates: Sequence[Sequence[Candidate]],
) -> "Equation":  # fmt: skip
    """The equation of fields, with the share of their change that it leaves unexplained.

    Args:
        path: of the data, for complaints.
        u: fields.
        times: of the frames.
        basis: Π.
        names: of the fields.
        candidates: terms to choose from, of each field.

    Raises:
        ValueError: one sentence, for data that such an equation cannot describe.
    """
    for c, name in enumerate(names):
        if not bool((u[:, 1:, c] != u[:, :-1, c]).any()):
            raise ValueError(f"{path}: field '{name}' does not change in time, expected one that does")
    try:
        equation = numerics.discover(u, times, basis, fields=names, candidates=candidates)
    except (ValueError, RuntimeError) as error:  # linear algebra on numbers at the ends of double precision
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: no equation can be sought in these fields ({reason})") from error
    return replace(equation, unexplained=unexplained(equation, u, times, basis))


def unexplained(
    equation: "Equation", u: Float[Tensor, "B T C *X"], times: Float[Tensor, " T"], basis: Basis
) -> float | None:
    """Mean square error of roll-outs over a tenth of the frames, as a share of that of persistence, noise taken off.

    None where there is no equation, or no change beyond the noise to explain; infinite where roll-outs do not end.
    """
    if not any(equation.terms):
        return None
    steps = max(1, (len(times) - 1) // SHORT)
    begins = torch.linspace(0, len(times) - 1 - steps, STARTS).long().unique()
    noise = torch.tensor(equation.noise, dtype=torch.float64).square().view(1, -1, *[1] * len(basis.points))
    off, change = 0.0, 0.0
    for begin in begins.tolist():
        start, later = u[:STARTS, begin], u[:STARTS, begin + steps]
        try:
            end = equation.predict(start, times[begin : begin + steps + 1], basis)[:, -1]
        except ValueError:
            return math.inf
        scale = later.square().mean((0, *range(2, later.ndim)), keepdim=True).sqrt()[0]
        off += float((((end - later).square() - 2 * noise) / scale.square()).mean())
        change += float((((start - later).square() - 2 * noise) / scale.square()).mean())
    return max(off, 0.0) / change if change > 0 else None


def _check(file: "TrajectoryFile", names: Sequence[str], wall: str, degree: int, order: int) -> None:
    if not isinstance(degree, int) or degree < 1:
        raise ValueError(f"{file.path}: degree is {degree!r}, expected a whole number from 1")
    if not isinstance(order, int) or order < 0:
        raise ValueError(f"{file.path}: order is {order!r}, expected a whole number from 0")
    if len(set(names)) < len(names):
        raise ValueError(f"{file.path}: fields are {', '.join(names)}, expected each once")
    if wall not in ("cosine", "sine") or (wall == "sine" and "WALL" not in file.grid.boundaries):
        raise ValueError(f"{file.path}: wall is {wall!r}, expected cosine or sine, and sine only where there are walls")


def _rows(file: "TrajectoryFile", where: Mapping[str, float]) -> list[int]:
    """Trajectories with these values of γ, which must be the same for all of them."""
    rows = np.flatnonzero(with_scalars(file, where, "where"))
    for name, values in file.parameters.items():
        if name != SEED and len(set(values[rows].tolist())) > 1:
            raise ValueError(
                f"{file.path}: parameter '{name}' differs between the trajectories, expected one value: select it by"
                f" where ({name}={values[rows][0]:g})"
            )
    return [int(row) for row in rows]
