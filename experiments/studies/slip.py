"""Slip length of a Lennard-Jones fluid that a force drives along a channel, learned, and by a parabola.

    python -m experiments.studies.slip 0.05 0.1 0.2 0.5

fits the velocity in the set `lj`, averaged over the runs of each density ρ* and their mirror images, between walls with
slip, and prints the slip length beside that of a parabola through the steady velocity (see `support.poiseuille`).
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

import morlight
from experiments.support.equilibrium import Measured
from experiments.support.poiseuille import poiseuille
from experiments.support.shear import WIDTH
from experiments.support.tables import table
from morlight.analysis.model import Model
from morlight.data import shipped
from morlight.data.trajectory_file import TrajectoryFile

COARSEN = 4  # cells of the file to one of 20
STEADY = 20  # last frames
SETTINGS: dict[str, Any] = {
    "data.validation": 0, "data.test": 0, "model.bases": {"velocity": "robin"},
    "model.slip_lengths": {"velocity": ["learned"]}, "model.symbol": "plain", "model.terms": 2, "model.loss": "points",
    "model.horizons": [4], "model.steps": "all", "model.start": "linear", "model.smoothness": 0,
    "trainer.max_epochs": 400, "trainer.enable_progress_bar": False,
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit at each density, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("density", nargs="+", type=float, help="ρ* of runs of the set lj")
    file, rows = shipped.open("lj"), []
    for density in parser.parse_args(arguments).density:
        runs = np.flatnonzero(np.isclose(file.parameters["density"], density, rtol=1e-3))
        u = velocity(file, runs.tolist())
        model = fitted(u, float(file.times[1] - file.times[0]))
        slip = model.spectral.basis.slip
        assert slip is not None
        learned = WIDTH * slip[:, 0].detach().numpy()
        frames = model.predict(u[0], len(u) - 1)
        off = np.linalg.norm((frames - u)[:, -STEADY:].mean(1), axis=-1) / np.linalg.norm(u[-STEADY:].mean(0))
        mean = Measured(float(learned.mean()), float(learned.std(ddof=1)))
        rows.append(
            [f"{density:g}", str(mean), str(poiseuille(file, runs.tolist())[1]), f"{100 * np.median(off):.2g} %"]
        )
    print(table(["ρ*", "slip length, learned (σ)", "of the parabola (σ)", "error of the steady velocity"], rows))


def velocity(file: TrajectoryFile, runs: Sequence[int]) -> Float[np.ndarray, "T N"]:
    """Velocity of the mean over some runs and their mirror images."""
    totals = np.mean([file.read(["density", "momentum"], slice(run, run + 1))[0] for run in runs], axis=0)
    density, momentum = totals.reshape(len(totals), 2, -1, COARSEN).mean(3).astype(np.float64).swapaxes(0, 1)
    mirrored: np.ndarray = (momentum + momentum[:, ::-1]) / (density + density[:, ::-1])
    return mirrored


def fitted(u: Float[np.ndarray, "T N"], dt: float) -> Model:
    """An operator of this flow."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flow.h5"
        morlight.write(path, {"velocity": u[None]}, dt=dt, length=1.0, boundaries="wall")
        model = morlight.fit(path, SETTINGS).model
    assert isinstance(model, Model)
    return model


if __name__ == "__main__":
    main()
