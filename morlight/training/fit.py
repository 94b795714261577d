"""`morlight.fit`: data and settings in, a tracked model out."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.loggers import Logger

from morlight.analysis.model import Model, load
from morlight.data.config import DataConfig
from morlight.data.datamodule import TrajectoryDataModule
from morlight.data.schedule import Schedule
from morlight.operators.build import Components
from morlight.tracking.leaderboard import RANKING_METRICS
from morlight.tracking.logger import Tracker
from morlight.tracking.registry import register
from morlight.training import resume
from morlight.training.allocation import keep_freed_memory
from morlight.training.announcement import announce, announce_contradictions, announce_equation
from morlight.training.callbacks import pruning
from morlight.training.callbacks.checkpoints import LAST, FitCheckpoints
from morlight.training.callbacks.epoch_lines import EpochLines
from morlight.training.callbacks.progress import Bar
from morlight.training.callbacks.report import FinalReport
from morlight.training.continuation import finished, own_run, starting_point
from morlight.training.equation_module import EquationModule
from morlight.training.extensions import Extensions, FitResult, Trial
from morlight.training.gradient_module import GradientModule
from morlight.training.least_squares.module import LeastSquaresModule
from morlight.training.operator_module import OperatorModule
from morlight.training.options import OURS
from morlight.training.quiet import quiet
from morlight.training.settings import FitSettings, chosen_by_user, flat, from_mapping, nested
from morlight.training.suggestions.suggest import settings_for
from morlight.training.window_loss import Loss

__all__ = ["Extensions", "FitResult", "Trial", "built", "check_lengths", "fit", "run"]

MODULES: dict[str, type[OperatorModule]] = {
    "adam": GradientModule,
    "moments": LeastSquaresModule,
    "equation": EquationModule,
}
FOLDER = Path("mlruns") / "fits"
TESTED = "2.6."  # versions of Lightning whose loop ours replaces; others may keep other counts


def fit(  # noqa: PLR0913 - each of them is one thing that a user brings
    data: object,
    settings: object = None,
    *,
    config: str | Path | None = None,
    callbacks: Sequence[lightning.Callback] = (),
    logger: Logger | Sequence[Logger] = (),
    trainer: Mapping[str, Any] | None = None,
    components: Components | None = None,
    loss: Loss | None = None,
) -> FitResult:
    """Learn an operator; the fit is tracked as an MLflow run.

    Args:
        data: trajectory file, name of a data set of the package, or a data module.
        settings: changes of the defaults or of `config`, such as `{"model.terms": 2, "trainer.max_epochs": 50}`; or a
            configuration as a file, the name of a packaged one, or typed settings. If neither these nor `config`
            contain a key of the model, the settings are those that `morlight.suggest` finds in the data.
        config: configuration that `settings` change, as a file or by its name.
        callbacks: further callbacks of Lightning's trainer.
        logger: one or several further loggers.
        trainer: arguments of Lightning's Trainer that must be Python objects.
        components: your own networks and biases.
        loss: your own loss, a function (prediction, target) ↦ one value for each realization.

    Raises:
        ValueError: if the data or a setting cannot be used.
        FloatingPointError: if the loss is no longer finite.
    """
    module = data if isinstance(data, lightning.LightningDataModule) else None
    path = None if module is not None else _path(data)
    _check_settings(path, settings, config)
    if isinstance(settings, FitSettings):
        typed = settings if path is None else replace(settings, data=replace(settings.data, path=str(path)))
    elif isinstance(settings, str | Path):
        typed = from_mapping({}, settings, path or "a data module")
    else:
        changes = dict(settings) if isinstance(settings, Mapping) else {}
        own = config is not None or components is not None or loss is not None
        if path is not None and not own and not chosen_by_user(flat(nested(changes))):
            changes = settings_for(from_mapping(changes, None, path).data) | flat(nested(changes))
        typed = from_mapping(changes, config, path or "a data module")
    loggers = [logger] if isinstance(logger, Logger) else list(logger)
    return run(typed, Extensions(callbacks, loggers, trainer or {}, components, loss), data=module)


def _path(data: object) -> str | Path:
    """Path or name of data that are not a data module.

    Raises:
        ValueError: if they are neither a path nor a name.
    """
    if isinstance(data, str | Path):
        return data
    raise ValueError(
        f"data is of the type {type(data).__name__}, expected a trajectory file (`morlight.write` makes one of arrays),"
        " the name of a set that comes with the package, or a data module (DatasetDataModule serves a torch dataset)"
    )


def _check_settings(path: str | Path | None, settings: object, config: object) -> None:
    """Refuse arguments that would be ignored.

    Raises:
        ValueError: naming the argument.
    """
    if not isinstance(settings, Mapping | str | Path | FitSettings | None):
        raise ValueError(
            f"settings are of the type {type(settings).__name__}, expected a dictionary such as {{'model.terms': 2}}, a"
            " configuration as a file or by its name, or FitSettings"
        )
    if config is not None and isinstance(settings, FitSettings | str | Path):
        raise ValueError("config is the configuration that a dictionary of settings changes, expected one or the other")
    if path is None and isinstance(settings, Mapping):
        named = sorted(key for key in flat(nested(settings)) if key.partition(".")[0] == "data")
        if named:
            raise ValueError(f"{named[0]} is for trajectory files, expected it as an argument of the data module")


def run(
    settings: FitSettings,
    extensions: Extensions | None = None,
    trial: Trial | None = None,
    data: lightning.LightningDataModule | None = None,
) -> FitResult:
    """The fit that typed settings describe (see `fit`).

    Args:
        settings: complete, typed settings.
        extensions: objects of the user.
        trial: what a sweep adds.
        data: data module, in place of the trajectory file of the settings.
    """
    extensions, trial = extensions or Extensions(), trial or Trial()
    settings = _with_plain(settings, extensions)
    keep_freed_memory()
    with quiet():
        module, served, trainer, tracker, saved = _prepared(settings, extensions, trial, data)
        if saved is not None and trial.started is None:
            already = finished(saved, trainer, tracker.version)
            if already is not None:
                return already
        served.schedule = schedule(module, served, trainer.max_epochs or 0)
        check_lengths(module, served, settings)
        with tracker.closed_after_errors():
            if trainer.is_global_zero:
                announce(settings, extensions, served, tracker, trial.searched)
                announce_contradictions(module, served.sample.path)
                if isinstance(module, EquationModule):
                    announce_equation(module.equation, served.sample.path, tracker, module.other_bases)
            module.run_id = tracker.run_id
            folder = FOLDER / settings.name / str(tracker.run_id)
            tracker.keep_in(folder)
            if trainer.is_global_zero and trial.started is not None:
                trial.started(str(tracker.run_id), folder)
            monitored = served.count("validation", module.held_back_horizon)
            checkpoints = FitCheckpoints(folder, "val_loss/median" if monitored else None, tracker.keep_checkpoints)
            in_sweep = trial.started is not None
            if settings.trainer.get("enable_progress_bar") is False and not in_sweep:
                trainer.callbacks.append(EpochLines())
            report = FinalReport(tracker, checkpoints, extensions.components, silent=in_sweep)
            trainer.callbacks += [report, checkpoints]
            if isinstance(module, GradientModule) and lightning.__version__.startswith(TESTED):
                from morlight.training.training_loop import TrainingLoop

                TrainingLoop.replace(trainer)
            _train(trainer, module, served, saved, settings.name)
        if tracker.failed:
            raise OSError(
                f"the tracking store did not take the checkpoints of run {tracker.version}; once it does, the same"
                f" command with --name {settings.name} --ckpt_path last completes the run"
            )
        result = _result(trainer, tracker, checkpoints, extensions)
        if trainer.is_global_zero:
            _said(settings, tracker, result, trial)
        return result


def _with_plain(settings: FitSettings, extensions: Extensions) -> FitSettings:
    """The settings with the numbers and strings among the trainer's arguments, which the run's configuration then has.

    Raises:
        ValueError: for an argument that a fit sets itself.
    """
    ours = sorted(OURS & extensions.trainer.keys())
    if ours:
        where = {"callbacks": "the argument callbacks", "logger": "the argument logger"}.get(
            ours[0], "no such argument"
        )
        raise ValueError(f"trainer has {ours[0]!r}, which a fit sets itself; expected {where} of `morlight.fit`")
    plain = {
        key: value for key, value in extensions.trainer.items() if value is None or isinstance(value, str | int | float)
    }
    return replace(settings, trainer={**settings.trainer, **plain})


def _prepared(
    settings: FitSettings, extensions: Extensions, trial: Trial, data: lightning.LightningDataModule | None
) -> tuple[OperatorModule, Any, lightning.Trainer, Tracker, Model | None]:
    """Module, data module, trainer, tracker and the checkpoint to go on from; nothing is written yet."""
    saved = starting_point(settings, FOLDER / settings.name, extensions.components)
    run_id = trial.run_id or own_run(saved, settings)
    tracker = Tracker(settings.experiment, settings.name, run_id=run_id, tags=dict(trial.tags) or None)
    served, module = built(settings, extensions, data)
    if trial.digest not in (None, served.description.digest):
        raise resume.OtherData(f"{served.sample.path}: has changed since the sweep began, expected the same data")
    if saved is not None:
        resume.check(saved, module)
        resume.check_data(saved, served, same_run=run_id is not None)
    trainer = lightning_trainer(settings, extensions, [tracker, *extensions.loggers])
    return module, served, trainer, tracker, saved


def built(
    settings: FitSettings, extensions: Extensions | None = None, data: lightning.LightningDataModule | None = None
) -> tuple[Any, OperatorModule]:
    """The data module, set up, and the module for its data.

    Raises:
        ValueError: if data and options cannot be combined.
    """
    extensions = extensions or Extensions()
    if settings.model.fluctuations:
        _check_runs(settings.data)
    served: Any = TrajectoryDataModule(settings.data) if data is None else data
    served.prepare_data()
    served.setup("fit")
    missing = [name for name in ("description", "sample", "schedule", "part", "count") if not hasattr(served, name)]
    if missing:
        raise ValueError(
            f"data is a {type(served).__name__} without {', '.join(missing)}, expected a data module of morlight:"
            " TrajectoryDataModule, or DatasetDataModule of a torch dataset"
        )
    kind = MODULES[settings.model.optimizer]
    module = kind(settings.model, served.description, served.sample, extensions.components, extensions.loss)
    return served, module


def _check_runs(data: DataConfig) -> None:
    """Refuse means, which fluctuate less than the runs that they are of, and show less of how fluctuations decay.

    Means with mirror images show nothing of the decay of waves of the other parity.

    Raises:
        ValueError: naming all such keys.
    """
    means = []
    if data.ensemble == "mean":
        means.append(("data.ensemble mean", "--data.ensemble all"))
    if data.mirror:
        means.append(("data.mirror true", "--data.mirror false"))
    if means:
        given, expected = zip(*means, strict=True)
        raise ValueError(
            f"model.fluctuations is true with {' and '.join(given)}, whose means fluctuate less than a run; expected"
            f" {' '.join(expected)}"
        )


def schedule(module: OperatorModule, served: Any, epochs: int) -> Schedule:
    """Which frames are served, with windows for validation and test that are as long as their frames allow.

    Raises:
        ValueError: if the epochs do not fit the horizons.
    """
    longest = module.config.objective.longest
    parts = [name for name in ("validation", "test") if served.count(name, 1)]
    module.held_back_horizon = next(
        (m for m in range(longest, 0, -1) if all(served.count(name, m) for name in parts)), longest
    )
    return replace(module.schedule(epochs), held_back=(0, module.held_back_horizon))


def check_lengths(module: OperatorModule, served: Any, settings: FitSettings) -> None:
    """Refuse horizons longer than the data, and epochs that do not fit the stages.

    Raises:
        ValueError: naming the file, the frames and the horizons.
    """
    module.schedule(settings.trainer["max_epochs"] or 0)
    if served.count("train", module.config.objective.longest) == 0:
        raise ValueError(
            f"{served.sample.path}: {served.sample.windows.length} frames are too few for model.horizons"
            f" {settings.model.horizons}"
        )


def accelerator(settings: FitSettings) -> str:
    """Where the fit computes: gradient descent where it is told to, and what is solved in one piece on the CPU.

    Raises:
        ValueError: if the latter is to be done elsewhere.
    """
    wanted, optimizer = str(settings.trainer["accelerator"]), settings.model.optimizer
    if optimizer == "adam":
        return wanted
    if wanted not in ("auto", "cpu"):
        raise ValueError(
            f"trainer.accelerator is {wanted} with model.optimizer {optimizer}, which computes on the CPU; expected"
            " cpu or auto"
        )
    return "cpu"


def lightning_trainer(settings: FitSettings, extensions: Extensions, loggers: list[Logger] | bool) -> lightning.Trainer:
    """Lightning's trainer with the arguments of the settings and of the user.

    Raises:
        ValueError: if Lightning refuses an argument.
    """
    arguments = {**settings.trainer, "accelerator": accelerator(settings)}
    bars = [] if arguments.get("enable_progress_bar") is False else [Bar()]
    try:
        trainer = lightning.Trainer(
            **{**arguments, **extensions.trainer},
            callbacks=[*bars, *pruning.others()],
            logger=loggers,
            enable_checkpointing=False,  # ours is added once the run has a name
            reload_dataloaders_every_n_epochs=1,  # the order of the windows and their horizon change
        )
    except (MisconfigurationException, TypeError) as error:
        raise ValueError(f"trainer: {' '.join(str(error).split())}") from error
    trainer.callbacks += extensions.callbacks  # the trainer would refuse checkpoints of the user's own
    return trainer


def _train(trainer: lightning.Trainer, module: OperatorModule, served: Any, saved: Model | None, name: str) -> None:
    path = None if saved is None else str(saved.path)
    try:
        trainer.fit(module, served, ckpt_path=path, weights_only=True)
    except SystemExit as error:  # Lightning's answer to Ctrl-C
        advice = f"with --name {name} --ckpt_path last continues after the last whole epoch"
        if not any((FOLDER / name).glob(f"*/{LAST}")):
            advice = "starts again"
        raise KeyboardInterrupt(f"interrupted; the same command {advice}") from error


def _result(
    trainer: lightning.Trainer, tracker: Tracker, checkpoints: FitCheckpoints, extensions: Extensions
) -> FitResult:
    # under torchrun, only the first process knows the run and its folder
    known = (str(tracker.run_id), checkpoints.chosen) if trainer.is_global_zero else None
    run_id, path = trainer.strategy.broadcast(known)
    model = load(path, extensions.components) if trainer.is_global_zero else None
    return FitResult(model, run_id, tracker.latest, path)


def _said(settings: FitSettings, tracker: Tracker, result: FitResult, trial: Trial) -> None:
    """Lines on where the results are, and on the registered model."""
    if trial.started is None:
        print(f"morlight: runs:/{result.run_id}, {result.checkpoint}", file=sys.stderr)
    if settings.register is not None:
        by = next((name for name in RANKING_METRICS if name in result.metrics), "")
        version, best = register(settings.register, result.run_id, result.metrics.get(by), by)
        alias = f", models:/{settings.register}@best" if best else ""
        print(f"models:/{settings.register}/{version}{alias}", file=sys.stderr)
