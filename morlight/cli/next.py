"""`morlight next`: which further run lowers the expected error of a model most."""

import argparse
from collections import Counter
from typing import TYPE_CHECKING, Any

from morlight.cli.output import print_json, warnings_as_sentences
from morlight.cli.parsing import add_checkpoint, add_json, numbers, pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from morlight.analysis.next_run.candidates import Candidate
    from morlight.analysis.next_run.result import NextRun, Plan, Ranked

SHOWN = 20  # candidates


def add(commands: Any) -> None:
    """Add the command to the parser."""
    ask = commands.add_parser(
        "next", help="which further run lowers the error of a model most, and how many runs reach a target error"
    )
    add_checkpoint(ask)
    ask.add_argument(
        "--data", required=True, metavar="FILE", help="trajectory file of the runs so far, or the name of a shipped set"
    )
    ask.add_argument(
        "--candidates", required=True, nargs="+", metavar="NAME=VALUES",
        help="values of each parameter γ, such as density=0.1,0.5 or density=0.1:1:5 for five numbers from 0.1 to 1,"
        " and optionally seeds=1,2, frames=21,41 and cells=10,20; or a table (CSV) with these columns",
    )  # fmt: skip
    ask.add_argument(
        "--target", default="rollout", metavar="NAME",
        help="what is wanted: rollout, the relative error of roll-outs (default); eq35; or a transport coefficient,"
        " such as 'kinematic viscosity'",
    )  # fmt: skip
    ask.add_argument("--at", nargs="+", metavar="NAME=VALUES", help="γ of interest (default: those of the candidates)")
    ask.add_argument(
        "--bar", type=float, metavar="ERROR", help="target error; say how many runs are expected to reach it"
    )
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
    from morlight.analysis.extrapolation import Extrapolation
    from morlight.analysis.model import load
    from morlight.analysis.next_run.next_run import next_run

    with warnings_as_sentences(Extrapolation):
        found = next_run(
            load(checkpoint), options.data, asked, target=options.target, at=at, bar=options.bar, realizations=chosen
        )
    if options.json:
        print_json(found.to_json())
    else:
        print(f"{options.checkpoint} and the runs in {options.data}")
        _print(found)


def _print(found: "NextRun") -> None:
    of = {"rollout": "roll-outs", "eq35": "Eq. 35 (its root)"}.get(found.target, found.target)
    where = "1 γ" if len(found.at) == 1 else f"{len(found.at)} γ"
    unit = "" if found.unit == "relative" else f" {found.unit}"
    print(f"expected error of {of} at {where}: {found.error:.3g}{unit}")
    if found.diverging:
        which = ", ".join(map(str, found.diverging))
        print(f"left out: {which}, realizations whose roll-outs diverge")
    names = list(found.best.gamma)
    unequal = len({each.candidate.cost for each in found.ranking}) > 1  # the ranking is then not that of the drop
    per_frame = ["drop/frame"] if unequal else []
    matter = found.remark is None  # otherwise candidates that differ in their cells alone are one
    cells = ["cells"] if matter and any(each.candidate.cells for each in found.ranking) else []
    ranking = found.ranking if matter else _once(found.ranking)
    print("".join(f"{name:>14}" for name in [*names, "seeds", "frames", *cells, "error then", "drop", *per_frame]))
    for each in ranking[:SHOWN]:
        run = each.candidate
        gamma = "".join(f"{run.gamma[name]:>14.4g}" for name in names)
        outside = "  outside the training data" if each.outside else ""
        last = f"{100 * each.drop_per_frame:>12.2g} %" if unequal else ""
        counts = f"{run.seeds:>14}{run.frames:>14}" + (f"{run.cells:>14}" if cells else "")
        print(f"{gamma}{counts}{each.error:>14.3g}{100 * each.drop:>12.0f} %{last}{outside}")
    if len(ranking) > SHOWN:
        print(f"and {len(ranking) - SHOWN} others, which --json lists")
    if found.remark is not None:
        print(found.remark)
    if found.plan is not None:
        print(_plan(found.plan, cells=matter))


def _once(ranking: "Sequence[Ranked]") -> "list[Ranked]":
    """The first of the candidates that differ in their cells alone."""
    kept: dict[tuple[object, ...], Ranked] = {}
    for each in ranking:
        run = each.candidate
        kept.setdefault((*run.gamma.values(), run.seeds, run.frames), each)
    return list(kept.values())


def _plan(plan: "Plan", *, cells: bool) -> str:
    if not plan.runs:
        return f"the error is expected to be below {plan.bar:g} already"
    if plan.count is None:
        return f"{plan.bar:g} is not expected to be reached: {plan.errors[-1]:.3g} after {len(plan.runs)} of the best"
    count = "1 run" if plan.count == 1 else f"{plan.count} runs"
    frames = len({run.frames for run in plan.runs}) > 1
    cells = cells and len({run.cells for run in plan.runs}) > 1
    runs: Counter[str] = Counter()
    for run in plan.runs:
        runs[_name(run, frames=frames, cells=cells)] += run.seeds
    return f"{count} to {plan.bar:g}: {'; '.join(f'{name} × {n}' if n > 1 else name for name, n in runs.items())}"


def _name(run: "Candidate", *, frames: bool, cells: bool) -> str:
    named = ", ".join(f"{name}={value:.4g}" for name, value in run.gamma.items())
    counts = [f"{run.frames} frames"] * frames + [f"{run.cells} cells"] * cells
    return f"{named} with {' and '.join(counts)}" if counts else named
