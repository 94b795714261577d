"""The whole way in a few minutes: walkers → fields → fit → checkpoint → prediction; `make demo`."""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import morlight
from experiments.support.tables import table
from morlight.analysis import plots, prediction
from morlight.analysis.evaluation.evaluate import evaluate
from morlight.analysis.evaluation.walkers import Walkers as Equation
from morlight.analysis.evaluation.walkers import square_wave
from morlight.analysis.model import Model
from morlight.data.trajectory_file import TrajectoryFile
from morlight.simulate.walkers import Walkers, brownian

FOLDER = Path("mlruns") / "demo"


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate, fit, predict, print and draw."""
    parser = argparse.ArgumentParser(prog="python -m experiments.demo", description=__doc__)
    parser.add_argument("--sets", type=int, default=100, help="sets of walkers; the paper has 100 (default)")
    parser.add_argument("--walkers", type=int, default=51_200, help="walkers a set; the paper has 51 200 (default)")
    options = parser.parse_args(arguments)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    data, later, picture = FOLDER / "brownian.h5", FOLDER / "prediction.h5", FOLDER / "demo.png"
    print(f"Simulating {options.sets} sets of {options.walkers} walkers: {data}", flush=True)
    brownian(data, Walkers(sets=options.sets, walkers=options.walkers))
    print("Learning their equation", flush=True)
    result = morlight.fit(data, {"name": "demo"}, config="brownian")
    assert result.model is not None
    prediction.write(result.model, prediction.Start(str(data)), 1000, prediction.Outputs(str(later)), every=100)
    draw(result.model, data, picture)
    print(f"\nErrors of the learned operator, {result.model.realizations} realizations\n")
    print(error_table(result.model, data))
    print(f"\nFigure: {picture}; prediction: {later}\n\nNext:")
    print(f"  .venv/bin/morlight evaluate {result.checkpoint} --data {data}")
    print(
        f"  .venv/bin/morlight predict {result.checkpoint} --initial {data} --steps 1000 -o later.h5 --plot later.png"
    )
    print("  .venv/bin/morlight ui")


def draw(model: Model, data: Path, path: Path) -> None:
    """A column of Fig. 4: a set of walkers (left) and the square wave of Eq. 23 (right) at t = 0 and t = 1."""
    file = TrajectoryFile.open(data)
    equation = Equation.of(file)
    assert equation is not None
    steps = round(1 / model.dt)
    sample = file.read(model.data.field_names, slice(1))[0, :, 0]
    wave = [square_wave(file.grid.points, equation.decay, t).numpy() for t in (0.0, 1.0)]
    figure = Figure(figsize=(9.5, 3.6), layout="constrained")
    (x,) = file.grid.coordinates
    panels = (
        ("density of walkers", sample[0], sample[-1], "data"),
        ("square wave, not in the training data", wave[0], wave[1], "exact"),
    )
    for axes, (title, start, truth, label) in zip(figure.subplots(1, 2), panels, strict=True):
        learned = model.predict(start, steps, every=steps)[:, -1]
        plots.profiles(axes, x, start=start, truth=truth, learned=learned, truth_label=f"{label}, t = 1")
        axes.set(title=title, xlabel="x", ylabel="density u (mean 1)" if label == "data" else "u")
        axes.legend(frameon=False, fontsize=8)
    plots.save(figure, path)


def error_table(model: Model, data: Path) -> str:
    """Errors of every realization at t = 1 on the square wave, error of the symbol, drift of the total."""
    result = evaluate(model, data)
    square, symbol = (result.errors[name] for name in ("square_wave_t1", "generator_kappa16"))
    drift = result.mass_drift[model.data.field_names[0]]
    each = zip(square.per_realization, symbol.per_realization, drift, strict=True)
    rows = [(str(r), f"{100 * a:.2f} %", f"{100 * b:.2f} %", f"{c:.1e}") for r, (a, b, c) in enumerate(each)]
    median = ("median", f"{100 * square.median:.2f} %", f"{100 * symbol.median:.2f} %", f"{np.median(drift):.1e}")
    return table(["realization", "square wave, t = 1", "generator, κ ≤ 16", "drift of the total"], [*rows, median])


if __name__ == "__main__":
    main()
