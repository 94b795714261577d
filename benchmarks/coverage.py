"""How often the error bars of `morlight discover` contain the true coefficients, over independent draws of the noise.

    python -m benchmarks.coverage [--draws 300] [--noise 0.01] [--only NAME]

Each draw adds new Gaussian noise to the same fields. One JSON line for each coefficient: the fraction of 68 % and 95 %
intervals that contain the truth, with the binomial standard error; the bias in standard errors; and the ratio of the
actual scatter to the stated standard error. Draws with false or missing terms are counted apart.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from tqdm import tqdm

from benchmarks.equation_sets import Case, fisher_kpp, noisy, two_burgers
from morlight.operators.library import Candidate
from morlight.training.least_squares.discover import Trajectories, discover

Measure = Callable[[int, float, str], Iterator[dict[str, Any]]]
SETS = {"Burgers": two_burgers, "Fisher-KPP": fisher_kpp}
NORMAL = {0.68: 0.994458, 0.95: 1.959964}  # standard deviations within which a share of normal numbers lies


def scores(case: Case, noise: float, seed: int) -> dict[Candidate, float] | None:
    """(estimate − truth) / standard error of each true term; None where the terms are wrong."""
    equation = discover(Trajectories(noisy(case.u, noise, seed), case.times, case.basis))
    found = {term.candidate: term for term in equation.terms[0]}
    (truth,) = case.truth
    if found.keys() != truth.keys():
        return None
    return {each: (found[each].coefficient - truth[each]) / found[each].standard_error for each in truth}


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Coverage, bias and scatter of scores."""
    z = torch.tensor(values, dtype=torch.float64)
    result: dict[str, Any] = {}
    for share, reach in NORMAL.items():
        inside = float((z.abs() < reach).double().mean())
        result |= {f"coverage_{share:g}": inside, f"coverage_{share:g}_sd": math.sqrt(share * (1 - share) / len(z))}
    return result | {"bias": float(z.mean()), "bias_sd": float(z.std()) / math.sqrt(len(z)), "scatter": float(z.std())}


def cases(only: str = "") -> Iterator[tuple[str, Case]]:
    """The sets without noise."""
    for number, (name, make) in enumerate(SETS.items()):
        if only in name:
            yield name, make(torch.Generator().manual_seed(number))


def measure(draws: int, noise: float, only: str = "") -> Iterator[dict[str, Any]]:
    """Every coefficient of every set."""
    for name, case in cases(only):
        known: dict[Candidate, list[float]] = {}
        wrong = 0
        for seed in tqdm(range(draws), name, leave=False):
            found = scores(case, noise, seed)
            wrong += found is None
            for candidate, score in (found or {}).items():
                known.setdefault(candidate, []).append(score)
        for candidate, values in known.items():
            term = f"{candidate.derivative} {candidate.exponents}"
            yield {"case": name, "noise": noise, "term": term, "draws": draws, "wrong_terms": wrong, **summary(values)}


def run(name: str, description: str | None, measure: Measure, draws: int) -> None:
    """Print the results of the command line `python -m benchmarks.NAME`, one JSON object a line."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument("--draws", type=int, default=draws, help="of the noise, for each set")
    parser.add_argument("--noise", type=float, default=0.01, help="share of the rms")
    parser.add_argument("--only", default="", help="part of the name of the sets")
    options = parser.parse_args()
    for result in measure(options.draws, options.noise, options.only):
        print(json.dumps({"benchmark": name, **result}), flush=True)


if __name__ == "__main__":
    run("coverage", __doc__, measure, draws=300)
