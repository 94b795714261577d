"""What the subcommands share: bad input in a sentence, the parser that speaks it, words and numbers read and told."""

import argparse
import math
from collections.abc import Sequence
from typing import Any


class BadInput(Exception):
    """A sentence for the person at the keyboard; ends the program with status 2."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one sentence, without the usage before it."""

    def error(self, message: str) -> Any:
        """End with status 2."""
        raise BadInput(f"{message}; see `{self.prog} --help`")


def number(text: str) -> int:
    """A whole number, with underscores between its digits where one likes."""
    return int(text.replace("_", ""))


def pairs(flag: str, words: Sequence[str] | None, read: Any) -> dict[str, Any]:
    """NAME=VALUE as a mapping."""
    found = {}
    for word in words or []:
        name, equals, value = word.partition("=")
        try:
            if not (name and equals):
                raise ValueError
            found[name] = read(value)
        except ValueError as error:
            raise BadInput(f"{flag} has '{word}', expected NAME=VALUE") from error
    return found


def plain(value: Any) -> Any:
    """Infinite and undefined numbers as null: JSON knows neither."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
