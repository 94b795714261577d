"""What a run says before the first step: its configuration, its data, and how to go on with it."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from morlight.analysis.equations.sum_of_terms import DOUBTFUL, Equation
from morlight.data.datamodule import TrajectoryDataModule
from morlight.tracking.logger import Tracker
from morlight.training.extensions import Extensions
from morlight.training.operator_module import OperatorModule
from morlight.training.settings import FitSettings
from morlight.training.suggestions.promises import broken
from morlight.training.suggestions.wall_values import unmet


def announce(
    settings: FitSettings, extensions: Extensions, served: Any, tracker: Tracker, searched: Sequence[str] = ()
) -> None:
    """Config, data and how to go on, before the first step.

    Args:
        settings: of the fit; those that are not the defaults become parameters of the run, all of them its config.yaml.
        extensions: objects of the user.
        served: the data module.
        tracker: of the run.
        searched: keys that become parameters whatever their values.
    """
    run, from_file = f"runs:/{tracker.run_id}", isinstance(served, TrajectoryDataModule)
    if from_file:
        settings = replace(settings, data=served.config)  # those of the data module, where the user passed one
    changed = settings.changed(searched)
    tracker.log_hyperparams({key: value for key, value in changed.items() if from_file or not key.startswith("data.")})
    tracker.log_text(settings.to_yaml(data=from_file), "config.yaml")
    described = served.description
    profile: dict[str, object] = {"points": list(described.grid.points), "fields": list(described.field_names)}
    if isinstance(served, TrajectoryDataModule):
        file = served.file
        tracker.errors_on(served.split.identity("test") if served.split.trajectories("test") else "")
        profile |= {"trajectories": file.trajectories, "frames": len(file.times)}
        if served.split.ends is not None:
            print(f"morlight: {file.path}: split in time: {served.split}", file=sys.stderr)
            profile["split"] = str(served.split)
        tracker.log_dataset(file.path, Path(settings.data.path).name, described.digest, profile)
    else:
        tracker.log_dataset(None, described.name, described.digest, profile)
    objects = [name for name in ("components", "loss") if getattr(extensions, name) is not None]
    if objects or not from_file:
        own = " and ".join([*objects, *([] if from_file else ["data module"])])
        tracker.describe(f"Made from Python with a {own} that no configuration can hold: call `morlight.fit` again.")
        return
    tracker.describe(
        f"Repeat this run: `morlight fit --config {run}`\n\n"
        f"Go on with its model: `morlight evaluate {run} --data {served.sample.path}`, `morlight inspect {run}`"
    )


def announce_contradictions(module: OperatorModule, path: Path) -> None:
    """A warning for each field that does not obey its basis at the walls, or a bias.

    Args:
        module: with the operator and its data.
        path: of the data.
    """
    data, sample = module.data, module.sample
    for sentence in (*unmet(module.operator, module.config, data, sample), *broken(module.config, data, sample)):
        print(f"morlight: {path}: {sentence}", file=sys.stderr)


def announce_equation(equation: Equation, path: Path, tracker: Tracker, other_bases: str) -> None:
    """The equation that a fit found, with a warning where it does not describe the data.

    Args:
        equation: of the fit.
        path: of the data.
        tracker: of the run.
        other_bases: setting with the bases that suit the fields at the walls, where the fit has others; else empty.
    """
    print(f"morlight: {path}: {equation.text}", file=sys.stderr)
    tracker.log_text(equation.summary(), "equation.txt")
    if equation.unexplained is not None and equation.unexplained > DOUBTFUL:
        share = f"{100 * equation.unexplained:.2g} %"
        print(
            f"morlight: {path}: this equation leaves {share} of the change over short roll-outs unexplained, so that it"
            f" does not describe these data; {f'try {other_bases}, or ' if other_bases else ''}model.optimizer adam,"
            " which trains networks",
            file=sys.stderr,
        )
