"""morlight discover, PySINDy, DMD and FNO on the same fields: errors of coefficients, of one step and of a roll-out.

    python -m benchmarks peers [--files DIR] [--noise 0 0.01 0.05] [--only NAME]

Every method learns from the first 80 % of the time, with Gaussian noise of a share of each field's rms, and forecasts
the clean rest; on the sets named `other state`, it learns from one initial state and forecasts another. The settings of
PySINDy and DMD are the best of several, chosen in hindsight with the true equation or the true rest.
"""

import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import peer_equations, peer_surrogates
from benchmarks.data import installed
from benchmarks.equation_sets import NAMED, Case, Truth, made, read, two_states
from benchmarks.peer_splits import Split, another_state, later
from benchmarks.peer_surrogates import Step
from benchmarks.peer_terms import Terms, rollout, score
from morlight.training.least_squares.discover import Trajectories, discover

Result = dict[str, Any]
Forecast = Callable[[Tensor, Tensor], Tensor]  # fields (B, C, *X) and times to fields (B, T, C, *X)


def morlight(split: Split) -> Result:
    """`morlight discover`, as it is."""
    begin = time.process_time()
    equation = discover(Trajectories(split.train, split.times, split.basis))
    seconds = time.process_time() - begin
    return _equation(split, [{term.candidate: term.coefficient for term in own} for own in equation.terms], seconds)


def best_equation(search: peer_equations.Search) -> Callable[[Split], Result]:
    """Of several settings the one with the fewest false and missing terms and the smallest error of a coefficient.

    The library has the degree and the order of `discover`, and, where that one gives no correct equation, those of the
    true equation.
    """

    def run(split: Split) -> Result:
        found: list[peer_equations.Found] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for degree, order in ((3, 4), _size(split.truth)):
                found += search(split, degree, order)
                terms, seconds = min(found, key=lambda one: score(one[0], split.truth).rank)
                if not score(terms, split.truth).rank[0]:
                    break
        return _equation(split, terms, seconds)

    return run


def _size(truth: Truth) -> tuple[int, int]:
    """Degree and order of an equation."""
    terms = [term for own in truth for term in own]
    return max(sum(term.exponents) for term in terms), max(int(term.derivative.order) for term in terms)


def best_step(search: Callable[[Split], Iterator[peer_surrogates.Learned]]) -> Callable[[Split], Result]:
    """Of several settings the one with the smallest error at the end of the roll-out."""

    def run(split: Split) -> Result:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = [{**_errors(split, repeated(step)), "seconds": seconds} for step, seconds in search(split)]
        return min(results, key=lambda result: float(result["rollout_error"]))

    return run


METHODS: dict[str, tuple[str, Callable[[Split], Result]]] = {
    "morlight discover": ("morlight", morlight),
    "PySINDy, strong": ("pysindy", best_equation(peer_equations.strong)),
    "PySINDy, weak": ("pysindy", best_equation(peer_equations.weak)),
    "PySINDy, weak, WSINDy's library": ("pysindy", best_equation(peer_equations.conservative)),
    "DMD": ("pydmd", best_step(peer_surrogates.dynamic_modes)),
    "FNO": ("neuralop", best_step(peer_surrogates.neural_operator)),
}


def _equation(split: Split, terms: Sequence[Terms], seconds: float) -> Result:
    scored = score(terms, split.truth)
    errors = _errors(split, lambda u, times: rollout(terms, u, times, split.basis))
    return {
        "value": scored.coefficient, "false_terms": scored.false, "missing_terms": scored.missing,
        **errors, "seconds": seconds,
    }  # fmt: skip


def repeated(step: Step) -> Forecast:
    """The forecast that repeats a step."""

    def forecast(u: Tensor, times: Tensor) -> Tensor:
        states = [u]
        for _ in range(len(times) - 1):
            states.append(step(states[-1]))
        return torch.stack(states, 1)

    return forecast


def _errors(split: Split, forecast: Forecast) -> Result:
    """Error of one step over the size of the increment, and relative error at the end; infinite where it diverges."""
    before, after = split.test[:, :-1].flatten(0, 1), split.test[:, 1:].flatten(0, 1)
    step = _finite(lambda: forecast(before, torch.tensor([0.0, split.dt]).double())[:, 1], after)
    end = _finite(lambda: forecast(split.test[:, 0], split.test_times)[:, -1], split.test[:, -1])
    increment, size = (after - before).norm(), split.test[:, -1].norm()
    return {"step_error": step / float(increment), "rollout_error": end / float(size)}


def _finite(forecast: Callable[[], Tensor], truth: Tensor) -> float:
    try:
        error = float((forecast() - truth).norm())
    except ValueError:  # the equation grows without bound
        return math.inf
    return error if math.isfinite(error) else math.inf


def cases(folder: str | None) -> Iterator[tuple[Case, Callable[[Case, float], Split]]]:
    """All sets with the way to split them, those of files first."""
    for case in [*(read(Path(folder)) if folder else []), *islice(made(), NAMED)]:
        yield case, later
    for case in two_states():
        yield case, another_state


def measure(folder: str | None = None, noises: Sequence[float] = (0.0,), only: str = "") -> Iterator[Result]:
    """Every method on every set with every noise."""
    there = installed("pysindy", "pydmd", "neuralop") | {"morlight"}
    for case, of in cases(folder):
        for noise in noises if only in case.name else ():
            split = of(case, noise)
            for name, (package, method) in METHODS.items():
                if package in there:
                    common = {"case": split.name, "method": name, "noise": noise, "unit": "largest relative error"}
                    yield common | method(split)
