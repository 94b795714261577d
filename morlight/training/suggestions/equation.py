"""Whether the equation of the fields describes them well enough to replace networks."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.analysis.equations.sum_of_terms import Equation
from morlight.operators.bases import Basis
from morlight.operators.library import library
from morlight.training.discovery import SHORT, check_size, require_values, sought
from morlight.training.least_squares.discover import Trajectories
from morlight.training.least_squares.noise import noise_variance

GOOD = 0.05  # share of the change that the equation of a suggestion leaves at most
NEGLIGIBLE = 0.02  # share of the change that a good equation may leave
BETTER = 1.5  # times the share that the linear model of each mode leaves


def sought_equation(path: Path, data: Trajectories) -> tuple[Equation | None, str]:
    """The equation, or None with the reason as text.

    Args:
        path: of the data.
        data: training data.
    """
    u, basis, fields = data.u, data.basis, data.names
    candidates = library(basis, len(fields), parameters=len(data.parameters))
    try:
        check_size(path, candidates, (u.shape[0], u.shape[1], *u.shape[3:]))
        require_values(path, dict(zip(data.parameters, data.gamma.T.tolist(), strict=True)), 1)
        equation = sought(path, data, [candidates] * len(fields))
    except ValueError as error:
        ours = isinstance(error.__cause__, ValueError)  # in words, unlike what linear algebra says
        return None, f"no equation was found{f' ({error.__cause__})' if ours else ''}"
    missing = [name for name, own in zip(fields, equation.terms, strict=True) if not own]
    if missing:
        return None, f"no sum of terms explains the field {', '.join(missing)}"
    left = equation.unexplained
    if left is None:
        return None, "the change of the fields does not stand above their noise"
    linear = linear_share(basis, u)
    if left > min(GOOD, max(NEGLIGIBLE, BETTER * linear)):
        return None, (
            f"the equation that was found leaves {_percent(left)} of the change unexplained, and the linear model of"
            f" each mode {_percent(linear)}"
        )
    return equation, ""


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 10 else "more than all"


def linear_share(basis: Basis, u: Float[Tensor, "B T C *X"]) -> float:
    """Share of the change over a tenth of the frames that one factor for each mode leaves, noise subtracted."""
    steps = max(1, (u.shape[1] - 1) // SHORT)
    c = basis.forward(u)
    start, later = c[:, :-steps], c[:, steps:]
    weight = basis.energy / torch.tensor(basis.length).prod()
    noise = torch.tensor(noise_variance(basis, u), dtype=torch.float64).view(-1, *[1] * len(basis.points))
    floor = noise * basis.freedom / torch.tensor(basis.points).prod()  # of w |c|², in each mode
    size = (weight * start.abs().square()).mean((0, 1))
    signal = (size - floor).clamp_min(1e-12 * size.amax())
    factor = (weight * start.conj() * later).mean((0, 1)) / signal
    left = (weight * (later - factor * start).abs().square()).mean((0, 1)) - (1 + factor.abs().square()) * floor
    change = (weight * (later - start).abs().square()).mean((0, 1)) - 2 * floor
    shares = left.flatten(1).sum(1) / change.flatten(1).sum(1).clamp_min(1e-300)
    return float(shares.mean().clamp_min(0))
