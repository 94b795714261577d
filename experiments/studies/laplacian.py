"""Fig. 3: ∇²u from samples of random fields, with and without isotropy; `python -m experiments.laplacian --scale …`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments import regression
from experiments.regression import Recipe
from experiments.study import error_bars
from morlight.analysis import model as prediction
from morlight.analysis import plots
from morlight.data import trajectory_file as trajectories
from morlight.operators import fix

LITERAL = "--config configs/laplacian_paper.yaml"
SCALED = f"{LITERAL} --model.literal false"
DEFAULT = "--config configs/laplacian.yaml"
FREE = ' --model.biases "[]"'
RECIPES = {
    "default": Recipe(DEFAULT, "isotropy, moments and least squares (default)", curve=True),
    "paper": Recipe(LITERAL, "isotropy, Table 1 to the letter", curve=True),
    "scaled": Recipe(SCALED, "isotropy, u, κ and the target scaled"),
    "schedule": Recipe(f"{SCALED} --model.lr 0.01 --model.decay true", "and lr 0.01 with half a cosine"),
    "wide": Recipe(f"{DEFAULT} --model.width 8 --model.activation tanh", "the default, 8 units a layer, tanh"),
    "default_free": Recipe(DEFAULT + FREE, "without isotropy, moments and least squares", curve=True),
    "paper_free": Recipe(LITERAL + FREE, "without isotropy, Table 1 to the letter", curve=True),
}
POINTS = {"small": 32, "paper": 128}
BAND = 10
LEVELS = [-100, -80, -60, -40, -20, -5]
WITH, WITHOUT = plots.LEARNED, plots.TRUTH


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit everything that is not there yet, draw Fig. 3, print the errors."""
    options = regression.options(__doc__, arguments)
    study, data, found = regression.results("laplacian", options, RECIPES, POINTS[options.scale])
    path = options.figure or study.folder / "laplacian.png"
    draw(data, found, path)
    study.publish(regression.table(found, RECIPES), path)


def draw(data: Path, found: Mapping[str, Any], path: Path) -> None:
    """The four panels of Fig. 3: of the realisation in the middle, errors of all of them."""
    figure = Figure(figsize=(11, 9.2), layout="compressed")
    maps, (symbol, errors) = figure.subplots(2, 2)
    size = max(found["default"])
    models = {key: prediction.load(found[key][size]["checkpoint"]) for key in ("default", "default_free")}
    middle = {key: int(np.argsort(found[key][size]["errors"])[len(found[key][size]["errors"]) // 2]) for key in models}
    sample(figure, maps, models["default"], middle["default"], data)
    contours(symbol, models, middle)
    for key, color, style in (
        ("default", WITH, "-"), ("default_free", WITHOUT, "-"), ("paper", WITH, "--"), ("paper_free", WITHOUT, "--"),
    ):  # fmt: skip
        curve = [result["errors"] for result in found[key].values()]
        title = RECIPES[key].title.removesuffix(" (default)")
        error_bars(errors, list(found[key]), curve, color=color, ls=style, marker="o", ms=4, label=title)
    errors.set(ylabel="‖Lu − ∇²u‖ / ‖∇²u‖, held out")
    errors.set_box_aspect(1)
    errors.set_ylim(top=300)  # room for the legend
    errors.legend(frameon=False, fontsize=8, handlelength=4, loc="upper right")
    plots.save(figure, path)


def sample(figure: Figure, panels: Sequence[Axes], model: prediction.Model, realization: int, data: Path) -> None:
    """∇²u of a sample that was held out, exact and learned."""
    described = trajectories.describe(data)
    last = described.trajectories - 1
    u, target = trajectories.read(data, ["u", "target"], slice(last, last + 1), slice(1))[0, 0].astype(np.float64)
    learned = model.apply(u[None, None])[realization, 0, 0]
    length, limit = described.grid.length, float(np.abs(target).max())
    for axes, values, title in zip(
        panels, (target, learned), ("∇²u of a sample held out", "Lu, isotropic"), strict=True
    ):
        image = axes.imshow(
            values.T, origin="lower", extent=(0, length[0], 0, length[1]), vmin=-limit, vmax=limit, cmap="RdBu_r"
        )
        axes.set(xlabel="x (length)", ylabel="y (length)", title=title)
        figure.colorbar(image, ax=axes)


def contours(axes: Axes, models: Mapping[str, prediction.Model], middle: Mapping[str, int]) -> None:
    """Re g in the gauge h(u) ≈ u over the plane of κ, out to the band of the data."""
    handles = []
    for key, color, width, label in (
        ("default_free", WITHOUT, 5, "without isotropy"),
        ("default", WITH, 1.5, "with isotropy"),
    ):
        model = models[key]
        gauged = fix(model.spectral, torch.tensor(model.data["values"][0], dtype=torch.float64))
        kappa, g = model.spectral.basis.wavenumbers, gauged.symbol[middle[key]].real
        order = kappa[0, :, 0].argsort()
        kx, ky, values = kappa[0][order], kappa[1][order], g[order]
        for sign in (1, -1):  # Re g(−κ) = Re g(κ): the half that the transform of a real field leaves out
            axes.contour(
                sign * kx,
                sign * ky,
                values,
                LEVELS,
                colors=color,
                linewidths=width,
                alpha=0.7 if width > 2 else 1,
                linestyles="-",
            )
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


if __name__ == "__main__":
    main()
