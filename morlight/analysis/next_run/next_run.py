"""Which further run is best for a model: candidates ranked by the expected decrease of the error that matters."""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from morlight.analysis.extrapolation import Extrapolation, of_parameters
from morlight.analysis.next_run.candidates import Candidate, Choices, candidates, gammas
from morlight.analysis.next_run.coefficients import coefficients
from morlight.analysis.next_run.disagreement import FEWEST, Disagreement, axes_but, relative
from morlight.analysis.next_run.result import NextRun, Plan, Ranked
from morlight.analysis.next_run.runs import Runs, diverging
from morlight.analysis.next_run.signals import Signals, remark_on_cells
from morlight.analysis.realizations import Choice
from morlight.analysis.trained_operator import TrainedOperator
from morlight.data.trajectory_file import TrajectoryFile

MOST_RUNS = 100  # of a plan
ROLLOUT, EQ35, RELATIVE = "rollout", "eq35", "relative"


def next_run(  # noqa: PLR0913 - the options of the command
    model: TrainedOperator,
    data: str | Path | TrajectoryFile,
    asked: Choices | str | Path,
    *,
    target: str = ROLLOUT,
    at: Choices | None = None,
    bar: float | None = None,
    realizations: Choice = "all",
) -> NextRun:
    """Rank candidates for the next run by the expected decrease of an error.

    The disagreement of the realizations stands for what is not known (see `disagreement`), and the residuals of the
    runs so far for the noise of a run. What all realizations get wrong in the same way does not count.

    Args:
        model: the operator, with γ and several realizations.
        data: trajectory file of the runs so far, from which noise and initial states are taken.
        asked: the candidates (see `candidates.candidates`).
        target: rollout, the relative error of whole roll-outs; eq35, the root of Eq. 35; or the name of a transport
            coefficient, such as kinematic viscosity.
        at: γ of interest; those of the candidates by default.
        bar: target error; the plan says how many runs it takes.
        realizations: all, or the numbers of some.

    Raises:
        ValueError: if the model cannot answer, or something given does not fit.
    """
    _check(asked, at, bar)
    model, numbers = _answering(model, realizations)
    file = data if isinstance(data, TrajectoryFile) else TrajectoryFile.open(data)
    runs = Runs.read(model, file)
    rows = candidates(model.data, runs.frames, asked, file.grid.points)
    of_candidates = list({tuple(row.gamma.values()): dict(row.gamma) for row in rows}.values())
    wanted = of_candidates if at is None else gammas(model.data, at)
    every = [*of_candidates, *(gamma for gamma in wanted if gamma not in of_candidates)]
    walks, noise = runs.typical(every, max(runs.frames, *(row.frames for row in rows)))
    kept = _bounded(runs, walks, every, numbers)
    model, walks, left_out = runs.model.only(kept), walks[kept], [n for r, n in enumerate(numbers) if r not in kept]
    weights = np.array([wanted.count(gamma) / len(wanted) for gamma in every])
    if target in (ROLLOUT, EQ35):
        values, unit = _of_rollouts(target, walks[:, :, : runs.frames]), RELATIVE
    else:
        values, unit = coefficients(model, target, every, [numbers[r] for r in kept])
    now = Disagreement.of(values, weights)
    if not now.error > 0:
        raise ValueError(f"{model.path}: the realizations agree, so that no run is expected to change them")
    signals = Signals(runs, every, walks, noise, kept)
    ready = _Candidates(rows, [every.index(dict(row.gamma)) for row in rows], [signals.of(row) for row in rows])
    ranked = ready.ranked(now)
    ranking = [Ranked(rows[i], error, 1 - error / now.error, _outside(model, rows[i].gamma)) for i, error in ranked]
    remark = remark_on_cells([rows[i] for i, _ in ranked], [error for _, error in ranked], now.error)
    plan = None if bar is None else ready.plan(now, bar)
    for caution in of_parameters(model, np.array([list(gamma.values()) for gamma in every])):
        warnings.warn(caution, Extrapolation, stacklevel=2)
    return NextRun(str(model.path), str(file.path), target, wanted, unit, now.error, ranking, plan, left_out, remark)


