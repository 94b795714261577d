"""A trial that failed for a reason of its own is tried again, and goes on where it stopped."""

from pathlib import Path

import small_fits
import torch
import yaml

from morlight.cli import main as cli

EPOCHS, BATCHES = 6, 9


def test_a_trial_that_is_tried_again_does_each_epoch_once(tmp_path, monkeypatch, heat_file):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    base = {
        "model": {"biases": ["conservation"], "realizations": 2, "width": 3, "depth": 3, "horizons": [1]},
        "data": {"batch": 20, "test": 0, "validation": 0, "path": str(heat_file)},
        "trainer": {"max_epochs": EPOCHS, "accelerator": "cpu", "enable_progress_bar": False},
    }
    # 6 trajectories of 30 windows are 9 batches of 20
    Path("base.yaml").write_text(yaml.safe_dump(base))
    plan = {"config": "base.yaml", "space": {"model.lr": [0.01]}, "sampler": "grid", "objective": "train_loss"}
    Path("search.yaml").write_text(yaml.safe_dump(plan))
    steps = []
    step = torch.optim.Adam.step

    def fails_once(self, *given, **named):
        steps.append(None)
        if len(steps) == 4 * BATCHES + 3:  # within the fifth epoch
            raise RuntimeError("the device is lost")
        return step(self, *given, **named)

    monkeypatch.setattr(torch.optim.Adam, "step", fails_once)
    cli.main(["sweep", "--config", "search.yaml"])
    run = small_fits.run_of("search-000")
    assert run.info.status == "FINISHED"
    logged, _ = small_fits.history(run.info.run_id, "train_loss/median")
    assert logged == [BATCHES * (epoch + 1) - 1 for epoch in range(EPOCHS)]
    assert len(steps) == EPOCHS * BATCHES + 3  # those of the epoch that was broken off came twice
