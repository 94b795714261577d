"""The fractional diffusion with drift that is nearest to a learned generator, ∂ₜu = −c (−Δ)^(α/2) u − V·∇u.

Its symbol is −c |κ|^α − i V·κ. Exponent and coefficient come from a straight line through ln(−Re) over ln|κ|, the drift
from one through Im over κ, each mode weighted by the precision with which the data determine it.
"""

from typing import NamedTuple

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from morlight.operators.bases import Basis
from morlight.operators.biases import shells
from morlight.operators.losses import energy, linear_fit, residual_variance

KNOWN = 0.05  # relative standard error of a rate up to which its mode counts as identified


class PowerLaw(NamedTuple):
    """c, α and V of every realization, with the standard errors that the noise of the data leaves.

    Attributes:
        coefficient: c (R,).
        exponent: α (R,).
        drift: V (R, D).
        coefficient_error: standard error of ln c.
        exponent_error: standard error of α.
        drift_error: standard error of V (D,).
        misfit: relative deviation of a generator from −c|κ|^α − iV·κ, root mean square, weighted by precision (R,).
    """

    coefficient: Float[Tensor, " R"]
    exponent: Float[Tensor, " R"]
    drift: Float[Tensor, "R D"]
    coefficient_error: float
    exponent_error: float
    drift_error: Float[Tensor, " D"]
    misfit: Float[Tensor, " R"]


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


def identified(moduli: Float[Tensor, " S"], errors: Float[Tensor, " S"]) -> tuple[float, float] | None:
    """From the smallest to the largest |κ| around the best known one up to which all errors are below `KNOWN`."""
    known = (errors < KNOWN) & (moduli > 0)
    if not known.any():
        return None
    best = int(torch.where(known, errors, torch.inf).argmin())
    low = high = best
    while low > 0 and known[low - 1]:
        low -= 1
    while high + 1 < len(known) and known[high + 1]:
        high += 1
    return float(moduli[low]), float(moduli[high])


def power_law(
    kappa: Float[Tensor, "D K"], generator: Complex[Tensor, "R K"], errors: Float[Tensor, " K"]
) -> PowerLaw | None:
    """The power law through a generator over the modes with finite errors; None if the generator does not decay there.

    Args:
        kappa: wavenumbers of the modes.
        generator: symbol of ∂ₜ at each of them.
        errors: relative standard error of each, infinite for those to leave out.
    """
    modulus = kappa.square().sum(0).sqrt()
    used = (modulus > 0) & errors.isfinite()
    kappa, modulus, errors, generator = kappa[:, used], modulus[used], errors[used], generator[:, used]
    if used.sum() < 3 or modulus.max() < 1.5 * modulus.min() or not bool((generator.real < 0).all()):
        return None
    columns = torch.stack([torch.ones_like(modulus), torch.log(modulus)], 1) / errors[:, None]
    covariance = torch.linalg.inv(columns.T @ columns)
    line = (torch.log(-generator.real) / errors) @ columns @ covariance
    c, alpha = line[:, 0].exp(), line[:, 1]
    rate = c[:, None] * modulus ** alpha[:, None]
    along = kappa.T / (errors * generator.abs().median(0).values)[:, None]
    spread = torch.linalg.pinv(along.T @ along)
    drift = -(generator.imag / (errors * generator.abs().median(0).values)) @ along @ spread
    deviation = (generator + rate + 1j * (drift @ kappa)).abs() / generator.abs()
    known = errors.square().reciprocal()
    misfit = (deviation.square() @ known / known.sum()).sqrt()
    return PowerLaw(
        c,
        alpha,
        drift,
        float(covariance[0, 0].sqrt()),
        float(covariance[1, 1].sqrt()),
        spread.diagonal().sqrt(),
        misfit,
    )
