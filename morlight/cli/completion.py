"""`morlight completion`: what a shell needs to complete commands, options and keys of configurations."""

import argparse
from collections.abc import Iterable
from typing import Any

SHELLS = ("bash", "zsh", "tcsh")


def add(commands: Any, top: argparse.ArgumentParser, tasks: Iterable[str]) -> None:
    """`morlight completion` of the commands of a parser, of which some take the keys of configurations."""
    these = commands.add_parser("completion", help="words for the tab key: morlight completion bash > FILE")
    these.add_argument("shell", choices=SHELLS)
    these.set_defaults(run=lambda options: _run_completion(options.shell, top, tasks))


def _run_completion(shell: str, whole: argparse.ArgumentParser, tasks: Iterable[str]) -> None:
    import shtab

    from morlight.training.settings import keys

    (commands,) = (action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    words = keys()  # of the configuration: the parser of these commands is Lightning's
    for task in tasks:
        for word, text in words.items():
            commands.choices[task].add_argument(word, help=text.replace("%", "%%"))
    for each in _parsers(whole):
        for action in each._actions:
            _complete(action)
    print(shtab.complete(whole, shell))


def _parsers(top: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    inner = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    return [top, *(found for action in inner for each in action.choices.values() for found in _parsers(each))]


def _complete(action: argparse.Action) -> None:
    """Files where files are expected."""
    import shtab

    named = {"config", "data.path", "checkpoint", "files", "output"} & {action.dest}
    if named or action.metavar == "FILE":
        action.complete = shtab.FILE  # type: ignore[attr-defined]
