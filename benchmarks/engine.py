"""Steps a second of roll-outs: a plain loop over steps against the engine, in one run.

`demo`: the prediction of the demo, a field of 256 points. `channel`: density and momentum of a Lennard-Jones channel,
20 points, two terms, one parameter. `plane`: 64 × 64 points, isotropic. Five realizations, float64. All steps count,
the recording of the first one included.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from benchmarks.cases import CASES, Case
from benchmarks.step import best, wait
from morlight.operators import Exponential, Rollouts, states

REALIZATIONS = 5
ROLLOUTS = {  # case, scheme, states, steps
    "demo": ("B", "explicit", 1, 2000),
    "demo, 64 states": ("B", "explicit", 64, 200),
    "demo, exponential steps": ("B", "exponential", 1, 500),
    "channel": ("C", "explicit", 1, 2000),
    "channel, 64 states": ("C", "explicit", 64, 500),
    "plane": ("A", "explicit", 1, 100),
}


def measure() -> Iterator[dict[str, Any]]:
    """Each roll-out in both ways."""
    yield from lines(ROLLOUTS)


def lines(rollouts: Mapping[str, tuple[str, str, int, int]], device: str = "cpu") -> Iterator[dict[str, Any]]:
    """Some roll-outs in both ways, on a device."""
    for name, (case, scheme, count, steps) in rollouts.items():
        plainly, engine = rolled(CASES[case], scheme, (count, steps), device)
        shared = {"unit": "steps/s", "states": count, "realizations": REALIZATIONS}
        yield {"case": f"{name}: plain loop", "value": plainly, **shared, "over_plain": 1.0}
        yield {"case": f"{name}: engine", "value": engine, **shared, "over_plain": engine / plainly}


def rolled(case: Case, scheme: str, size: tuple[int, int], device: str) -> tuple[float, float]:
    """Steps a second of all states together, one by one and by the engine, for a number of states and of steps."""
    count, steps = size
    operator = case.operator(REALIZATIONS, torch.float64).requires_grad_(False).to(device)
    u, _, gamma = (part.to(device) for part in case.batch(torch.float64, count))
    way = Exponential(case.data.fields) if scheme == "exponential" else scheme

    def plain() -> None:
        for _ in states(operator, u, steps, gamma, way):
            pass
        wait(device)

    def engine() -> None:
        Rollouts(operator, gamma, way).frames(u, steps, every=steps)
        wait(device)

    first, second = (steps / (best(work, 1.0) / 1e3) for work in (plain, engine))
    return first, second
