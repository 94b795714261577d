"""What a finished fit leaves in its run: errors and figures."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch

from morlight.analysis import inspection, plots
from morlight.analysis import model as prediction
from morlight.analysis.evaluation import walkers as evaluation
from morlight.analysis.export import pyfunc as serving
from morlight.tracking.logger import Tracker
from morlight.training.callbacks import figures

COMPARED = 500  # windows on which the linear model is compared: it is better or worse in thousands of numbers in each
SHOWN = 200  # trajectories looked at where none is held out


class FinalReport(lightning.Callback):
    """Evaluates the best checkpoint on the test trajectories and logs the result, once, on the first process."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker

    def on_fit_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Metrics NAME/median, NAME/min and NAME/RR; a figure; evaluation.json; the model as MLflow serves it."""
        if not trainer.is_global_zero:
            return
        folder = Path(str(trainer.checkpoint_callback.dirpath))
        best = folder / "best.ckpt" if (folder / "best.ckpt").exists() else folder / "last.ckpt"
        model = prediction.load(best)
        data = trainer.datamodule.file
        rows = trainer.datamodule.rows("test") or list(range(min(SHOWN, data.trajectories)))
        result = evaluation.evaluate(model, data.path, rows)
        metrics: dict[str, float] = {}
        for name, error in result["errors"].items():
            metrics |= {f"{name}/median": error["median"], f"{name}/min": error["min"]}
            metrics |= {f"{name}/{r:02d}": value for r, value in enumerate(error["per_realization"])}
        metrics |= {f"noise_ceiling/{k}": v for k, v in (result["noise_ceiling"] or {}).items() if isinstance(v, float)}
        compared = self._compared(model, trainer, max(module.hparams.horizons))
        if compared is not None:
            result["over_linear"] = compared
            metrics |= {f"over_linear/{key}": compared[key] for key in ("median", "min", "standard_error")}
            if (said := beaten(compared)) is not None:
                print(f"morlight: {best}: {said}", file=sys.stderr)
        self.tracker.log_metrics(metrics, trainer.global_step)
        with tempfile.TemporaryDirectory() as scratch:
            picture = Path(scratch) / "learned.png"
            plots.learned(inspection.readings(model, evaluation.walkers_decay(data)), picture)
            self.tracker.log_artifact(picture, "figures")
            picture = Path(scratch) / "rollout.png"
            if figures.rollout(model, data, rows[0], picture):
                self.tracker.log_artifact(picture, "figures")
            serving.save(best, Path(scratch) / serving.FOLDER)
            self.tracker.log_artifact(Path(scratch) / serving.FOLDER, serving.FOLDER)
        self.tracker.log_text(json.dumps(result, indent=1), "evaluation.json")

    def _compared(self, model: prediction.Model, trainer: lightning.Trainer, horizon: int) -> dict[str, Any] | None:
        """The model beside the linear one, on windows of test or else of validation trajectories."""
        held = (trainer.datamodule.windows(part) for part in ("test", "validation"))
        windows = next((part for part in held if part.count(horizon)), None)
        if windows is None:
            return None
        total = windows.count(horizon)
        index = torch.linspace(0, total - 1, min(COMPARED, total)).long()
        trajectory = index.div(windows.length - horizon, rounding_mode="floor")
        gamma = windows.parameters(index, horizon)
        return evaluation.over_linear(model, windows.at(index, (0, horizon)), gamma, horizon, trajectory)


def beaten(compared: dict[str, Any]) -> str | None:
    """What to say where the linear model does better than the median realisation, beyond the noise of the data."""
    if compared["median"] - 1 <= 2 * compared["standard_error"]:
        return None
    return (
        "a linear model of each mode by itself is better on the held-out trajectories: over"
        f" {compared['horizon']} step(s) the mean square error of the networks is {compared['median']:.4g} times that"
        " of the linear model"
    )
