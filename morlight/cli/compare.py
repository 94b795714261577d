"""`morlight compare`: the runs of an experiment, the best first."""

import argparse
from typing import Any

from morlight.cli.output import print_json
from morlight.cli.parsing import add_json


def add(commands: Any) -> None:
    """Add the command to the parser."""
    compare = commands.add_parser("compare", help="runs of an experiment, the best first")
    compare.add_argument("experiment", nargs="?", default="morlight", help="MLflow experiment (default morlight)")
    compare.add_argument(
        "--by", metavar="METRIC",
        help="metric to rank by (default: objective, else an error, else the loss); NAME stands for NAME/median",
    )  # fmt: skip
    compare.add_argument("--largest", action="store_true", help="the largest value is the best")
    add_json(compare)
    compare.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from morlight.tracking.leaderboard import leaderboard, lines

    board = leaderboard(options.experiment, options.by, largest=options.largest)
    if options.json:
        print_json(board)
    else:
        print(lines(board))
