"""One run of LAMMPS, which goes on where it was interrupted."""

import fcntl
import gzip
import hashlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Float

from morlight.data.conditions import deck_values
from morlight.data.particles import lammps_average as chunks
from morlight.data.whole_file import whole_file
from morlight.simulate.lammps.ensemble import Ensemble
from morlight.simulate.lammps.systems import DECKS, commands, deck_text


class Run:
    """One γ with one seed, and its folder."""

    def __init__(self, ensemble: Ensemble, gamma: tuple[float, ...], seed: int, folder: Path) -> None:
        self.system, self.gamma, self.seed = ensemble.system, gamma, seed
        self.frames, self.bins = ensemble.frames, ensemble.bins
        self.variables = ensemble.variables(gamma, seed)
        deck = deck_text(self.system)
        values = deck_values(deck) | {key: str(value) for key, value in self.variables.items()}
        self.every, self.average, self.blocks = (int(values[key]) for key in ("every", "average", "blocks"))
        self.width, self.rest = values.get("width", values.get("length")), int(values["rest"])
        said = json.dumps([commands(deck), self.variables], sort_keys=True)
        mark = hashlib.sha256(said.encode()).hexdigest()[:8]
        told = "_".join(f"{name}{value:g}" for name, value in zip(self.system.parameters, gamma, strict=True))
        self.folder = folder / f"{self.system.deck}_{told}_seed{seed}_{mark}"
        self.done = self.folder / "finished.json"

    @property
    def finished(self) -> bool:
        """Whether all frames have been recorded."""
        return self.done.exists()

    @property
    def steps(self) -> int:
        """Time steps in all."""
        return (self.rest + self.frames) * self.every

    @property
    def core_seconds(self) -> float:
        """CPU time, from the log: the seconds of each loop times its CPU use."""
        loop = r"^Loop time of (\S+) on (\d+) procs.*?^(\S+)% CPU use"
        found = re.findall(loop, self._log(), re.MULTILINE | re.DOTALL)
        return sum(float(seconds) * int(processes) * float(share) / 100 for seconds, processes, share in found)

    @property
    def lammps_version(self) -> str:
        """Version of LAMMPS, from the log."""
        found = re.search(r"^LAMMPS \((.*)\)", self._log(), re.MULTILINE)
        return found[1] if found else "unknown"

    def _log(self) -> str:
        return (self.folder / "log.lammps").read_text(encoding="utf-8")

    def go(self, command: Sequence[str], tell: Callable[[int], None], stop: threading.Event) -> None:
        """Run LAMMPS from the start or from the last frame, and report the steps done.

        Raises:
            ValueError: if LAMMPS stops, or another one runs in the folder.
        """
        self.folder.mkdir(exist_ok=True)
        with _alone(self.folder) as lock:
            if not self.finished:
                self._go(command, tell, stop, lock)

    def _go(self, command: Sequence[str], tell: Callable[[int], None], stop: threading.Event, lock: int) -> None:
        going_on = (self.folder / "restart.lmp").exists()
        if not going_on:
            for species in self.system.species:
                (self.folder / self.system.profile(species)).unlink(missing_ok=True)
        words = {**self.variables, "start": "restart" if going_on else "fresh"}
        given = [word for key, value in words.items() for word in ("-var", key, str(value))]
        deck = (DECKS / f"{self.system.deck}.in").resolve()
        full = [*command, "-in", str(deck), "-log", "none", *given]
        with (
            open(self.folder / "log.lammps", "a", encoding="utf-8") as log,
            subprocess.Popen(
                full,
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                pass_fds=(lock,),
                start_new_session=True,
            ) as process,
        ):
            assert process.stdout is not None
            tail: list[str] = []
            for line in process.stdout:
                log.write(line)
                tail = [*tail[-30:], line]
                first = line.split(maxsplit=1)[:1]
                if first and first[0].isdigit():
                    tell(int(first[0]))
                if stop.is_set():
                    # lmp and mpiexec may have started others; all hold the pipe until they have ended
                    os.killpg(process.pid, signal.SIGTERM)
                    process.stdout.read()
                    return
        if process.returncode:
            raise ValueError(f"{self.folder}: LAMMPS stopped: {_complaint(tail)}")
        self.fields()  # complains where the averages are not what they should be
        (self.folder / "restart.lmp").unlink(missing_ok=True)
        for species in self.system.species:
            _compress(self.folder / self.system.profile(species))
        with whole_file(self.done) as draft:
            draft.write_text(json.dumps({"variables": self.variables, "command": full}, indent=1))

    def fields(self) -> dict[str, Float[np.ndarray, "T *N"]]:
        """Fields of the file, and beside each the standard error of its frames from their blocks."""
        found = {}
        for label, u in self.in_blocks().items():
            found[label] = u.mean(1)
            if self.blocks > 1:
                found[f"{label}_error"] = u.std(1, ddof=1) / math.sqrt(self.blocks)
        return found

    def in_blocks(self) -> dict[str, Float[np.ndarray, "T blocks *N"]]:
        """Fields in the blocks that each frame is the mean of."""
        words = (self.folder / "geometry.txt").read_text().split()
        told = dict(zip(words[::2], map(float, words[1::2]), strict=True))
        width = float(self.width or told["width"])
        axes = self.system.axes
        volume = (width / self.bins) ** axes * told["side"] ** (3 - axes)
        found = {}
        for species in self.system.species:
            path = self.folder / self.system.profile(species)
            read = chunks.read(path if path.exists() else path.with_name(f"{path.name}.gz"))
            blocks = self._blocks(read)
            for name, column in self.system.columns.items():
                u = blocks[..., read.columns.index(column)].reshape(*blocks.shape[:2], *[self.bins] * axes)
                found[f"{name}_{species}" if species else name] = u / volume
        return found

    def _blocks(self, read: chunks.Chunks) -> Float[np.ndarray, "T blocks N columns"]:
        """Frames and their blocks; of those written twice, before and after an interruption, the later ones."""
        last = {int(step): place for place, step in enumerate(read.steps)}
        frames = []
        for frame in range(self.frames + 1):
            end = (self.rest + frame) * self.every
            steps = sorted(step for step in last if end - self.average < step <= end)
            if len(steps) != self.blocks:
                raise ValueError(f"{read.path}: frame {frame} has {len(steps)} blocks, expected {self.blocks}")
            frames.append(read.values[[last[step] for step in steps]])
        return np.stack(frames)


@contextmanager
def _alone(folder: Path) -> Iterator[int]:
    """A lock that this process, and the LAMMPS that inherits it, hold together: it lasts until both have ended.

    Raises:
        ValueError: if it is held, by another command or by a LAMMPS whose command was killed.
    """
    with open(folder / "running.lock", "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"{folder}: LAMMPS is running there already, expected one at a time") from error
        yield file.fileno()


def _complaint(tail: Sequence[str]) -> str:
    """LAMMPS's own message, and the line of the input where it stopped."""
    lines = [line.strip() for line in tail]
    said = [line for line in lines if line.startswith(("ERROR", "Last input line", "Last command"))]
    advice = ["a lower density, temperature, speed or force, or more atoms, keep the forces within its time step"]
    lost = any("Lost atoms" in line for line in said)
    return "; ".join(said + advice * lost) if said else (lines[-1] if lines else "it said nothing")


def _compress(path: Path) -> None:
    with (
        whole_file(path.with_name(f"{path.name}.gz")) as draft,
        open(path, "rb") as source,
        gzip.open(draft, "wb", 6) as target,
    ):
        shutil.copyfileobj(source, target)
    path.unlink()
