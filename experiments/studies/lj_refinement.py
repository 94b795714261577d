"""Fig. 11: the same fluid in 20, 40 and 80 cells, with equally many particles in each.

`python -m experiments.lj_refinement --scale small|paper`
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments import channels, results
from experiments.channels import Fields, least, median, rounded
from experiments.study import Study
from morlight.analysis import model as prediction
from morlight.analysis import plots
from morlight.analysis.evaluation import channels as ensemble
from morlight.analysis.evaluation import walkers as evaluation
from morlight.data import trajectory_file as trajectories

FIELDS = Fields(("density",), ("momentum",))
ONLY = {"density": 0.01}
SPLIT = {20: 4, 40: 2, 80: 1}  # cells: the share of the ensemble, one in so many, that is averaged (Sec. 6.3.1)
NAMES = ("t=1", "t=1 density", "t=1 momentum", "steady", "steady density", "steady momentum")
BASE = "--config configs/lj.yaml --data.held_out null --data.parameters null --data.scaling global"


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit what is not there yet, draw the figure, answer the claim of Sec. 6.3.1."""
    options = channels.parser(__doc__, "lj_refinement").parse_args(arguments)
    study = Study("lj_refinement", options.scale)
    held = trajectories.describe(options.data)
    runs = channels.rows(options.data, ONLY)
    if runs != list(range(held.trajectories)):
        raise SystemExit(
            f"{options.data}: expected runs of ρ* = {ONLY['density']} alone, see `morlight simulate lj --density`"
        )
    bins = held.grid.points[0]
    words = {}
    for cells, share in SPLIT.items():
        averaged = max(1, len(runs) // share)
        told = (
            f"{BASE} --data.path {options.data} {FIELDS.words} --data.trajectories {averaged} --data.ensemble mean"
            f" --data.coarsen {bins // cells} {channels.SMALL if options.scale == 'small' else ''}"
        )
        words[str(cells)] = " ".join(told.split())
    found = study.fits(words, lambda key, model: _measured(model, options.data), options.processes)
    models = {int(key): prediction.load(told["checkpoint"]) for key, told in found.items()}
    path = study.folder / "lj_refinement.png"
    draw(models, found, options.data, path)
    results.keep(study, found, [path])
    study.publish(page(found), path)


def _measured(model: prediction.Model, data: str) -> dict[str, Any]:
    """Errors against the mean of all runs, whatever share of them the model was trained on."""
    found = evaluation.evaluate(model, data)
    return {
        "errors": {name: rounded(found["errors"][name]["per_realization"]) for name in NAMES},
        "noise": {name: rounded([found["noise_ceiling"][name]])[0] for name in NAMES} if found["noise_ceiling"] else {},
        "baselines": {w: {n: rounded([told[n]])[0] for n in NAMES} for w, told in found["baselines"].items()},
        "bounded": found["bounded"]["count"],
    }


def draw(models: Mapping[int, prediction.Model], found: Mapping[str, Any], data: str, path: Path) -> None:
    """Minimum error over N (left), and the steady profiles of data and best realisation (right)."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, *rest = figure.subplots(1, 3)
    for name, color in (("density", plots.TRUTH), ("momentum", plots.LEARNED)):
        for word, pick, style in (("minimum", least, "o-"), ("median", median, "s:")):
            values = [pick(found[str(cells)], f"steady {name}") for cells in models]
            left.plot(list(models), values, style, color=color, label=f"{name}, {word}")
        noise = [found[str(cells)]["noise"].get(f"steady {name}", np.nan) for cells in models]
        left.plot(list(models), noise, "k:" if name == "density" else "k--", lw=1, label=f"{name}, noise ceiling")
    left.set(xlabel="cells N", ylabel="relative error at steady state", yscale="log", xticks=list(models))
    left.legend(frameon=False, fontsize=7)
    held = trajectories.describe(data)
    for axes, name in zip(rest, ("density", "momentum"), strict=True):
        for shift, (cells, model) in enumerate(models.items()):
            mean = ensemble.read(model, held)
            place = model.data["fields"].index(name)
            steps = len(mean.times) - 1
            walk = model.predict(mean.mean[:1, 0], steps, finite=False)[:, 0]
            best = int(np.argmin(found[str(cells)]["errors"][f"steady {name}"]))
            (x,) = trajectories.Grid((cells,), held.grid.length, held.grid.boundaries).coordinates
            truth = mean.mean[0, -ensemble.LAST :, place].mean(0)
            size = truth.max()
            channels.settled(axes, x, truth / size + shift, walk[best, -ensemble.LAST :, place].mean(0) / size + shift)
            middle = (0.5, truth[cells // 2] / size + shift)
            axes.annotate(f"N = {cells}", middle, (0, 12), textcoords="offset points", ha="center", fontsize=8)
        axes.set(xlabel="x (channel width)", title=f"{name} at steady state", ylabel="over its largest value, shifted")
    plots.save(figure, path)


def page(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables of errors and of claims."""
    lines = ["| N | density, steady | momentum, steady | both, t = 1 |", "|---|---|---|---|"]
    for cells, told in found.items():
        cells_of = (channels.cell(told, name) for name in ("steady density", "steady momentum", "t=1"))
        lines.append(f"| {cells} | {' | '.join(cells_of)} |")
    lines.append("\nIn parentheses, in units of the noise ceiling. Errors are against the mean of all runs.")
    both = {cells: least(told, "steady") for cells, told in found.items()}
    claim = results.Claim(
        "the model of 80 cells is the worst (minimum over the realisations, steady state, both fields)",
        ", ".join(f"N = {cells}: {value:.2g}" for cells, value in both.items()),
        both["80"] == max(both.values()),
    )
    return "\n".join(lines) + "\n\n" + results.claims([claim])


if __name__ == "__main__":
    main()
