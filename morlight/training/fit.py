"""`morlight fit`, `validate` and `test`: LightningCLI with the tracker, checkpoints and a report at the end."""

import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI

from morlight.analysis import model as prediction
from morlight.data.datamodule import TrajectoryDataModule
from morlight.tracking.checkpoints import resolve
from morlight.tracking.leaderboard import RANKING_METRICS
from morlight.tracking.logger import Tracker
from morlight.tracking.registry import register
from morlight.training import curriculum
from morlight.training.allocation import keep_freed_memory
from morlight.training.callbacks import checkpoints
from morlight.training.callbacks import pruning as judge
from morlight.training.callbacks.guard import DivergenceGuard
from morlight.training.callbacks.progress import Bar
from morlight.training.callbacks.report import FinalReport
from morlight.training.gradient_module import OperatorModule

FOLDER = Path("mlruns") / "fits"

DEFAULTS: dict[str, Any] = {
    "accelerator": "auto",
    "devices": 1,
    "max_epochs": 3,
    "enable_checkpointing": False,  # ours is added once the run has a name
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
    "reload_dataloaders_every_n_epochs": 1,  # the horizon changes from stage to stage
}


@dataclass
class Part:
    """What a sweep adds to a fit of its own.

    Args:
        tags: of the run.
        run_id: of the run to go on with; a new one where left out.
        started: told the identity of the run and the folder of its checkpoints, on the first process.
        callbacks: of the trainer.
    """

    tags: dict[str, str] = field(default_factory=dict)
    run_id: str | None = None
    started: Callable[[str, Path], None] | None = None
    callbacks: list[lightning.Callback] = field(default_factory=list)


