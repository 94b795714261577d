"""Units: quantities of any size in the data, of order one in the networks.

Parameters that span decades, as ρ* does, enter as z = ln(γ/γ̄)/w, others as γ/γ̄. Fields whose size follows γ, as the
density of a fluid follows ρ*, are measured in the unit s(γ) = s̄ ∏_p (γ_p/γ̄_p)^a_p: a thin fluid then counts as much
in the loss as a dense one.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

NO_GAMMA = torch.empty(1, 0)  # γ of an operator without parameters, one row for all fields of a batch


class Units(nn.Module):
    """γ as the networks see it, and the sizes of the fields that follow it.

    Args:
        scale: γ̄ of each parameter, a typical value.
        spread: w where z is logarithmic, 0 where it is γ/γ̄; 0 for all by default.
        powers: a of each field and parameter; 0 for all by default.
    """

    scale: Float[Tensor, " P"]
    spread: Float[Tensor, " P"]
    powers: Float[Tensor, "C P"]

    def __init__(
        self,
        scale: Sequence[float] = (),
        spread: Sequence[float] | None = None,
        powers: Sequence[Sequence[float]] | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(list(scale)), persistent=False)
        self.register_buffer("spread", torch.tensor(list(spread or [0.0] * len(scale))), persistent=False)
        exponents = torch.tensor([list(row) for row in powers or []])
        self.register_buffer("powers", exponents, persistent=False)
        self.logarithmic = any(spread or ())
        self.follow = bool(exponents.any())

    def scaled(self, gamma: Float[Tensor, "b P"]) -> Float[Tensor, "b P"]:
        """z(γ), of order one.

        Raises:
            ValueError: for another number of parameters.
        """
        if gamma.shape[1] != len(self.scale):
            raise ValueError(f"γ has {gamma.shape[1]} values, expected {len(self.scale)}")
        ratio = gamma / self.scale
        if not self.logarithmic:
            return ratio
        log = self.spread > 0
        return torch.where(log, torch.where(log, ratio, 1.0).log() / torch.where(log, self.spread, 1.0), ratio)

    def factors(self, gamma: Float[Tensor, "b P"]) -> Float[Tensor, "b C"] | None:
        """s(γ)/s̄ of all fields; None where it is 1 for all of them."""
        return (torch.log(gamma / self.scale) @ self.powers.T).exp() if self.follow else None
