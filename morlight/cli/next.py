"""`morlight next`: which run would teach a model most."""

import argparse
from typing import TYPE_CHECKING, Any

from morlight.cli.output import print_json
from morlight.cli.parsing import add_checkpoint, add_json, numbers, pairs

if TYPE_CHECKING:
    from morlight.analysis.next_run.candidates import Candidate
    from morlight.analysis.next_run.result import NextRun, Plan

SHOWN = 20  # candidates


def add(commands: Any) -> None:
    """Add the command to the parser."""
    ask = commands.add_parser("next", help="which run would teach a model most, and how many reach an error bar")
    add_checkpoint(ask)
    ask.add_argument(
        "--data", required=True, metavar="FILE", help="trajectory file of the runs so far, or the name of a shipped set"
    )
    ask.add_argument(
        "--candidates", required=True, nargs="+", metavar="NAME=VALUES",
        help="values of each parameter γ, such as density=0.1,0.5 or density=0.1:1:5 for five numbers from 0.1 to 1,"
        " and optionally seeds=1,2 and frames=21,41; or a table (CSV) with these columns",
    )  # fmt: skip
    ask.add_argument(
        "--target", default="rollout", metavar="NAME",
        help="what is wanted: rollout, the relative error of roll-outs (default); eq35; or a transport coefficient,"
        " such as 'kinematic viscosity'",
    )  # fmt: skip
    ask.add_argument("--at", nargs="+", metavar="NAME=VALUES", help="γ of interest (default: those of the candidates)")
    ask.add_argument("--bar", type=float, metavar="ERROR", help="say how many runs are expected to reach this error")
    ask.add_argument(
        "--realizations", nargs="+", default=["all"], metavar="WHICH", help="all (default), or numbers from 0"
    )
    add_json(ask)
    ask.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from morlight.tracking.checkpoints import resolve

    words = options.candidates
    asked = words[0] if len(words) == 1 and "=" not in words[0] else pairs("--candidates", words, str)
    at = pairs("--at", options.at, str) or None
    chosen = "all" if options.realizations == ["all"] else numbers("--realizations", options.realizations, "all")
    checkpoint = resolve(options.checkpoint)
    from morlight.analysis.model import load
    from morlight.analysis.next_run.next_run import next_run

    found = next_run(
        load(checkpoint), options.data, asked, target=options.target, at=at, bar=options.bar, realizations=chosen
    )
    if options.json:
        print_json(found.to_json())
    else:
        _print(found)


def _print(found: "NextRun") -> None:
    of = {"rollout": "roll-outs", "eq35": "Eq. 35 (its root)"}.get(found.target, found.target)
    where = "1 γ" if len(found.at) == 1 else f"{len(found.at)} γ"
    unit = "" if found.unit == "relative" else f" {found.unit}"
    print(f"{found.checkpoint} and the runs in {found.data}")
    print(f"expected error of {of} at {where}: {found.error:.3g}{unit}")
    names = list(found.best.gamma)
    print("".join(f"{name:>14}" for name in [*names, "seeds", "frames", "error then", "drop"]))
    for each in found.ranking[:SHOWN]:
        run = each.candidate
        gamma = "".join(f"{run.gamma[name]:>14.4g}" for name in names)
        outside = "  outside the training data" if each.outside else ""
        print(f"{gamma}{run.seeds:>14}{run.frames:>14}{each.error:>14.3g}{100 * each.drop:>12.0f} %{outside}")
    if len(found.ranking) > SHOWN:
        print(f"and {len(found.ranking) - SHOWN} others, which --json lists")
    if found.plan is not None:
        print(_plan(found.plan))


def _plan(plan: "Plan") -> str:
    if not plan.runs:
        return f"the error is expected to be below {plan.bar:g} already"
    if plan.count is None:
        return f"{plan.bar:g} is not expected to be reached: {plan.errors[-1]:.3g} after {len(plan.runs)} of the best"
    count = "1 run" if plan.count == 1 else f"{plan.count} runs"
    return f"{count} to {plan.bar:g}: {'; '.join(map(_name, plan.runs))}"


def _name(run: "Candidate") -> str:
    seeds = "" if run.seeds == 1 else f" with {run.seeds} seeds"
    return ", ".join(f"{name}={value:.4g}" for name, value in run.gamma.items()) + seeds
