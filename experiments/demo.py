"""The whole way in a few minutes: walkers → fields → fit → checkpoint → prediction; `make demo`."""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from experiments.study import newest_checkpoint, run
from morlight.analysis import model as prediction
from morlight.analysis import plots
from morlight.analysis.evaluation import walkers as evaluation
from morlight.data import trajectory_file as trajectories

FOLDER = Path("mlruns") / "demo"


def column(model: prediction.Model, data: Path, path: Path) -> None:
    """A column of Fig. 4: a set of walkers (top) and the square wave of Eq. 23 (bottom) at t = 0 and t = 1."""
    described = trajectories.describe(data)
    decay = evaluation.walkers_decay(described)
    assert decay is not None
    steps = round(1 / model.dt)
    sample = trajectories.read(data, model.data["fields"], slice(1))[0, :, 0]
    wave = [evaluation.square_wave(described.grid.points, decay, t).numpy() for t in (0.0, 1.0)]
    figure = Figure(figsize=(6, 6.4), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True)
    (x,) = described.grid.coordinates
    for axes, start, truth in ((top, sample[0], sample[-1]), (bottom, *wave)):
        learned = model.predict(start, steps, every=steps)[:, -1]
        plots.profiles(axes, x, start=start, truth=truth, learned=learned)
        axes.set(ylabel="density u (mean 1)" if axes is top else "u")
    top.set(title="walkers, t = 0 and t = 1")
    bottom.set(title="square wave (Eq. 23), never seen in training", xlabel="x (length)")
    top.legend(title=f"{model.realizations} realisations", frameon=False)
    plots.save(figure, path)


def table(model: prediction.Model, data: Path) -> str:
    """Errors of every realisation at t = 1 on the square wave, drift of the total, error of the symbol."""
    result = evaluation.evaluate(model, data)
    errors = result["errors"]
    columns = {
        "square wave, t = 1": np.array(errors["square_wave_t1"]["per_realization"]),
        "generator, κ ≤ 16": np.array(errors["generator_kappa16"]["per_realization"]),
        "drift of mass": np.array(result["mass_drift"][model.data["fields"][0]]),
    }
    lines = ["realisation   " + "   ".join(columns)]
    for r in range(model.realizations):
        square, symbol, mass = (values[r] for values in columns.values())
        lines.append(f"{r:>11}   {100 * square:>16.2f} %   {100 * symbol:>15.2f} %   {mass:>13.1e}")
    square, symbol, _ = (np.median(values) for values in columns.values())
    lines.append(f"{'median':>11}   {100 * square:>16.2f} %   {100 * symbol:>15.2f} %")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate, fit, predict, print and draw."""
    parser = argparse.ArgumentParser(prog="python -m experiments.demo", description=__doc__)
    parser.add_argument("--sets", type=int, default=100, help="sets of walkers; the paper has 100 (default)")
    parser.add_argument("--walkers", type=int, default=51_200, help="walkers a set; the paper has 51 200 (default)")
    options = parser.parse_args(arguments)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    data, picture, wave = FOLDER / "brownian.h5", FOLDER / "demo.png", FOLDER / "square_wave.h5"
    run(f"morlight simulate brownian --sets {options.sets} --walkers {options.walkers} -o {data}")
    run(f"morlight fit --config configs/brownian.yaml --data.path {data} --name demo")
    checkpoint = newest_checkpoint("demo")
    model = prediction.load(checkpoint)
    write_square_wave(model, wave)
    run(f"morlight predict {checkpoint} --initial {wave} --steps 1000 --every 100 -o {FOLDER / 'prediction.h5'}")
    column(model, data, picture)
    print(f"\nErrors of the learned operator, {model.realizations} realisations\n\n{table(model, data)}")
    print(f"\nFigure: {picture}\n\nNext:")
    print(f"  .venv/bin/morlight evaluate {checkpoint} --data {data}")
    print(f"  .venv/bin/morlight predict {checkpoint} --initial {data} --steps 1000 -o later.h5 --plot later.png")
    print("  .venv/bin/morlight ui")


def write_square_wave(model: prediction.Model, path: Path) -> None:
    """The square wave of Eq. 23 at t = 0 as a trajectory file."""
    grid = trajectories.Grid(*(tuple(model.data[key]) for key in ("points", "length", "boundaries")))
    wave = evaluation.square_wave(grid.points, lambda modulus: modulus**2, 0.0).numpy()
    trajectories.write(
        path,
        name="square wave",
        fields={model.data["fields"][0]: wave[None, None]},
        grid=grid,
        times=np.zeros(1),
        provenance={"generator": "square wave (Eq. 23)"},
    )


if __name__ == "__main__":
    main()
