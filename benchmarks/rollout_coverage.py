"""How often the spread of a prediction contains the truth, over independent draws of the noise.

    python -m benchmarks.rollout_coverage [--draws 100] [--noise 0.01]

In each draw an equation is found in fields with new noise. It is rolled out from the clean initial states over 0.1, 1
and 10 times the length of the data, and its standard deviation at each point follows from the covariance of the
coefficients, J C Jᵀ. One JSON line for each length: the mean over the draws of the fraction of points at which the
roll-out of the exact equation lies within the 95 % interval, with its standard error, and the rms error and the rms
standard deviation, both as shares of the field.
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from benchmarks.coverage import NORMAL, cases, run
from benchmarks.equation_sets import Case, noisy, solution
from morlight.operators.sum_of_terms import enough_substeps
from morlight.training.least_squares.discover import Trajectories, discover

LENGTHS = (0.1, 1.0, 10.0)  # of the data
SHIFT = 0.1  # standard errors by which each coefficient is changed for J


def predicted(case: Case, noise: float, seed: int) -> list[tuple[Tensor, Tensor]] | None:
    """Fields (B, C, *X) after each of the lengths with their standard deviations; None where the terms are wrong."""
    equation = discover(Trajectories(noisy(case.u, noise, seed), case.times, case.basis))
    if {term.candidate for term in equation.terms[0]} != set(case.truth[0]) or equation.covariance is None:
        return None
    system, theta = equation.right_hand_side(case.basis)
    shifts = SHIFT * equation.covariance.diagonal().sqrt()
    moved = torch.cat([theta, theta + torch.diag(shifts)])
    c, interval = case.basis.forward(case.u[:, 0])[None], float(case.times[1] - case.times[0])
    found = []
    for length in LENGTHS:
        steps = round(length * (len(case.times) - 1))
        substeps = enough_substeps(system, theta, c, interval, 1e-6)
        states = c.expand(len(moved), *c.shape[1:])
        with torch.no_grad():
            end = system.flow(moved, states, intervals=[interval] * steps, substeps=substeps)[:, :, -1]
        u = case.basis.inverse(end)
        J = (u[1:] - u[0]) / shifts.view(-1, *[1] * (u.ndim - 1))
        variance = torch.einsum("a...,ab,b...->...", J, equation.covariance, J)
        found.append((u[0], variance.clamp_min(0).sqrt()))
    return found


def exact(case: Case) -> list[Float[Tensor, "B C *X"]]:
    """The true fields after each of the lengths."""
    interval = float(case.times[1] - case.times[0])
    ends = []
    for length in LENGTHS:
        times = interval * torch.arange(round(length * (len(case.times) - 1)) + 1, dtype=torch.float64)
        ends.append(solution(case.truth, case.basis, case.u[:, 0], times, 20)[:, -1])
    return ends


def measure(draws: int, noise: float, only: str = "") -> Iterator[dict[str, Any]]:
    """Every length of every set."""
    for name, case in cases(only):
        truth = exact(case)
        found = [predicted(case, noise, seed) for seed in tqdm(range(draws), name, leave=False)]
        right = [each for each in found if each is not None]
        for place, length in enumerate(LENGTHS):
            off = torch.stack([(each[place][0] - truth[place]).abs() for each in right])
            sd = torch.stack([each[place][1] for each in right])
            inside = (off < NORMAL[0.95] * sd).double().flatten(1).mean(1)
            size = truth[place].square().mean().sqrt()
            yield {
                "case": name, "noise": noise, "length": length, "draws": len(right),
                "coverage_0.95": float(inside.mean()), "coverage_0.95_sd": float(inside.std() / len(right) ** 0.5),
                "error": float(off.square().mean().sqrt() / size), "sd": float(sd.square().mean().sqrt() / size),
            }  # fmt: skip


if __name__ == "__main__":
    run("rollout_coverage", __doc__, measure, draws=100)
