"""Fig. 11: the same fluid in 20, 40 and 80 cells, with equally many particles in each.

`python -m experiments.studies.lj_refinement --scale small|paper`
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import morlight
from experiments.support import channels, results
from experiments.support.channels import ChannelErrors, Fields
from experiments.support.claims import Claim, claims_table
from experiments.support.fits import Fit, Kept
from experiments.support.study import Study
from experiments.support.tables import table
from morlight.analysis import plots
from morlight.analysis.evaluation import channels as ensemble
from morlight.analysis.model import Model
from morlight.data.trajectory_file import TrajectoryFile

FIELDS = Fields(("density",), ("momentum",))
ONLY = {"density": 0.01}
SPLIT = {20: 4, 40: 2, 80: 1}  # cells: the share of the ensemble, one in so many, that is averaged (Sec. 6.3.1)
NAMES = [f"{time}{name}" for time in ("t=1", "steady") for name in ("", " density", " momentum")]
CHANGES = {"data.held_out": None, "data.parameters": None, "data.scaling": "global", "data.ensemble": "mean"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit what is not there yet, draw the figure, answer the claim of Sec. 6.3.1."""
    options = channels.parser(__doc__, "lj_refinement").parse_args(arguments)
    study = Study("lj_refinement", options.scale, ChannelErrors)
    file = morlight.open(options.data)
    if channels.rows(options.data, ONLY) != list(range(file.trajectories)):
        raise SystemExit(
            f"{options.data}: expected runs of ρ* = {ONLY['density']} alone, see `morlight simulate lj --density`"
        )
    fits = {}
    for cells, share in SPLIT.items():
        part = {
            "data.trajectories": max(1, file.trajectories // share),
            "data.coarsen": file.grid.points[0] // cells,
        }
        settings = {**CHANGES, **FIELDS.settings, **part, **channels.FEW[study.scale]}
        fits[str(cells)] = Fit("lj", options.data, settings)
    # errors are against the mean of all runs, whatever share of them the model was trained on
    kept = study.fits(fits, lambda key, model: channels.measure(model, options.data, NAMES), options.processes)
    path = study.folder / "lj_refinement.png"
    draw({int(key): each for key, each in kept.items()}, file, path)
    results.keep(study, kept, [path])
    study.publish(page(kept), path)


def draw(fits: Mapping[int, Kept[ChannelErrors]], file: TrajectoryFile, path: Path) -> None:
    """Minimum error over N (left), and the steady profiles of data and best realization (right)."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, *rest = figure.subplots(1, 3)
    _errors(left, {cells: kept.measured for cells, kept in fits.items()})
    models = {cells: kept.model for cells, kept in fits.items()}
    for axes, name in zip(rest, ("density", "momentum"), strict=True):
        for shift, (cells, model) in enumerate(models.items()):
            best = int(np.argmin(fits[cells].measured.errors[f"steady {name}"]))
            truth, learned = _steady(model, file, name, best)
            size = truth.max()
            (x,) = model.grid.coordinates
            axes.plot(x, truth / size + shift, color=plots.TRUTH, lw=3, alpha=0.5, label="LAMMPS")
            axes.plot(x, learned / size + shift, color=plots.LEARNED, lw=1.2, ls="--", label="learned")
            middle = (0.5, truth[cells // 2] / size + shift)
            axes.annotate(f"N = {cells}", middle, (0, 12), textcoords="offset points", ha="center", fontsize=8)
        axes.margins(y=0.08)  # for the uppermost label
        axes.set(xlabel="x (channel width)", title=f"{name} at steady state", ylabel="over its largest value, shifted")
    plots.save(figure, path)


def _errors(axes: Axes, errors: Mapping[int, ChannelErrors]) -> None:
    """Errors at steady state over the number of cells."""
    cells = list(errors)
    for name, color in (("density", plots.TRUTH), ("momentum", plots.LEARNED)):
        key = f"steady {name}"
        least, median = ([pick(each, key) for each in errors.values()]
                         for pick in (ChannelErrors.least, ChannelErrors.median))  # fmt: skip
        axes.plot(cells, least, "o-", color=color, label=f"{name}, minimum")
        axes.plot(cells, median, "s:", color=color, label=f"{name}, median")
        noise = [each.noise.get(key, np.nan) for each in errors.values()]
        axes.plot(cells, noise, "k:" if name == "density" else "k--", lw=1, label=f"{name}, noise ceiling")
    axes.set(xlabel="cells N", ylabel="relative error at steady state", yscale="log", xticks=cells)
    axes.legend(frameon=False, fontsize=7)


def _steady(model: Model, file: TrajectoryFile, name: str, realization: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the last frames of a field, of the data and of one realization."""
    runs = ensemble.read(model, file)
    place, steps = model.data.place(name), len(runs.times) - 1
    frames = model.predict(runs.mean[:1, 0], steps, finite=False)[realization, 0]
    last = slice(-ensemble.LAST, None)
    return runs.mean[0, last, place].mean(0), frames[last, place].mean(0)


def page(fits: Mapping[str, Kept[ChannelErrors]]) -> str:
    """Tables of errors and of claims."""
    errors = {cells: kept.measured for cells, kept in fits.items()}
    rows = [
        (cells, *(each.cell(name) for name in ("steady density", "steady momentum", "t=1")))
        for cells, each in errors.items()
    ]
    both = {cells: each.least("steady") for cells, each in errors.items()}
    worst = Claim(
        "the model of 80 cells is the worst (minimum over the realizations, steady state, both fields)",
        ", ".join(f"N = {cells}: {value:.2g}" for cells, value in both.items()),
        both["80"] == max(both.values()),
    )
    errors_table = table(["N", "density, steady", "momentum, steady", "both, t = 1"], rows)
    note = """Numbers in parentheses are in units of the noise ceiling. Errors are against the mean of all 16 runs, of
which the models of 20, 40 and 80 cells were trained on 4, 8 and 16. A ratio below 1 is not significant: the models have
seen the noise of these runs."""
    return f"{errors_table}\n\n{note}\n\n{claims_table([worst, *_beyond_noise(errors)])}"


def _beyond_noise(errors: Mapping[str, ChannelErrors]) -> Iterator[Claim]:
    """The same, in units of the noise, which itself grows with the number of cells."""
    for word, pick in (("minimum", ChannelErrors.least), ("median", ChannelErrors.median)):
        ratios = {
            cells: pick(each, "steady") / each.noise["steady"]
            for cells, each in errors.items()
            if each.noise.get("steady")
        }
        yield Claim(
            f"the error of 80 cells is not that of the noise alone ({word}, in units of the noise ceiling of each N)",
            ", ".join(f"N = {cells}: {value:.2g}" for cells, value in ratios.items()),
            None if "80" not in ratios else ratios["80"] > 2 * min(ratios.values()),
        )


if __name__ == "__main__":
    main()