@dataclass(frozen=True)
class _Candidates:
    """Candidates with the places of their γ and their signals."""

    rows: Sequence[Candidate]
    places: Sequence[int]
    signals: Sequence[float]

    def ranked(self, now: Disagreement) -> list[tuple[int, float]]:
        """Numbers of the candidates and the errors after them, by the drop for each frame to simulate."""
        errors = [now.after(place, S).error for place, S in zip(self.places, self.signals, strict=True)]
        order = sorted(range(len(errors)), key=lambda i: (errors[i] - now.error) / self.rows[i].cost)
        return [(i, errors[i]) for i in order]

    def plan(self, now: Disagreement, bar: float) -> Plan:
        """The best candidate, the best one after it, and so on."""
        chosen: list[Candidate] = []
        errors: list[float] = []
        while now.error > bar and len(chosen) < MOST_RUNS:
            i, error = self.ranked(now)[0]
            now = now.after(self.places[i], self.signals[i])
            chosen.append(self.rows[i])
            errors.append(error)
        return Plan(bar, tuple(chosen), tuple(errors))


def _check(asked: object, at: object, bar: object) -> None:
    """Refuse what is of the wrong kind.

    Raises:
        ValueError: naming it.
    """
    such = 'values by name, such as {"density": [0.1, 0.3]}'
    if not isinstance(asked, Mapping | str | Path):
        raise ValueError(f"the candidates are {asked!r}, expected {such}, or the path of a table")
    if at is not None and not isinstance(at, Mapping):
        raise ValueError(f"γ of interest (at) is {at!r}, expected {such}")
    if bar is not None and not (isinstance(bar, int | float) and bar > 0):
        raise ValueError(f"the target error (bar) is {bar!r}, expected a number above 0")


def _answering(model: TrainedOperator, realizations: Choice) -> tuple[TrainedOperator, list[int]]:
    """The model with the realizations that disagree, and their numbers.

    The first realization of an equation is the estimate, and the others are draws around it.

    Raises:
        ValueError: if the model cannot answer.
    """
    if model.steady:
        raise ValueError(f"{model.path}: learned L u = f without time, expected an operator with steps")
    if not model.data.parameters:
        raise ValueError(f"{model.path}: has no parameters γ (data.parameters) in which runs could differ")
    numbers = sorted(set(model.chosen(realizations)))
    if len(numbers) < FEWEST:
        of = "" if len(numbers) == model.realizations else f" of {model.realizations}"
        raise ValueError(
            f"{model.path}: has {len(numbers)}{of} realizations, expected at least {FEWEST} (model.realizations),"
            " whose disagreement shows what is not known"
        )
    if model.config.equation is not None:
        numbers = [r for r in numbers if r > 0]
    return dataclasses.replace(model.only(numbers), ratios={}), numbers


def _bounded(
    runs: Runs, walks: Float[np.ndarray, "R G T C *X"], gammas: Sequence[Mapping[str, float]], numbers: Sequence[int]
) -> list[int]:
    """The places of the realizations whose roll-outs do not diverge.

    Raises:
        ValueError: if half of them or more diverge, or fewer are left than are needed.
    """
    at_gammas = diverging(runs.model, walks)
    lost = [bool(row.any()) for row in np.concatenate([at_gammas, runs.diverging], 1)]
    left = [r for r, each in enumerate(lost) if not each]
    if len(left) < FEWEST or 2 * len(left) <= len(lost):
        share = f"{sum(lost)} of {len(numbers)} realizations diverge"
        count, worst = at_gammas.sum(0).max(), gammas[int(at_gammas.sum(0).argmax())]
        where = f", {count} of them at {', '.join(f'{name}={value:.4g}' for name, value in worst.items())}"
        raise ValueError(
            f"{runs.model.path}: roll-outs of {share}{where if count else ' from the runs so far'}; expected at least"
            f" {FEWEST} and more than half that do not: candidates nearer to the runs so far, a longer fit, or"
            " model.biases with stability"
        )
    return left


def _of_rollouts(target: str, walks: Float[np.ndarray, "R G T C *X"]) -> Float[np.ndarray, "R G n"]:
    """Deviations of the realizations, whose sum of squares is the square of the relative error."""
    if target == EQ35:
        deviation, _ = relative(walks[:, :, [1, -1]], axes_but(walks, but=(0, 1, 2, 3)))
    else:
        deviation, _ = relative(walks, axes_but(walks, but=(0, 1, 3)))
    fields = walks.shape[3]
    share: Float[np.ndarray, "R G n"] = deviation.reshape(*deviation.shape[:2], -1) / np.sqrt(fields)
    return share


def _outside(model: TrainedOperator, gamma: Mapping[str, float]) -> bool:
    return any(of_parameters(model, np.array([list(gamma.values())])))
