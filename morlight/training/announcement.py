"""What a run says before the first step: its configuration, its data, and how to go on with it."""

import sys
from pathlib import Path
from typing import Any

from morlight.analysis.equations.sum_of_terms import DOUBTFUL, Equation
from morlight.data.datamodule import TrajectoryDataModule
from morlight.tracking.logger import Tracker
from morlight.training.extensions import Extensions
from morlight.training.settings import FitSettings


def announce(settings: FitSettings, extensions: Extensions, served: Any, tracker: Tracker) -> None:
    """Config, data and how to go on, before the first step."""
    tracker.log_hyperparams(settings.to_plain())
    tracker.log_text(settings.to_yaml(), "config.yaml")
    run, from_file = f"runs:/{tracker.run_id}", isinstance(served, TrajectoryDataModule)
    if isinstance(served, TrajectoryDataModule):
        file = served.file
        profile: dict[str, Any] = {
            "trajectories": file.trajectories,
            "frames": len(file.times),
            "points": list(file.grid.points),
        }
        if served.split.ends is not None:
            print(f"morlight: {file.path}: split in time: {served.split}", file=sys.stderr)
            profile["split"] = str(served.split)
        tracker.log_dataset(file.path, file.name, served.description.digest, profile)
    objects = [name for name in ("components", "loss") if getattr(extensions, name) is not None]
    if objects or not from_file:
        own = " and ".join([*objects, *([] if from_file else ["data module"])])
        tracker.describe(f"Made from Python with a {own} that no configuration can hold: call `morlight.fit` again.")
        return
    tracker.describe(
        f"Repeat this run: `morlight fit --config {run}`\n\n"
        f"Go on with its model: `morlight evaluate {run} --data {served.sample.path}`, `morlight inspect {run}`"
    )


def announce_equation(equation: Equation, path: Path, tracker: Tracker) -> None:
    """The equation that a fit found, with a warning where it does not describe the data."""
    print(f"morlight: {path}: {equation.text}", file=sys.stderr)
    tracker.log_text(equation.summary(), "equation.txt")
    if equation.unexplained is not None and equation.unexplained > DOUBTFUL:
        share = f"{100 * equation.unexplained:.2g} %"
        print(
            f"morlight: {path}: this equation leaves {share} of the change over short roll-outs unexplained, so that it"
            " does not describe these data; model.optimizer adam trains networks",
            file=sys.stderr,
        )
