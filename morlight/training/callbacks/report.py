"""What a finished fit leaves in its run: errors, figures, and the model as MLflow serves it."""

import json
import sys
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch

from morlight.analysis import inspection, plots
from morlight.analysis.evaluation.evaluate import evaluate
from morlight.analysis.evaluation.over_linear import over_linear
from morlight.analysis.evaluation.result import OverLinear
from morlight.analysis.evaluation.walkers import Walkers
from morlight.analysis.export import pyfunc
from morlight.analysis.extrapolation import OtherConditions
from morlight.analysis.model import Model, load
from morlight.analysis.noise_text import with_error
from morlight.data.config import DataConfig
from morlight.data.datamodule import TrajectoryDataModule
from morlight.data.trajectory_file import TrajectoryFile
from morlight.data.windows import Pairs
from morlight.operators.build import Components
from morlight.operators.fluctuations import Fluctuations
from morlight.tracking.logger import Tracker
from morlight.training.advice import advice
from morlight.training.callbacks import figures
from morlight.training.callbacks.checkpoints import FitCheckpoints
from morlight.training.callbacks.ranking import rollout_errors
from morlight.training.fluctuations import learning as fluctuations

COMPARED = 500  # windows on which the linear model is compared: it is better or worse in thousands of numbers in each
SURE = 4.0  # standard errors
SHOWN = 200  # trajectories looked at where none is held out


