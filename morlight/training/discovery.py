"""From a trajectory file to the equation of its fields."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from morlight.data.ensembles import SEED
from morlight.data.ensembles import where as with_scalars
from morlight.operators import build
from morlight.operators.config import Wall
from morlight.operators.library import Candidate, distinct, library
from morlight.operators.units import NO_GAMMA
from morlight.training.least_squares import discover as numerics
from morlight.training.least_squares.discover import Trajectories

if TYPE_CHECKING:
    from morlight.analysis.equations.sum_of_terms import Equation
    from morlight.data.trajectory_file import TrajectoryFile

SHORT = 10  # roll-outs that judge an equation take this part of the frames
STARTS = 4  # trajectories, and frames of each, that they start from
LARGEST = 2e9  # values of all monomials of the fields: what fits in memory


def discover(  # noqa: PLR0913 - the contract
    data: str | Path,
    *,
    fields: Sequence[str] | None = None,
    where: Mapping[str, float] | None = None,
    wall: Wall = "cosine",
    degree: int = 3,
    order: int = 4,
    parameter_degree: int = 1,
    fractional: bool = False,
) -> "Equation":
    """The equation ∂ₜu_c = Σ_a θ_a G_a(∇) φ_a(u; γ) (Eq. 27) of the fields in a trajectory file, with standard errors.

    φ_a are products of powers of the fields, and G_a are derivatives. Parameters γ that differ between the
    trajectories, and their powers, may be factors of a term. The terms are chosen by their likelihood, given the
    estimated noise of the fields (see `morlight.training.least_squares.discover`).

    Args:
        data: a trajectory file, or the name of a data set of the package.
        fields: the fields that the equation couples; by default all.
        where: values of parameters γ; only trajectories with these values are used.
        wall: basis between walls, the same for all fields.
        degree: largest total power of the fields.
        order: largest order of the derivatives.
        parameter_degree: largest total power of the parameters; 0 for an equation without them.
        fractional: whether −(−Δ)^(α/2) may act on each field, with α estimated.

    Raises:
        ValueError: if such an equation cannot describe the data, for example because there are fewer than nine frames.
    """
    from morlight.data.trajectory_file import TrajectoryFile

    file = TrajectoryFile.open(data)
    names = [fields] if isinstance(fields, str) else list(fields or file.fields)
    _check(file, names, wall, degree, order)
    if not isinstance(parameter_degree, int) or parameter_degree < 0:
        raise ValueError(f"{file.path}: parameter_degree is {parameter_degree!r}, expected a whole number from 0")
    rows = [int(row) for row in np.flatnonzero(with_scalars(file, where or {}, "where"))]
    parameters = _parameters(file, rows, parameter_degree)
    basis = build.basis(file.grid, wall)
    candidates = library(
        basis, len(names), degree=degree, order=order, parameters=len(parameters), parameter_degree=parameter_degree
    )
    check_size(file.path, candidates, (len(rows), len(file.times), *file.grid.points))
    u, times = torch.from_numpy(file.read(names)[rows].astype(np.float64)), torch.from_numpy(file.times)
    gamma = [torch.from_numpy(file.parameters[name][rows].astype(np.float64)) for name in parameters]
    rows_of_gamma = torch.stack(gamma, 1) if gamma else NO_GAMMA
    found = Trajectories(u, times, basis, tuple(names), tuple(parameters), rows_of_gamma)
    return sought(file.path, found, [candidates] * len(names), fractional=fractional)


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
    path: Path, data: Trajectories, candidates: Sequence[Sequence[Candidate]], *, fractional: bool = False
) -> "Equation":
    """The equation of fields, with the share of their change that it leaves unexplained.

    Args:
        path: of the data, for error messages.
        data: fields and parameters.
        candidates: terms to choose from, of each field.
        fractional: whether −(−Δ)^(α/2) may act on each field, with α estimated.

    Raises:
        ValueError: one sentence, for data that such an equation cannot describe.
    """
    for c, name in enumerate(data.names):
        if not bool((data.u[:, 1:, c] != data.u[:, :-1, c]).any()):
            raise ValueError(f"{path}: field '{name}' does not change in time, expected one that does")
    try:
        equation = numerics.discover(data, candidates, fractional=fractional)
    except (ValueError, RuntimeError) as error:  # linear algebra on numbers at the ends of double precision
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: no equation can be sought in these fields ({reason})") from error
    return replace(equation, unexplained=unexplained(equation, data))


def unexplained(equation: "Equation", data: Trajectories) -> float | None:
    """Mean square error of roll-outs over a tenth of the frames, as a share of that of persistence, noise subtracted.

    None if there is no equation, or no change beyond the noise to explain; infinite if roll-outs diverge.
    """
    if not any(equation.terms):
        return None
    data = data.double()
    u, times, rows = data.u, data.times, data.extremes()
    rows = [*rows, *(row for row in range(min(STARTS, len(u))) if row not in rows)]
    steps = max(1, (len(times) - 1) // SHORT)
    begins = torch.linspace(0, len(times) - 1 - steps, STARTS).long().unique()
    noise = torch.tensor(equation.noise, dtype=torch.float64).square().view(1, -1, *[1] * len(data.basis.points))
    off, change = 0.0, 0.0
    for begin in begins.tolist():
        start, later = u[rows, begin], u[rows, begin + steps]
        interval = times[begin : begin + steps + 1]
        try:
            end = equation.predict(start, interval, data.basis, gamma=data.gamma[rows])[:, -1]
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


def _parameters(file: "TrajectoryFile", rows: Sequence[int], degree: int) -> list[str]:
    """Parameters that differ between some trajectories."""
    names = [name for name in file.parameters if name != SEED and len(np.unique(file.parameters[name][rows])) > 1]
    require_values(file.path, {name: file.parameters[name][rows].tolist() for name in names}, degree)
    return names if degree else []


def require_values(path: Path, parameters: Mapping[str, Sequence[float]], degree: int) -> None:
    """Refuse powers of parameters that the trajectories cannot tell apart.

    Args:
        path: of the data.
        parameters: values of γ by name, of each trajectory.
        degree: largest power.

    Raises:
        ValueError: for a parameter with too few values, or with different values and degree 0.
    """
    for name, values in parameters.items():
        several = len(set(values))
        if several > 1 and not degree:
            raise ValueError(
                f"{path}: parameter '{name}' differs between the trajectories, expected one value for a"
                f" parameter_degree of 0: select it by where ({name}={values[0]:g})"
            )
        if several <= degree:
            raise ValueError(
                f"{path}: parameter '{name}' has {several} values, expected more than the parameter_degree of {degree}"
            )
