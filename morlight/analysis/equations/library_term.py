"""A term of an equation, with its coefficient."""

import math
from dataclasses import dataclass

from morlight.operators.library import Candidate, Differential, Exponents


@dataclass(frozen=True)
class Term:
    """θ Π_p γ_p^(m_p) G(∇) Π_c u_c^(n_c).

    Attributes:
        derivative: G.
        exponents: n_c by field.
        coefficient: θ.
        standard_error: of θ.
        powers: m_p by parameter; empty without parameters.
    """

    derivative: Differential
    exponents: Exponents
    coefficient: float
    standard_error: float
    powers: Exponents = ()

    @property
    def p_value(self) -> float:
        """Probability of a coefficient at least as large if the term is absent (two-sided, normal)."""
        if not self.standard_error > 0:
            return 0.0
        return math.erfc(abs(self.coefficient) / self.standard_error / math.sqrt(2))

    @property
    def candidate(self) -> Candidate:
        """The term without its coefficient."""
        return Candidate(self.derivative, self.exponents, self.powers)
