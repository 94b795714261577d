"""The complaints of jsonargparse about the settings of a fit as one plain sentence: key, value, expectation."""

import difflib
import re
import types
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import yaml

VALUE = re.compile(r'Parser key "([\w.]+)":.*?(?:Got|Given) value: ?(.*)')
INNER = re.compile(r'Parser key "([\w.]+)":.*Given value: ?(.*)')
GROUP = re.compile(r'Parser key "([\w.]+)": Unable to load config (.*?) - ')
UNKNOWN = (
    re.compile(r"unrecognized arguments: (?:--)?(?P<key>[^\s=]+)"),
    re.compile(r"Group '(?P<group>[\w.]+)' does not accept option '(?P<key>[^']+)'"),
    re.compile(r"Option '(?P<key>[^']+)' is not accepted"),
)
REQUIRED = re.compile(r"arguments are required: (\S+)|Option '([^']+)' is required")
BARE = re.compile(r"argument (?:\S+/)?--(\S+): expected one argument")
PLAIN: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    type(None): "null",
    Any: "anything",
}
GROUPS = ("data", "model", "trainer")


class Complaint(NamedTuple):
    """What is wrong with the settings.

    Attributes:
        text: one sentence.
        key: that it is about; empty where the parser does not name one.
    """

    text: str
    key: str = ""


def complaint(message: str, types_of_keys: Mapping[str, Any]) -> Complaint:
    """A message of the parser in our words.

    Args:
        message: of jsonargparse, on any number of lines.
        types_of_keys: type hint of each key, `model.width` for instance.
    """
    text = " ".join(message.split())
    for read in (_group, _unknown, _required, _bare, _value):
        understood = read(text, types_of_keys)
        if understood is not None:
            return understood
    return Complaint(re.sub(r'Parser key "([\w.]+)":', r"\1:", text))


def expectation(hint: Any) -> str:
    """A type in words: `list[int]` is 'a list of whole numbers'."""
    if hint in PLAIN:
        return PLAIN[hint]
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _one_of(map(str, inner))
    if origin in (Union, types.UnionType):
        return _alternatives(inner)
    if origin is list:
        return f"a list of {_several(inner[0])}"
    if origin is dict:
        return f"{{NAME: {expectation(inner[1])}}}" if inner[1] is not Any else "a mapping"
    return str(getattr(hint, "__name__", hint))


def closest(key: str, known: Iterable[str]) -> str:
    """`; did you mean …?` with the known key closest to a mistyped one; empty if none is close."""
    matches = difflib.get_close_matches(key, list(known), n=1)
    return f"; did you mean {matches[0]}?" if matches else ""


def not_a_group(key: str, value: object) -> Complaint:
    """A value in the place of the keys of a group."""
    return Complaint(
        f"{key} is {_shown(str(value))}, expected its keys with their values, such as {_example(key)}", key
    )


def _group(text: str, types_of_keys: Mapping[str, Any]) -> Complaint | None:
    match = GROUP.search(text)
    return not_a_group(match[1], match[2].strip("'\"")) if match and match[1] in GROUPS else None


def _unknown(text: str, types_of_keys: Mapping[str, Any]) -> Complaint | None:
    stray = re.search(r"unrecognized arguments: ([^-]\S*)", text)
    if stray:
        return Complaint(f"'{stray[1]}' belongs to no setting, expected FILE as the first word, and --KEY VALUE")
    for pattern in UNKNOWN:
        match = pattern.search(text)
        if match:
            group = match.groupdict().get("group")
            key = f"{group}.{match['key']}" if group else match["key"]
            if key in GROUPS:
                return Complaint(f"{key} is a group of settings, expected its keys, such as {_example(key)}", key)
            return Complaint(
                f"{key} is not a setting, expected one that `morlight fit --help` lists{closest(key, types_of_keys)}",
                key,
            )
    return None


def _required(text: str, types_of_keys: Mapping[str, Any]) -> Complaint | None:
    match = REQUIRED.search(text)
    key = match and (match[1] or match[2])
    return Complaint(f"{key} is missing, expected {_wanted(key, types_of_keys)}", key) if key else None


def _bare(text: str, types_of_keys: Mapping[str, Any]) -> Complaint | None:
    match = BARE.search(text)
    if not match:
        return None
    return Complaint(f"{match[1]} has no value, expected {_wanted(match[1], types_of_keys)}", match[1])


def _value(text: str, types_of_keys: Mapping[str, Any]) -> Complaint | None:
    match = INNER.search(text) or VALUE.search(text)
    if not match or match[1] not in types_of_keys:
        return None
    key, value = match[1], match[2]
    sentence = f"{key} is {_shown(value)}, expected {_wanted(key, types_of_keys)}"
    if value.startswith("{") and re.search(r":[^\s]", value) and isinstance(_parsed(value), str):
        sentence += "; YAML needs a space behind each colon"
    return Complaint(sentence, key)


def _wanted(key: str, types_of_keys: Mapping[str, Any]) -> str:
    if key == "data.path":
        return "a trajectory file, or the name of a set that comes with the package"
    if key == "model.vectors":
        return "the components of each vector, such as [[momentum_x, momentum_y]]"
    return expectation(types_of_keys[key]) if key in types_of_keys else "a value"


def _alternatives(hints: tuple[Any, ...]) -> str:
    """Alternatives of a union; a mapping to one of the others as 'by name'."""
    texts: list[str] = []
    words: list[str] = []
    for hint in hints:
        if get_origin(hint) is Literal:
            words += [str(word) for word in get_args(hint) if str(word) not in words]
        elif get_origin(hint) is dict and get_args(hint)[1] in hints:
            texts.append("{NAME: the same}")
        else:
            texts.append(expectation(hint))
    if words:
        texts.insert(0, _one_of(words))
    texts.sort(key="null".__eq__)
    return " or ".join(dict.fromkeys(texts))


def _several(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"any of {', '.join(map(str, get_args(hint)))}"
    plurals: dict[Any, str] = {int: "whole numbers", float: "numbers", str: "names"}
    return plurals.get(hint, f"values, each {expectation(hint)}")


def _one_of(words: Iterable[str]) -> str:
    known = list(words)
    return f"one of {', '.join(known)}" if len(known) > 1 else known[0]


def _parsed(text: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    if isinstance(value, dict) and None in value.values() and ": " not in text:  # '{density:wavelet}'
        return text
    return value


def _shown(text: str) -> str:
    """Words in quotation marks, numbers and lists as they are, None as YAML writes it."""
    if text == "None":
        return "null"
    return repr(text) if isinstance(_parsed(text), str) else text


def _example(group: str) -> str:
    return {"data": "{path: u.h5}", "model": "{width: 4}", "trainer": "{max_epochs: 3}"}.get(group, "{KEY: value}")
