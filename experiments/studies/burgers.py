"""Fig. 2: the operator ∂ₓu² from samples of random fields; `python -m experiments.burgers --scale small|paper`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import regression
from experiments.regression import Recipe
from experiments.study import error_bars
from morlight.analysis import model as prediction
from morlight.analysis import plots
from morlight.data import trajectory_file as trajectories
from morlight.operators import fix

LITERAL = "--config configs/burgers_paper.yaml"
SCALED = f"{LITERAL} --model.literal false"
DEFAULT = "--config configs/burgers.yaml"
RECIPES = {
    "paper": Recipe(LITERAL, "Table 1 to the letter", curve=True),
    "scaled": Recipe(SCALED, "u, κ and the target scaled"),
    "schedule": Recipe(f"{SCALED} --model.lr 0.01 --model.decay true", "and lr 0.01 with half a cosine"),
    "default": Recipe(DEFAULT, "moments and least squares (default)", curve=True),
    "wide": Recipe(f"{DEFAULT} --model.width 8 --model.activation tanh", "the same, 8 units a layer, tanh"),
}
BAND = 20  # u has modes up to 10, u² up to twice that


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit everything that is not there yet, draw Fig. 2, print the errors."""
    options = regression.options(__doc__, arguments)
    study, data, found = regression.results("burgers", options, RECIPES)
    size = max(found["default"])
    model = prediction.load(found["default"][size]["checkpoint"])
    path = options.figure or study.folder / "burgers.png"
    draw(model, data, found, path)
    study.publish(regression.table(found, RECIPES), path)


def draw(model: prediction.Model, data: Path, found: Mapping[str, Any], path: Path) -> None:
    """The four panels of Fig. 2, every realisation."""
    figure = Figure(figsize=(10, 7), layout="constrained")
    (top, errors), (symbol, nonlinearity) = figure.subplots(2, 2)
    sample(top, model, data)
    for key, color in (("default", plots.LEARNED), ("paper", "tab:gray")):
        curve = [result["errors"] for result in found[key].values()]
        error_bars(errors, list(found[key]), curve, color=color, marker="o", ms=4, label=RECIPES[key].title)
    errors.set(ylabel="‖Lu − ∂ₓu²‖ / ‖∂ₓu²‖, held out")
    errors.legend(frameon=False)
    gauged = fix(model.spectral, torch.tensor(model.data["values"][0], dtype=torch.float64), power=2)
    kappa = model.spectral.basis.wavenumbers[0]
    seen = (kappa > 0) & (kappa < BAND + 0.5)
    symbol.plot(kappa[seen], kappa[seen], color=plots.TRUTH, lw=3, alpha=0.5, label="exact, κ")
    for r, g in enumerate(gauged.symbol.imag):
        symbol.plot(kappa[seen], g[seen], color=plots.LEARNED, lw=1, label=None if r else "learned")
    symbol.set(xlabel="wavenumber κ (1/length)", ylabel="Im g(κ)")
    symbol.legend(frameon=False)
    u = torch.linspace(model.data["low"][0], model.data["high"][0], 401, dtype=torch.float64)
    seen_h = fix(model.spectral, u, power=2)
    scale = (seen_h.factor / gauged.factor)[:, None]
    nonlinearity.plot(u, u**2, color=plots.TRUTH, lw=3, alpha=0.5, label="exact, u²")
    for r, h in enumerate(seen_h.nonlinearity * scale - gauged.linear[:, None] * u):
        nonlinearity.plot(u, h, color=plots.LEARNED, lw=1, label=None if r else "learned")
    nonlinearity.set(xlabel="u, over the range of the data", ylabel="h(u), less its straight part")
    nonlinearity.legend(title=f"largest straight part {float(gauged.linear.abs().max()):.1e} u", frameon=False)
    plots.save(figure, path)


def sample(axes: Axes, model: prediction.Model, data: Path) -> None:
    """∂ₓu² of one sample that was held out, exact and of every realisation."""
    described = trajectories.describe(data)
    last = described.trajectories - 1
    u, target = trajectories.read(data, ["u", "target"], slice(last, last + 1), slice(1))[0, 0].astype(np.float64)
    (x,) = described.grid.coordinates
    axes.plot(x, target, color=plots.TRUTH, lw=3, alpha=0.5, label="∂ₓu²")
    learned = model.apply(u[None, None])[:, 0, 0]
    for r, values in enumerate(learned):
        axes.plot(x, values, color=plots.LEARNED, lw=1, label=None if r else f"learned, {len(learned)} realisations")
    axes.set(xlabel="x (length)", ylabel="Lu of a sample held out")
    axes.legend(frameon=False)


if __name__ == "__main__":
    main()
