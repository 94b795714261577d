"""How many runs the choice of `morlight next` saves: runs of the shipped sets, added one at a time.

    python -m experiments.studies.next_run [--system lj|colloid|burgers] [--draws N] [--longest N] [--noise N]

starts with the runs of two γ, adds one at a time, and measures after each fit the error of Eq. 35 over all γ, against
runs of other seeds that no fit sees. The next run is that of `morlight next`, that farthest from the runs so far in
ln γ (even), or any (random). For the Lennard-Jones fluid, all pairs of densities and all orders are replayed, 247 fits;
for the colloid, some pairs, and one random order of each; for the viscous Burgers equation, whose runs are made here,
all pairs and orders with each draw of the noise, 57 fits. A second call continues where the first one stopped.
"""

import argparse
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

import morlight
from experiments.studies.colloid_models import MODELS
from experiments.support.burgers_runs import burgers_replays, share_errors
from experiments.support.replay import Outcome, Replay, System
from experiments.support.results import EXPERIMENTS, FIGURES, write
from experiments.support.study import FOLDER
from experiments.support.tables import table
from morlight.data.trajectory_file import digest

ORDERS = 100  # random orders of each start
DRAWN = 4  # pairs of a draw
REACHED = (1.5, 1.25, 1.1)  # times the error of the fit to all runs
COLLOID = MODELS["2 fields, conservation"].settings
TITLES = {"lj": "Lennard-Jones fluid", "colloid": "colloid", "burgers": "viscous Burgers equation"}
SHARES = (0.0, 0.25, 0.5, 0.75, 0.9)  # limits of expected drops
MOST_COMPARED = 5  # runs; with more, the errors are hardly beyond that of all runs
Choice = Callable[[Outcome], int]


@dataclass(frozen=True)
class Curve:
    """Errors of a strategy.

    Attributes:
        errors: after each number of runs, for each start and order.
        first: number of runs of the first column.
    """

    errors: np.ndarray
    first: int = 2

    def middle(self) -> np.ndarray:
        """Geometric mean, and the limits that hold 16 and 84 % of the starts and orders."""
        mean = np.exp(np.log(self.errors).mean(0))
        return np.stack([mean, *np.quantile(self.errors, [0.16, 0.84], axis=0)])

    def runs_to(self, bar: float) -> np.ndarray:
        """Number of runs to an error, for each start and order; one more than there are where it is not reached."""
        below = self.errors <= bar
        count = np.where(below.any(1), below.argmax(1), self.errors.shape[1])
        runs: np.ndarray = count + self.first
        return runs


def by_ranking(outcome: Outcome) -> int:
    """The run that `morlight next` would make."""
    return outcome.ranking[0]


def evenly(replay: Replay) -> Choice:
    """The run farthest from those so far, in the logarithm of γ."""
    places = np.log([list(gamma.values()) for gamma in replay.gammas])
    places /= np.ptp(places, axis=0)
    apart = np.linalg.norm(places[:, None] - places, axis=2)

    def farthest(outcome: Outcome) -> int:
        return max(outcome.ranking, key=lambda run: (apart[run, list(outcome.runs)].min(), -run))

    return farthest


def randomly(seed: int) -> Choice:
    """Any run, by a sequence of random numbers of its own."""
    rng = np.random.default_rng(seed)
    return lambda outcome: int(rng.choice(sorted(outcome.ranking)))


def path(replay: Replay, start: Sequence[int], choose: Choice, longest: int) -> list[float]:
    """Errors after each run."""
    outcome = replay.outcome(start)
    errors = [outcome.error]
    while len(outcome.runs) < longest:
        outcome = replay.outcome((*outcome.runs, choose(outcome)))
        errors.append(outcome.error)
    return errors


def every_fit(replay: Replay) -> None:
    """Fits to all subsets of at least two runs."""
    runs = range(len(replay.gammas))
    for count in range(2, len(runs) + 1):
        for chosen in itertools.combinations(runs, count):
            replay.outcome(chosen)


def starts(replay: Replay, draws: int | None) -> Sequence[tuple[int, ...]]:
    """All pairs of runs, or a number of random draws of some of them."""
    pairs = list(itertools.combinations(range(len(replay.gammas)), 2))
    if draws is None:
        return pairs
    drawn = [sorted(np.random.default_rng(seed).choice(len(pairs), DRAWN, replace=False)) for seed in range(draws)]
    return list(dict.fromkeys(pairs[number] for numbers in drawn for number in numbers))


