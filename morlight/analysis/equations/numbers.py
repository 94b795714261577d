"""Numbers of an equation with their standard errors: that of the data, and the scatter of the networks."""

import math
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class Number(NamedTuple):
    """A number of the closed form.

    Attributes:
        value: mean over the realizations.
        data: its standard error due to the data.
        networks: standard deviation over the realizations.
    """

    value: float
    data: float = 0.0
    networks: float = 0.0

    @property
    def sd(self) -> float:
        """Both errors together."""
        return math.hypot(self.data, self.networks)

    @property
    def negative(self) -> "Number":
        """The number with the other sign."""
        return self._replace(value=-self.value)

    @property
    def text(self) -> str:
        """The value with its standard deviation in units of the last digit."""
        return number(self.value, self.sd)

    def errors(self, name: str = "sd") -> dict[str, float]:
        """Both errors together, and each of them, for JSON."""
        return {name: self.sd, f"{name}_data": self.data, f"{name}_networks": self.networks}


ONE = Number(1.0)


def number(value: float, sd: float) -> str:
    """A value with its standard deviation in units of the last digit, 0.750(5)."""
    if not sd > 0:
        return f"{value:.6g}".replace("-", "−")
    digits = max(0, 1 - math.floor(math.log10(sd)) - (sd / 10 ** math.floor(math.log10(sd)) >= 2))
    last = round(sd * 10**digits)
    return f"{value:.{digits}f}({last})".replace("-", "−")


def spread(values: Float[Tensor, " R"]) -> float:
    """Standard deviation over the realizations, 0 of a single one."""
    return float(values.std()) if len(values) > 1 else 0.0
