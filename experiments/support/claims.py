"""Claims of the paper beside our numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.support.tables import table

VERDICTS = {True: "reproduced", False: "not reproduced", None: "cannot be decided"}


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, our numbers, and whether they say the same.

    Attributes:
        sentence: of the paper.
        numbers: ours.
        holds: whether they agree; None where the numbers cannot decide.
    """

    sentence: str
    numbers: str
    holds: bool | None


def claims_table(claims: Sequence[Claim]) -> str:
    """Claims with their verdicts."""
    rows = [(claim.sentence, claim.numbers, VERDICTS[claim.holds]) for claim in claims]
    return table(["claim", "numbers", "verdict"], rows)


def plateau(sentence: str, cutoffs: Sequence[float], errors: Sequence[float]) -> Claim:
    """Whether an error falls by a fifth or more at first, and by less in the second half of the cutoffs."""
    middle = len(errors) // 2
    first, later = errors[0] / errors[middle], errors[middle] / errors[-1]
    sentence = f"{sentence} (by a factor above 1.2 in the first half of the cutoffs, below 1.2 in the second)"
    listed = ", ".join(f"{error:.2g}" for error in errors)
    return Claim(sentence, f"medians for t_c = {cutoffs[0]:g} … {cutoffs[-1]:g}: {listed}", first > 1.2 > later)


def benefit(sentence: str, pairs: Sequence[tuple[float, float]], *, expected: bool) -> Claim:
    """Whether the error with a bias is the lower one in most cases.

    Args:
        sentence: of the paper.
        pairs: errors with and without the bias.
        expected: whether the sentence says that the bias helps, or that it makes no consistent difference.
    """
    better = sum(a < b for a, b in pairs) / len(pairs)
    ratio = float(sorted(b / a for a, b in pairs)[len(pairs) // 2])
    numbers = f"better in {better:.0%} of {len(pairs)} cases; error without over with, median {ratio:.2f}"
    return Claim(sentence, numbers, better > 0.75 if expected else 0.25 <= better <= 0.75)
