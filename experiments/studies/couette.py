"""A wall that moves: Lennard-Jones fluid between a wall at rest and one with five speeds, one of them held out.

    morlight simulate couette --speed 0.926 1.4 1.852 2.8 3.704 --seeds 4 -o couette.h5
    python -m experiments.studies.couette couette.h5

fits the same networks with and without `model.walls` and slip, prints the errors at steady state for the speed that is
held out, and puts the figure into docs/figures.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

import morlight
from experiments.support.results import FIGURES
from morlight.analysis import plots
from morlight.analysis.model import Model
from morlight.analysis.transport_coefficients import Coefficient
from morlight.data.trajectory_file import TrajectoryFile

STEADY = 20  # frames from which the flow is steady, 2000 steps each
COARSEN = 2  # cells of the file to one of σ
SETTINGS: dict[str, Any] = {
    "data.fields": ["momentum"], "data.parameters": ["speed"], "data.ensemble": "mean", "data.coarsen": COARSEN,
    "data.validation": 0, "data.test": 0, "model.bases": {"momentum": "sine"}, "model.symbol": "plain",
    "model.terms": 2, "model.loss": "points", "model.horizons": [4], "model.steps": "all", "model.start": "linear",
    "model.smoothness": 0, "trainer.max_epochs": 300, "trainer.enable_progress_bar": False,
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="file of morlight simulate couette")
    parser.add_argument("--held-out", type=float, default=2.8, metavar="SPEED", help="of the wall, not trained on")
    parser.add_argument("--figure", default=FIGURES / "couette.png", type=Path)
    options = parser.parse_args(arguments)
    file = TrajectoryFile.open(options.data)
    walls = {"model.walls": {"momentum": [0, f"{file.parameters['density'][0]:g}*speed"]}}
    cases: dict[str, Mapping[str, Any]] = {
        "sines": {},
        "sines and fluxes": {"model.flux": True},
        "sines between given values": walls,
        "slip between given values": walls | {"model.bases": {"momentum": "robin"}},
    }
    flow = measured(file, options.held_out)
    predictions = {}
    print(f"noise of the data at steady state: {100 * noise(file, options.held_out):.2g} %")
    for name, changes in cases.items():
        held_out = {"data.held_out": {"speed": options.held_out}}
        model = morlight.fit(options.data, SETTINGS | held_out | dict(changes)).model
        assert isinstance(model, Model)
        frames = model.predict(flow[0], len(flow) - 1, gamma={"speed": options.held_out})
        errors = relative(frames[:, STEADY:].mean(1), flow[STEADY:].mean(0))
        predictions[name] = frames[np.argsort(errors)[len(errors) // 2]]
        print(f"{name}: error at steady state {100 * np.median(errors):.2g} %, median; {np.round(100 * errors, 1)} %")
        slip = model.transport({"speed": options.held_out}).slip_length
        if isinstance(slip, Coefficient):
            print(f"  slip length, mean of both walls: {slip} (the width is {file.grid.length[0]:g})")
    draw(flow, predictions, options.figure)


def measured(file: TrajectoryFile, speed: float) -> Float[np.ndarray, "T N"]:
    """Momentum over time, mean of the runs with a speed."""
    return runs(file, speed).mean(0)


def runs(file: TrajectoryFile, speed: float) -> Float[np.ndarray, "S T N"]:
    """Momentum of each run with a speed."""
    rows = np.isclose(file.parameters["speed"], speed)
    u = file.read(["momentum"])[rows, :, 0].astype(np.float64)
    return u.reshape(*u.shape[:2], -1, COARSEN).mean(-1)


def noise(file: TrajectoryFile, speed: float) -> float:
    """Standard error of the steady profile over the runs, as a share of it."""
    steady = runs(file, speed)[:, STEADY:].mean(1)
    scatter = steady.std(0, ddof=1) / np.sqrt(len(steady)) if len(steady) > 1 else np.full(steady.shape[1], np.nan)
    return float(np.linalg.norm(scatter) / np.linalg.norm(steady.mean(0)))


def relative(u: Float[np.ndarray, "R N"], truth: Float[np.ndarray, " N"]) -> Float[np.ndarray, " R"]:
    """‖a − b‖ / ‖b‖."""
    errors: np.ndarray = np.linalg.norm(u - truth, axis=-1) / np.linalg.norm(truth)
    return errors


def draw(flow: Float[np.ndarray, "T N"], predictions: Mapping[str, Float[np.ndarray, "T N"]], path: Path) -> None:
    """Profiles at some times: measured, and predicted for the speed that is held out."""
    figure = Figure(figsize=(3.6 * len(predictions), 3.2), layout="constrained")
    panels = figure.subplots(1, len(predictions), sharey=True, squeeze=False)[0]
    x = (np.arange(flow.shape[1]) + 0.5) / flow.shape[1]
    for axes, (name, frames) in zip(panels, predictions.items(), strict=True):
        for label, u, style in (("LAMMPS", flow, {"color": plots.TRUTH, "lw": 3, "alpha": 0.5}),
                                ("learned", frames, {"color": plots.LEARNED, "lw": 1.2, "ls": "--"})):  # fmt: skip
            for frame in (1, 3, 8):
                axes.plot(x, u[frame], **style)
            axes.plot(x, u[STEADY:].mean(0), label=label, **style)
        axes.set(title=name, xlabel="x / width")
    panels[0].set(ylabel="momentum density (m/σ²τ)", ylim=(-0.2, 1.15 * flow[STEADY:].mean(0).max()))
    panels[0].legend()
    plots.save(figure, path)


if __name__ == "__main__":
    main()
