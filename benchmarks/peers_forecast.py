"""`python -m benchmarks.peers_forecast`: figure of forecasts of Kuramoto–Sivashinsky from another initial state.

Each method learns from one trajectory with 5 % noise.
"""

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks import peer_equations, peer_surrogates
from benchmarks.equation_sets import two_kuramoto_sivashinsky
from benchmarks.page import FIGURES
from benchmarks.peer_splits import Split, another_state
from benchmarks.peer_terms import rollout, score
from benchmarks.peers import repeated
from morlight.analysis import plots
from morlight.training.least_squares.discover import Trajectories, discover

NOISE, SEED = 0.05, 2  # the seed of this set in the benchmark


def forecasts(split: Split) -> dict[str, Tensor]:
    """Fields (T, N) by method."""
    start = split.test[:, 0], split.test_times
    equation = discover(Trajectories(split.train, split.times, split.basis))
    found = min(peer_equations.conservative(split, 3, 4), key=lambda one: score(one[0], split.truth).rank)[0]
    (step, _), *_ = peer_surrogates.neural_operator(split)
    made = {
        "morlight discover": equation.predict(*start, split.basis),
        "PySINDy, weak, WSINDy's library": rollout(found, *start, split.basis),
        "FNO": repeated(step)(*start),
    }
    return {name: u[0, :, 0] for name, u in made.items()}


def figure(split: Split) -> Figure:
    """The exact field, the forecast of morlight, and what each forecast is off by."""
    exact, made = split.test[0, :, 0], forecasts(split)
    shown = {"exact": exact, "morlight discover": made["morlight discover"]}
    shown |= {f"{name}, less exact": u - exact for name, u in made.items()}
    drawn = Figure(figsize=(9, 10), layout="constrained")
    rows = drawn.subplots(len(shown) + 1, 1, sharex=True)
    end = float(split.test_times[-1])
    limits = {"aspect": "auto", "origin": "lower", "extent": (0, end, 0, split.basis.length[0]), "cmap": "RdBu_r"}
    for axes, (title, u) in zip(rows, shown.items(), strict=False):
        image = axes.imshow(u.T.numpy(), vmin=-3, vmax=3, **limits)
        axes.set(title=title, ylabel="x")
    drawn.colorbar(image, ax=list(rows[:-1]))
    for (name, u), color in zip(made.items(), ("tab:orange", "tab:cyan", "tab:red"), strict=True):
        error = ((u - exact).norm(dim=1) / exact.norm(dim=1)).numpy()
        rows[-1].semilogy(split.test_times.numpy()[1:], error[1:], color=color, label=name)
        print(f"{name}: {error[-1]:.2g} at t = {end:g}")
    rows[-1].set(xlabel="t", ylabel="relative error", yticks=10.0 ** np.arange(-6, 1, 2))
    rows[-1].legend(frameon=False, loc="lower right", ncols=3)
    return drawn


def main() -> None:
    """Learn, forecast and draw."""
    case = two_kuramoto_sivashinsky(torch.Generator().manual_seed(SEED))
    plots.save(figure(another_state(case, NOISE)), FIGURES / "peers_ks.png")


if __name__ == "__main__":
    main()
