"""Where the shot noise of a histogram matters, and where it can be subtracted without a law of decay.

`python -m experiments.aliases`

In modes whose fluctuations are shot noise, the apparent rate of decay in a step is −ln E û_j* û_{j+1} / E |û|². Aliases
add A to the denominator and C to the numerator (`morlight.training.least_squares.shot_noise`). The table gives the
apparent rate over the true one: as it is, and with A subtracted as if the aliases had decayed, C = 0. With the C of the
law that the modes follow, the ratio is 1.
"""

import math

import numpy as np

from experiments.support.tables import table
from morlight.data.sample import ShotNoise
from morlight.operators import Fourier
from morlight.training.least_squares.shot_noise import Aliases, Law

POINTS = 64
EXPONENTS = (1.0, 1.5, 2.0)
DECAYS = (0.03, 0.18, 1.0, 3.0, 10.0)  # (π/h)^α Δt, of the shortest wave of the grid
PLACES = (0.25, 0.5, 0.75)  # κ over π/h


def ratios(exponent: float, decay: float) -> list[str]:
    """Apparent over true rate at each place, plain and with A subtracted."""
    aliases = Aliases(Fourier(POINTS, math.tau).double(), ShotNoise(1))
    law = Law(decay / (POINTS / 2) ** exponent, exponent, np.zeros(1))
    factor = law.decay(aliases.kappa, 1).real
    product = aliases.own * factor + aliases.remembered(law, 1).real
    cells = []
    for place in PLACES:
        k = round(place * POINTS / 2)
        seen = (product[k], product[k] / aliases.own[k])  # own + total is 1
        cells.append(" / ".join(f"{math.log(each) / math.log(factor[k]):.2f}" for each in seen))
    return cells


def main() -> None:
    """Print the table."""
    heads = ["α", "(π/h)^α Δt", *(f"κ = {place:g} π/h" for place in PLACES)]
    print(table(heads, [(f"{a:g}", f"{x:g}", *ratios(a, x)) for a in EXPONENTS for x in DECAYS]))


if __name__ == "__main__":
    main()