class FitCLI(LightningCLI):
    """Parses model, data and trainer, and what belongs to the run as a whole."""

    part = Part()

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Name, experiment and the checkpoint to start from."""
        parser.add_argument("--name", type=str | None, help="name of the run; the configuration's where left out")
        parser.add_argument("--experiment", type=str, default="morlight", help="MLflow experiment")
        parser.add_argument("--ckpt_path", type=str | None, help="continue from: last, a path, or runs:/ID")
        parser.add_argument(
            "--register", type=str | None, help="model of MLflow to make a version of; the best has the alias best"
        )

    def instantiate_trainer(self, **kwargs: Any) -> lightning.Trainer:
        """The trainer with the tracker; nothing is written before the run starts."""
        config = self.config_init
        files = config.get("config") or []
        self.run_name = config["name"] or (Path(str(files[-1])).stem if files else "fit")
        path = _starting_point(config["ckpt_path"], self.run_name)
        self.saved = None if path is None else prediction.load(path)
        run = self.part.run_id or (None if self.saved is None else self.saved.run)
        self.tracker = Tracker(
            experiment=config["experiment"], name=self.run_name, run_id=run, tags=self.part.tags or None
        )
        callbacks = [DivergenceGuard()] + [Bar()] * (config["trainer"]["enable_progress_bar"] is not False)
        callbacks += self.part.callbacks or judge.others()
        self.trainer_defaults["callbacks"] = callbacks
        return super().instantiate_trainer(logger=self.tracker, **kwargs)


QUIET = (
    "LightningCLI's args parameter",  # the words come from `morlight`, which has parsed its own
    ".*LeafSpec",  # pytorch-lightning 2.6 under torch 2.13
    ".*smaller than the logging interval",  # the epoch's mean is logged in any case
    "Be aware that when using `ckpt_path`",  # validate and test save nothing
    "Checkpoint directory .* exists and is not empty",  # of the run that continues
    "Total length of `list`",  # no trajectories held out
    ".*does not have many workers",  # our loaders gather by one index, workers would only copy
    ".*`lr_scheduler.step\\(\\)` before `optimizer.step",  # after resuming
)


def main(task: str, arguments: Sequence[str], part: Part | None = None) -> dict[str, float]:
    """Run fit, validate or test with the words of the command line; the last value of each metric that was logged.

    Raises:
        ValueError: one sentence for anything that the user gave and that cannot be.
    """
    keep_freed_memory()
    with _quiet():
        cli = _command_line(task, arguments, part or Part())
        cli.datamodule.setup()
        cli.model.adopt(cli.datamodule.description)  # so that data it cannot take are refused before a run begins
        if cli.saved is not None:
            _check_fits(cli.saved, cli.model, cli.datamodule)
        path = None if cli.saved is None else str(cli.saved.path)
        if task == "fit":
            _fit(cli, path)
        elif path is None:
            raise ValueError(f"ckpt_path is missing, `morlight {task}` expects a checkpoint: last, a path, or runs:/ID")
        else:
            cli.trainer.logger = None
            getattr(cli.trainer, task)(cli.model, cli.datamodule, ckpt_path=path, weights_only=True)
        return cli.tracker.latest


def check(arguments: Sequence[str], *, data: bool = False) -> dict[str, Any]:
    """The whole configuration that the words of `morlight fit` make, keys joined by dots; nothing is run or written.

    Args:
        arguments: behind `morlight fit`.
        data: whether the data are read and the model is built for them as well.

    Raises:
        ValueError: as `main`.
    """
    with _quiet():
        cli = _command_line("fit", arguments, Part())
        if data:
            cli.datamodule.setup()
            cli.model.adopt(cli.datamodule.description)
            _check_lengths(cli)
        return joined(json.loads(cli.parser.dump(cli.config, format="json", skip_none=False)))


def keys() -> dict[str, str]:
    """Options of `morlight fit` and what they mean."""
    found: dict[str, str] = {}

    class Listing(FitCLI):
        """Stops where the words would be parsed."""

        def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
            """Read the parser instead."""
            for action in parser._actions:
                for word in action.option_strings:
                    if word.startswith("--") and not word.endswith(("+", ".help")):
                        found[word] = " ".join(str(action.help).split())
            raise StopIteration

    with _quiet(), suppress(StopIteration):
        Listing(
            OperatorModule,
            TrajectoryDataModule,
            save_config_callback=None,
            seed_everything_default=False,
            args=[],
            run=False,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )
    return found


def joined(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with the keys of `morlight fit`, GROUP.KEY."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= {f"{key}.{name}": inner for name, inner in value.items()} if isinstance(value, dict) else {key: value}
    return flat


@contextmanager
def _quiet() -> Iterator[None]:
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # Lightning's calls, not the user's
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in QUIET:
            warnings.filterwarnings("ignore", message)
        yield


def _command_line(task: str, arguments: Sequence[str], part: Part) -> FitCLI:
    kind = type("FitCLI", (FitCLI,), {"part": part})
    return kind(
        OperatorModule,
        TrajectoryDataModule,
        save_config_callback=None,
        seed_everything_default=False,
        trainer_defaults=dict(DEFAULTS),
        parser_kwargs={"prog": f"morlight {task}", "exit_on_error": False},
        args=list(arguments),
        run=False,
        auto_configure_optimizers=False,
        load_from_checkpoint_support=False,
    )


def _check_lengths(cli: FitCLI) -> None:
    """Refuse epochs that do not fit the stages, and horizons longer than the data."""
    curriculum.stage_of(0, epochs=cli.trainer.max_epochs or 0, stages=cli.model.stages)
    windows = cli.datamodule.windows("train")
    if windows.count(max(cli.model.hparams.horizons)) == 0:
        raise ValueError(
            f"{cli.datamodule.file.path}: {windows.length} frames are too few for model.horizons"
            f" {cli.model.hparams.horizons}"
        )


def _fit(cli: FitCLI, path: str | None) -> None:
    _check_lengths(cli)
    if cli.trainer.is_global_zero:
        _announce(cli)
    cli.model.run_id = cli.tracker.run_id
    folder = FOLDER / cli.run_name / str(cli.tracker.run_id)
    cli.tracker.keep_in(folder)
    if cli.trainer.is_global_zero and cli.part.started is not None:
        cli.part.started(str(cli.tracker.run_id), folder)
    held = cli.datamodule.windows("validation").count(max(cli.model.hparams.horizons))
    cli.trainer.callbacks += [
        FinalReport(cli.tracker),
        *checkpoints.callbacks(folder, "val_loss/median" if held else None),
    ]
    cli.trainer.strategy.checkpoint_io = checkpoints.Once()
    try:
        cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=path, weights_only=True)
    except SystemExit as error:  # Lightning's answer to Ctrl-C
        raise KeyboardInterrupt(
            f"interrupted; the same command with --name {cli.run_name} --ckpt_path last"
            " continues after the last whole epoch"
        ) from error
    if cli.trainer.is_global_zero and cli.part.started is None:
        kept = next(folder / f"{word}.ckpt" for word in ("best", "last") if (folder / f"{word}.ckpt").exists())
        print(f"morlight: runs:/{cli.tracker.run_id}, {kept}", file=sys.stderr)
    if (model := cli.config["register"]) is not None and cli.trainer.is_global_zero:
        judged = next((cli.tracker.latest[name] for name in RANKING_METRICS if name in cli.tracker.latest), None)
        version, best = register(model, str(cli.tracker.run_id), judged)
        print(f"models:/{model}/{version}{f', models:/{model}@best' if best else ''}", file=sys.stderr)


def _announce(cli: FitCLI) -> None:
    """Config, data and where everything goes, before the first step."""
    file, tracker = cli.datamodule.file, cli.tracker
    config = cli.parser.dump(cli.config, format="json", skip_none=False)
    tracker.log_hyperparams({key: value for key, value in json.loads(config).items() if key != "config"})
    # what repeats the run from its beginning, under its name
    whole = cli.config.clone()
    whole["name"], whole["ckpt_path"], whole["register"] = cli.run_name, None, None
    whole.pop("config", None)
    tracker.log_text(cli.parser.dump(whole, skip_none=False), "config.yaml")
    tracker.log_dataset(
        file.path,
        file.name,
        cli.datamodule.description["digest"],
        {"trajectories": file.trajectories, "frames": len(file.times), "points": list(file.grid.points)},
    )
    tracker.describe(
        f"Repeat this run: `morlight fit --config runs:/{tracker.run_id}`\n\n"
        f"Go on with its model: `morlight evaluate runs:/{tracker.run_id} --data {file.path}`,"
        f" `morlight inspect runs:/{tracker.run_id}`"
    )


def _starting_point(word: str | None, name: str) -> Path | None:
    """The checkpoint that `--ckpt_path` means."""
    if word is None:
        return None
    if word != "last":
        return resolve(word)
    found = sorted((FOLDER / name).glob("*/last.ckpt"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise ValueError(f"ckpt_path: {FOLDER / name} has no last.ckpt, expected an earlier fit named '{name}'")
    return found[-1]


def _check_fits(saved: prediction.Model, module: OperatorModule, data: TrajectoryDataModule) -> None:
    """Refuse to continue another model's checkpoint, or on other data.

    Raises:
        ValueError: naming the first key that differs.
    """
    for key, value in module.hparams.items():
        if key != "data" and saved.settings.get(key) != value:
            raise ValueError(
                f"{saved.path}: model.{key} is {saved.settings.get(key)!r} there, {value!r} in this configuration"
            )
    if saved.data["fields"] != list(data.fields) or saved.data["points"] != list(data.grid.points):
        raise ValueError(f"{data.file.path}: other fields or points than those that {saved.path} was trained on")