def curves(replay: Replay, begin: Sequence[tuple[int, ...]], longest: int, orders: int) -> dict[str, Curve]:
    """Errors of each strategy: (start, number of runs), and for random orders (start × order, number of runs)."""
    even = evenly(replay)
    chosen = {
        "next": [path(replay, start, by_ranking, longest) for start in begin],
        "even": [path(replay, start, even, longest) for start in begin],
        "random": [
            path(replay, start, randomly(1000 * place + order), longest)
            for place, start in enumerate(begin)
            for order in range(orders)
        ],
    }
    return {name: Curve(np.array(errors)) for name, errors in chosen.items()}


def pooled(each: Sequence[Mapping[str, Curve]]) -> dict[str, Curve]:
    """The curves of several replays as one."""
    return {name: Curve(np.concatenate([found[name].errors for found in each])) for name in each[0]}


def expected_errors(replays: Sequence[Replay]) -> str:
    """Actual errors in units of those expected, where the truth is known."""
    ratios: dict[int, list[float]] = {}
    for replay in replays:
        for runs, outcome in replay.known.items():
            ratios.setdefault(len(runs), []).append(outcome.error / np.sqrt(np.mean(outcome.expected)))
    rows = [[str(runs), str(len(each)), *_spread(each)] for runs, each in sorted(ratios.items())]
    return table(["runs", "cases", "actual / expected error, median", "16 % to 84 %"], rows)


def saving(found: Mapping[str, Curve], against: str, bar: float) -> tuple[float, float]:
    """Share of the runs that `morlight next` saves, its mean and standard deviation over the starts."""
    ours = found["next"].runs_to(bar)
    theirs = found[against].runs_to(bar).reshape(len(ours), -1).mean(1)
    shares = 1 - ours / theirs
    return float(shares.mean()), float(shares.std(ddof=1))


def calibration(replay: Replay) -> str:
    """Actual errors beyond that of all runs, in units of those expected, and actual drops beside those expected."""
    count = len(replay.gammas)
    floor = np.array(replay.outcome(range(count)).errors)
    ratios: dict[tuple[bool, int], list[float]] = {}
    drops: dict[float, list[float]] = {}
    for runs, outcome in replay.known.items():
        beyond = np.maximum(np.array(outcome.errors) - floor, 0)
        for run in set(range(count)) - set(runs):
            key = min(runs) < run < max(runs), len(runs)
            ratios.setdefault(key, []).append(np.sqrt(beyond[run] / outcome.expected[run]))
        for run, drop in zip(outcome.ranking, outcome.drops, strict=True):
            then = replay.known.get(tuple(sorted((*runs, run))))
            if then is not None and len(runs) <= MOST_COMPARED:
                left = np.maximum(np.array(then.errors) - floor, 0).sum()
                drops.setdefault(max(share for share in SHARES if share <= drop), []).append(1 - left / beyond.sum())
    rows = [
        [("between the runs" if inside else "outside"), str(runs), str(len(each)), *_spread(each)]
        for (inside, runs), each in sorted(ratios.items())
        if runs <= MOST_COMPARED
    ]
    head = ["γ", "runs", "cases", "actual / expected error, median", "16 % to 84 %"]
    ends = dict(zip(SHARES, (*SHARES[1:], 1.0), strict=True))
    of_drops = [
        [
            f"{100 * share:.0f} to {100 * ends[share]:.0f} %",
            str(len(each)),
            *_spread([100 * drop for drop in each], "{:.0f} %"),
        ]
        for share, each in sorted(drops.items())
    ]
    drop_head = ["expected drop of the square error", "cases", "actual drop, median", "16 % to 84 %"]
    return "\n\n".join([table(head, rows), table(drop_head, of_drops)])


def _spread(values: Sequence[float], form: str = "{:.2g}") -> tuple[str, str]:
    low, middle, high = np.quantile(values, [0.16, 0.5, 0.84])
    return form.format(middle), f"{form.format(low)} to {form.format(high)}"


@dataclass(frozen=True)
class Replayed:
    """What the replays of a system gave.

    Attributes:
        found: errors of each strategy.
        last: error of the fit to all runs.
        noise: the part of it that is noise of the unseen runs; nan where it is not known.
    """

    found: Mapping[str, Curve]
    last: float
    noise: float

    @property
    def plain(self) -> dict[str, Any]:
        """For the results that are kept."""
        known = {} if np.isnan(self.noise) else {"noise of the unseen runs": self.noise}
        strategies = {label: curve.middle().tolist() for label, curve in self.found.items()}
        return {"all runs": self.last, **known, **strategies}


