"""The command line. Parses here; torch, Lightning and MLflow are imported by the subcommand that needs them."""

import itertools
import sys
from collections.abc import Sequence

from morlight import __version__
from morlight.cli import completion, data, deposit, doctor, export, models, simulate, sweep
from morlight.cli import ui as store
from morlight.cli.parsing import BadInput, Parser

TASKS = {
    "fit": "learn an operator from a trajectory file; --config FILE --key value …",
    "validate": "loss of a checkpoint on the validation trajectories",
    "test": "loss of a checkpoint on the test trajectories",
}


def parser() -> Parser:
    """All subcommands and their options."""
    top = Parser(prog="morlight", description="Learn continuum models from particle and molecular data.")
    top.add_argument("--version", action="version", version=f"morlight {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    simulate.add(commands)
    deposit.add(commands)
    data.add(commands)
    doctor.add(commands)
    for task, text in TASKS.items():
        commands.add_parser(task, help=text, add_help=False)
    models.add(commands)
    sweep.add(commands)
    export.add(commands)
    store.add(commands)
    completion.add(commands, top, TASKS)
    return top


def _run_task(task: str, arguments: Sequence[str]) -> None:
    from jsonargparse import ArgumentError
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    from morlight.training.fit import main

    arguments = _repeated(arguments)
    try:
        main(task, arguments)
    except (ArgumentError, MisconfigurationException) as error:
        words = list(itertools.pairwise(arguments))
        files = [value for word, value in words if word in ("-c", "--config")]
        raise BadInput(": ".join([*files, " ".join(str(error).split())])) from error


def _repeated(arguments: Sequence[str]) -> list[str]:
    """The words with the configuration of a run in place of --config runs:/ID."""
    from morlight.tracking.store import resolve

    def file(word: str) -> str:
        return str(resolve(f"{word}/config.yaml")) if word.startswith("runs:/") else word

    words = list(arguments)
    for i, word in enumerate(words):
        if word.startswith("--config="):
            words[i] = f"--config={file(word.removeprefix('--config='))}"
        elif i and words[i - 1] in ("-c", "--config"):
            words[i] = file(word)
    return words


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `morlight`: status 0 on success, 2 on bad input, 1 where a computation failed."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words and words[0] in TASKS:
            _run_task(words[0], words[1:])
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
