"""The command line. Parses here; torch, Lightning and MLflow are imported by the subcommand that needs them."""

import sys
from collections.abc import Sequence

from morlight import __version__
from morlight.cli import completion, data, deposit, export, fit, models, simulate, sweep
from morlight.cli import ui as store
from morlight.cli.parsing import BadInput, Parser


def parser() -> Parser:
    """All subcommands and their options."""
    top = Parser(prog="morlight", description="Learn continuum models from particle and molecular data.")
    top.add_argument("--version", action="version", version=f"morlight {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    simulate.add(commands)
    deposit.add(commands)
    data.add(commands)
    for task, text in fit.TASKS.items():
        commands.add_parser(task, help=text, add_help=False)
    models.add(commands)
    sweep.add(commands)
    export.add(commands)
    store.add(commands)
    completion.add(commands, top, fit.TASKS)
    return top


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `morlight`: status 0 on success, 2 on bad input, 1 where a computation failed."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words and words[0] in fit.TASKS:
            fit.run(words[0], words[1:])
        else:
            options = parser().parse_args(words)
            options.run(options)
    except (BadInput, ValueError) as error:
        print(f"morlight: {error}", file=sys.stderr)
        sys.exit(2)
    except FloatingPointError as error:
        print(f"morlight: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt as error:
        print(f"morlight: {error or 'interrupted'}", file=sys.stderr)
        sys.exit(130)
