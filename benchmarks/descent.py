"""Networks for the Cahn–Hilliard equation with and without the bias `gradient_flow`.

    python -m benchmarks.descent

∂ₜu = ∂²ₓ(u³ − u) − 0.1 ∂⁴ₓu on six trajectories. The fits differ in the bias alone: the median error of roll-outs at
the end of the held-back frames, and the largest |u| of each realization in roll-outs over ten times the data.
"""

import json
import math
import os
import tempfile
from typing import Any

import numpy as np
import torch

import morlight
from benchmarks.equation_sets import Truth, frames, line, solution, waves
from morlight.operators.bases import Fourier

TRUTH: Truth = [{line(2, 1): -1.0, line(4, 1): -0.1, line(2, 3): 1.0}]
SYMMETRIES = ["conservation", "isotropy", "reflection"]
SETTINGS: dict[str, Any] = {
    "model.horizons": [1, 4],
    "model.loss": "points",
    "model.realizations": 5,
    "model.scheme": "exponential",
    "model.substeps": 2,
    "model.symbol": "plain",
    "model.terms": 2,
    "trainer.accelerator": "cpu",
    "trainer.enable_progress_bar": False,
    "trainer.max_epochs": 100,
}


def main() -> None:
    """Print a line for each fit."""
    basis, times = Fourier(64, 4 * math.pi).double(), frames(2, 41)
    u = solution(TRUTH, basis, 0.5 * waves(basis, 6, 4, torch.Generator().manual_seed(0)), times, 20)
    os.chdir(tempfile.mkdtemp())
    described: dict[str, Any] = {"times": times.numpy(), "length": 4 * math.pi, "boundaries": "periodic"}
    morlight.write("ch.h5", {"u": u[:, :, 0].numpy()}, **described)
    for biases in (SYMMETRIES, ["gradient_flow", *SYMMETRIES]):
        result = morlight.fit("ch.h5", {**SETTINGS, "model.biases": biases})
        assert result.model is not None
        walk = result.model.predict(u[:, 0].numpy(), 10 * (len(times) - 1), finite=False)
        largest = np.nan_to_num(np.abs(walk), nan=np.inf).max((1, 2, 3, 4))
        error = result.metrics["rollout_end/median"]
        print(json.dumps({"biases": biases, "rollout_end": error, "largest": largest.tolist()}), flush=True)


if __name__ == "__main__":
    main()
