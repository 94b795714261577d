"""Equations recovered from fields: coefficients, false terms, roll-outs and seconds.

    python -m benchmarks equations [--files DIR] [--noise 0 0.01 0.05] [--only NAME]

The sets are made here; with `--files`, burgers.mat, kdv.mat and kuramoto_sivishinky.mat of that folder come first. Fits
see the first 80 % of the time with Gaussian noise of a share of each field's rms, seed 0; roll-outs start from the
clean state there and are compared at the end.
"""

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.equation_sets import Case, made, noisy, read
from morlight.training.least_squares.discover import Trajectories, discover

NOISES = (0.0, 0.01, 0.05)


def fitted(case: Case, noise: float) -> dict[str, Any]:
    """What is found in a set with noise, and how far it carries."""
    u, T = case.u, round(0.8 * len(case.times))
    v = noisy(u, noise)
    begin = time.process_time()
    equation = discover(Trajectories(v[:, :T], case.times[:T], case.basis))
    seconds = time.process_time() - begin
    errors, scores, false, missing = [], [], 0, 0
    for own, truth in zip(equation.terms, case.truth, strict=True):
        found = {term.candidate: term for term in own}
        false += len(found.keys() - truth.keys())
        missing += len(truth.keys() - found.keys())
        for candidate in found.keys() & truth.keys():
            errors.append(abs(found[candidate].coefficient / truth[candidate] - 1))
            scores.append((found[candidate].coefficient - truth[candidate]) / found[candidate].standard_error)
    try:
        end = equation.predict(u[:, T - 1], case.times[T - 1 :], case.basis)[:, -1]
        rollout = float((end - u[:, -1]).norm() / u[:, -1].norm())
    except ValueError:
        rollout = math.inf
    return {
        "case": case.name, "noise": noise, "value": max(errors, default=math.inf), "unit": "largest relative error",
        "false_terms": false, "missing_terms": missing, "rollout_error": rollout, "seconds": seconds,
        "largest_score": max((abs(z) for z in scores), default=math.inf), "equation": equation.text,
    }  # fmt: skip


def measure(folder: str | None = None, noises: Sequence[float] = NOISES, only: str = "") -> Iterator[dict[str, Any]]:
    """Every set with every noise."""
    for case in [*(read(Path(folder)) if folder else []), *made()]:
        if only in case.name:
            yield from (fitted(case, noise) for noise in noises)
