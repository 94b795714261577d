"""Estimates with standard errors, and roll-outs with standard errors, beside the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float

NORMAL = {0.68: 0.994458, 0.95: 1.959964}  # standard deviations within which a share of normal numbers lies
LENGTHS = (0.1, 1.0, 10.0)  # of roll-outs, in units of the length of the data


@dataclass(frozen=True)
class Estimate:
    """A number that is printed, with its standard error due to the data and its truth."""

    name: str
    value: float
    error: float
    truth: float


def rollout(length: float, off: Float[np.ndarray, "*u"], sd: Float[np.ndarray, "*u"]) -> dict[str, float]:
    """Share of the points of a roll-out whose intervals contain the truth.

    Args:
        length: of the roll-out, in units of the length of the data.
        off: deviation from the exact field at each point.
        sd: standard error at each point.
    """
    inside = {f"coverage_{share:g}": float((abs(off) < reach * sd).mean()) for share, reach in NORMAL.items()}
    return {"length": length, **inside, "error": _rms(off), "sd": _rms(sd)}


def _rms(values: Float[np.ndarray, "*u"]) -> float:
    return float(np.sqrt((values**2).mean()))


class Case(Protocol):
    """A source of independent data sets whose truth is known."""

    def measured(self, seed: int, folder: Path) -> tuple[Sequence[Estimate], Sequence[dict[str, float]]]:
        """Numbers learned from one data set, and its roll-outs.

        Args:
            seed: of the data set.
            folder: for files that are not kept.
        """
