"""Replays of runs that were made already: fits to some of them, and the order in which a strategy would add them."""

import json
import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from experiments.support.channels import rounded
from experiments.support.fits import untracked
from morlight.analysis.evaluation.compatibility import frames
from morlight.analysis.model import Model
from morlight.analysis.next_run.disagreement import relative
from morlight.analysis.next_run.next_run import EQ35, next_run
from morlight.analysis.next_run.runs import rollouts
from morlight.data.ensembles import SEED, ensembles
from morlight.data.trajectory_file import TrajectoryFile
from morlight.data.trajectory_writer import write
from morlight.training.settings import from_mapping

STEPS = 6  # of gradient descent in an epoch, whatever the number of runs
SETTINGS: dict[str, Any] = {
    "data.held_out": None,
    "data.mirror": False,  # of runs whose number is counted, each is used once
    "model.realizations": 10,
    "trainer.max_epochs": 60,
    "trainer.accelerator": "cpu",
    "trainer.enable_progress_bar": False,
}


@dataclass(frozen=True)
class System:
    """Runs of a set, one for each γ, and runs with other seeds, whose mean is the truth.

    Attributes:
        config: packaged configuration.
        data: shipped set or file with at least two seeds of each γ.
        settings: changes of the configuration.
    """

    config: str
    data: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> TrajectoryFile:
        """The file."""
        return TrajectoryFile.open(self.data)

    def groups(self) -> list[list[int]]:
        """Runs of each γ."""
        return [members for _, members in sorted(ensembles(self.file, range(self.file.trajectories)).items())]

    def gammas(self) -> list[dict[str, float]]:
        """γ of each run."""
        file = self.file
        names = [name for name in file.parameters if name != SEED]
        first = [rows[0] for rows in self.groups()]
        return [{name: float(f"{file.parameters[name][row]:.12g}") for name in names} for row in first]

    def truth(self, model: Model) -> Float[np.ndarray, "G T C *X"]:
        """Mean of the runs that no fit sees."""
        u = frames(model, self.file).astype(np.float64)
        return np.stack([u[rows[1:]].mean(0) for rows in self.groups()])

    def noise(self, model: Model) -> list[float]:
        """Eq. 35 of the standard error of the truth at each γ; empty if it is a single run."""
        u = frames(model, self.file).astype(np.float64)
        unseen = [u[rows[1:]] for rows in self.groups()]
        return [_eq35_of_noise(runs) for runs in unseen] if all(len(runs) > 1 for runs in unseen) else []


@dataclass(frozen=True)
class Outcome:
    """A fit to some runs.

    Attributes:
        runs: their numbers, in increasing order.
        errors: Eq. 35 at each γ, median over the realizations; of an equation, that of the estimate.
        expected: Eq. 35 at each γ, expected by the disagreement of the realizations.
        ranking: numbers of the other runs, as `morlight next` ranks them.
        drops: share of the square of the error that each of these is expected to remove.
        noise: Eq. 35 of the noise of the truth at each γ; empty where it is not known.
    """

    runs: tuple[int, ...]
    errors: tuple[float, ...]
    expected: tuple[float, ...]
    ranking: tuple[int, ...]
    drops: tuple[float, ...]
    noise: tuple[float, ...] = ()

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Outcome":
        """What a line of the file contains."""
        names = ("runs", "errors", "expected", "ranking", "drops", "noise")
        return cls(*(tuple(plain.get(name, ())) for name in names))

    @property
    def error(self) -> float:
        """Root of the mean of Eq. 35 over all γ."""
        return math.sqrt(sum(self.errors) / len(self.errors))

    @property
    def ceiling(self) -> float:
        """The part of the error that is noise of the truth; nan where it is not known."""
        return math.sqrt(sum(self.noise) / len(self.noise)) if self.noise else math.nan


