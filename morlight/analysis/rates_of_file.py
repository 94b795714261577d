"""Standard errors of the rates of decay that the runs of a trajectory file leave at one γ."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from morlight.analysis.conditions import warn_of_conditions
from morlight.analysis.evaluation.compatibility import check_grid
from morlight.analysis.trained_operator import TrainedOperator
from morlight.data import ensembles
from morlight.data.trajectory_file import TrajectoryFile
from morlight.operators import Basis, shells
from morlight.operators.losses import energy, linear_fit, residual_variance

HORIZONS = (1, 4, 16)  # steps; slow modes are known best over many, fast ones over few


def rate_errors_of_file(
    model: TrainedOperator, path: Path, field: str, gamma: Mapping[str, float], basis: Basis
) -> Float[Tensor, " S"]:
    """Relative standard error of the rate of each |κ| of a field, by least squares for each mode separately.

    Args:
        model: whose grid and time step the file has.
        path: of the file.
        field: its name.
        gamma: of the runs that count.
        basis: of the modes.

    Raises:
        ValueError: if the file does not fit the model, or has no run at this γ.
    """
    file = TrajectoryFile.open(path)
    check_grid(model, file)
    if not np.isclose(file.dt, model.data.dt, rtol=1e-6):
        raise ValueError(f"{path}: Δt is {file.dt:g}, expected {model.data.dt:g} as in the training data")
    rows = np.flatnonzero(ensembles.where(file, gamma, "gamma") if gamma else np.ones(file.trajectories, bool))
    warn_of_conditions(model, file, rows.tolist())
    u = torch.from_numpy(np.concatenate([file.read([field], slice(row, row + 1))[:, :, 0] for row in rows])).double()
    if model.data.coarsen > 1:
        u = u.unflatten(2, (-1, model.data.coarsen)).mean(3)
    found = []
    for m in (m for m in HORIZONS if m < u.shape[1]):
        first, last = u[:, :-m].flatten(0, 1), u[:, m:].flatten(0, 1)
        found.append(by_modulus(rate_errors(first, last, basis, len(first), m), basis))
    return torch.stack(found).amin(0)


def rate_errors(
    first: Float[Tensor, "n *X"], last: Float[Tensor, "n *X"], basis: Basis, windows: int, horizon: int = 1
) -> Float[Tensor, "*K"]:
    """Relative standard error of log λ(κ) from û_{j+m} = λ^m û_j by least squares for each mode separately.

    Args:
        first: u_j of some windows, evenly spread over the data.
        last: u_{j+m}.
        basis: Π.
        windows: number of all windows in the data.
        horizon: m.
    """
    before, after = first[:, None], last[:, None]
    factor = linear_fit(basis, before, after)
    variance = residual_variance(basis, factor, before, after, 1)[0]
    squares = energy(basis, before)[0]
    # windows that overlap share their noise: m of them say little more than one
    error = (variance * horizon / (windows * squares * basis.freedom)).sqrt()
    factor = factor[0].to(torch.complex128)
    return (error / (factor.abs() * torch.log(factor).abs())).nan_to_num(torch.inf, posinf=torch.inf)


def by_modulus(errors: Float[Tensor, "*K"], basis: Basis) -> Float[Tensor, " S"]:
    """Standard errors of the rate, combined over all modes of the same |κ|, in the order of `shells`."""
    moduli, index = shells(basis.wavenumbers)
    information = errors.square().reciprocal().nan_to_num(0.0, posinf=0.0)
    return information.new_zeros(moduli.shape[1]).index_add_(0, index.flatten(), information.flatten()).rsqrt()
