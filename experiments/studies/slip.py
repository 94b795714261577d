"""Slip length of a thin Lennard-Jones gas beside a wall that moves, learned, and by a straight line.

    morlight simulate couette --density 0.1 --speed 0.926 1.852 2.8 3.704 --seeds 2 -o gas.h5
    python -m experiments.studies.slip gas.h5

fits the velocity, momentum over density, at all speeds but one, with and without slip, and prints the errors at steady
state for the speed that is held out, and the slip lengths beside those of a straight line through the steady profiles.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

import morlight
from experiments.studies.couette import SETTINGS, STEADY, relative
from morlight.analysis.inspection import inspect
from morlight.analysis.model import Model
from morlight.data.trajectory_file import TrajectoryFile

COARSEN = 2  # cells of the file to one of σ
CASES: dict[str, Mapping[str, Any]] = {
    "sines": {"model.bases": {"velocity": "sine"}},
    "slip": {"model.bases": {"velocity": "robin"}},
}
LINEAR = {  # one term is enough for a gas of constant viscosity; a second one would compete with the slip
    "data.fields": ["velocity"], "data.coarsen": 1, "data.ensemble": "all", "model.terms": 1,
    "model.walls": {"velocity": [0, "speed"]}
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="file of morlight simulate couette")
    parser.add_argument("--held-out", type=float, default=2.8, metavar="SPEED", help="of the wall, not trained on")
    options = parser.parse_args(arguments)
    file = TrajectoryFile.open(options.data)
    speeds, u = velocities(file)
    flow = u[np.isclose(speeds, options.held_out)][0]
    width = float(file.attributes["unit_length"])
    steady = (u[:, STEADY:].mean(1) / speeds[:, None]).mean(0)
    for share in (1.0, 0.7):
        low, high = line(steady, share)
        print(f"straight line, {100 * share:.0f} % of the width: {low * width:.2g} and {high * width:.2g} σ")
    with tempfile.TemporaryDirectory() as folder:
        path, dt = Path(folder) / "velocity.h5", float(file.times[1] - file.times[0])
        morlight.write(path, {"velocity": u}, dt=dt, length=1.0, boundaries="wall", parameters={"speed": speeds})
        held_out = {"data.held_out": {"speed": options.held_out}}
        settings = SETTINGS | LINEAR | held_out
        models = {name: morlight.fit(path, settings | dict(case)).model for name, case in CASES.items()}
    for name, model in models.items():
        assert isinstance(model, Model)
        frames = model.predict(flow[0], len(flow) - 1, gamma={"speed": options.held_out})
        errors = relative(frames[:, STEADY:].mean(1), flow[STEADY:].mean(0))
        print(f"{name}: error at steady state {100 * np.median(errors):.2g} %, median; {np.round(100 * errors, 1)} %")
        slip = inspect(model).fields["velocity"].slip_lengths
        for wall, b in zip(("lower", "upper"), width * np.array(slip or ()).T, strict=False):
            print(f"  slip length at the {wall} wall {b.mean():.2g} ± {b.std(ddof=1):.1g} σ")


def velocities(file: TrajectoryFile) -> tuple[Float[np.ndarray, " S"], Float[np.ndarray, "S T N"]]:
    """Each speed of the wall, and the velocity of the mean over its runs."""
    speeds, runs = np.unique(file.parameters["speed"].astype(np.float64), return_inverse=True)
    fields = file.read(["density", "momentum"]).astype(np.float64)
    coarse = fields.reshape(*fields.shape[:3], -1, COARSEN).mean(-1)
    means = np.array([coarse[runs == place].mean(0) for place in range(len(speeds))])  # (speeds, T, 2, N)
    return speeds, means[:, :, 1] / means[:, :, 0]


def line(u: Float[np.ndarray, " N"], share: float) -> tuple[float, float]:
    """Slip lengths, in units of the width, of the straight line through a share of a steady flow in the middle.

    Args:
        u: velocity in units of that of the upper wall.
        share: of the width.
    """
    x = (np.arange(len(u)) + 0.5) / len(u)
    inner = np.abs(x - 0.5) < share / 2
    slope, start = np.polyfit(x[inner], u[inner], 1)
    return start / slope, (1 - start - slope) / slope


if __name__ == "__main__":
    main()
