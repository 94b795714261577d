"""Fig. 3: ∇²u from samples of random fields, with and without isotropy.

`python -m experiments.studies.laplacian --scale small|paper`
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.support import regression
from experiments.support.error_bars import error_bars
from experiments.support.regression import SCALED, SCHEDULE, WIDE, Curve, OperatorErrors, Recipe
from experiments.support.study import Scale, Study
from morlight.analysis import plots
from morlight.analysis.model import Model
from morlight.operators import fix
from morlight.simulate.random_fields import laplacian

FREE: dict[str, Any] = {"model.biases": []}
RECIPES = {
    "default": Recipe("laplacian", "isotropy, moments and least squares (default)", curve=True),
    "paper": Recipe("laplacian_paper", "isotropy, exactly Table 1", curve=True),
    "scaled": Recipe("laplacian_paper", "isotropy, u, κ and the target scaled", SCALED),
    "schedule": Recipe("laplacian_paper", "and lr 0.01 with half a cosine", SCALED | SCHEDULE),
    "wide": Recipe("laplacian", "the default, 8 units a layer, tanh", WIDE),
    "default_free": Recipe("laplacian", "without isotropy, moments and least squares", FREE, curve=True),
    "paper_free": Recipe("laplacian_paper", "without isotropy, exactly Table 1", FREE, curve=True),
}
POINTS: dict[Scale, int] = {"small": 32, "paper": 128}
BAND = 10
LEVELS = [-100, -80, -60, -40, -20, -5]
WITH, WITHOUT = plots.LEARNED, plots.TRUTH


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit everything that is not there yet, draw Fig. 3, print the errors."""
    options = regression.options(__doc__, arguments)
    study = Study("laplacian", options.scale, OperatorErrors)
    data, results = regression.curves(study, RECIPES, laplacian, POINTS[study.scale])
    path = options.figure or study.folder / "laplacian.png"
    draw(data, results, path)
    study.publish(regression.error_table(results, RECIPES), path)


def draw(data: Path, results: Mapping[str, Curve], path: Path) -> None:
    """The four panels of Fig. 3: of the realization in the middle, errors of all of them."""
    figure = Figure(figsize=(11, 9.2), layout="compressed")
    maps, (symbol, errors) = figure.subplots(2, 2)
    size = max(results["default"])
    isotropic, free = (results[key][size] for key in ("default", "default_free"))
    models = {key: kept.model for key, kept in (("default", isotropic), ("default_free", free))}
    middle = {"default": _middle(isotropic.measured.errors), "default_free": _middle(free.measured.errors)}
    sample(figure, maps, models["default"], middle["default"], data)
    contours(symbol, models, middle)
    for key, color, style in (
        ("default", WITH, "-"), ("default_free", WITHOUT, "-"), ("paper", WITH, "--"), ("paper_free", WITHOUT, "--"),
    ):  # fmt: skip
        values = [kept.measured.errors for kept in results[key].values()]
        title = RECIPES[key].title.removesuffix(" (default)")
        error_bars(errors, list(results[key]), values, color=color, ls=style, marker="o", ms=4, label=title)
    errors.set(ylabel="‖Lu − ∇²u‖ / ‖∇²u‖, held out")
    errors.set_box_aspect(1)
    errors.set_ylim(top=300)  # room for the legend
    errors.legend(frameon=False, fontsize=8, handlelength=4, loc="upper right")
    plots.save(figure, path)


def _middle(errors: Sequence[float]) -> int:
    """The realization with the median error."""
    return int(np.argsort(errors)[len(errors) // 2])


def sample(figure: Figure, panels: Sequence[Axes], model: Model, realization: int, data: Path) -> None:
    """∇²u of a sample that was held out, exact and learned."""
    file, u, target = regression.last_sample(data)
    learned = model.apply(u[None, None])[realization, 0, 0]
    length, limit = file.grid.length, float(np.abs(target).max())
    titles = ("∇²u of a sample held out", "Lu, isotropic")
    for axes, values, title in zip(panels, (target, learned), titles, strict=True):
        image = axes.imshow(
            values.T, origin="lower", extent=(0, length[0], 0, length[1]), vmin=-limit, vmax=limit, cmap="RdBu_r"
        )
        axes.set(xlabel="x", ylabel="y", title=title)
        figure.colorbar(image, ax=axes)


def contours(axes: Axes, models: Mapping[str, Model], middle: Mapping[str, int]) -> None:
    """Re g in the gauge h(u) ≈ u over the plane of κ, out to the band of the data."""
    handles = []
    for key, color, width, label in (
        ("default_free", WITHOUT, 5, "without isotropy"),
        ("default", WITH, 1.5, "with isotropy"),
    ):
        style = {"colors": color, "linewidths": width, "alpha": 0.7 if width > 2 else 1, "linestyles": "-"}
        _contour(axes, models[key], middle[key], style)
        handles.append(Line2D([], [], color=color, lw=width, label=label))
    k = np.arange(-BAND, BAND + 1)
    exact = -(k[:, None] ** 2 + k**2)
    axes.contour(k, k, exact, LEVELS, colors="black", linestyles="--", linewidths=1)
    handles.append(Line2D([], [], color="black", ls="--", label="exact, −|κ|²"))
    axes.set(
        xlim=(-BAND, BAND), ylim=(-BAND, BAND), box_aspect=1, xlabel="κ_x (1/length)", ylabel="κ_y (1/length)",
        title=f"Re g = {', '.join(map(str, LEVELS))}",
    )  # fmt: skip
    axes.legend(handles=handles, frameon=True, loc="upper right")


def _contour(axes: Axes, model: Model, realization: int, style: Mapping[str, Any]) -> None:
    """Contours of Re g of one realization."""
    gauged = fix(model.spectral, torch.tensor(model.data.fields[0].quantiles, dtype=torch.float64))
    kappa, g = model.spectral.basis.wavenumbers, gauged.symbol[realization].real
    order = kappa[0, :, 0].argsort()
    kx, ky, values = kappa[0][order], kappa[1][order], g[order]
    for sign in (1, -1):  # Re g(−κ) = Re g(κ): the half that the transform of a real field leaves out
        axes.contour(sign * kx, sign * ky, values, LEVELS, **style)


if __name__ == "__main__":
    main()
