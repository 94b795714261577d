"""`morlight sweep` and `morlight compare`: many fits, and which of them is best."""

import argparse
import json
import os
from typing import Any

from morlight.cli.parsing import number, plain


def add(commands: Any) -> None:
    """Both of them."""
    _sweep(commands)
    _compare(commands)


def _sweep(commands: Any) -> None:
    sweep = commands.add_parser(
        "sweep", help="search hyper-parameters; the same command again joins or continues the study"
    )
    sweep.add_argument(
        "--config",
        required=True,
        metavar="FILE_OR_NAME",
        help="YAML with base, space and objective, or a packaged one such as sweeps/brownian",
    )
    sweep.add_argument("--trials", type=number, help="trials to finish, all workers together")
    sweep.add_argument("--workers", type=number, help="processes on this machine (default 1)")
    sweep.add_argument(
        "--storage", metavar="URL",
        help="sqlite:///FILE, journal:///FILE or postgresql://USER@HOST/DATABASE (default: a journal in mlruns/sweeps)",
    )  # fmt: skip
    sweep.add_argument("--name", help="of the study (default: that of the file)")
    sweep.add_argument("--sampler", help="gp, tpe, random or grid")
    sweep.add_argument("--pruner", help="none, median, hyperband or halving")
    sweep.add_argument("--register", metavar="MODEL", help="register the best trial under this name, alias best")
    sweep.add_argument("--json", action="store_true", help="one JSON object on standard output")
    sweep.set_defaults(run=_run_sweep)


def _run_sweep(options: argparse.Namespace) -> None:
    from morlight.sweep.plan import Plan
    from morlight.training.configurations import located

    words = ("trials", "workers", "storage", "name", "sampler", "pruner", "register")
    plan = Plan.read(located(options.config), **{word: getattr(options, word) for word in words})
    from morlight.sweep.run import run
    from morlight.sweep.summary import lines, summary

    found = summary(plan, run(plan))
    if options.json:
        print(json.dumps(found, allow_nan=False))
    elif "MORLIGHT_WORKER" not in os.environ:  # the command that started this one tells
        print(lines(found))


def _compare(commands: Any) -> None:
    compare = commands.add_parser("compare", help="runs of an experiment, the best first")
    compare.add_argument("experiment", nargs="?", default="morlight", help="of MLflow (default morlight)")
    compare.add_argument(
        "--by", metavar="METRIC",
        help="what to judge by (default: objective, else the paper's errors, else the loss); NAME for NAME/median",
    )  # fmt: skip
    compare.add_argument("--largest", action="store_true", help="the largest value is the best")
    compare.add_argument("--json", action="store_true", help="one JSON object on standard output")
    compare.set_defaults(run=_run_compare)


def _run_compare(options: argparse.Namespace) -> None:
    from morlight.tracking.leaderboard import leaderboard, lines

    board = leaderboard(options.experiment, options.by, largest=options.largest)
    print(json.dumps(plain(board), allow_nan=False) if options.json else lines(board))
