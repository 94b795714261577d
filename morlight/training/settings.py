"""The settings of a fit: typed, parsed from command lines, files and dictionaries by one parser."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import yaml
from jsonargparse import ArgumentError, Namespace

from morlight.data.config import DataConfig
from morlight.tracking.checkpoints import resolve
from morlight.training.config import RENAMED, ModelConfig
from morlight.training.configurations import located, read_yaml
from morlight.training.options import CONFIG, defaults, parser, parser_of_mappings, quick_parser, types_of_keys
from morlight.training.sentences import GROUPS, complaint, expectation, not_a_group

NAME = re.compile(r"[^./\x00-\x1f][^/\x00-\x1f]{0,199}")  # the name of a folder, inside that of all fits
UNREMARKABLE = ("trainer.enable_progress_bar",)  # changes nothing in the result


@dataclass(frozen=True)
class FitSettings:
    """Everything that a fit is asked for.

    Attributes:
        model: operator, loss and algorithm.
        data: trajectories and their split.
        trainer: arguments of Lightning's Trainer.
        name: of the run; that of the configuration by default.
        experiment: MLflow experiment.
        ckpt_path: checkpoint to go on from: last, a path, or runs:/ID.
        register: registered model to make a version of; the best has the alias best.
    """

    model: ModelConfig
    data: DataConfig
    trainer: Mapping[str, Any]
    name: str
    experiment: str = "morlight"
    ckpt_path: str | None = None
    register: str | None = None

    def to_yaml(self, *, data: bool = True) -> str:
        """A configuration that repeats the fit from its beginning; without `data`, for data that are no file."""
        plain = {key: value for key, value in self.to_plain().items() if data or key != "data"}
        return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)

    def to_plain(self) -> dict[str, Any]:
        """Groups and keys of a configuration that repeats the fit from its beginning."""
        return {
            "name": self.name,
            "experiment": self.experiment,
            "data": asdict(self.data),
            "model": asdict(self.model),
            "trainer": json.loads(json.dumps(dict(self.trainer), default=str)),
        }

    def to_flat(self) -> dict[str, Any]:
        """The same with dotted keys."""
        return flat(self.to_plain())

    def changed(self, always: Collection[str] = ()) -> dict[str, Any]:
        """Dotted keys of data, model and trainer whose values are not the defaults, and those named in `always`."""
        usual = defaults()
        return {
            key: value
            for key, value in self.to_flat().items()
            if key in always or (key in usual and key not in UNREMARKABLE and value != usual[key])
        }


def from_arguments(
    arguments: Sequence[str], prog: str = "morlight fit", suggested: Mapping[str, Any] | None = None
) -> FitSettings:
    """The settings that a command line means.

    Args:
        arguments: words of the command line.
        prog: command, for its help.
        suggested: settings by their dotted keys, which take the place of the defaults.

    Raises:
        ValueError: one sentence with the key, what came and what was expected.
    """
    words, files = _with_files(arguments)
    with _sentences(files, _given(words)):
        top = parser(prog)
        top.set_defaults(dict(suggested or {}))
        return _typed(top.parse_args(words), files)


def chosen_by_user(keys: Iterable[str]) -> bool:
    """Whether dotted keys, or words of a command line, choose the kind of model: a configuration, a model, targets."""
    names = [key.removeprefix("--").partition("=")[0] for key in keys]
    return any(name in ("config", "-c", "data.targets") or name.startswith("model.") for name in names)


def data_from_arguments(arguments: Sequence[str], prog: str = "morlight fit") -> DataConfig:
    """The data that a command line means, without Lightning, whose import takes seconds.

    Raises:
        ValueError: as `from_arguments`, but for those of the trainer's options that are no plain numbers.
    """
    words, files = _with_files(arguments)
    with _sentences(files, _given(words), quick=True):
        return DataConfig(**quick_parser(prog).parse_args(words).data.as_dict())


def from_mapping(
    settings: Mapping[Any, Any], config: str | Path | None = None, data: str | Path | None = None
) -> FitSettings:
    """The settings of a configuration with some changes.

    Args:
        settings: changes, dotted keys (`{"model.terms": 2}`) or groups (`{"model": {"terms": 2}}`).
        config: file or name of a packaged configuration.
        data: path of the trajectory file, in place of `data.path`.

    Raises:
        ValueError: one sentence with the key, what came and what was expected.
    """
    files = [] if config is None else [_file(str(config))]
    merged: dict[str, Any] = {}
    for file in files:
        _merge(merged, _read(file))
    _merge(merged, nested(settings))
    if data is not None:
        _merge(merged, {"data": {"path": str(data)}})
    given = flat(nested(settings)).keys()
    for key, value in flat(nested(settings)).items():
        _refuse_renamed(key)
        _refuse_null(key, value)
    with _sentences(files, given):
        return _typed(deepcopy(parser_of_mappings().parse_object(merged)), files)  # without values of the parser's own


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Groups and keys as dotted keys; mappings within a group stay values."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        group = isinstance(value, Mapping) and key in GROUPS
        found |= {f"{key}.{name}": inner for name, inner in value.items()} if group else {key: value}
    return found


def nested(settings: Mapping[Any, Any]) -> dict[str, Any]:
    """Dotted keys as groups and keys.

    Raises:
        ValueError: for a key that is no text, or given twice, and for a group without keys.
    """
    groups: dict[str, Any] = {}
    for key, value in settings.items():
        if not isinstance(key, str):
            raise ValueError(f"settings have the key {key!r}, expected text such as 'model.terms'")
        if key in GROUPS and not isinstance(value, Mapping):
            raise ValueError(not_a_group(key, value).text)
        group, dot, name = key.partition(".")
        changes = {group: {name: plain(value)}} if dot else {key: plain(value)}
        if twice := flat(groups).keys() & flat(changes).keys():
            raise ValueError(f"{min(twice)} is given twice, expected it once")
        _merge(groups, changes)
    return groups


def plain(value: object) -> object:
    """Numbers, arrays and tuples as YAML has them: 2 for np.int64(2)."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _merge(into: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Add the keys of groups; everything else is replaced."""
    for key, value in changes.items():
        if key in GROUPS and isinstance(value, Mapping):
            into[key] = {**into.get(key, {}), **value}
        else:
            into[key] = value