class FinalReport(lightning.Callback):
    """Evaluates the best checkpoint on the test trajectories and logs the result, once, on the first process.

    Args:
        tracker: of the run.
        checkpoints: of the fit.
        components: the user's own networks and biases.
        silent: print nothing, as in the trials of a sweep.
    """

    def __init__(
        self,
        tracker: Tracker,
        checkpoints: FitCheckpoints,
        components: Components | None = None,
        *,
        silent: bool = False,
    ) -> None:
        self.tracker, self.checkpoints, self.components, self.silent = tracker, checkpoints, components, silent

    def on_fit_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Log the errors, the figures, evaluation.json and the model for serving."""
        if not trainer.is_global_zero:
            return
        data, step = trainer.datamodule, module.steps_taken
        model = self._ranked(data, module.held_back_horizon)
        if module.config.fluctuations:
            model = self._fluctuating(model, data, module.held_back_horizon)
        compared = self._compared(model, data, module.held_back_horizon)
        metrics: dict[str, float] = {}
        result: dict[str, Any] = {}
        if compared is not None:
            result["over_linear"] = compared.to_json()
            values = (compared.ratio.median, compared.ratio.min, compared.standard_error)
            metrics |= dict(zip(("over_linear/median", "over_linear/min", "over_linear/standard_error"), values,
                                strict=True))  # fmt: skip
            if compared.worse and model.config.equation is None:  # of which the share of the change it explains is told
                self._print(f"{model.path}: {sentence(compared)}; try {advice(model, data.sample, compared.horizon)}")
        if isinstance(data, TrajectoryDataModule):
            file, rows = _tested(data)
            held_back = bool(data.split.trajectories("test"))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", OtherConditions)  # the runs that the user holds back
                evaluation = evaluate(model, file, rows, on_training_data=not held_back)
            if not held_back:
                self._print(f"{file.path}: {nothing_held_back(data.config)}")
            metrics, result = evaluation.metrics() | metrics, evaluation.to_json() | result
        self.tracker.log_metrics(metrics, step)
        with tempfile.TemporaryDirectory() as scratch:
            self._figures(model, data, Path(scratch))
            if self.components is None:  # MLflow serves what a file can hold
                pyfunc.save(model, Path(scratch) / pyfunc.FOLDER)
                self.tracker.log_artifact(Path(scratch) / pyfunc.FOLDER, pyfunc.FOLDER)
        self.tracker.log_text(json.dumps(result, indent=1), "evaluation.json")

    def _ranked(self, data: lightning.LightningDataModule, horizon: int) -> Model:
        """The best checkpoint, its realizations ranked by roll-outs if these can be longer than those of the loss."""
        model = load(self.checkpoints.chosen, self.components)
        if model.realizations == 1 or model.config.equation is not None or not data.count("validation", horizon + 1):
            return model
        part = data.part("validation")
        if isinstance(part, Pairs):
            return model
        losses = rollout_errors(model, part)
        self.checkpoints.rank(losses)
        return replace(model, checkpoint=replace(model.checkpoint, losses=losses))

    def _fluctuating(self, model: Model, data: Any, horizon: int) -> Model:
        """The model with the noise of its steps, which its checkpoint then has as well."""
        noise = fluctuations.learned(model, data.sample)
        self.checkpoints.add_fluctuations(noise)
        equation = model.config.equation is not None
        for caution in cautions(noise, "other terms" if equation else advice(model, data.sample, horizon)):
            self._print(f"{model.path}: {caution}")
        return replace(model, checkpoint=replace(model.checkpoint, fluctuations=noise))

    def _print(self, text: str) -> None:
        if not self.silent:
            print(f"morlight: {text}", file=sys.stderr)

    def _figures(self, model: Model, data: lightning.LightningDataModule, scratch: Path) -> None:
        file = data.file if isinstance(data, TrajectoryDataModule) else None
        walkers = None if file is None else Walkers.of(file)
        picture = scratch / "learned.png"
        plots.learned(inspection.readings(model, None if walkers is None else walkers.decay), picture)
        self.tracker.log_artifact(picture, "figures")
        picture = scratch / "rollout.png"
        if isinstance(data, TrajectoryDataModule):
            file, rows = _tested(data)
            if figures.rollout(model, file, rows[0], picture):
                self.tracker.log_artifact(picture, "figures")

    @staticmethod
    def _compared(model: Model, data: lightning.LightningDataModule, horizon: int) -> OverLinear | None:
        """The model beside the linear one, on windows of test or else of validation trajectories."""
        name = next((name for name in ("test", "validation") if data.count(name, horizon)), None)
        if name is None:
            return None
        part = data.part(name)
        if isinstance(part, Pairs):
            index = part.evenly(COMPARED)
            u, f = part.at(index)
            return over_linear(model, torch.stack([u, u + f]), part.gamma[part.rows[index]], 1, part.rows[index])
        index = part.evenly(horizon, COMPARED)
        frames, gamma = part.at(index, (0, horizon)), part.parameters(index, horizon)
        return over_linear(model, frames, gamma, horizon, part.trajectory(index, horizon))


def _tested(data: TrajectoryDataModule) -> tuple[TrajectoryFile, list[int]]:
    """Frames and trajectories of the test, or some of all where there is none."""
    rows = data.split.trajectories("test")
    if not rows:
        return data.file, list(range(min(SHOWN, data.file.trajectories)))
    return data.file.during(data.split.frames("test")), rows


def cautions(noise: Fluctuations, remedy: str) -> list[str]:
    """What to say of the noise of the steps after a fit.

    Args:
        noise: of the steps.
        remedy: settings with which the operator may explain more of the mean change.
    """
    if not noise.lags:
        return ["the noise of the measurement is not told from that of the steps, which needs three frames"]
    said = []
    if noise.measured:
        said.append(
            "part of the noise is that of the measurement, since residuals of successive steps are anticorrelated"
            f" ({with_error(*noise.lags[0])}); ensembles take it into account. Averages over less time have less of it,"
            " and so have densities of particles that were made with --deposit fourier instead of histogram"
        )
    for steps, (value, error) in zip(("one step", "two steps"), noise.lags, strict=False):
        explained = noise.measured and steps == "one step" and value < 0
        if abs(value) > max(0.02, SURE * error) and not explained:
            said.append(
                f"residuals {steps} apart have the correlation {with_error(value, error)}: the operator leaves part of"
                f" the mean change to the noise, which is then not white; try {remedy}"
            )
    return said


def nothing_held_back(config: DataConfig) -> str:
    """What to say of errors on training data, and which setting holds data back from few trajectories."""
    held_back = "nothing is held back for a test (data.test): the errors of this run are those on training data"
    few = config.test > 0 and not config.targets
    return f"{held_back}; with data.split time, the end of each trajectory is held back" if few else held_back


def sentence(compared: OverLinear) -> str:
    """What to say where the linear model does better than the median realization, beyond the noise of the data."""
    return (
        "a linear model of each mode by itself is better on data that were held back: over"
        f" {compared.horizon} step(s) the mean square error of the networks is {compared.ratio.median:.4g} times that"
        " of the linear model"
    )
