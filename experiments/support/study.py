"""What the studies share: fits as one would type them, results kept as they come, figures and tables tracked."""

import contextlib
import io
import json
import os
import re
import shlex
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes

from morlight.analysis import model as prediction
from morlight.cli import main as cli
from morlight.tracking.logger import Tracker

FOLDER = Path("mlruns") / "studies"


def run(command: str) -> None:
    """Show a command as one would type it, and run it."""
    print(f"\n$ {command}", flush=True)
    cli.main(shlex.split(command)[1:])


def newest_checkpoint(name: str) -> Path:
    """Best checkpoint of the newest fit with this name, the last one where nothing was held out."""
    found = [path for word in ("best", "last") for path in Path("mlruns", "fits", name).glob(f"*/{word}.ckpt")]
    return max(found, key=lambda path: (path.parent.stat().st_mtime, path.name == "best.ckpt"))


class Study:
    """Fits of one study with their results, kept in one file: the same command goes on where it was stopped.

    Args:
        name: of the study, its MLflow experiment and its folder.
        scale: small or paper.
    """

    def __init__(self, name: str, scale: str) -> None:
        self.name, self.scale = name, scale
        self.folder = FOLDER / name / scale
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / "results.json"
        self.made = self.folder / "data.json"  # the command behind each data file
        self.results: dict[str, dict[str, Any]] = _read(self.file)

    def data(self, command: str, name: str = "") -> Path:
        """The data file that `morlight simulate COMMAND` makes, made where it is not there or another command's."""
        path = self.folder / f"{name or self.name}.h5"
        commands = _read(self.made)
        if not path.exists() or commands.get(path.stem) != command:
            run(f"morlight simulate {command} -o {path} --overwrite")
            _write(self.made, commands | {path.stem: command})
        return path

    def fit(self, key: str, words: str, measure: Callable[[prediction.Model], Mapping[str, Any]]) -> dict[str, Any]:
        """Result of `morlight fit WORDS` under a key: what `measure` finds in its model, checkpoint and seconds."""
        if self._known(key, words):
            return self.results[key]
        label = re.sub(r"\W+", "_", f"{self.name}_{self.scale}_{key}")
        begun = time.perf_counter()
        run(f"morlight fit {words} --experiment {self.name} --name {label}")
        seconds = time.perf_counter() - begun
        checkpoint = newest_checkpoint(label)
        found = {"words": words, "checkpoint": str(checkpoint), "seconds": round(seconds, 1)}
        self.results[key] = found | dict(measure(prediction.load(checkpoint)))
        _write(self.file, self.results)
        return self.results[key]

    def fits(
        self,
        words: Mapping[str, str],
        measure: Callable[[str, prediction.Model], Mapping[str, Any]],
        processes: int = 1,
    ) -> dict[str, dict[str, Any]]:
        """Results of many fits by their keys, several made at once, each in one thread of a process of its own."""
        tasks: dict[Any, list[str]] = {}
        with ProcessPoolExecutor(processes, get_context("spawn"), _single_thread) as pool:
            for told in dict.fromkeys(words.values()):  # keys of the same words share a fit
                missing = [key for key in words if words[key] == told and not self._known(key, told)]
                if missing:
                    label = re.sub(r"\W+", "_", f"{self.name}_{self.scale}_{missing[0]}")
                    command = f"morlight fit {told} --experiment {self.name} --name {label}"
                    tasks[pool.submit(_quietly, command, label)] = missing
            try:
                for task in as_completed(tasks):
                    checkpoint, seconds = task.result()
                    print(f"{', '.join(tasks[task])}: {seconds} s", flush=True)
                    for place, key in enumerate(tasks[task]):
                        spent = 0.0 if place else seconds
                        found = {"words": words[key], "checkpoint": checkpoint, "seconds": spent}
                        self.results[key] = found | dict(measure(key, prediction.load(checkpoint)))
                        _write(self.file, self.results)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return {key: self.results[key] for key in words}

    def _known(self, key: str, words: str) -> bool:
        """Whether the result of these words is there."""
        known = self.results.get(key)
        return known is not None and known["words"] == words and Path(known["checkpoint"]).exists()

    def publish(self, table: str, *figures: Path) -> None:
        """Print the table, and keep it and the figures in a run of the experiment."""
        (self.folder / "table.md").write_text(table + "\n")
        tracker = Tracker(experiment=self.name, name=f"{self.name} {self.scale}: figures")
        tracker.log_hyperparams({"study": self.name, "scale": self.scale})
        for path in [*figures, self.folder / "table.md", self.file]:
            tracker.log_artifact(path)
        tracker.finalize("success")
        print(f"\n{table}\n\nFigures: {', '.join(map(str, figures))}; results of every fit: {self.file}")


def _single_thread() -> None:
    torch.set_num_threads(1)


def _quietly(command: str, label: str) -> tuple[str, float]:
    """One fit, with the last line that it says where it fails; its checkpoint and seconds."""
    print(f"$ {command}", flush=True)
    begun = time.perf_counter()
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            cli.main([*shlex.split(command)[1:], "--trainer.enable_progress_bar", "false"])
    except SystemExit as error:
        lines = said.getvalue().strip().splitlines()
        raise ValueError(f"{command}: {lines[-1] if lines else error}") from error
    return str(newest_checkpoint(label)), round(time.perf_counter() - begun, 1)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def _write(path: Path, values: Mapping[str, Any]) -> None:
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps(values, indent=1))
    os.replace(draft, path)


def error_bars(axes: Axes, sizes: list[int], errors: list[list[float]], **style: Any) -> None:
    """Errors over the number of samples: mean of the logarithms and one standard deviation of them."""
    logs = [np.log10(values) for values in errors]
    mean, sd = np.array([log.mean() for log in logs]), np.array([log.std() for log in logs])
    middle = 10**mean
    axes.errorbar(sizes, middle, yerr=[middle - 10 ** (mean - sd), 10 ** (mean + sd) - middle], capsize=3, **style)
    axes.set(xscale="log", yscale="log", xlabel="training set size (samples)")
    axes.set_xticks(sizes, [str(size) for size in sizes], rotation=30)
    axes.minorticks_off()
