"""The limit of long waves of a decay rate: −G(κ) = ν κ²/(1 + ℓ²κ²), so that κ²/(−G) = 1/ν + (ℓ²/ν) κ² is a line.

In a gas, ℓ is of the order of the mean free path (ℓ² = ν²/T for one relaxation time). Between walls at which a fluid
slips, modes that vanish at the walls decay as if ℓ² = b W/2: with a constant force, the steady Poiseuille profile
over a slip length b, x(W − x) + b W, has the sine coefficients 8W²/(πk)³ (1 + b W κ²/2) of odd k.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

FLOOR = 0.01  # relative error of a learned rate beside the noise of the data
MISFIT = 2.0  # mean square deviation in units of the errors, up to which the line holds
FEWEST = 2  # moduli |κ| for a line
NOT_SQUARE = 0.1  # distance of an exponent from 2


@dataclass(frozen=True)
class LongWaves:
    """ν and ℓ² of every sample, and the standard errors that the noise of the data leaves.

    Attributes:
        coefficient: ν.
        bending: ℓ².
        coefficient_error: standard error of ν; None where the errors of the rates are not known.
        bending_error: standard error of ℓ².
        largest: largest |κ| of the line.
        exponent: α where |κ|^α describes all waves, and the line does not; None otherwise.
    """

    coefficient: Float[Tensor, " n"]
    bending: Float[Tensor, " n"]
    coefficient_error: float | None
    bending_error: float | None
    largest: float
    exponent: float | None


def long_waves(
    modulus: Float[Tensor, " S"], rates: Float[Tensor, "n S"], errors: Float[Tensor, " S"] | None
) -> LongWaves | str:
    """The line through κ²/rate over as many of the longest waves as it describes, or one sentence why there is none.

    Args:
        modulus: |κ| > 0, ascending.
        rates: −Re G at each of them, of one or more samples.
        errors: relative standard errors of the rates, infinite where a rate is not known.
    """
    known = torch.ones_like(modulus, dtype=torch.bool) if errors is None else errors < 1
    decays = (rates > 0).all(0) & known
    first = int(decays.to(torch.int).argmax())
    ends = torch.nonzero(~decays[first:])
    last = first + int(ends[0]) if len(ends) else len(modulus)
    if not bool(decays.any()) or last - first < FEWEST:
        return f"the data identify the decay of fewer than {FEWEST} of its long waves"
    modulus, rates = modulus[first:last], rates[:, first:last]
    noise = torch.zeros_like(modulus) if errors is None else errors[first:last]
    weight = (noise.square() + FLOOR**2).rsqrt()
    y = modulus.square() / rates
    middle = y.median(0).values
    squares = modulus.square() / modulus[0].square()
    count = next((n for n in range(len(modulus), FEWEST, -1) if _describes(squares, middle, weight, n)), FEWEST)
    columns, w = _columns(squares, count), (weight / middle)[:count]
    solve = torch.linalg.pinv(columns * w[:, None]) * w
    line = y[:, :count] @ solve.T
    intercept, slope = line[:, 0], line[:, 1] / modulus[0].square()
    if not bool((intercept > 0).all()):
        return "the decay of its long waves has no limit κ² in the data"
    spread = solve * (noise * middle)[:count]
    covariance = spread @ spread.T
    of_bending = torch.stack([-line[:, 1] / intercept**2, 1 / intercept], 1).median(0).values / modulus[0].square()
    return LongWaves(
        1 / intercept,
        slope / intercept,
        None if errors is None else float(covariance[0, 0].sqrt() / intercept.median() ** 2),
        None if errors is None else float((of_bending @ covariance @ of_bending).sqrt()),
        float(modulus[count - 1]),
        _exponent(modulus, rates.median(0).values, weight),
    )


def _columns(squares: Float[Tensor, " S"], count: int) -> Float[Tensor, "n 2"]:
    return torch.stack([torch.ones_like(squares), squares], 1)[:count]


def _describes(squares: Float[Tensor, " S"], y: Float[Tensor, " S"], weight: Float[Tensor, " S"], count: int) -> bool:
    """Whether a line in κ² describes y within its errors, and does not leave the long waves: ℓ²κ² ≤ 1."""
    columns, w = _columns(squares, count), (weight / y)[:count]
    intercept, slope = torch.linalg.pinv(columns * w[:, None]) @ (y[:count] * w)
    return _misfit(squares, y, weight, count) < MISFIT and bool(slope * squares[count - 1] <= intercept)


def _misfit(squares: Float[Tensor, " S"], y: Float[Tensor, " S"], weight: Float[Tensor, " S"], count: int) -> float:
    """Mean square deviation of y from a line in κ², in units of its errors."""
    columns, w = _columns(squares, count), (weight / y)[:count]
    return _left_over(columns * w[:, None], y[:count] * w)


def _left_over(columns: Float[Tensor, "n 2"], target: Float[Tensor, " n"]) -> float:
    line = torch.linalg.pinv(columns) @ target
    return float((target - columns @ line).square().sum() / max(1, len(target) - 2))


def _exponent(modulus: Float[Tensor, " S"], rates: Float[Tensor, " S"], weight: Float[Tensor, " S"]) -> float | None:
    """α if |κ|^α describes all modes, and no line does: a bending ν(κ) is no power law over a wide band."""
    logarithms = torch.stack([torch.ones_like(modulus), modulus.log()], 1) * weight[:, None]
    target = rates.log() * weight
    alpha = float((torch.linalg.pinv(logarithms) @ target)[1])
    power = _left_over(logarithms, target)
    line = _misfit(modulus.square(), modulus.square() / rates, weight, len(modulus))
    return alpha if abs(alpha - 2) > NOT_SQUARE and power < MISFIT < line else None
