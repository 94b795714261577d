"""What every method learns from, and what it must forecast: later times, or another initial state."""

from dataclasses import dataclass

from torch import Tensor

from benchmarks.equation_sets import Case, Truth, noisy
from morlight.operators.bases import Basis


@dataclass(frozen=True)
class Split:
    """Noisy fields to learn from and clean ones to forecast, both (B, T, C, *X) at equidistant times."""

    name: str
    basis: Basis
    times: Tensor
    train: Tensor
    test_times: Tensor
    test: Tensor
    truth: Truth

    @property
    def dt(self) -> float:
        """Δt between frames."""
        return float(self.times[1] - self.times[0])


def later(case: Case, noise: float) -> Split:
    """The first 80 % of the time with noise; the rest without, from the last frame of the first part."""
    T, u = round(0.8 * len(case.times)), noisy(case.u, noise)
    return Split(case.name, case.basis, case.times[:T], u[:, :T], case.times[T - 1 :], case.u[:, T - 1 :], case.truth)


def another_state(case: Case, noise: float) -> Split:
    """The first trajectory with noise; the second without, from its initial state."""
    u = noisy(case.u, noise)
    name = f"{case.name}, other state"
    return Split(name, case.basis, case.times, u[:1], case.times, case.u[1:2], case.truth)
