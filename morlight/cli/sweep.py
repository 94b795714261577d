"""`morlight sweep`: search hyperparameters by many fits."""

import argparse
import os
from typing import Any

from morlight.cli.output import print_json
from morlight.cli.parsing import add_json, number

OVERRIDES = ("trials", "workers", "storage", "name", "sampler", "pruner", "register")


def add(commands: Any) -> None:
    """Add the command to the parser."""
    sweep = commands.add_parser(
        "sweep", help="search hyperparameters; the same command again joins or continues the study"
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
    sweep.add_argument("--name", help="name of the study (default: that of the file)")
    sweep.add_argument("--sampler", help="gp, tpe, random or grid")
    sweep.add_argument("--pruner", help="none, median, hyperband or halving")
    sweep.add_argument("--register", metavar="MODEL", help="register the best trial under this name, alias best")
    add_json(sweep)
    sweep.set_defaults(run=_run, how_to_go_on="the same command continues the sweep")


def _run(options: argparse.Namespace) -> None:
    from morlight.sweep.orphan import end_with_parent

    end_with_parent()  # before seconds of imports
    from morlight.sweep.plan import Plan
    from morlight.training.configurations import located

    plan = Plan.read(located(options.config), **{name: getattr(options, name) for name in OVERRIDES})
    from morlight.sweep.run import run
    from morlight.sweep.summary import lines, summary

    result = summary(plan, run(plan))
    if options.json:
        print_json(result)
    elif "MORLIGHT_WORKER" not in os.environ:  # the command that started this worker prints the result
        print(lines(result))
