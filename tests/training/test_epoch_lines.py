"""What a fit without a progress bar prints while it runs."""

import re

import pytest
import small_fits


def test_a_fit_without_a_bar_prints_ten_lines_with_the_losses_of_its_run(data, capfd):
    done = small_fits.fit(data, {"trainer.max_epochs": 20, "model.lr": 0.01})
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("morlight: epoch")]
    epochs = [re.match(r"morlight: epoch (\d+) of 20, train_loss (\S+) \(\d+ s\)", line).groups() for line in lines]
    assert [int(epoch) for epoch, _ in epochs] == list(range(2, 21, 2))
    _, losses = small_fits.history(done.run_id, "train_loss/median")
    assert [float(loss) for _, loss in epochs] == pytest.approx(losses[1::2], rel=1e-3)
