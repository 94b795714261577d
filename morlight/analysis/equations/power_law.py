"""The fractional diffusion with drift that is nearest to a learned generator, ∂ₜu = −c (−Δ)^(α/2) u − V·∇u.

Its symbol is −c |κ|^α − i V·κ. Exponent and coefficient come from a straight line through ln(−Re) over ln|κ|, the drift
from one through Im over κ, each mode weighted by the precision with which the data determine it.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

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


def identified(
    moduli: Float[Tensor, " S"], errors: Float[Tensor, " S"], below_nyquist: Bool[Tensor, " S"] | None = None
) -> tuple[float, float] | None:
    """From the smallest to the largest |κ| around the best known one up to which all errors are below `KNOWN`.

    Args:
        moduli: |κ|, ascending.
        errors: relative standard error of the rate at each.
        below_nyquist: whether there is a mode of this |κ| below the Nyquist wavenumber of each axis. Where there is
            none, fields may have no such waves at all, and an unknown rate does not end the band.
    """
    if below_nyquist is not None:
        there = below_nyquist | errors.isfinite()
        moduli, errors = moduli[there], errors[there]
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
