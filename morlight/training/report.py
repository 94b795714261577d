"""What a finished fit leaves in its run: errors and figures."""

import json
import tempfile
from pathlib import Path

import pytorch_lightning as lightning

from morlight import evaluation, inspection, plots, prediction
from morlight.tracking import Tracker

SHOWN = 200  # trajectories looked at where none is held out


class FinalReport(lightning.Callback):
    """Evaluates the best checkpoint on the test trajectories and logs the result, once, on the first process."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker

    def on_fit_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Metrics NAME/median, NAME/min and NAME/RR; a figure of symbol and nonlinearity; evaluation.json."""
        if not trainer.is_global_zero:
            return
        folder = Path(str(trainer.checkpoint_callback.dirpath))
        best = folder / "best.ckpt" if (folder / "best.ckpt").exists() else folder / "last.ckpt"
        model = prediction.load(best)
        data = trainer.datamodule.file
        rows = trainer.datamodule.windows("test").rows.tolist() or list(range(min(SHOWN, data.trajectories)))
        result = evaluation.evaluate(model, trainer.datamodule.hparams.path, rows)
        metrics: dict[str, float] = {}
        for name, error in result["errors"].items():
            metrics |= {f"{name}/median": error["median"], f"{name}/min": error["min"]}
            metrics |= {f"{name}/{r:02d}": value for r, value in enumerate(error["per_realization"])}
        self.tracker.log_metrics(metrics, trainer.global_step)
        with tempfile.TemporaryDirectory() as scratch:
            picture = Path(scratch) / "learned.png"
            plots.learned(inspection.readings(model, evaluation.walkers_decay(data)), picture)
            self.tracker.log_artifact(picture, "figures")
        self.tracker.log_text(json.dumps(result, indent=1), "evaluation.json")
