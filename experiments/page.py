"""Section 6 as a page: `python -m experiments.page` writes experiments/README.md from experiments/results/*.json.

The studies at the scale of the paper leave their results there.
"""

from experiments.studies import colloid_models, generalization, lj_models, lj_refinement
from experiments.support import results

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

BESIDE = {  # what the results do not contain
    "generalization": """*Searched*, *without stability* and *3 fields* have the optimum of the search: for the fluid of
100 trials, on the set before the last four runs at ρ* = 1; for the colloid of 34 trials, which `--system colloid
--search 100` continues (3 s to 12 min of a core each). The trials show how much depends on the hyperparameters: Eq. 35
has the quartiles 0.11, 0.54 and 1.0 for the fluid and 0.10, 0.22 and 0.36 for the colloid; the optima are 0.014 and
0.031.""",
}


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
        parts += [BESIDE[name]] if name in BESIDE else []
        parts.append(study.page(kept.fits))
        parts += [f"![{figure.removesuffix('.png')}](../docs/figures/{figure})" for figure in kept.figures]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