def eq35(walks: Float[np.ndarray, "R G T C X"], truth: Float[np.ndarray, "G T C X"]) -> Float[np.ndarray, "R G"]:
    """Eq. 35 of each realization and γ."""
    total = np.zeros(walks.shape[:2])
    with np.errstate(all="ignore"):
        for m in (1, -1):
            off = np.square(walks[:, :, m] - truth[:, m]).sum(-1) / np.square(truth[:, m]).sum(-1)
            total += off.mean(2)
    return np.nan_to_num(total, nan=np.inf)


def _eq35_of_noise(runs: Float[np.ndarray, "S T C X"]) -> float:
    """Expected error of the exact mean on the mean of some runs."""
    mean, square = runs.mean(0), runs.var(0, ddof=1) / len(runs)
    return float(sum((square[m].sum(-1) / np.square(mean[m]).sum(-1)).mean() for m in (1, -1)))


class Replay:
    """Fits to subsets of the runs of a system, kept in a file; a second call continues where the first one stopped.

    Args:
        system: the runs.
        path: file of the outcomes, a line for each.
    """

    def __init__(self, system: System, path: Path) -> None:
        self.system, self.path = system, path
        self.gammas = system.gammas()
        self.known: dict[tuple[int, ...], Outcome] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            found = Outcome.from_json(json.loads(line))
            self.known[found.runs] = found

    def outcome(self, runs: Iterable[int]) -> Outcome:
        """The fit to some runs, made unless it is known."""
        chosen = tuple(sorted(runs))
        if chosen not in self.known:
            with tempfile.TemporaryDirectory() as folder:
                outcome = self.fitted(chosen, Path(folder) / "runs.h5")
            self.known[chosen] = outcome
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(outcome)) + "\n")
            print(f"{self.system.config}: runs {', '.join(map(str, chosen))}: {outcome.error:.3g}", flush=True)
        return self.known[chosen]

    def fitted(self, runs: Sequence[int], path: Path) -> Outcome:
        """Fit to some runs, compare with the truth, rank the others."""
        self.write(runs, path)
        batch = math.ceil((len(self.system.file.times) - 4) * len(runs) / STEPS)
        settings = {**SETTINGS, **self.system.settings, "data.batch": batch}
        model = untracked(from_mapping(settings, self.system.config, str(path)), path.with_suffix(".ckpt"))
        return self.measured(model, runs, path)

    def write(self, runs: Sequence[int], path: Path) -> None:
        """A file of some runs, each with the first of its seeds."""
        file = self.system.file
        rows = [self.system.groups()[run][0] for run in runs]
        u = file.read()[rows]
        write(
            path, name=self.system.config, fields={name: u[:, :, c] for c, name in enumerate(file.fields)},
            grid=file.grid, times=file.times, provenance={},
            parameters={name: np.asarray(values)[rows] for name, values in file.parameters.items()},
        )  # fmt: skip

    def measured(self, model: Model, runs: Sequence[int], path: Path) -> Outcome:
        """Errors of a model, and its ranking of the runs that it was not fitted to."""
        truth = self.system.truth(model)
        names = model.data.parameter_names
        gamma = np.array([[each[name] for name in names] for each in self.gammas])
        walks = rollouts(model, truth[:, 0], gamma, truth.shape[1], 1)
        answers = walks if model.config.equation is None else walks[:1]  # the others are draws around the first
        errors = np.median(eq35(answers, truth), 0)
        deviation, _ = relative(walks[:, :, [1, -1]], (4,))
        expected = np.square(deviation).sum((0, 2, 3, 4)) / (len(walks) - 1) / len(model.data.fields)
        others = [run for run in range(len(self.gammas)) if run not in runs]
        drops: dict[int, float] = {}
        if others:
            candidates = {name: sorted({each[name] for each in self.gammas}) for name in names}
            found = next_run(model, path, candidates, target=EQ35)
            ranked = [(self.gammas.index(dict(each.candidate.gamma)), each.drop) for each in found.ranking]
            drops = {run: 1 - (1 - drop) ** 2 for run, drop in ranked if run in others}
        return Outcome(
            tuple(runs), tuple(rounded(errors)), tuple(rounded(expected)), tuple(drops), tuple(rounded(drops.values())),
            tuple(rounded(self.system.noise(model))),
        )  # fmt: skip
