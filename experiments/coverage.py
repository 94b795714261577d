"""How often error bars contain the truth: walkers on a line, and equations found in fields with noise.

    python -m experiments.coverage RESULTS.jsonl [--sets 300] [--only NAME] [--figure FILE]

makes independent data sets of each case, learns from each as `morlight fit` and `morlight discover` do, and writes one
line for each set. A second call continues where the first one stopped, and prints, for each number, the fraction of
intervals of one and two standard errors that contain the truth, with the binomial standard error, the bias in standard
errors, and the ratio of the actual to the stated scatter.
"""

import argparse
import itertools
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.equation_sets import fisher_kpp, two_burgers
from experiments.coverage_figure import draw
from experiments.support import json_lines
from experiments.support.intervals import LENGTHS, NORMAL, Case
from experiments.support.noisy_equations import NoisyEquation
from experiments.support.tables import table
from experiments.support.walkers_on_a_line import LineOfWalkers

CASES: dict[str, Case] = {
    "Brownian": LineOfWalkers(alpha=2.0, dt=0.01),
    "Lévy 1.2": LineOfWalkers(alpha=1.2, dt=0.02),
    "Lévy 1.5": LineOfWalkers(alpha=1.5, dt=0.02),
    "Lévy 1.8": LineOfWalkers(alpha=1.8, dt=0.01),
    "drift": LineOfWalkers(alpha=2.0, dt=0.01, drift=1.0),
    "Burgers": NoisyEquation(two_burgers, noise=0.01),
    "Fisher-KPP": NoisyEquation(fisher_kpp, noise=0.01),
}


def run(results: Path, sets: int, only: str) -> None:
    """Learn from all sets that are not in the results yet; a set that was interrupted is done again."""
    done = {(line["case"], line["seed"]) for line in json_lines.read(results)}
    with tempfile.TemporaryDirectory() as folder:
        for seed, (number, (name, case)) in itertools.product(range(sets), enumerate(CASES.items())):
            if only not in name or (name, seed) in done:
                continue
            estimates, rollouts = case.measured(1000 * seed + number, Path(folder))
            line = {"case": name, "seed": seed, "estimates": [vars(each) for each in estimates], "rollouts": rollouts}
            json_lines.append(results, line)


def summary(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Coverage, bias and scatter of one number over the sets."""
    value, error, truth = (np.array([each[key] for each in values]) for key in ("value", "error", "truth"))
    z = (value - truth) / error
    found = {f"coverage_{share:g}": float((abs(z) < reach).mean()) for share, reach in NORMAL.items()}
    return found | {"sets": len(z), "bias": float(z.mean()), "ratio": float(z.std())}


def summaries(lines: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Case, number and summary of everything that most of the sets have, and of all cases together."""
    for case in CASES:
        own = [line["estimates"] for line in lines if line["case"] == case]
        names = dict.fromkeys(each["name"] for line in own for each in line)
        for name in names:
            values = [each for line in own for each in line if each["name"] == name]
            if len(values) > len(own) / 2:
                yield case, name, summary(values)
    everything = [each for line in lines for each in line["estimates"]]
    for kind in ("c", "α", "Re G", "Im G"):
        values = [each for each in everything if each["name"].split("(")[0] == kind]
        if values:
            yield "all", kind, summary(values)


def report(lines: Sequence[Mapping[str, Any]]) -> str:
    """A table of the coverage of each number."""
    rows = []
    for case, name, found in summaries(lines):
        n = found["sets"]
        within = [f"{100 * found[f'coverage_{p:g}']:.1f}({100 * math.sqrt(p * (1 - p) / n):.1f}) %" for p in NORMAL]
        rows.append(
            [case, name, f"{n:.0f}", *within, f"{found['bias']:.2f}({1 / math.sqrt(n):.2f})", f"{found['ratio']:.2f}"]
        )
    return table(["case", "number", "sets", "68 % interval", "95 % interval", "bias", "actual / stated scatter"], rows)


def rollout_report(lines: Sequence[Mapping[str, Any]]) -> str:
    """A table of the coverage of roll-outs; points of one roll-out are correlated, and sets are not."""
    rows = []
    for case, length in itertools.product(CASES, LENGTHS):
        own = [each for line in lines if line["case"] == case for each in line["rollouts"] if each["length"] == length]
        within = [np.array([each[f"coverage_{p:g}"] for each in own]) for p in NORMAL]
        if own:
            shares = [f"{100 * p.mean():.1f}({100 * p.std() / math.sqrt(len(p)):.1f}) %" for p in within]
            error, sd = (math.sqrt(np.mean([each[key] ** 2 for each in own])) for key in ("error", "sd"))
            rows.append([case, f"{length:g}", str(len(own)), *shares, f"{error:.1e}", f"{sd:.1e}"])
    return table(["case", "length", "sets", "68 % interval", "95 % interval", "rms error", "rms standard error"], rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Continue the study, and print its table."""
    parser = argparse.ArgumentParser(prog="python -m experiments.coverage", description=__doc__)
    parser.add_argument("results", type=Path, help="JSON lines, which are continued")
    parser.add_argument("--sets", type=int, default=300, help="data sets of each case")
    parser.add_argument("--only", default="", help="part of the name of the cases")
    parser.add_argument("--figure", type=Path, help="where to write a figure of the coverage")
    options = parser.parse_args(arguments)
    run(options.results, options.sets, options.only)
    lines = json_lines.read(options.results)
    print(report(lines), rollout_report(lines), sep="\n\n")
    if options.figure is not None:
        draw(options.figure, list(summaries(lines)))


if __name__ == "__main__":
    main()
