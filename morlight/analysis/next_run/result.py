"""What `morlight next` finds: candidates in order, and a plan of runs to a target error."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from morlight.analysis.next_run.candidates import Candidate


@dataclass(frozen=True)
class Ranked:
    """A candidate, and what is expected of it.

    Attributes:
        candidate: γ, number of seeds, frames and cells.
        error: expected after the runs.
        drop: decrease of the error, as a share of the present one.
        outside: whether γ lies outside the range of the training data.
    """

    candidate: Candidate
    error: float
    drop: float
    outside: bool

    @property
    def drop_per_frame(self) -> float:
        """Drop for each frame to simulate, by which candidates are ranked."""
        return self.drop / self.candidate.cost

    def to_json(self) -> dict[str, Any]:
        """As `morlight next --json` prints it."""
        numbers = {name: getattr(self, name) for name in ("error", "drop", "drop_per_frame", "outside")}
        return {**asdict(self.candidate), **numbers}


@dataclass(frozen=True)
class Plan:
    """Runs to a target error, each the best one after those before it.

    Attributes:
        bar: error that is wanted.
        runs: candidates, one after the other.
        errors: expected after each of them.
    """

    bar: float
    runs: tuple[Candidate, ...]
    errors: tuple[float, ...]

    @property
    def count(self) -> int | None:
        """Number of runs; None if those of the plan do not suffice."""
        if self.runs and self.errors[-1] > self.bar:
            return None
        return sum(run.seeds for run in self.runs)

    def to_json(self) -> dict[str, Any]:
        """As `morlight next --json` prints it."""
        return {"bar": self.bar, "count": self.count, "runs": list(map(asdict, self.runs)), "errors": list(self.errors)}


@dataclass(frozen=True)
class NextRun:
    """Candidates, the best one first.

    Attributes:
        checkpoint: path of the model.
        data: path of the runs so far.
        target: rollout, eq35, or the name of a transport coefficient.
        at: γ of interest.
        unit: of the errors.
        error: expected at present, the root mean square over the γ of interest.
        ranking: of the candidates, by the drop for each frame to simulate.
        plan: runs to a target error, if one was given.
        diverging: numbers of the realizations that are left out, since their roll-outs diverge.
        remark: that the number of cells does not matter, if it does not.
    """

    checkpoint: str
    data: str
    target: str
    at: Sequence[Mapping[str, float]]
    unit: str
    error: float
    ranking: Sequence[Ranked]
    plan: Plan | None = None
    diverging: Sequence[int] = ()
    remark: str | None = None

    @property
    def best(self) -> Candidate:
        """The first of the ranking."""
        return self.ranking[0].candidate

    def to_json(self) -> dict[str, Any]:
        """As `morlight next --json` prints it."""
        return {
            **{name: getattr(self, name) for name in ("checkpoint", "data", "target", "unit", "error")},
            "at": [dict(gamma) for gamma in self.at],
            "ranking": [each.to_json() for each in self.ranking],
            "plan": None if self.plan is None else self.plan.to_json(),
            "diverging": list(self.diverging),
            "remark": self.remark,
        }
