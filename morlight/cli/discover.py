"""`morlight discover`: the equation of the fields in a trajectory file."""

import argparse
from typing import Any

from morlight.cli.output import print_json
from morlight.cli.parsing import add_json, number, pairs


def add(commands: Any) -> None:
    """Add the command to the parser."""
    these = commands.add_parser(
        "discover", help="the equation of the fields in a trajectory file, with standard errors"
    )
    these.add_argument("data", metavar="FILE", help="trajectory file, or the name of a shipped set")
    these.add_argument("--fields", metavar="FIELD,…", help="fields that the equation couples (default: all)")
    these.add_argument("--where", nargs="+", metavar="NAME=VALUE", help="trajectories with these values of γ")
    these.add_argument("--wall", choices=("cosine", "sine"), default="cosine", help="basis between walls")
    these.add_argument("--degree", type=number, default=3, help="largest total power of the fields (default 3)")
    these.add_argument("--order", type=number, default=4, help="largest order of the derivatives (default 4)")
    these.add_argument(
        "--parameter-degree", type=number, default=1, metavar="N",
        help="largest total power of the parameters in which trajectories differ (default 1)",
    )  # fmt: skip
    these.add_argument("--fractional", action="store_true", help="also try −(−Δ)^(α/2) of each field, with α estimated")
    these.add_argument("--latex", action="store_true", help="print the equation in LaTeX")
    add_json(these)
    these.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from morlight.training.discovery import discover

    equation = discover(
        options.data,
        fields=options.fields.split(",") if options.fields else None,
        where=pairs("--where", options.where, float),
        wall=options.wall,
        degree=options.degree,
        order=options.order,
        parameter_degree=options.parameter_degree,
        fractional=options.fractional,
    )
    if options.json:
        print_json({"data": str(options.data), **equation.to_json()})
    elif options.latex:
        print(equation.latex or equation.summary())
    else:
        print(equation.summary())