def page(title: str, replayed: Replayed) -> str:
    """Tables of the errors and of the number of runs."""
    found, last = replayed.found, replayed.last
    known = "" if np.isnan(replayed.noise) else f", of which noise of the unseen runs {replayed.noise:.2g}"
    first = next(iter(found.values()))
    counts = range(first.first, first.first + first.errors.shape[1])
    errors = [[name, *(f"{value:.2g}" for value in curve.middle()[0])] for name, curve in found.items()]
    bars = {f"{100 * (share - 1):.0f} % above that of all runs": share * last for share in REACHED}
    runs = [
        [
            title,
            *(f"{curve.runs_to(bar).mean():.1f}" for curve in found.values()),
            *(
                "{:.0f} ± {:.0f} %".format(*(100 * part for part in saving(found, name, bar)))
                for name in ("even", "random")
            ),
        ]
        for title, bar in bars.items()
    ]
    head = ["error", *found, "saved against even", "against random"]
    said = f"{title}: error of all runs {last:.2g}{known}"
    return "\n\n".join([said, table(["runs", *map(str, counts)], errors), table(head, runs)])


def figure(systems: Mapping[str, Replayed], file: Path) -> None:
    """Errors over the number of runs."""
    drawing = Figure((4.5 * len(systems), 3.6), layout="constrained")
    panels = drawing.subplots(1, len(systems), squeeze=False)[0]
    for axes, (name, replayed) in zip(panels, systems.items(), strict=True):
        for number, (label, curve) in enumerate(replayed.found.items()):
            mean, low, high = curve.middle()
            count = curve.first + np.arange(len(mean))
            axes.fill_between(count, low, high, color=f"C{number}", alpha=0.15, lw=0)
            axes.plot(count, mean, "o-", ms=3, color=f"C{number}", label=label)
            axes.set_xticks(count)
        axes.axhline(replayed.last, color="0.5", ls=":", lw=1, label="all runs")
        if not np.isnan(replayed.noise):
            axes.axhline(replayed.noise, color="0.5", ls="--", lw=1, label="noise of the unseen runs")
        axes.set(title=TITLES[name], xlabel="runs", ylabel="error (root of Eq. 35)", yscale="log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.legend(fontsize="small")
    drawing.savefig(file, dpi=110)


def of_burgers(draws: int) -> Replayed:
    """Curves of the Burgers equation over all draws of the noise."""
    replays = burgers_replays(FOLDER / "next_run", draws)
    for replay in replays:
        every_fit(replay)
    print(expected_errors(replays))
    share_errors(replays)
    count = len(replays[0].gammas)
    each = [curves(replay, starts(replay, None), count, ORDERS) for replay in replays]
    return Replayed(pooled(each), replays[0].outcome(range(count)).error, np.nan)


def of_set(name: str, draws: int, longest: int) -> Replayed:
    """Curves of a shipped set."""
    file = morlight.open(name)
    system = System(name, name, COLLOID if name == "colloid" else {})
    replay = Replay(system, FOLDER / "next_run" / f"{name}_{digest(file.path)}.jsonl")
    if name == "lj":
        every_fit(replay)
        print(calibration(replay))
    whole = replay.outcome(range(len(replay.gammas)))
    size = (None, len(replay.gammas), ORDERS) if name == "lj" else (draws, longest, 1)
    return Replayed(curves(replay, starts(replay, size[0]), *size[1:]), whole.error, whole.ceiling)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the fits that are missing, print the tables, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--system", choices=TITLES, action="append", help="lj, colloid or burgers; all by default")
    parser.add_argument("--draws", type=int, default=2, help=f"draws of {DRAWN} pairs of the colloid (default 2)")
    parser.add_argument("--longest", type=int, default=7, help="runs of the colloid (default 7)")
    parser.add_argument("--noise", type=int, default=3, help="draws of the noise of Burgers (default 3)")
    options = parser.parse_args(arguments)
    found: dict[str, Replayed] = {}
    for name in options.system or TITLES:
        found[name] = of_burgers(options.noise) if name == "burgers" else of_set(name, options.draws, options.longest)
        print(f"\n{page(TITLES[name], found[name])}\n")
    plain = {name: replayed.plain for name, replayed in found.items()}
    figure(found, FOLDER / "next_run" / "next_run.png")
    if (EXPERIMENTS / "results").is_dir() and not options.system:
        write("next_run", plain)
        figure(found, FIGURES / "next_run.png")


if __name__ == "__main__":
    main()