def _with_files(arguments: Sequence[str]) -> tuple[list[str], list[Path]]:
    """The words with paths in place of names of configurations and runs, and these paths."""
    words, files = list(arguments), []
    for i, word in enumerate(words):
        option, equals, value = word.partition("=")
        if equals and option in CONFIG:
            files.append(_file(value))
            words[i] = f"{option}={files[-1]}"
        elif i and words[i - 1] in CONFIG:
            files.append(_file(word))
            words[i] = str(files[-1])
    for file in files:
        _read(file)  # refuses keys of old and keys without a value
    return words, files


def _given(words: Sequence[str]) -> set[str]:
    """Keys among the words of a command line, none of them of old."""
    keys = {word.partition("=")[0].removeprefix("--") for word in words if word.startswith("--")}
    for key in keys:
        _refuse_renamed(key)
    return keys


def _file(word: str) -> Path:
    return resolve(f"{word}/config.yaml") if word.startswith("runs:/") else located(word)


def _read(file: Path) -> dict[str, Any]:
    """A configuration as it stands in its file."""
    settings = read_yaml(file)
    if not isinstance(settings, dict):
        raise ValueError(f"{file}: expected keys such as data, model and trainer")
    for key in GROUPS:
        if not isinstance(settings.get(key, {}), Mapping):
            raise ValueError(f"{file}: {not_a_group(key, settings[key]).text}")
    for key, value in flat(settings).items():
        _refuse_renamed(key, f"{file}: ")
        _refuse_null(key, value, f"{file}: ")
    return settings


def _refuse_renamed(key: str, where: str = "") -> None:
    if key in RENAMED:
        raise ValueError(f"{where}{key} no longer exists, expected {RENAMED[key]} in its place")


def _refuse_null(key: str, value: object, where: str = "") -> None:
    """The parser takes null for any key, and a key without a value is null in YAML."""
    if value is not None:
        return
    hint = types_of_keys(quick=not key.startswith("trainer.")).get(key, Any)
    if hint is not Any and type(None) not in get_args(hint):
        raise ValueError(f"{where}{key} is null, expected {expectation(hint)}")


def _check_devices(devices: object) -> None:
    if isinstance(devices, str) and not re.fullmatch(r"auto|-?\d+(, ?\d+)*,?", devices):
        raise ValueError(f"trainer.devices is {devices!r}, expected a whole number, a list of them, or auto")


def _typed(parsed: Namespace, files: Sequence[Path]) -> FitSettings:
    _check_devices(parsed.trainer.devices)
    name = parsed.name or (files[-1].stem if files else "fit")
    if not NAME.fullmatch(name):
        raise ValueError(f"name is {name!r}, expected at most 200 characters, not / and no dot at the start")
    return FitSettings(
        model=ModelConfig(**parsed.model.as_dict()),
        data=DataConfig(**parsed.data.as_dict()),
        trainer=parsed.trainer.as_dict(),
        name=name,
        experiment=parsed.experiment,
        ckpt_path=parsed.ckpt_path,
        register=parsed.register,
    )


@contextmanager
def _sentences(files: Sequence[Path], given: Collection[str], *, quick: bool = False) -> Iterator[None]:
    """The parser's complaints as one sentence, with the file where the key stands.

    Args:
        files: configurations that were read.
        given: keys that came from the command line or from Python, and count more than those of the files.
        quick: whether the types of the trainer's options are those that its source shows.
    """
    try:
        yield
    except (ArgumentError, TypeError, KeyError) as error:
        text, key = complaint(str(error), types_of_keys(quick=quick))
        of_key = [file for file in files if key not in given and any(_within(each, key) for each in flat(_read(file)))]
        raise ValueError(": ".join([*map(str, of_key[-1:] if key else files), text])) from error


def _within(key: str, other: str) -> bool:
    """Whether one key is the other or a part of it."""
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")
