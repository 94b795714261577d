"""The command line. Parses here; torch, Lightning and MLflow are imported by the subcommand that needs them."""

import itertools
import sys
from collections.abc import Sequence

from morlight import __version__
from morlight.cli import (
    check,
    compare,
    completion,
    data,
    deposit,
    evaluate,
    export,
    inspect,
    predict,
    simulate,
    sweep,
    ui,
)
from morlight.cli.endings import INTERRUPTED, START_AGAIN, TERMINATED, exit_now, exit_status
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
    top.set_defaults(how_to_go_on=START_AGAIN)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    simulate.add(commands)
    deposit.add(commands)
    data.add(commands)
    for task, text in TASKS.items():
        commands.add_parser(task, help=text, add_help=False)
    for command in (predict, evaluate, inspect, check, sweep, compare, export, ui):
        command.add(commands)
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
    from morlight.tracking.checkpoints import resolve

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
    """Entry point of `morlight`.

    Exit status 0 on success, 2 on bad input, 1 where a computation failed, 130 after Ctrl-C, 143 after SIGTERM.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in TASKS:
        with exit_status(words[0]):
            _run_task(words[0], words[1:])
        return
    with exit_status("morlight"):
        options = parser().parse_args(words)
    with exit_status(options.command, options.how_to_go_on):
        options.run(options)


def program() -> None:
    """Run `main` as a program of its own: the exit status after a signal is right whenever the signal comes."""
    try:
        main()
    except SystemExit as end:
        if end.code in (INTERRUPTED, TERMINATED):
            exit_now(end.code)
        raise
