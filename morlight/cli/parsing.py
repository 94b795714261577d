"""What the subcommands share: bad input in a sentence, the parser that speaks it, words and numbers read and told."""

import argparse
import math
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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


def numbers(flag: str, words: Sequence[str], others: str) -> list[int]:
    """Whole numbers, where words that mean something else were no answer."""
    try:
        return [number(word) for word in words]
    except ValueError as error:
        raise BadInput(f"{flag} is '{' '.join(words)}', expected numbers from 0, or one of: {others}") from error


@contextmanager
def told(category: type[Warning]) -> Iterator[None]:
    """Warnings of a kind as sentences on standard error, once each."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", category)
        others = warnings.showwarning
        said: set[str] = set()

        def show(message: Any, kind: Any, *where: Any, **more: Any) -> None:
            if not issubclass(kind, category):
                others(message, kind, *where, **more)
            elif str(message) not in said:
                said.add(str(message))
                print(f"morlight: warning: {message}", file=sys.stderr)

        warnings.showwarning = show  # type: ignore[assignment]
        yield


def plain(value: Any) -> Any:
    """Infinite and undefined numbers as null: JSON knows neither."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
