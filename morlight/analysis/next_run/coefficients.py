"""Transport coefficients of the realizations of a model, one by one."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from morlight.analysis.next_run.disagreement import FEWEST
from morlight.analysis.trained_operator import TrainedOperator
from morlight.analysis.transport import transport
from morlight.analysis.transport_coefficients import Coefficient


def coefficients(
    model: TrainedOperator, target: str, gammas: Sequence[Mapping[str, float]], numbers: Sequence[int]
) -> tuple[Float[np.ndarray, "R G 1"], str]:
    """Deviations of a coefficient from its mean over the realizations, and its unit.

    Args:
        model: the operator.
        target: name of the coefficient.
        gammas: where.
        numbers: of the realizations, for messages.

    Raises:
        ValueError: if the model has no coefficient of this name, or some realizations do not have it at some γ.
    """
    found, unit, reasons = np.full((len(numbers), len(gammas), 1), np.nan), "", {}
    for r in range(len(numbers)):
        single = model.only([r])
        for g, gamma in enumerate(gammas):
            answers = transport(single, gamma).answers()
            answer = answers.get(target.replace("_", " "))
            if answer is None:
                raise ValueError(f"target is '{target}', expected rollout, eq35, {', '.join(answers)}")
            if not isinstance(answer, Coefficient):
                reasons[r, g] = answer
            elif not np.isfinite(answer.value):
                reasons[r, g] = f"it is {answer.value:g}"
            else:
                found[r, g], unit = answer.value, answer.unit
    if reasons:
        raise ValueError(f"{model.path}: {_without(target, gammas, numbers, reasons)}")
    return found - found.mean(0), unit


def _without(
    target: str,
    gammas: Sequence[Mapping[str, float]],
    numbers: Sequence[int],
    reasons: Mapping[tuple[int, int], str],
) -> str:
    """Which realizations do not have a coefficient, at which γ and why, and how to go on."""
    why = next(iter(reasons.values()))
    lacking: dict[int, list[int]] = {}
    for r, g in reasons:
        lacking.setdefault(g, []).append(r)
    if all(len(rows) == len(numbers) for rows in lacking.values()) and len(lacking) == len(gammas):
        return f"{target}: {why}"
    where = "; ".join(
        f"{', '.join(str(numbers[r]) for r in rows)} at {_name(gammas[g])}" for g, rows in sorted(lacking.items())
    )
    left = [number for r, number in enumerate(numbers) if not any(r == row for row, _ in reasons)]
    kept = (
        f"--realizations {' '.join(map(str, left))}, in Python realizations={left}, or " if len(left) >= FEWEST else ""
    )
    return f"realizations without {target}: {where} ({why}); expected {kept}a longer fit"


def _name(gamma: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={value:.4g}" for name, value in gamma.items())
