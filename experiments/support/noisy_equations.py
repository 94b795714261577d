"""Equations found in fields with noise, beside the equations that made the fields."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.equation_sets import Case as Fields
from benchmarks.equation_sets import noisy
from experiments.support.intervals import LENGTHS, Estimate, rollout
from morlight.analysis.equations import writing
from morlight.analysis.equations.sum_of_terms import Equation
from morlight.operators.sum_of_terms import enough_substeps
from morlight.training.least_squares.discover import Trajectories, discover

SHIFT = 0.1  # standard errors by which each coefficient is changed for the derivatives of a roll-out
ACCURACY = 1e-4  # of the change in an interval: roll-outs with 1e-6 differ by 1e-4 of their standard errors


@dataclass(frozen=True)
class NoisyEquation:
    """Trajectories of one equation from random initial states, with white noise.

    Attributes:
        fields: makes the trajectories without noise.
        noise: standard deviation of the noise, as a share of the rms of the field.
    """

    fields: Callable[[torch.Generator], Fields]
    noise: float

    def measured(self, seed: int, folder: Path) -> tuple[list[Estimate], list[dict[str, float]]]:
        """The coefficients of all terms, and roll-outs from the clean initial states; none if a term is wrong."""
        fields = self.fields(torch.Generator().manual_seed(seed))
        equation = discover(Trajectories(noisy(fields.u, self.noise, seed), fields.times, fields.basis))
        terms, truth = equation.terms[0], fields.truth[0]
        if {term.candidate for term in terms} != set(truth):
            return [], []
        estimates = [
            Estimate(writing.name(equation.names, term), term.coefficient, term.standard_error, truth[term.candidate])
            for term in terms
        ]
        return estimates, list(_rollouts(equation, fields))


def _rollouts(equation: Equation, fields: Fields) -> Iterator[dict[str, float]]:
    """Roll-outs of an equation with standard errors √(J C Jᵀ), from the covariance C of its coefficients."""
    assert equation.covariance is not None
    system, theta = equation.right_hand_side(fields.basis)
    exact = torch.tensor([fields.truth[0][term.candidate] for term in equation.terms[0]], dtype=theta.dtype)
    shifts = SHIFT * equation.covariance.diagonal().sqrt()
    moved = torch.cat([theta, theta + torch.diag(shifts), exact[None]])
    interval = float(fields.times[1] - fields.times[0])
    c = fields.basis.forward(fields.u[:, 0])[None]
    states, done = c.expand(len(moved), *c.shape[1:]), 0
    substeps = enough_substeps(system, theta, c, interval, ACCURACY)
    for length in LENGTHS:
        steps = round(length * (len(fields.times) - 1))
        with torch.no_grad():
            flow = system.flow(moved, states, intervals=[interval] * (steps - done), substeps=substeps)
        states, done = flow[:, :, -1], steps
        u = fields.basis.inverse(states)
        J = (u[1:-1] - u[0]) / shifts.view(-1, *[1] * (u.ndim - 1))
        variance = torch.einsum("a...,ab,b...->...", J, equation.covariance, J).clamp_min(0)
        yield rollout(length, (u[0] - u[-1]).numpy(), variance.sqrt().numpy())
