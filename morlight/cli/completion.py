"""`morlight completion`: what a shell needs to complete commands, options and keys of configurations."""

import argparse
from collections.abc import Iterable
from typing import Any

SHELLS = ("bash", "zsh", "tcsh")


def add(commands: Any, top: argparse.ArgumentParser, tasks: Iterable[str]) -> None:
    """Add the command to the parser `top`, some of whose commands (`tasks`) take the keys of configurations."""
    completion = commands.add_parser("completion", help="words for the tab key: morlight completion bash > FILE")
    completion.add_argument("shell", choices=SHELLS, help="shell that the words are for")
    completion.set_defaults(run=lambda options: _run(options.shell, top, tasks))


def _run(shell: str, top: argparse.ArgumentParser, tasks: Iterable[str]) -> None:
    import shtab

    from morlight.training.options import keys

    (commands,) = (action for action in top._actions if isinstance(action, argparse._SubParsersAction))
    options = keys()  # of the configuration: the parser of these commands is Lightning's
    for task in tasks:
        for option, meaning in options.items():
            commands.choices[task].add_argument(option, help=meaning.replace("%", "%%"))
    for parser in _parsers(top):
        for action in parser._actions:
            _complete_files(action)
    print(shtab.complete(top, shell))


def _parsers(top: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    nested = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    return [top, *(parser for action in nested for inner in action.choices.values() for parser in _parsers(inner))]


def _complete_files(action: argparse.Action) -> None:
    """Let the shell offer files where files are expected."""
    import shtab

    if action.dest in ("config", "data.path", "checkpoint", "files", "output") or action.metavar == "FILE":
        action.complete = shtab.FILE  # type: ignore[attr-defined]
