"""Fits of one study with their results, kept as they come; figures and tables tracked beside them."""

import json
import os
import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Generic, Literal, Protocol

import torch

from experiments.support.fits import Fit, Kept, Measured, fitted
from morlight.analysis.model import Model, load
from morlight.data.trajectory_file import TrajectoryFile, digest
from morlight.simulate.random_fields import Fields
from morlight.simulate.walkers import Walkers
from morlight.tracking.logger import Tracker

FOLDER = Path("mlruns") / "studies"
Scale = Literal["small", "paper"]
SCALES: tuple[Scale, ...] = ("small", "paper")
SCALE_HELP = "small: a try in minutes; paper: all of it"


class Simulation(Protocol):
    """A function of `morlight.simulate`."""

    __name__: str

    def __call__(self, path: Path, setting: Any, *, seed: int = ..., overwrite: bool = ...) -> None:
        """Write a trajectory file."""


class Study(Generic[Measured]):
    """Fits of one study with their results, kept in one file: the same command goes on where it was stopped.

    Args:
        name: of the study, its MLflow experiment and its folder.
        scale: small or paper.
        kind: of the measurements.
    """

    def __init__(self, name: str, scale: Scale, kind: type[Measured]) -> None:
        self.name, self.scale = name, scale
        self.folder = FOLDER / name / scale
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / "fits.json"
        plain = json.loads(self.file.read_text()) if self.file.exists() else {}
        self.results: dict[str, Kept[Measured]] = {key: Kept.from_json(each, kind) for key, each in plain.items()}

    def data(self, simulate: Simulation, setting: Walkers | Fields, *, name: str | None = None, seed: int = 0) -> Path:
        """The file that a simulation writes, made unless it is there with these settings.

        Args:
            simulate: function of `morlight.simulate`.
            setting: what it simulates.
            name: of the file; that of the study by default.
            seed: of the random numbers.
        """
        path = self.folder / f"{name or self.name}.h5"
        if not _holds(path, simulate.__name__, setting, seed):
            print(f"\n{self.name}: simulate {path.stem}: {setting}", flush=True)
            simulate(path, setting, seed=seed, overwrite=True)
        return path

    def fit(self, key: str, fit: Fit, measure: Callable[[Model], Measured]) -> Kept[Measured]:
        """Result of a fit under a key, with what `measure` says of its model; made unless it is there."""
        if not self._has(key, fit):
            print(f"\n{self.name}: fit {key}: {fit}", flush=True)
            checkpoint, seconds = fitted(fit, self.name, self._label(key))
            self._keep(key, Kept(fit, seconds, measure(load(checkpoint)), checkpoint, fit.configuration()))
        return self.results[key]

    def fits(
        self, fits: Mapping[str, Fit], measure: Callable[[str, Model], Measured], processes: int = 1
    ) -> dict[str, Kept[Measured]]:
        """Results of many fits by their keys, several made at once, each in one thread of a process of its own."""
        missing = [key for key, fit in fits.items() if not self._has(key, fit)]
        first: dict[str, list[str]] = {}  # keys of equal fits share one
        for key in missing:
            same = next((other for other in first if fits[other] == fits[key]), key)
            first.setdefault(same, []).append(key)
        work = partial(fitted, progress=False)
        with ProcessPoolExecutor(processes, get_context("spawn"), _single_thread) as pool:
            tasks: dict[Future[tuple[str, float]], list[str]] = {}
            for key, keys in first.items():
                print(f"{self.name}: fit {', '.join(keys)}: {fits[key]}", flush=True)
                tasks[pool.submit(work, fits[key], self.name, self._label(key))] = keys
            try:
                for task in as_completed(tasks):
                    checkpoint, seconds = task.result()
                    print(f"{', '.join(tasks[task])}: {seconds} s", flush=True)
                    for place, key in enumerate(tasks[task]):
                        spent = 0.0 if place else seconds
                        made = measure(key, load(checkpoint))
                        self._keep(key, Kept(fits[key], spent, made, checkpoint, fits[key].configuration()))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return {key: self.results[key] for key in fits}

    def publish(self, text: str, *figures: Path) -> None:
        """Print the tables, and keep them and the figures in a run of the experiment."""
        page = self.folder / "table.md"
        page.write_text(text + "\n")
        tracker = Tracker(experiment=self.name, name=f"{self.name} {self.scale}: figures")
        tracker.log_hyperparams({"study": self.name, "scale": self.scale})
        for path in [*figures, page, self.file]:
            tracker.log_artifact(path)
        tracker.finalize("success")
        print(f"\n{text}\n\nFigures: {', '.join(map(str, figures))}; results of every fit: {self.file}")

    def current(self) -> dict[str, Kept[Measured]]:
        """The results of fits whose configuration and data have not changed since."""
        return {key: kept for key, kept in self.results.items() if self._has(key, kept.fit)}

    def _label(self, key: str) -> str:
        """Name of the run."""
        return re.sub(r"\W+", "_", f"{self.name}_{self.scale}_{key}")

    def _has(self, key: str, fit: Fit) -> bool:
        """Whether a fit was made with these settings, of the configuration and of the data as they are now."""
        kept = self.results.get(key)
        if kept is None or kept.fit != fit:
            return False
        try:
            same = kept.configuration in (None, fit.configuration())
            return same and kept.model.data.digest == digest(fit.data)
        except (OSError, ValueError):  # the file or the checkpoint is gone, or damaged
            return False

    def _keep(self, key: str, kept: Kept[Measured]) -> None:
        self.results[key] = kept
        draft = self.file.with_suffix(".part")
        draft.write_text(json.dumps({key: each.to_json() for key, each in self.results.items()}, indent=1))
        os.replace(draft, self.file)


def _holds(path: Path, system: str, setting: Walkers | Fields, seed: int) -> bool:
    """Whether a file was simulated with these settings, as its own attributes say."""
    if not path.exists():
        return False
    attributes = TrajectoryFile.open(path).attributes
    stored, wanted = attributes["generator_parameters"], json.loads(json.dumps(asdict(setting)))
    same = all(stored[name] == value for name, value in wanted.items())
    return same and (attributes["generator"], attributes["seed"]) == (system, seed)


def _single_thread() -> None:
    torch.set_num_threads(1)
