"""The command line. Parses here; torch, Lightning and MLflow are imported by the subcommand that needs them."""

import sys
from collections.abc import Sequence

from morlight import __version__
from morlight.cli import (
    check,
    compare,
    completion,
    convert,
    data,
    deposit,
    discover,
    doctor,
    evaluate,
    export,
    fit,
    inspect,
    leftovers,
    next,
    predict,
    simulate,
    suggest,
    sweep,
    ui,
)
from morlight.cli.endings import START_AGAIN, exit_status
from morlight.cli.parsing import Parser


def parser() -> Parser:
    """All subcommands and their options."""
    top = Parser(prog="morlight", description="Learn continuum models from particle and molecular data.")
    top.add_argument("--version", action="version", version=f"morlight {__version__}")
    top.set_defaults(how_to_go_on=START_AGAIN)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    simulate.add(commands)
    convert.add(commands)
    deposit.add(commands)
    data.add(commands)
    doctor.add(commands)
    for task, text in fit.TASKS.items():
        commands.add_parser(task, help=text, add_help=False)
    for command in (suggest, discover, predict, evaluate, inspect, check, next, sweep, compare, export, leftovers, ui):
        command.add(commands)
    completion.add(commands, top, fit.TASKS)
    return top


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `morlight`.

    Exit status 0 on success, 2 on bad input, 1 where a computation failed, 130 after Ctrl-C, 143 after SIGTERM.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in fit.TASKS:
        with exit_status(words[0]):
            fit.run(words[0], words[1:])
        return
    with exit_status("morlight"):
        options = parser().parse_args(words)
    with exit_status(options.command, options.how_to_go_on):
        options.run(options)
