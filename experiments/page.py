"""Section 6 as a page: `python -m experiments.page` writes experiments/README.md from experiments/results/*.json.

The studies at the scale of the paper leave their results there.
"""

from collections.abc import Iterator

import morlight
from experiments.studies import colloid_models, generalization, lj_models, lj_refinement
from experiments.support import results
from experiments.support.search import Optimum
from experiments.support.tables import table
from morlight.data.trajectory_file import digest

PAGE = results.EXPERIMENTS / "README.md"
STUDIES = (lj_refinement, lj_models, colloid_models, generalization)
INTRODUCTION = """# Section 6: continuum models from molecules

`python -m experiments.page` writes this page from the results in `experiments/results`, which the studies write at the
scale of the paper. The models are learned from LAMMPS runs of our own (`morlight simulate lj`, `morlight simulate
colloid`). An error is ‖a − b‖/‖b‖ over x; that of several fields is the root mean square of their errors. *Steady* is
the error of the mean of the last five frames (t = 0.9 … 1); all other errors are those of one frame. Each entry is the
*median / minimum* over the realizations. The noise ceiling is the typical error of the exact equation: the standard
error of the mean of the runs with the same γ, a lower bound for errors on data that no model has seen. Runs are
averaged with their mirror images. The tables also give persistence, u(t) = u(0), and a linear (affine) model of each
mode by itself, fitted to the same data."""

SEARCHES = """`--search 100` makes the search, or continues it from the trials in `experiments/results` (a trial takes
seconds to forty minutes of a core). *Searched*, *without stability* and *3 fields* have the settings of its best
trial. The quartiles of Eq. 35 over all trials show how much depends on the hyperparameters. For the colloid, the
predicted duration of a trial was limited (`longest`) to four minutes from number 47 on, and to two minutes from about
65 on: the Gaussian process had begun to suggest the largest networks with 1000 epochs of batches of 10, which take an
estimated hour and a half."""


def page() -> str:
    """The page, from the kept results alone."""
    parts = [INTRODUCTION]
    for study in STUDIES:
        name = study.__name__.rpartition(".")[2]
        title = (study.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
        parts += [f"## {title}", f"```sh\npython -m {study.__name__} --scale paper\n```"]
        kept = results.load(name)
        if kept is None:
            parts.append("Not run yet at this scale.")
            continue
        minutes = sum(fit.seconds for fit in kept.fits.values()) / 60
        parts.append(f"{len(kept.fits)} fits, {max(1, round(minutes))} min of one core.")
        parts.append(study.page(kept.fits))
        parts += [_shown(figure) for figure in kept.figures]
    return "\n\n".join([*parts, *_searches()]) + "\n"


def _searches() -> Iterator[str]:
    """What the searches of Eq. 35 found, with their figures."""
    found = {system: Optimum.read(system, "paper", results.FOLDER) for system in generalization.SYSTEMS}
    optima = {system: optimum for system, optimum in found.items() if optimum is not None}
    if not optima:
        return
    yield "### The search of Eq. 35"
    yield SEARCHES
    kept = results.load("generalization")
    keys = list(dict.fromkeys(key for optimum in optima.values() for key in optimum.settings))
    rows = [
        (system, str(each.trials), ", ".join(f"{value:.2g}" for value in each.quartiles), f"{each.value:.2g}",
         "–" if each.ceiling is None else f"{each.ceiling:.2g}",
         *(_cell(each.settings.get(key)) for key in keys))
        for system, each in optima.items()
    ]  # fmt: skip
    yield table(["system", "trials", "quartiles", "best", "noise ceiling", *(f"`{key}`" for key in keys)], rows)
    for system, each in optima.items():
        if each.data != digest(morlight.open(system).path):
            yield f"The search of {system} was made on an earlier version of the set."
        if kept is not None and kept.fits[f"{system}/searched"].fit.settings != each.settings:
            yield f"The models of {system} above have the settings of an earlier trial; the study fits them again."
        for path in sorted(results.FIGURES.glob(f"generalization_search_{system}_*.png")):
            yield _shown(path.name)


def _cell(value: object) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def _shown(figure: str) -> str:
    return f"![{figure.removesuffix('.png')}](../docs/figures/{figure})"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
