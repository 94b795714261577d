"""The parser of every command, and the values that their options take."""

import argparse
import difflib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, TypeVar

Value = TypeVar("Value")

CHECKPOINT = "a path, runs:/ID, or models:/NAME@ALIAS"


class BadInput(Exception):
    """A sentence for the user; ends the program with status 2."""


class Parser(argparse.ArgumentParser):
    """Reports what is wrong with the arguments in one sentence, with the closest match to a mistyped word."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        separator = " See" if message.endswith("?") else "; see"
        raise BadInput(f"{message}{separator} `{self.prog} --help`")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse an unknown option before anything else is said to be missing.

        Raises:
            BadInput: one sentence.
        """
        if args is not None and not any(isinstance(action, argparse._SubParsersAction) for action in self._actions):
            self._refuse_unknown_options(args)
        return super().parse_known_args(args, namespace)

    def _refuse_unknown_options(self, words: Sequence[str]) -> None:
        options = [option for option in self._option_string_actions if option.startswith("--")]
        for word in words:
            name = word.partition("=")[0]
            if name == "--":
                return
            if name.startswith("--") and not any(option.startswith(name) for option in options):
                self.error(f"{name} is not an option of `{self.prog}`{suggestion(name, options)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that is not one of the choices."""
        if action.choices is None or value in action.choices:
            return
        name = action.option_strings[-1] if action.option_strings else str(action.metavar or action.dest)
        choices = [str(choice) for choice in action.choices]
        match = suggestion(str(value), choices)
        self.error(f"{name} is '{value}', expected one of {', '.join(choices)}{match}")


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean …?` with the known word closest to a mistyped one; empty if none is close."""
    closest = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {closest[0]}?" if closest else ""


def add_checkpoint(command: argparse.ArgumentParser) -> None:
    """The argument that names a checkpoint."""
    command.add_argument("checkpoint", metavar="CHECKPOINT", help=CHECKPOINT)


def add_json(command: argparse.ArgumentParser) -> None:
    """The option for output that programs read."""
    command.add_argument("--json", action="store_true", help="one JSON object on standard output")


def number(text: str) -> int:
    """A whole number; underscores may separate its digits."""
    return int(text.replace("_", ""))


def seed_of_noise(options: argparse.Namespace) -> int:
    """The seed of an ensemble, 0 by default.

    Raises:
        BadInput: if there is a seed and no ensemble.
    """
    if options.seed is not None and not options.fluctuations:
        raise BadInput(f"--seed is {options.seed} without noise, expected --fluctuations MEMBERS above 0 as well")
    return options.seed or 0


def numbers(flag: str, words: Sequence[str], alternatives: str) -> list[int]:
    """Whole numbers given to an option that also takes some words (`alternatives`), none of which was given.

    Raises:
        BadInput: naming the option and what it takes.
    """
    try:
        return [number(word) for word in words]
    except ValueError as error:
        raise BadInput(f"{flag} is '{' '.join(words)}', expected numbers from 0, or one of: {alternatives}") from error


def pairs(flag: str, words: Sequence[str] | None, read: Callable[[str], Value]) -> dict[str, Value]:
    """NAME=VALUE words as a mapping.

    Raises:
        BadInput: naming the option and the word that is not of this form.
    """
    mapping: dict[str, Value] = {}
    for word in words or []:
        name, equals, value = word.partition("=")
        try:
            if not (name and equals and value):
                raise ValueError
            read_value = read(value)
        except ValueError as error:
            raise BadInput(f"{flag} has '{word}', expected NAME=VALUE") from error
        if name in mapping:
            raise BadInput(f"{flag} has {name} twice, expected each once")
        mapping[name] = read_value
    return mapping


def without_nonfinite(value: Any) -> Any:
    """The value with infinite and undefined numbers replaced by None, since JSON has neither."""
    if isinstance(value, dict):
        return {key: without_nonfinite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nonfinite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
