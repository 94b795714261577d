"""Fig. 2: the operator ∂ₓu² from samples of random fields.

`python -m experiments.studies.burgers --scale small|paper`
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.support import regression
from experiments.support.error_bars import error_bars
from experiments.support.regression import SCALED, SCHEDULE, WIDE, Curve, OperatorErrors, Recipe
from experiments.support.study import Study
from morlight.analysis import plots
from morlight.analysis.model import Model
from morlight.operators import fix
from morlight.simulate.random_fields import burgers

RECIPES = {
    "paper": Recipe("burgers_paper", "exactly Table 1", curve=True),
    "scaled": Recipe("burgers_paper", "u, κ and the target scaled", SCALED),
    "schedule": Recipe("burgers_paper", "and lr 0.01 with half a cosine", SCALED | SCHEDULE),
    "default": Recipe("burgers", "moments and least squares (default)", curve=True),
    "wide": Recipe("burgers", "the same, 8 units a layer, tanh", WIDE),
}
POINTS = 256
BAND = 20  # u has modes up to 10, u² up to twice that


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit everything that is not there yet, draw Fig. 2, print the errors."""
    options = regression.options(__doc__, arguments)
    study = Study("burgers", options.scale, OperatorErrors)
    data, results = regression.curves(study, RECIPES, burgers, POINTS)
    path = options.figure or study.folder / "burgers.png"
    draw(results, data, path)
    study.publish(regression.error_table(results, RECIPES), path)


def draw(results: Mapping[str, Curve], data: Path, path: Path) -> None:
    """The four panels of Fig. 2, every realization."""
    model = results["default"][max(results["default"])].model
    figure = Figure(figsize=(10, 7), layout="constrained")
    (top, errors), (left, right) = figure.subplots(2, 2)
    sample(top, model, data)
    for key, color in (("default", plots.LEARNED), ("paper", "tab:gray")):
        values = [kept.measured.errors for kept in results[key].values()]
        error_bars(errors, list(results[key]), values, color=color, marker="o", ms=4, label=RECIPES[key].title)
    errors.set(ylabel="‖Lu − ∂ₓu²‖ / ‖∂ₓu²‖, held out")
    errors.legend(frameon=False)
    symbol(left, model)
    nonlinearity(right, model)
    plots.save(figure, path)


def sample(axes: Axes, model: Model, data: Path) -> None:
    """∂ₓu² of one sample that was held out, exact and of every realization."""
    file, u, target = regression.last_sample(data)
    (x,) = file.grid.coordinates
    axes.plot(x, target, color=plots.TRUTH, lw=3, alpha=0.5, label="∂ₓu²")
    learned = model.apply(u[None, None])[:, 0, 0]
    for r, values in enumerate(learned):
        axes.plot(x, values, color=plots.LEARNED, lw=1, label=None if r else f"learned, {len(learned)} realizations")
    axes.set(xlabel="x", ylabel="L u of a held-out sample")
    axes.legend(frameon=False)


def symbol(axes: Axes, model: Model) -> None:
    """Im g in the gauge h(u) ≈ u²."""
    gauged = fix(model.spectral, torch.tensor(model.data.fields[0].quantiles, dtype=torch.float64), power=2)
    kappa = model.spectral.basis.wavenumbers[0]
    seen = (kappa > 0) & (kappa < BAND + 0.5)
    axes.plot(kappa[seen], kappa[seen], color=plots.TRUTH, lw=3, alpha=0.5, label="exact, κ")
    for r, g in enumerate(gauged.symbol.imag):
        axes.plot(kappa[seen], g[seen], color=plots.LEARNED, lw=1, label=None if r else "learned")
    axes.set(xlabel="wavenumber κ (1/length)", ylabel="Im g(κ)")
    axes.legend(frameon=False)


def nonlinearity(axes: Axes, model: Model) -> None:
    """h in the gauge of the training data, over their range."""
    field = model.data.fields[0]
    gauged = fix(model.spectral, torch.tensor(field.quantiles, dtype=torch.float64), power=2)
    u = torch.linspace(field.low, field.high, 401, dtype=torch.float64)
    over_range = fix(model.spectral, u, power=2)
    scale = (over_range.factor / gauged.factor)[:, None]
    axes.plot(u, u**2, color=plots.TRUTH, lw=3, alpha=0.5, label="exact, u²")
    for r, h in enumerate(over_range.nonlinearity * scale - gauged.linear[:, None] * u):
        axes.plot(u, h, color=plots.LEARNED, lw=1, label=None if r else "learned")
    axes.set(xlabel="u, over the range of the data", ylabel="h(u), less its straight part")
    axes.legend(title=f"largest straight part {float(gauged.linear.abs().max()):.1e} u", frameon=False)


if __name__ == "__main__":
    main()
