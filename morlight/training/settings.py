"""The settings of a fit: typed, parsed from command lines, files and dictionaries by one parser."""

import functools
import inspect
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytorch_lightning as lightning
import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace

from morlight.data.config import DataConfig
from morlight.tracking.checkpoints import resolve
from morlight.training.config import RENAMED, ModelConfig
from morlight.training.configurations import located, read_yaml
from morlight.training.sentences import GROUPS, complaint, expectation, not_a_group

os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")

TRAINER: dict[str, Any] = {  # defaults where ours are not Lightning's
    "accelerator": "auto",
    "devices": 1,
    "max_epochs": 3,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}
OURS = {  # arguments of the trainer that a fit sets itself, or under which it has no run to show
    "callbacks", "logger", "enable_checkpointing", "default_root_dir", "reload_dataloaders_every_n_epochs",
    "fast_dev_run",
}  # fmt: skip
OBJECTS = {"plugins"}  # that a configuration could only name by their class, which would be imported: passed to `fit`
WORDS: dict[str, Any] = {"accelerator": str, "strategy": str, "profiler": str | None}  # the same, but words serve
NAME = re.compile(r"[^./\x00-\x1f][^/\x00-\x1f]{0,199}")  # the name of a folder, inside that of all fits
CONFIG = ("-c", "--config")


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

    def to_yaml(self) -> str:
        """A configuration that repeats the fit from its beginning."""
        return yaml.safe_dump(self.to_plain(), sort_keys=False, allow_unicode=True)

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


def parser(prog: str = "morlight fit") -> ArgumentParser:
    """The parser of `morlight fit`, `validate` and `test`."""
    top = ArgumentParser(
        prog=prog, exit_on_error=False, allow_abbrev=False, description="Learn an operator from a trajectory file."
    )
    top.add_argument(*CONFIG, action="config", metavar="FILE-or-NAME", help="configuration; several add up")
    top.add_argument("--name", type=str | None, help="name of the run; that of the configuration by default")
    top.add_argument("--experiment", type=str, default="morlight", help="MLflow experiment")
    top.add_argument("--ckpt_path", type=str | None, help="continue from: last, a path, or runs:/ID")
    top.add_argument(
        "--register", type=str | None, help="registered model to make a version of; the best has the alias best"
    )
    top.add_class_arguments(DataConfig, "data")
    top.add_class_arguments(ModelConfig, "model")
    top.add_class_arguments(lightning.Trainer, "trainer", skip=OURS | OBJECTS | WORDS.keys(), instantiate=False)
    for key, hint in WORDS.items():
        default = inspect.signature(lightning.Trainer).parameters[key].default
        top.add_argument(f"--trainer.{key}", type=hint, default=default, help="of Lightning's Trainer, by its name")
    top.set_defaults({f"trainer.{key}": value for key, value in TRAINER.items()})
    return top


def from_arguments(arguments: Sequence[str], prog: str = "morlight fit") -> FitSettings:
    """The settings that a command line means.

    Raises:
        ValueError: one sentence with the key, what came and what was expected.
    """
    words, files = _with_files(arguments)
    given = {word.partition("=")[0].removeprefix("--") for word in words if word.startswith("--")}
    for key in given:
        _refuse_renamed(key)
    with _sentences(files, given):
        return _typed(parser(prog).parse_args(words), files)


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
        return _typed(parser().parse_object(merged), files)


def keys() -> dict[str, str]:
    """Options of `morlight fit` and what they mean."""
    return {
        word: " ".join(str(action.help).split())
        for action in parser()._actions
        for word in action.option_strings
        if word.startswith("--") and not word.endswith(("+", ".help"))
    }


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
    hint = types_of_keys().get(key, Any)
    if value is None and hint is not Any and type(None) not in get_args(hint):
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
def _sentences(files: Sequence[Path], given: Collection[str]) -> Iterator[None]:
    """The parser's complaints as one sentence, with the file where the key stands.

    Args:
        files: configurations that were read.
        given: keys that came from the command line or from Python, and count more than those of the files.
    """
    try:
        yield
    except (ArgumentError, TypeError, KeyError) as error:
        text, key = complaint(str(error), types_of_keys())
        of_key = [file for file in files if key not in given and any(_within(each, key) for each in flat(_read(file)))]
        raise ValueError(": ".join([*map(str, of_key[-1:] if key else files), text])) from error


def _within(key: str, other: str) -> bool:
    """Whether one key is the other or a part of it."""
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


@functools.cache
def types_of_keys() -> dict[str, Any]:
    """Type of every setting, by its dotted key."""
    own = {"name": str | None, "experiment": str, "ckpt_path": str | None, "register": str | None}
    groups = {"data": DataConfig, "model": ModelConfig, "trainer": lightning.Trainer.__init__}
    return (
        own
        | {
            f"{group}.{key}": hint
            for group, owner in groups.items()
            for key, hint in get_type_hints(owner).items()
            if key not in OURS | OBJECTS | {"return"}
        }
        | {f"trainer.{key}": hint for key, hint in WORDS.items()}
    )
