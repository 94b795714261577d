"""The parsers of the settings of a fit, with Lightning's trainer, whose import takes seconds, or without it."""

import ast
import functools
import importlib.util
import inspect
import os
from argparse import SUPPRESS
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_type_hints

from jsonargparse import ArgumentParser

from morlight.data.config import DataConfig
from morlight.training.config import ModelConfig

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
CONFIG = ("-c", "--config")
TRAINER_HELP = "--trainer.help"
ANNOTATIONS: dict[str, Any] = {  # in the source of Lightning's trainer; any value is accepted for the others
    "int": int, "bool": bool, "Optional[int]": int | None, "Optional[bool]": bool | None,
    "Optional[str]": str | None, "Union[int, float]": int | float, "Optional[Union[int, float]]": int | float | None,
    "Union[int, bool]": int | bool, "Union[list[int], str, int]": list[int] | str | int,
}  # fmt: skip


def parser(prog: str = "morlight fit") -> ArgumentParser:
    """The parser of `morlight fit`, `validate` and `test`."""
    top = _own(prog)
    _add_trainer(top)
    return top


@functools.cache
def parser_of_mappings() -> ArgumentParser:
    """The same, made once, for those who change nothing in it: making it takes longer than parsing."""
    return parser()


def quick_parser(prog: str = "morlight fit") -> ArgumentParser:
    """The parser without Lightning, which checks numbers of the trainer, and leaves its options out of the help."""
    top = _own(prog)
    for name, hint in _types_of_trainer().items():
        top.add_argument(f"--trainer.{name}", type=hint, help=SUPPRESS)
    return top


def trainer_help(prog: str) -> str:
    """The options of Lightning's trainer."""
    top = ArgumentParser(prog=prog, usage=f"{prog} [--trainer.KEY VALUE] …", add_help=False)
    _add_trainer(top)
    return top.format_help()


def keys() -> dict[str, str]:
    """Options of `morlight fit` and what they mean."""
    return {
        word: " ".join(str(action.help).split())
        for action in parser()._actions
        for word in action.option_strings
        if word.startswith("--") and not word.endswith(("+", ".help"))
    }


@functools.cache
def types_of_keys(*, quick: bool = False) -> dict[str, Any]:
    """Type of every setting, by its dotted key; with `quick`, of the trainer's as far as its source shows them."""
    own = {"name": str | None, "experiment": str, "ckpt_path": str | None, "register": str | None}
    types = own | {
        f"{group}.{key}": hint
        for group, owner in (("data", DataConfig), ("model", ModelConfig))
        for key, hint in get_type_hints(owner).items()
    }
    if quick:
        return types | {f"trainer.{name}": hint for name, hint in _types_of_trainer().items()}
    from pytorch_lightning import Trainer

    hints = get_type_hints(Trainer.__init__) | WORDS
    return types | {f"trainer.{key}": hint for key, hint in hints.items() if key not in OURS | OBJECTS | {"return"}}


@functools.cache
def defaults() -> dict[str, Any]:
    """Default of every setting that has one, by its dotted key, as `FitSettings.to_plain` shows it."""
    from pytorch_lightning import Trainer

    signature = inspect.signature(Trainer.__init__).parameters
    trainer = {name: parameter.default for name, parameter in signature.items()} | TRAINER
    groups = {"data": asdict(DataConfig(path="")), "model": asdict(ModelConfig()), "trainer": trainer}
    return {f"{group}.{key}": value for group, keys in groups.items() for key, value in keys.items()}


def _own(prog: str) -> ArgumentParser:
    top = ArgumentParser(
        prog=prog,
        usage=f"{prog} [FILE] [--config FILE-or-NAME] [--KEY VALUE] …",
        exit_on_error=False,
        allow_abbrev=False,
        description="Learn an operator from a trajectory file, the first word or --data.path. A configuration file has"
        " the same keys. Where neither a configuration nor a key of the model is given, the data choose the settings,"
        " and the choices are printed: those that `morlight suggest FILE` writes.",
        epilog=f"Lightning's trainer has options of its own, such as --trainer.max_epochs: `{prog} {TRAINER_HELP}`",
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
    return top


def _add_trainer(top: ArgumentParser) -> None:
    from pytorch_lightning import Trainer

    top.add_class_arguments(Trainer, "trainer", skip=OURS | OBJECTS | WORDS.keys(), instantiate=False)
    for key, hint in WORDS.items():
        default = inspect.signature(Trainer).parameters[key].default
        top.add_argument(f"--trainer.{key}", type=hint, default=default, help="of Lightning's Trainer, by its name")
    top.set_defaults({f"trainer.{key}": value for key, value in TRAINER.items()})


def _types_of_trainer() -> dict[str, Any]:
    """Types of the arguments of Lightning's trainer, read from its source."""
    package = importlib.util.find_spec("pytorch_lightning")
    assert package is not None
    assert package.origin is not None
    source = Path(package.origin).with_name("trainer") / "trainer.py"
    (trainer,) = (
        node
        for node in ast.parse(source.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == "Trainer"
    )
    (signature,) = (node for node in trainer.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    arguments = [argument for argument in signature.args.kwonlyargs if argument.arg not in OURS | OBJECTS]
    written = {each.arg: ast.unparse(each.annotation) if each.annotation else "" for each in arguments}
    return {name: WORDS.get(name, ANNOTATIONS.get(text, Any)) for name, text in written.items()}
